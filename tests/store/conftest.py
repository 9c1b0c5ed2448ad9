"""The stores that the tests ask: a real engine, and a real server of 18.16.

Both live for the whole session; each test keeps to a project of its own.
"""

from collections.abc import Iterator

import pytest

from stepwell_store import EmbeddedStore, Store, open_embedded
from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import ServerStore, open_server
from tests.servers.clickhouse import ClickHouseServer


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    opened = open_embedded(tmp_path_factory.mktemp("store"), memory_bytes_max=1 << 30)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerStore]:
    with ClickHouseServer(tmp_path_factory.mktemp("server")) as running:
        opened = open_server(ServerSettings(endpoints=parse_endpoints(running.address, 9000)))
        opened.migrate()
        yield opened
        opened.close()


@pytest.fixture(scope="session", params=["engine", "server"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each of the two in turn."""
    found: Store = request.getfixturevalue(request.param)
    return found
