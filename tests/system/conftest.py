"""A node of real processes for each test that asks for one."""

from collections.abc import Iterator

import pytest

from tests.node import Node, made_node


@pytest.fixture
def node() -> Iterator[Node]:
    with made_node() as made:
        yield made
