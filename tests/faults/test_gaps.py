"""Missing rows make a gap: one for each dead-lettered frame and each damage of the spool."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.spool import record
from stepwell_daemon.spool.reader import SpoolReader
from stepwell_daemon.spool.segment import (
    PAGE_BYTES,
    Location,
    Progress,
    list_segments,
    segment_path,
)
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.spool.walker import SpooledFrame
from stepwell_store import Block, StoreUnavailableError
from tests.daemon.fakes import FakeSink
from tests.daemon.forwarding import fill, forward
from tests.daemon.gateways import gateway_running, relay_all
from tests.daemon.made import append, new_writer, row, schema_event, spool_running, writer_info

POISON = 17
STEPS = 30
_NO_LIMIT = 1 << 62


def gaps_in(sink: FakeSink) -> list[dict[str, Any]]:
    return [
        {name: values[index] for name, values in columns.items()}
        for columns in sink.columns("gaps")
        for index in range(len(columns["reason"]))
    ]


# ---------------------------------------------------------------------------- dead letters


def refusing(table: str) -> FakeSink:
    """A sink that refuses every block of ``table`` in which the step POISON is."""
    sink = FakeSink()

    def rejects(block: Block) -> bool:
        alone = FakeSink()
        alone.blocks = [block]
        return block.table == table and POISON in alone.columns(table)[0]["step"]

    sink.rejects = rejects
    return sink


@pytest.mark.holds("bound-refused-rows")
def test_a_dead_lettered_frame_leaves_a_gap_that_names_its_file(tmp_path: Path) -> None:
    sink = refusing("points")

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            await fill(spool, writers=1)
            await forward(spool, sink, block_points=1000)
            assert spool.counters.dropped_rows["dead_letter"] == 1
            assert spool.counters.dropped_points["dead_letter"] == 2

    asyncio.run(run())
    (path,) = (tmp_path / "dead_letter").glob("*.seg")
    (gap,) = gaps_in(sink)
    assert path.name in gap["reason"]
    assert (gap["run_id"], gap["writer_id"]) == ("run-w0", "w0")
    assert (gap["rows"], gap["points"], gap["first_step"], gap["last_step"]) == (
        *(1, 2),
        *(POISON, POISON),
    )


def test_a_gap_that_the_store_cannot_take_now_is_stored_later_and_once(tmp_path: Path) -> None:
    sink = refusing("points")
    failures = [StoreUnavailableError("away"), StoreUnavailableError("away")]

    def before(block: Block) -> None:
        if block.table == "gaps" and failures:
            raise failures.pop()

    sink.before_insert = before

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            await fill(spool, writers=1)
            await forward(spool, sink, block_points=1000)

    asyncio.run(run())
    assert not failures
    assert len(gaps_in(sink)) == 1


def test_a_store_that_refuses_gaps_as_well_stops_nothing(tmp_path: Path) -> None:
    sink = refusing("points")
    rejects = sink.rejects
    sink.rejects = lambda block: block.table == "gaps" or rejects(block)

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            await fill(spool, writers=1)
            await forward(spool, sink, block_points=1000)
            assert spool.is_forwarded
            assert spool.counters.dead_letter_records == 1

    asyncio.run(run())
    assert POISON not in sink.steps()
    assert gaps_in(sink) == []


class EndedError(Exception):
    """The daemon ends here."""


@pytest.mark.parametrize("is_stored", [False, True])
def test_an_end_around_the_insert_of_a_gap_leaves_one_gap_and_one_file(
    tmp_path: Path, is_stored: bool
) -> None:
    sink = refusing("points")
    insert = sink.insert
    asked: list[tuple[int, bool]] = []

    def ending(block: Block, token: str, *, may_repeat: bool = False) -> None:
        if block.table != "gaps":
            insert(block, token, may_repeat=may_repeat)
            return
        asked.append((block.shard, may_repeat))
        if is_stored or len(asked) > 1:
            insert(block, token, may_repeat=may_repeat)
        if len(asked) == 1:
            raise EndedError

    sink.insert = ending  # type: ignore[method-assign]
    sink.shard_of = lambda writer: 1  # type: ignore[method-assign]

    async def run(*, new: bool) -> None:
        async with spool_running(tmp_path) as spool:
            if new:
                await fill(spool, writers=1)
            await forward(spool, sink, block_points=1000)

    with pytest.raises(ExceptionGroup):
        asyncio.run(run(new=True))
    asyncio.run(run(new=False))
    assert asked == [(1, True)] * 2, "the writer's shard, and it may be there already"
    assert len(gaps_in(sink)) == 1
    assert len(list((tmp_path / "dead_letter").glob("*.seg"))) == 1


# ---------------------------------------------------------------------------- damage


def written(folder: Path) -> list[SpooledFrame]:
    """Write STEPS rows of two writers in turn, a frame each; return the frames."""

    async def run() -> None:
        async with spool_running(folder, segment_bytes=1 << 20) as spool:
            for name in ("w0", "w1"):
                append(spool, new_writer(spool, name), schema_event())
            for step in range(STEPS):
                for name in ("w0", "w1"):
                    append(spool, new_writer(spool, name), row(step))
            await spool.settled()

    asyncio.run(run())
    return read(folder)


def number_of(folder: Path) -> int:
    async def number() -> int:
        async with spool_running(folder) as spool:
            return spool.number

    return asyncio.run(number())


def first_segment(folder: Path) -> tuple[Location, int]:
    """Return where the records of the first segment begin, and where it ends."""
    (segment, *_) = list_segments(folder)
    return Location(segment, PAGE_BYTES), segment_path(folder, segment).stat().st_size


def read(folder: Path, *, bytes_max: int = _NO_LIMIT, anew: bool = False) -> list[SpooledFrame]:
    """Read the first segment in extents, if ``anew`` with a reader of its own for each."""
    number = number_of(folder)
    reader = SpoolReader(folder, number)
    place, end = first_segment(folder)
    found: list[SpooledFrame] = []
    while place.offset < end:
        extent = reader.read_extent(place, end, points_max=_NO_LIMIT, bytes_max=bytes_max)
        found += extent.frames
        place = Location(place.segment, extent.end)
        if anew:
            reader.close()
            reader = SpoolReader(folder, number)
    reader.close()
    return found


def missing(frames: list[SpooledFrame]) -> list[tuple[str, int, int]]:
    return [
        (each.info.writer_id, each.record.position, each.missing_bytes)
        for each in frames
        if each.missing_bytes
    ]


def flip(folder: Path, offset: int) -> None:
    path = segment_path(folder, list_segments(folder)[0])
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def damaged(folder: Path, *indexes: int) -> list[tuple[str, int, int]]:
    """Damage some frames; return what must be found missing."""
    frames = written(folder)
    assert missing(frames) == [], "nothing is missing from what is whole"
    lost: dict[str, list[int]] = {}
    for index in indexes:
        item = frames[index].record
        flip(folder, item.end - 8)
        lost.setdefault(frames[index].info.writer_id, []).append(index)
    expected = []
    for name, places in lost.items():
        after = next(
            each.record for each in frames[max(places) + 1 :] if each.info.writer_id == name
        )
        size = sum(frames[index].record.raw_bytes for index in places)
        expected.append((name, after.position, size))
    return expected


@pytest.mark.parametrize("indexes", [(10,), (10, 12), (10, 11)])
def test_damage_is_missed_by_the_writer_that_it_hit(tmp_path: Path, indexes: list[int]) -> None:
    expected = damaged(tmp_path, *indexes)
    assert missing(read(tmp_path)) == expected


@pytest.mark.parametrize("bytes_max", [1, 100, 1000])
def test_extents_of_any_size_and_starts_anywhere_miss_the_same(
    tmp_path: Path, bytes_max: int
) -> None:
    """An extent that is sent again after a kill must make the blocks that it made before."""
    expected = damaged(tmp_path, 20)
    assert missing(read(tmp_path, bytes_max=bytes_max)) == expected
    assert missing(read(tmp_path, bytes_max=bytes_max, anew=True)) == expected


def test_an_extent_that_is_read_again_misses_the_same(tmp_path: Path) -> None:
    expected = damaged(tmp_path, 20)
    reader = SpoolReader(tmp_path, number_of(tmp_path))
    place, end = first_segment(tmp_path)
    for _ in range(2):
        extent = reader.read_extent(place, end, points_max=_NO_LIMIT, bytes_max=_NO_LIMIT)
        assert missing(extent.frames) == expected
    reader.close()


@pytest.mark.holds("bound-spool-damage")
def test_a_damaged_piece_becomes_a_gap_before_the_steps_that_follow(tmp_path: Path) -> None:
    ((name, _, size),) = damaged(tmp_path, 20)
    sink = FakeSink()

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            await forward(spool, sink, block_points=7)

    asyncio.run(run())
    (gap,) = gaps_in(sink)
    assert gap["writer_id"] == name
    assert gap["reason"] == f"damaged in the spool, {size} bytes of records"
    assert (gap["rows"], gap["points"]) == (0, 0)
    lost = next(step for step in range(STEPS) if sink.steps().count(step) == 2)
    assert gap["first_step"] == gap["last_step"] == lost + 1


def test_a_jump_and_what_is_made_for_a_dead_writer_are_no_damage(tmp_path: Path) -> None:
    async def run(spool: Spool) -> None:
        state = new_writer(spool)
        append(spool, state, schema_event())
        spool.append(state, 800, row(1), points=2, flags=record.JUMPS)
        spool.append(state, 8000, row(2), points=2, flags=record.SYNTHETIC)
        append(spool, state, row(3))
        await spool.settled()

    async def write() -> None:
        async with spool_running(tmp_path) as spool:
            await run(spool)

    asyncio.run(write())
    found = read(tmp_path)
    assert [each.info for each in found] == [writer_info()] * 4
    assert missing(found) == []


# ---------------------------------------------------------------------------- behind a gateway


def gaps_behind_a_gateway(tmp_path: Path, *, restart: bool = False) -> list[dict[str, Any]]:
    """Relay the spool in ``node``, twice, and return the gaps that the gateway's store gets."""
    sink = FakeSink()

    async def run() -> None:
        async with spool_running(tmp_path / "node") as spool:
            for _ in range(2):
                async with gateway_running(tmp_path / "up") as (gateway, port):
                    await relay_all(spool, port)
                    if not restart:
                        await spool.save_progress(Progress(Location(1, PAGE_BYTES)))
                        await relay_all(spool, port)
                    await forward(gateway, sink, block_points=1000)
                await spool.save_progress(Progress(Location(1, PAGE_BYTES)))

    asyncio.run(run())
    return gaps_in(sink)


