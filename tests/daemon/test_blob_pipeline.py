"""The pipeline: what fails for one blob keeps no other waiting, and is tried again."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from blake3 import blake3

from stepwell_daemon.backoff import Backoff
from stepwell_daemon.blobs.pipeline import BlobPipeline, StoreKeeper
from stepwell_daemon.blobs.queue import BlobQueue
from stepwell_daemon.blobs.worker_process import Result
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import BlobRefusedError
from stepwell_store.blob_store import FolderBlobStore
from stepwell_wire.folder import JournalFolder
from stepwell_wire.staged import StagedHeader
from tests.daemon.made import spool_running
from tests.daemon.staged import stage
from tests.waiting import until

pytestmark = pytest.mark.processes


class FailingKeeper(StoreKeeper):
    """A blob store that raises ``error`` for one content, ``times`` times."""

    def __init__(self, store: FolderBlobStore, executor: ThreadPoolExecutor) -> None:
        super().__init__(store, executor)
        self.of, self.error, self.times = b"", Exception(), 0

    async def keep(self, result: Result, path: Path) -> bool:
        if result.digest == blake3(self.of).hexdigest() and self.times:
            self.times -= 1
            raise self.error
        return await super().keep(result, path)


class World:
    def __init__(self, folder: Path, executor: ThreadPoolExecutor) -> None:
        self.folder = folder
        self.queue = BlobQueue(folder / "blobs", bytes_max=1 << 20, free_bytes_min=0)
        self.queue.open()
        self.store = FolderBlobStore(folder / "store")
        self.keeper = FailingKeeper(self.store, executor)
        self.counters = Counters()
        self.pipeline: BlobPipeline

    def take(self, *contents: bytes) -> list[str]:
        ids = [stage(self.folder / "journal", each) for each in contents]
        folder = JournalFolder(self.folder / "journal")
        for blob_id in ids:
            self.queue.take(folder, blob_id, approve=lambda header: None)
        folder.close()
        return ids

    def has(self, content: bytes) -> bool:
        return self.store.stat(blake3(content).hexdigest()) is not None


def run(tmp_path: Path, work: Callable[[World], Awaitable[None]]) -> None:
    async def within() -> None:
        with ThreadPoolExecutor(1) as executor:
            async with spool_running(tmp_path / "spool") as spool:
                world = World(tmp_path, executor)
                world.pipeline = BlobPipeline(
                    world.queue,
                    spool,
                    world.keeper,
                    counters=world.counters,
                    executor=executor,
                    workers=1,
                    worker_memory_bytes=1 << 30,
                    seconds=60.0,
                    new_backoff=partial(Backoff, first_seconds=0.01, last_seconds=0.02),
                )
                task = asyncio.create_task(world.pipeline.run())
                try:
                    async with asyncio.timeout(60):
                        await work(world)
                    assert not task.done()
                finally:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

    asyncio.run(within())


def test_a_blob_that_is_refused_where_it_goes_waits_behind_the_others(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        world.keeper.of, world.keeper.error = b"bad", BlobRefusedError("too large over there")
        world.keeper.times = 1_000_000
        bad, *_ = world.take(b"bad", b"one", b"two")
        world.pipeline.note_taken()
        await until(lambda: world.queue.ids == [bad], "all but one to be done")
        assert world.has(b"one")
        assert world.has(b"two")
        await until(lambda: "too large over there" in world.pipeline.health.problem, "the problem")
        assert bad in world.pipeline.health.problem
        world.keeper.times = 0
        await until(lambda: world.pipeline.is_idle, "the pipeline to be idle")
        assert world.has(b"bad")
        assert world.pipeline.health.problem == ""

    run(tmp_path, work)


def test_a_bad_blob_is_told_once_however_many_good_ones_come_between(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(world: World) -> None:
        world.keeper.of, world.keeper.error = b"bad", BlobRefusedError("too large over there")
        world.keeper.times = 1_000_000
        bad, *_ = world.take(b"bad")
        for number in range(4):
            world.take(f"good {number}".encode())
            world.pipeline.note_taken()
            await until(lambda: world.queue.ids == [bad], "all but one to be done")
        before = world.keeper.times
        await until(lambda: world.keeper.times < before - 2, "more attempts")
        told = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        assert len(told) == 1, told
        assert bad in told[0]
        assert "stored again" not in caplog.text

    with caplog.at_level("INFO", "stepwell_daemon"):
        run(tmp_path, work)


def test_a_mistake_of_ours_ends_neither_the_daemon_nor_other_blobs(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        world.keeper.of, world.keeper.error, world.keeper.times = b"odd", KeyError("oops"), 1
        world.take(b"odd", b"one")
        world.pipeline.note_taken()
        await until(lambda: world.pipeline.is_idle, "the pipeline to be idle")
        assert world.has(b"odd")
        assert world.has(b"one")
        assert world.counters.handler_errors == 1

    run(tmp_path, work)


def test_a_file_that_cannot_be_read_for_a_moment_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(world: World) -> None:
        real, failures = world.queue.header, [OSError(errno.EMFILE, "Too many open files")]

        def header(blob_id: str) -> StagedHeader:
            if failures:
                raise failures.pop()
            return real(blob_id)

        monkeypatch.setattr(world.queue, "header", header)
        world.take(b"one")
        world.pipeline.note_taken()
        await until(lambda: world.pipeline.is_idle, "the pipeline to be idle")
        assert world.has(b"one")
        assert world.queue.failed() == []

    run(tmp_path, work)


def test_a_file_that_is_gone_keeps_nothing_waiting(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        gone, _ = world.take(b"gone", b"one")
        world.queue.path(gone).unlink()
        world.pipeline.note_taken()
        await until(lambda: world.pipeline.is_idle, "the pipeline to be idle")
        assert world.has(b"one")
        assert gone in world.pipeline.health.last_failure

    run(tmp_path, work)
