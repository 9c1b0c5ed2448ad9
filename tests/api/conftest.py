"""A real hub over a real embedded store, on a port of its own, for all tests of a file."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from stepwell.api import Api
from stepwell_hub.app import create_app
from stepwell_hub.config import HubConfig
from stepwell_hub.context import Context
from stepwell_hub.key_file import KeyFile
from stepwell_hub.serve import make_context
from stepwell_store import EmbeddedStore, open_embedded
from stepwell_wire.hub_access import ensure_key
from tests.waiting import wait_until

_SECONDS = 60


@dataclass
class World:
    """A hub that answers at ``url``, and the store behind it."""

    store: EmbeddedStore
    data: Path
    url: str
    key: str
    context: Context

    @property
    def api(self) -> Api:
        return Api(hub=self.url, api_key=self.key)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data = tmp_path_factory.mktemp("data")
    store = open_embedded(data, memory_bytes_max=1 << 30)
    store.migrate()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = HubConfig(data=data, port=port)
        key = ensure_key(config.folder)
        context = make_context(config, store)
        app = create_app(context, KeyFile(config.folder), static=data)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the hub", timeout_seconds=_SECONDS)
        yield World(store, data, f"http://127.0.0.1:{port}", key, context)
        server.should_exit = True
        thread.join(_SECONDS)
    store.close()


@pytest.fixture(autouse=True)
def no_hub_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STEPWELL_HUB", "STEPWELL_HUB_KEY", "STEPWELL_HUB_KEY_FILE", "STEPWELL_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEPWELL_DATA", str(tmp_path))
    monkeypatch.setenv("STEPWELL_SOCKET", str(tmp_path / "no-daemon.sock"))
