"""What holds for all tests: which of them `make quick` leaves out, and a node for who asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.node import Node, made_node

# A loaded machine makes any example slow: time is no reason to fail.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_TESTS = Path(__file__).parent
_STARTS_PROCESSES = {
    *("browser", "copied", "engine", "hub", "node", "own_store", "process", "server", "site"),
    *("store", "up", "world"),
}
"""Fixtures behind which an engine, a server, a daemon or a browser runs."""

_SLOW = {"deploy", "faults", "fuzz", "web"}
"""Folders whose tests search, build or ask other programs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _STARTS_PROCESSES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.processes)
        if item.path.relative_to(_TESTS).parts[0] in _SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def node() -> Iterator[Node]:
    """A node of real processes, without a daemon as yet."""
    with made_node() as made:
        yield made
