"""A stop waits for work that is under way, and the daemon answers meanwhile."""

import asyncio
import threading
from pathlib import Path

from stepwell_daemon.config import build_parser
from stepwell_daemon.part_settings import load_config
from stepwell_daemon.serve import Daemon
from tests.daemon.fakes import FakeSink


class SlowStore(FakeSink):
    """Says when it begins to apply retention, and ends when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.released = threading.Event(), threading.Event()
        self.expired: list[str] = []

    def expire(self, table: str, days: int) -> None:
        self.begun.set()
        assert self.released.wait(60), "the loop stood still while the store was closed"
        self.expired.append(table)


def test_a_stop_during_retention_ends_it_early_and_keeps_the_loop_free(tmp_path: Path) -> None:
    store = SlowStore()
    words = ["--data", tmp_path / "data", "--socket", tmp_path / "s", "--journals", tmp_path / "j"]
    words += ["--hub", "off", "--metrics-port", "0", "--sample-seconds", "0"]
    config = load_config(build_parser().parse_args([*map(str, words)]), {})

    async def run() -> None:
        daemon = Daemon(config, load=lambda: config, open_store=lambda _: store)
        running = asyncio.create_task(daemon.run())
        async with asyncio.timeout(60):
            while not store.begun.is_set():
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
            daemon.stop.set()
            while not daemon._stopping.is_set():
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
            assert not store.closed
            store.released.set()
            await running
        assert store.closed
        assert len(store.expired) == 1, "the rest is for the next start"

    asyncio.run(run())
