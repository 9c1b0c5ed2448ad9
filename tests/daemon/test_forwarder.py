"""Everything that was acknowledged is stored once, whatever fails in between."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwell_daemon.backoff import retry_delay
from stepwell_daemon.forwarder import Forwarder, ForwardSettings, linger_seconds
from stepwell_daemon.spool.cursor import CursorFile
from stepwell_daemon.spool.segment import Location, Progress, list_segments
from stepwell_store import Block
from stepwell_wire.records import pack_event
from tests.daemon.disks import CrashError
from tests.daemon.fakes import FakeSink, sink_that_rejects
from tests.daemon.forwarding import ROWS, fill, forward
from tests.daemon.made import (
    append,
    finish_event,
    new_writer,
    spool_running,
)


def all_stored(sink: FakeSink, *, writers: int = 2) -> bool:
    """Two metrics of each row of each writer, each once."""
    points = sink.points()
    return len(points) == ROWS * writers * 2 and set(points.values()) == {1}


def run_once(folder: Path, sink: FakeSink, *, new: bool, block_points: int = 16) -> None:
    async def run() -> None:
        async with spool_running(folder) as spool:
            if new:
                await fill(spool)
            await forward(spool, sink, block_points=block_points)

    asyncio.run(run())


@pytest.mark.parametrize("block_points", [1, 7, 16, 1000])
@pytest.mark.slow
def test_all_points_arrive_in_blocks_of_any_size(tmp_path: Path, block_points: int) -> None:
    sink = FakeSink()
    run_once(tmp_path, sink, new=True, block_points=block_points)
    assert all_stored(sink)
    blocks = [block.rows for block in sink.blocks if block.table == "points"]
    assert max(blocks) <= max(block_points, 2)


@pytest.mark.holds("retries-never-end", "store-away")
@pytest.mark.parametrize("failures", [7, 5000])
@pytest.mark.slow
def test_a_store_that_is_away_is_asked_again_with_the_same_tokens(
    tmp_path: Path, failures: int
) -> None:
    """As often as it takes: nothing is given up."""
    sink = FakeSink()
    sink.unavailable = failures
    run_once(tmp_path, sink, new=True)
    assert all_stored(sink)
    assert sink.unavailable == 0


@pytest.mark.holds("store-away")
def test_an_insert_whose_answer_is_lost_is_not_stored_twice(tmp_path: Path) -> None:
    sink = FakeSink()
    sink.uncertain = 9
    run_once(tmp_path, sink, new=True)
    assert all_stored(sink)


def _crash_in_insert(number: int) -> Callable[[FakeSink], None]:
    def arm(sink: FakeSink) -> None:
        seen = 0

        def before(_: Block) -> None:
            nonlocal seen
            seen += 1
            if seen == number:
                raise CrashError

        sink.before_insert = before

    return arm


@pytest.mark.holds("token-other-content")
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 9, 14])
@pytest.mark.slow
def test_a_crash_between_inserts_stores_everything_once(tmp_path: Path, number: int) -> None:
    sink = FakeSink()
    _crash_in_insert(number)(sink)
    with pytest.raises(BaseExceptionGroup) as crashed:
        run_once(tmp_path, sink, new=True)
    assert crashed.group_contains(CrashError)
    sink.before_insert = lambda block: None
    # Other limits after the restart: the extent that was begun keeps its own.
    run_once(tmp_path, sink, new=False, block_points=5)
    assert all_stored(sink)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.slow
def test_a_crash_at_any_write_of_the_cursor_stores_everything_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    save = CursorFile.save
    for number in range(1, 9):
        folder = tmp_path / str(number)
        sink = FakeSink()
        saves = 0

        def crashing(self: CursorFile, progress: Progress, number: int = number) -> None:
            nonlocal saves
            saves += 1
            if saves == number:
                if after:
                    save(self, progress)
                raise CrashError
            save(self, progress)

        monkeypatch.setattr(CursorFile, "save", crashing)
        with pytest.raises(CrashError):
            run_once(folder, sink, new=True)
        monkeypatch.setattr(CursorFile, "save", save)
        run_once(folder, sink, new=False, block_points=6)
        assert all_stored(sink), f"cursor write {number}"


@pytest.mark.holds("refused-rows-are-kept", "refused-rows")
def test_a_poisonous_frame_is_dead_lettered_alone(tmp_path: Path) -> None:
    poison = 17
    sink = sink_that_rejects(poison)

    async def run() -> int:
        async with spool_running(tmp_path) as spool:
            await fill(spool, writers=1)
            await forward(spool, sink, block_points=1000)
            return spool.counters.dead_letter_records

    assert asyncio.run(run()) == 1
    assert sink.steps() == sorted(step for step in [*range(ROWS), *range(ROWS)] if step != poison)
    kept = sorted(path.suffix for path in (tmp_path / "dead_letter").iterdir())
    assert kept == [".reason", ".seg"]
    reason = next((tmp_path / "dead_letter").glob("*.reason")).read_text()
    assert "does not like it" in reason


@pytest.mark.holds("refused-rows")
def test_a_rejection_that_passes_while_the_daemon_is_away_doubles_nothing(tmp_path: Path) -> None:
    """The parts of a block are stored; then the store would take it as a whole."""
    sink = FakeSink()

    def rejects(block: Block) -> bool:
        if block.table != "points":
            return False
        sinks = FakeSink()
        sinks.blocks = [block]
        if len(sinks.steps()) < 4:
            raise KillError  # Dies among the parts.
        return 17 in sinks.steps()

    sink.rejects = rejects

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            if not sink.blocks:
                await fill(spool, writers=1)
                with pytest.raises(BaseExceptionGroup):
                    await forward(spool, sink, block_points=1000)
                return
            await forward(spool, sink, block_points=1000)

    asyncio.run(run())
    assert sink.steps()  # Some parts are there.
    sink.rejects = lambda block: False
    asyncio.run(run())
    assert sink.steps() == sorted([*range(ROWS), *range(ROWS)])


@pytest.mark.holds("refused-rows")
def test_a_rejection_on_one_shard_sends_nothing_to_the_others_again(tmp_path: Path) -> None:
    sink = FakeSink()
    sink.shard_of = lambda writer: int(writer.writer_id[-1]) % 2  # type: ignore[method-assign]

    def rejects(block: Block) -> bool:
        sinks = FakeSink()
        sinks.blocks = [block]
        return block.table == "points" and block.shard == 1 and 17 in sinks.steps()

    sink.rejects = rejects

    async def run() -> int:
        async with spool_running(tmp_path) as spool:
            await fill(spool, writers=4)
            await forward(spool, sink, block_points=1000)
            return spool.counters.dead_letter_records

    dead_lettered = asyncio.run(run())
    assert {block.shard for block in sink.blocks} == {0, 1}
    points = sink.points()
    assert set(points.values()) == {1}
    assert len(points) == ROWS * 4 * 2 - dead_lettered * 2


class KillError(Exception):
    """The daemon dies."""


def test_events_go_to_their_tables(tmp_path: Path) -> None:
    sink = FakeSink()

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            append(spool, new_writer(spool), finish_event("failed"))
            await spool.settled()
            await forward(spool, sink)

    asyncio.run(run())
    assert [row["state.state"] for row in sink.columns("writers")] == [["failed"]]


def test_the_end_of_a_run_is_stored_after_all_of_its_values(tmp_path: Path) -> None:
    """A reader who sees the end reads the values next: they must be there."""
    sink = FakeSink()

    def slow(block: Block) -> None:
        if block.table != "writers":
            time.sleep(0.05)

    sink.before_insert = slow

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            writer = new_writer(spool)
            append(spool, writer, pack_event("config", {"set": {"lr": 0.1}}, step=0, time_us=1))
            append(spool, writer, pack_event("summary", {"set": {"s": 1}}, step=0, time_us=2))
            append(spool, writer, finish_event("finished"))
            await spool.settled()
            await forward(spool, sink)

    asyncio.run(run())
    assert [block.table for block in sink.blocks][-1] == "writers"
    assert {"attributes", "attributes_by_path"} < {block.table for block in sink.blocks}


def test_stored_segments_are_freed_when_their_time_has_come(tmp_path: Path) -> None:
    sink = FakeSink()

    async def run() -> int:
        async with spool_running(tmp_path, segment_bytes=5000, keep_seconds=0.0) as spool:
            await fill(spool)
            before = len(list_segments(tmp_path))
            await forward(spool, sink)
            return before

    assert asyncio.run(run()) > 2
    assert len(list_segments(tmp_path)) == 1
    assert all_stored(sink)


def test_stored_segments_are_kept_for_a_while_otherwise(tmp_path: Path) -> None:
    async def run() -> int:
        async with spool_running(tmp_path, segment_bytes=5000) as spool:
            await fill(spool)
            before = len(list_segments(tmp_path))
            await forward(spool, FakeSink())
            return before

    assert asyncio.run(run()) == len(list_segments(tmp_path))


def test_flushing_waits_for_what_was_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            await fill(spool)
            assert spool.cursor < spool.end
            await forward(spool, FakeSink())
            assert spool.cursor >= spool.end
            assert spool.is_forwarded
            assert spool.waiting_since is None

    asyncio.run(run())


def test_gathering_takes_longer_where_inserts_do() -> None:
    assert linger_seconds(0.0, 0.15) == 0.15
    assert linger_seconds(0.1, 0.15) == pytest.approx(0.3)
    assert linger_seconds(60.0, 0.15) == 1.0


@pytest.mark.holds("retries-never-end", "store-away")
def test_retries_slow_down_to_a_limit() -> None:
    delays = [retry_delay(failures, jitter=0.0) for failures in range(1, 1000)]
    assert delays[:3] == [0.1, 0.2, 0.4]
    assert max(delays) == delays[-1] == 10.0
    assert retry_delay(5, jitter=1.0) == retry_delay(5, jitter=0.0) / 2


def test_places_in_the_spool_are_ordered() -> None:
    assert Location(1, 9000) < Location(2, 4096) < Location(2, 4104)


def test_while_it_is_held_nothing_is_stored_and_the_cursor_stays(tmp_path: Path) -> None:
    sink = FakeSink()

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            forwarder = Forwarder(
                spool, ForwardSettings(block_delay_seconds=0.0), counters=spool.counters
            )
            running = asyncio.create_task(forwarder.run(sink))
            try:
                async with asyncio.timeout(30):
                    async with forwarder.held():
                        cursor = spool.cursor
                        await fill(spool)
                        with pytest.raises(TimeoutError):
                            async with asyncio.timeout(0.2):
                                await forwarder.reach(spool.end)
                        assert not sink.blocks
                        assert spool.cursor == cursor
                    await forwarder.reach(spool.end)
            finally:
                running.cancel()
                await asyncio.wait({running})
                forwarder.close()

    asyncio.run(run())
    assert all_stored(sink)
