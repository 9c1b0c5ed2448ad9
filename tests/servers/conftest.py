from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node import Node, made_node
from tests.servers.clickhouse import ClickHouseServer, stored_in


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    with ClickHouseServer(tmp_path / "server") as running:
        yield running


@pytest.fixture
def node(server: ClickHouseServer) -> Iterator[Node]:
    """A node whose daemon stores in the server."""
    with made_node() as made:
        made.variables = stored_in(server.address)
        yield made
