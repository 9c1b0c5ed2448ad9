"""The real application over a real embedded store, asked by a client inside this process."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from stepwell_hub.app import create_app
from stepwell_hub.catalog.catalog import Catalog, open_catalog
from stepwell_hub.config import HubConfig
from stepwell_hub.context import Context
from stepwell_hub.key_file import KeyFile
from stepwell_hub.serve import make_context
from stepwell_store import EmbeddedStore, open_embedded
from stepwell_wire.hub_access import ensure_key, hub_dir
from tests.hub.catalogs import emptied
from tests.servers.postgresql import PostgreSQLServer

BASE = "http://127.0.0.1:8470"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQLServer]:
    with PostgreSQLServer() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def catalogs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Catalog]]:
    """Several hubs on one database, in SQLite and in PostgreSQL."""
    url = "" if request.param == "sqlite" else emptied(request.getfixturevalue("postgresql"))
    opened = [open_catalog(tmp_path, url) for _ in range(4)]
    yield opened
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """One engine for all tests of the hub; a test that changes something makes a project."""
    opened = open_embedded(tmp_path_factory.mktemp("data"), memory_bytes_max=1 << 30)
    opened.migrate()
    yield opened
    opened.close()


class Hub:
    """An application and the clients that ask it.

    Attributes:
        browser: shows nothing yet, so it is let in nowhere.
        program: shows the key as a bearer.
    """

    def __init__(
        self,
        config: HubConfig,
        store: EmbeddedStore,
        static: Path,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.key = ensure_key(config.folder)
        self.context: Context = make_context(config, store, clock=clock)
        self.app = create_app(self.context, KeyFile(config.folder), static=static)
        self.program = self.client(Authorization=f"Bearer {self.key}")
        self.browser = self.client()

    def client(self, base: str = BASE, **headers: str) -> TestClient:
        return TestClient(self.app, base_url=base, headers=headers, follow_redirects=False)


@pytest.fixture
def hub(tmp_path: Path, store: EmbeddedStore) -> Iterator[Hub]:
    made = Hub(HubConfig(data=tmp_path), store, tmp_path / "static")
    assert made.config.folder == hub_dir(tmp_path)
    with made.program:  # One event loop from the start to the end of the application.
        yield made
