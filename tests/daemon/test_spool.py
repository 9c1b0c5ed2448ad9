"""What the spool acknowledged is there, at its place, once: after any failure and any crash."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import SpoolUnavailableError
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.segment import (
    PAGE_BYTES,
    Location,
    Progress,
    list_segments,
    segment_path,
)
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from tests.daemon.crashing import spool_that_dies
from tests.daemon.disks import CrashError, FaultyDisk, crashes_at, fails_at
from tests.daemon.made import (
    append,
    finish_event,
    new_writer,
    row,
    schema_event,
    spool_running,
    spooled_in,
    steps_in,
    writer_info,
)
from tests.daemon.padding import padding

FRAMES = 24


async def write_frames(spool: Spool, acked: list[int], *, first: int = 0) -> None:
    """Append frames one by one, each with a row of its own step; note what was acknowledged."""
    state = new_writer(spool)
    if not state.schemas:
        append(spool, state, schema_event())
    for step in range(first, first + FRAMES):
        append(spool, state, row(step) + padding())
        await spool.settled()
        acked.append(step)


def stored_steps(folder: Path) -> list[int]:
    async def read() -> list[int]:
        async with spool_running(folder) as spool:
            return steps_in(spooled_in(spool))

    return asyncio.run(read())


def test_frames_come_back_in_order_over_several_segments(tmp_path: Path) -> None:
    acked: list[int] = []

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            await write_frames(spool, acked)
            assert len(list_segments(tmp_path)) > 2
            assert steps_in(spooled_in(spool)) == acked

    asyncio.run(run())
    assert stored_steps(tmp_path) == acked == list(range(FRAMES))


def test_high_water_marks_survive_a_restart(tmp_path: Path) -> None:
    async def run() -> tuple[int, bool]:
        async with spool_running(tmp_path) as spool:
            await write_frames(spool, [])
            state = new_writer(spool)
            append(spool, state, finish_event())
            await spool.settled()
            return state.durable, state.finished

    async def again() -> tuple[int, int, bool]:
        async with spool_running(tmp_path) as spool:
            state = spool.registry.get("w1")
            assert state is not None
            return state.durable, state.accepted, state.finished

    durable, finished = asyncio.run(run())
    assert finished
    assert asyncio.run(again()) == (durable, durable, True)


def test_high_water_marks_outlive_their_segments(tmp_path: Path) -> None:
    async def run() -> int:
        async with spool_running(tmp_path, keep_seconds=0.0) as spool:
            await write_frames(spool, [])
            await spool.save_progress(Progress(spool.end))
            spool.free_forwarded()
            return new_writer(spool).durable

    durable = asyncio.run(run())
    assert len(list_segments(tmp_path)) == 1

    async def again() -> int:
        async with spool_running(tmp_path) as spool:
            state = spool.registry.get("w1")
            assert state is not None
            return state.durable

    assert asyncio.run(again()) == durable


class ReadingDisk(Disk):
    """Counts the bytes that are read."""

    def __init__(self) -> None:
        self.bytes_read = 0

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        data = super().read(descriptor, size, offset)
        self.bytes_read += len(data)
        return data


@pytest.mark.holds("backlog")
def test_a_start_after_a_kill_reads_the_newest_segments_only(tmp_path: Path) -> None:
    """The time to the first ack does not grow with what the store has not taken yet."""
    acked: list[int] = []

    async def run() -> None:
        # Closed without saving the table, as a kill leaves it.
        async with spool_running(tmp_path) as spool:
            for turn in range(4):
                await write_frames(spool, acked, first=turn * FRAMES)

    asyncio.run(run())
    segments = list_segments(tmp_path)
    assert len(segments) > 10
    disk = ReadingDisk()
    spool = Spool(tmp_path, SpoolSettings(segment_bytes=1 << 16), counters=Counters(), disk=disk)
    spool.close()
    assert disk.bytes_read < len(segments) * PAGE_BYTES + 6 * (1 << 16)
    assert stored_steps(tmp_path) == acked


def count_calls(tmp_path: Path) -> int:
    disk = FaultyDisk(lambda call, name: None)

    async def run() -> None:
        async with spool_running(tmp_path / "count", disk=disk) as spool:
            await write_frames(spool, [])

    asyncio.run(run())
    return disk.calls


@pytest.mark.holds("spool-disk-fails")
@pytest.mark.slow
@pytest.mark.parametrize("for_calls", [1, 2, 5])
def test_a_failure_at_any_call_costs_nothing(tmp_path: Path, for_calls: int) -> None:
    for number in range(1, count_calls(tmp_path) + 1, 3 if for_calls > 1 else 1):
        folder = tmp_path / str(number)
        acked: list[int] = []

        async def run(folder: Path, acked: list[int], number: int) -> None:
            quiet = fails_at(0, for_calls=0)
            async with spool_running(folder, disk=quiet) as spool:
                quiet.decide = fails_at(quiet.calls + number, for_calls=for_calls).decide
                await write_frames(spool, acked)
                assert steps_in(spooled_in(spool)) == acked

        asyncio.run(run(folder, acked, number))
        assert acked == list(range(FRAMES))
        assert stored_steps(folder) == acked, f"call {number} failed"


@pytest.mark.holds("ack-after-sync", "kill-daemon")
@pytest.mark.slow
def test_a_crash_at_any_call_loses_nothing_acknowledged_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    for number in range(1, count_calls(tmp_path) + 1):
        folder = tmp_path / str(number)
        acked: list[int] = []
        disk = crashes_at(number)
        with pytest.raises(CrashError):
            _write_until_crash(folder, disk, acked)
        found = stored_steps(folder) if folder.exists() else []
        assert found[: len(acked)] == acked, f"call {number} crashed"
        assert found == sorted(set(found))
        assert len(found) <= len(acked) + 1


def _write_until_crash(folder: Path, disk: Disk, acked: list[int]) -> None:
    """Write frames one by one until ``disk`` ends the process, at the latest after the last."""

    async def run() -> None:
        async with spool_that_dies(folder, disk, segment_bytes=1 << 16) as (spool, all_durable):
            state = new_writer(spool)
            for step in range(-1, FRAMES):
                append(spool, state, schema_event() if step < 0 else row(step) + padding())
                await all_durable()
                if step >= 0:
                    acked.append(step)
            raise CrashError

    asyncio.run(run())


@pytest.mark.holds("spool-disk-fails")
def test_a_disk_that_fails_for_ever_stops_acks_and_is_told(tmp_path: Path) -> None:
    failing = False
    disk = FaultyDisk(
        lambda call, name: OSError(errno.ENOSPC, "No space left on device") if failing else None
    )

    async def run() -> None:
        nonlocal failing
        async with spool_running(tmp_path, disk=disk) as spool:
            told: list[SpoolUnavailableError] = []
            third = asyncio.Event()

            def tell(error: SpoolUnavailableError) -> None:
                told.append(error)
                if len(told) == 3:
                    third.set()

            spool.on_failure = tell
            acked: list[int] = []
            await write_frames(spool, acked)
            state = new_writer(spool)
            durable = state.durable
            failing = True
            append(spool, state, row(FRAMES))
            await third.wait()
            assert spool.failure is not None
            assert "No space left" in str(spool.failure)
            assert state.durable == durable
            failing = False
            await spool.settled()
            assert spool.failure is None
            assert steps_in(spooled_in(spool)) == [*acked, FRAMES]

    asyncio.run(run())
    assert stored_steps(tmp_path) == list(range(FRAMES + 1))


def test_a_full_disk_names_the_space_that_a_new_file_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="a new file needs 67,108,864 bytes") as raised:
        Disk().create(tmp_path / "new", 64 << 20)
    error = SpoolUnavailableError(tmp_path / "new", raised.value)
    assert "No space left on device: a new file needs 67,108,864 bytes" in str(error)


@pytest.mark.holds("failed-fsync")
def test_a_segment_whose_sync_failed_is_never_synced_again(tmp_path: Path) -> None:
    synced: list[int] = []
    failed: list[int] = []

    class Watching(Disk):
        def sync(self, descriptor: int) -> None:
            assert descriptor not in failed
            synced.append(descriptor)
            if len(synced) == 6:
                failed.append(descriptor)
                raise OSError(errno.EIO, "Input/output error")
            super().sync(descriptor)

        def create(self, path: Path, size: int) -> int:
            descriptor = super().create(path, size)
            if descriptor in failed:
                failed.remove(descriptor)  # The number is used again for another file.
            return descriptor

    acked: list[int] = []

    async def run() -> None:
        async with spool_running(tmp_path, disk=Watching()) as spool:
            await write_frames(spool, acked)

    asyncio.run(run())
    assert stored_steps(tmp_path) == acked


@pytest.mark.holds("spool-damage-is-told")
@pytest.mark.parametrize("damage", [lambda old: old ^ 1, lambda old: 0, lambda old: old ^ 0x80])
def test_damage_costs_the_record_that_it_hits(tmp_path: Path, damage: Callable[[int], int]) -> None:
    acked: list[int] = []

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            await write_frames(spool, acked)

    asyncio.run(run())
    number = list_segments(tmp_path)[1]
    path = segment_path(tmp_path, number)
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    while damage(data[at]) == data[at]:
        at += 1
    data[at] = damage(data[at])
    path.write_bytes(data)
    found = stored_steps(tmp_path)
    assert len(found) == FRAMES - 1
    assert set(found) < set(acked)
    assert list((tmp_path / "quarantine").iterdir())


@pytest.mark.holds("torn-tail")
def test_a_torn_tail_is_cut_at_every_byte(tmp_path: Path) -> None:
    """Cut the last segment anywhere, as a crash with unwritten pages would."""

    async def run() -> int:
        async with spool_running(tmp_path / "whole", segment_bytes=1 << 20) as spool:
            state = new_writer(spool)
            append(spool, state, schema_event())
            for step in range(4):
                append(spool, state, row(step))
                await spool.settled()
            return spool.end.offset

    end = asyncio.run(run())
    name = segment_path(Path(), 1).name
    whole = (tmp_path / "whole" / name).read_bytes()
    identity = (tmp_path / "whole" / "spool.id").read_bytes()
    before: list[int] = []
    for cut in range(PAGE_BYTES, end + 1, 13):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / "spool.id").write_bytes(identity)
        (folder / name).write_bytes(whole[:cut].ljust(end, b"\0"))
        found = stored_steps(folder)
        assert found == list(range(len(found)))
        assert len(found) >= len(before)
        before = found
    assert len(before) >= 3


@pytest.mark.holds("damaged-spool-file")
def test_a_damaged_cursor_is_quarantined_and_told(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with spool_running(tmp_path) as spool:
            await write_frames(spool, [])
            await spool.save_progress(Progress(spool.end))
        data = bytearray((tmp_path / "cursor").read_bytes())
        for copy in (0, 2048, 4096, 6144):
            data[copy + 20] ^= 0xFF
        (tmp_path / "cursor").write_bytes(data)
        async with spool_running(tmp_path) as spool:
            assert spool.cursor == Location(1, PAGE_BYTES)
            return spool.problems

    assert "both slots are damaged" in asyncio.run(run())[0]
    assert (tmp_path / "cursor.damaged").exists()


@pytest.mark.holds("spool-limit", "bound-spool")
def test_a_spool_that_is_full_says_so_until_it_is_forwarded(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path, bytes_max=100_000) as spool:
            await write_frames(spool, [])
            assert spool.is_full
            await spool.save_progress(Progress(spool.end))
            assert not spool.is_full

    asyncio.run(run())


@pytest.mark.holds("damaged-spool-file")
def test_a_segment_of_another_spool_is_left_alone(tmp_path: Path) -> None:
    async def run(folder: Path) -> list[str]:
        async with spool_running(folder) as spool:
            await write_frames(spool, [])
            return spool.problems

    asyncio.run(run(tmp_path / "a"))
    asyncio.run(run(tmp_path / "b"))
    name = segment_path(Path(), 2).name
    (tmp_path / "b" / name).write_bytes((tmp_path / "a" / name).read_bytes())

    async def again() -> list[str]:
        async with spool_running(tmp_path / "b") as spool:
            return spool.problems

    assert "another spool" in asyncio.run(again())[0]


def test_who_waits_until_all_is_durable_does_not_wait_for_what_comes_later(tmp_path: Path) -> None:
    """Under a flood a frame comes during every sync, so that something always waits."""

    class Flooded(Disk):
        def sync(self, descriptor: int) -> None:
            super().sync(descriptor)
            if flood is not None:
                asyncio.run_coroutine_threadsafe(flood(), loop).result(30)

    async def more() -> None:
        append(spool, state, row(next(steps)))

    async def run() -> None:
        nonlocal flood, loop, spool, state
        loop = asyncio.get_running_loop()
        async with spool_running(tmp_path, disk=Flooded()) as spool:
            state = new_writer(spool)
            append(spool, state, schema_event())
            flood = more
            waiting = [asyncio.create_task(spool.settled()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()  # Whoever gives up does not take the others along.
            append(spool, state, row(next(steps)))
            _, late = await asyncio.wait(waiting, timeout=20)
            flood = None
            assert not late, "it waits for frames that came after the call"
            assert [task.cancelled() for task in waiting] == [True, False, False]

    flood: Callable[[], Coroutine[Any, Any, None]] | None = None
    loop: asyncio.AbstractEventLoop
    spool: Spool
    state: WriterState
    steps = iter(range(1_000_000))
    asyncio.run(run())


def test_the_table_of_writers_is_packed_in_the_thread_of_the_disk(tmp_path: Path) -> None:
    """A node keeps its writers for a month: on the loop thousands of them would stop all frames."""
    threads = set()

    class Watched(WriterState):
        def __getattribute__(self, name: str) -> object:
            if name == "last_time_us":
                threads.add(threading.current_thread())
            return super().__getattribute__(name)

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            spool.registry.add(Watched(writer_info("watched"), seen_at=1e12))
            await write_frames(spool, [])
            assert len(list_segments(tmp_path)) > 2
            spool.free_forwarded(everything=True)
            await spool.freed()

    asyncio.run(run())
    assert threads
    assert threading.current_thread() not in threads


def test_frames_that_are_written_again_after_a_kill_keep_their_schema(tmp_path: Path) -> None:
    """It was defined after the writer's description, and only there."""

    async def run() -> None:
        async with spool_that_dies(tmp_path, Disk()) as (spool, all_durable):
            state = new_writer(spool)
            for records in (schema_event() + row(1), schema_event(number=2), row(2, schema=2)):
                append(spool, state, records)
                await all_durable()
        async with spool_running(tmp_path) as spool:
            assert steps_in(spooled_in(spool)) == [1, 2]

    asyncio.run(run())
