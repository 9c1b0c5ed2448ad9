"""The intake: whose blobs are taken, when they wait, and that taking twice is taking once."""

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.blobs.intake import BlobIntake
from stepwell_daemon.blobs.queue import BlobQueue
from stepwell_daemon.errors import BlobRefusedError
from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.writer_state import WriterState
from stepwell_store.writer import WriterInfo
from stepwell_wire.blobs_pb2 import LATER, REFUSED, SEND, TAKEN, BlobOffer
from stepwell_wire.folder import JournalFolder
from stepwell_wire.staged import file_name
from tests.daemon.made import spool_running
from tests.daemon.staged import INFO, stage

WHO = WriterInfo("p", "r", "w", "", "run", "node", 7)


@dataclass
class Desk:
    intake: BlobIntake
    queue: BlobQueue
    journal: Path
    taken: list[None] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    async def offer(self, *names: str, writer_id: str = "w", folder: Path | None = None) -> Any:
        path = str(folder or self.journal)
        offer = BlobOffer(protocol_major=1, journal_dir=path, writer_id=writer_id, names=names)
        return [reply.outcome for reply in await self.intake.offer(offer)]


@asynccontextmanager
async def desk(tmp_path: Path, *, bytes_max: int = 1 << 20) -> Any:
    async with spool_running(tmp_path / "spool") as spool:
        spool.registry.add(WriterState(WHO))
        queue = BlobQueue(tmp_path / "blobs", bytes_max=bytes_max, free_bytes_min=0)
        queue.open()
        with ThreadPoolExecutor(1) as executor:
            found: Desk
            intake = BlobIntake(
                queue,
                spool,
                places=JournalPlaces(tmp_path),
                executor=executor,
                on_taken=lambda: found.taken.append(None),
                on_failed=lambda who, blob_id, why: found.failed.append((blob_id, why)),
            )
            found = Desk(intake, queue, tmp_path / "journal")
            yield found


def run(tmp_path: Path, work: Any, **named: Any) -> None:
    async def within() -> None:
        async with desk(tmp_path, **named) as found:
            await work(found)

    asyncio.run(within())


def test_what_is_offered_twice_is_taken_once(tmp_path: Path) -> None:
    async def work(found: Desk) -> None:
        blob_id = stage(found.journal, b"x")
        assert await found.offer(blob_id) == [TAKEN]
        assert await found.offer(blob_id, blob_id) == [TAKEN, TAKEN]
        assert found.queue.ids == [blob_id]

    run(tmp_path, work)


def test_a_writer_that_is_not_known_yet_waits(tmp_path: Path) -> None:
    async def work(found: Desk) -> None:
        blob_id = stage(found.journal, b"x")
        assert await found.offer(blob_id, writer_id="stranger") == [LATER]
        assert (found.journal / file_name(blob_id)).exists()

    run(tmp_path, work)


def test_a_blob_of_another_run_is_refused(tmp_path: Path) -> None:
    async def work(found: Desk) -> None:
        theirs = stage(found.journal, b"x", info=INFO._replace(run_id="other"))
        for _ in range(2):
            assert await found.offer(theirs) == [REFUSED]
        assert await found.offer("../../etc/passwd") == [REFUSED]
        assert [failed for failed, _ in found.failed] == [theirs]
        assert found.queue.ids == []

    run(tmp_path, work)


def test_a_damaged_one_is_recorded_as_failed(tmp_path: Path) -> None:
    async def work(found: Desk) -> None:
        blob_id = stage(found.journal, b"x")
        path = found.journal / file_name(blob_id)
        path.write_bytes(path.read_bytes()[:-3])
        assert await found.offer(blob_id) == [TAKEN]
        ((failed, why),) = found.failed
        assert failed == blob_id
        assert "damaged" in why

    run(tmp_path, work)


def test_one_that_is_refused_over_the_socket_is_recorded_as_failed_once(tmp_path: Path) -> None:
    async def work(found: Desk) -> None:
        payload = b"no staged file"
        blob_id = "1" * 32
        for _ in range(2):
            crc32 = zlib.crc32(payload)
            await found.intake.receive(blob_id, len(payload), 0, payload, crc32)
            assert (await found.intake.accept(blob_id, len(payload), "w")).outcome == REFUSED
        ((failed, why),) = found.failed
        assert failed == blob_id
        assert "the daemon rejected the blob" in why
        found.intake.refused("2" * 32, "w", "a blob of many bytes")
        found.intake.refused("no id", "w", "")
        found.intake.refused("3" * 32, "a stranger", "")
        assert [each for each, _ in found.failed] == [blob_id, "2" * 32]

    run(tmp_path, work)


def test_what_cannot_be_seen_is_to_be_sent(tmp_path: Path) -> None:
    async def work(found: Desk) -> None:
        blob_id = "0" * 32
        found.journal.mkdir()
        assert await found.offer(blob_id) == [SEND]
        assert await found.offer(blob_id, folder=tmp_path / "elsewhere") == [SEND]
        assert await found.offer(blob_id, folder=Path("relative")) == [SEND]

    run(tmp_path, work)


def test_without_room_blobs_wait_and_the_problem_is_told_until_there_is_some(
    tmp_path: Path,
) -> None:
    async def work(found: Desk) -> None:
        first, second = stage(found.journal, bytes(600)), stage(found.journal, bytes(600))
        assert await found.offer(first, second) == [TAKEN, LATER]
        assert "blob_queue_bytes_max" in found.intake.problem
        folder = JournalFolder(found.journal)
        try:
            assert not await found.intake.take_rest(folder, WHO)
            found.queue.remove(first)
            assert await found.intake.take_rest(folder, WHO)
        finally:
            folder.close()
        assert found.intake.problem == ""
        assert found.queue.ids == [second]

    run(tmp_path, work, bytes_max=1200)


def test_one_that_is_refused_keeps_no_other_of_a_dead_writer(tmp_path: Path) -> None:
    async def work(found: Desk) -> None:
        stage(found.journal, bytes(2000))
        small = stage(found.journal, b"x")
        folder = JournalFolder(found.journal)
        try:
            with pytest.raises(BlobRefusedError, match="blob_queue_bytes_max"):
                await found.intake.take_rest(folder, WHO)
        finally:
            folder.close()
        assert found.queue.ids == [small]

    run(tmp_path, work, bytes_max=1200)