@pytest.mark.holds("bound-spool-damage")
def test_damage_on_a_node_is_a_gap_behind_its_gateway(tmp_path: Path) -> None:
    ((name, _, size),) = damaged(tmp_path / "node", 20)
    found = gaps_behind_a_gateway(tmp_path)
    assert {str(gap) for gap in found} == {str(found[0])}, "a reader takes equal ones for one"
    assert found[0]["writer_id"] == name
    assert found[0]["reason"] == f"damaged in the spool, {size} bytes of records"
    assert found[0]["first_step"] > 0


@pytest.mark.holds("bound-refused-rows")
def test_what_a_gateway_never_takes_is_a_gap_behind_it(tmp_path: Path) -> None:
    """The frame is dead-lettered on the node; the gap has the reason that a replay fills."""
    sink = FakeSink()

    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            state = new_writer(spool)
            append(spool, state, schema_event())
            append(spool, state, row(1))
            spool.append(state, state.accepted, row(POISON, schema=7), points=2)
            append(spool, state, row(3))
            await spool.settled()
            await relay_all(spool, port)
            await forward(gateway, sink, block_points=1000)

    asyncio.run(run())
    (path,) = (tmp_path / "node" / "dead_letter").glob("*.seg")
    (gap,) = gaps_in(sink)
    assert (gap["kind"], gap["file"]) == ("dead_letter", path.name)
    assert (gap["writer_id"], gap["points"]) == ("w1", 2)
    assert set(sink.steps()) == {1, 3}
