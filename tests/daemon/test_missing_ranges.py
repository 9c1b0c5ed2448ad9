"""A writer that moves between daemons behind one gateway: what comes late is taken, and once."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from stepwell_daemon.missing_ranges import MISSING_RANGES_MAX, parts_in, ranges_after
from stepwell_daemon.spool.reader import SpoolReader
from stepwell_daemon.spool.recovery import recover_spool
from stepwell_daemon.spool.segment import PAGE_BYTES, Location, Progress
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from tests.daemon.fakes import FakeSink
from tests.daemon.forwarding import forward
from tests.daemon.gateways import gateway_running, relay_all
from tests.daemon.made import (
    KEYS,
    append,
    row,
    schema_event,
    spool_running,
    spooled_in,
    steps_in,
    writer_info,
)


def arrive(spool: Spool, position: int) -> WriterState:
    """Let the writer come to this daemon at ``position``, as its hello would."""
    state = spool.registry.get("w1")
    if state is None:
        state = WriterState(writer_info(), accepted=position, durable=position, seen_at=1e12)
        spool.registry.add(state)
        if position:
            state.learn({1: KEYS}, beside=True)
    return state


async def log(spool: Spool, steps: Sequence[int], *, position: int = 0) -> int:
    """Log ``steps`` from ``position`` on, a frame each; return where the writer has come to."""
    state = arrive(spool, position)
    if not state.accepted:
        append(spool, state, schema_event())
    for step in steps:
        append(spool, state, row(step))
    await spool.settled()
    return state.accepted


@pytest.mark.holds("moving-writer")
@pytest.mark.parametrize("before", [0, 5])
@pytest.mark.parametrize("restarts", [0, 1, 2])
@pytest.mark.slow
def test_a_writer_that_moves_before_its_spool_was_sent_loses_nothing(
    tmp_path: Path, before: int, restarts: int
) -> None:
    """The second daemon's frames come first; then the gateway restarts, then come the first's."""

    async def run() -> None:
        async with (
            spool_running(tmp_path / "a") as first,
            spool_running(tmp_path / "b") as second,
        ):
            async with gateway_running(tmp_path / "up") as (gateway, port):
                if before:
                    await log(first, range(before))
                    await relay_all(first, port)
                end = await log(first, range(before, 20))
                await log(second, range(20, 40), position=end)
                await relay_all(second, port)
                assert steps_in(spooled_in(gateway)) == [*range(before), *range(20, 40)]
                skipped = gateway.counters.skipped_bytes
                assert skipped > 0
            for _ in range(restarts):
                async with gateway_running(tmp_path / "up"):
                    pass
            async with gateway_running(tmp_path / "up") as (gateway, port):
                for _ in range(2):  # The second time, all of it is known.
                    await relay_all(first, port)
                    await relay_all(second, port)
                    await first.save_progress(Progress(Location(1, PAGE_BYTES)))
                    await second.save_progress(Progress(Location(1, PAGE_BYTES)))
                assert sorted(steps_in(spooled_in(gateway))) == list(range(40))
                assert gateway.counters.filled_bytes == skipped
                state = gateway.registry.get("w1")
                assert state is not None
                assert state.missing_ranges == state.durable_missing_ranges == ()
                sink = FakeSink()
                await forward(gateway, sink, block_points=1000)
                assert sorted(set(sink.steps())) == list(range(40))
                assert sink.columns("gaps") == []

    asyncio.run(run())


def test_missing_ranges_are_known_from_the_segments_alone(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with (
            spool_running(tmp_path / "a") as first,
            spool_running(tmp_path / "b") as second,
        ):
            end = await log(first, range(10))
            await log(second, range(10, 20), position=end)
            async with gateway_running(tmp_path / "up") as (_, port):
                await relay_all(second, port)
            async with gateway_running(tmp_path / "up") as (gateway, port):
                await relay_all(first, port)
                state = gateway.registry.get("w1")
                assert state is not None
                assert state.missing_ranges == ()
                await gateway.freed()  # No table of writers is being saved.
                found = recover_spool(gateway.folder, gateway.number, None)
                (recovered,) = found.writers.values()
                assert recovered.missing_ranges == recovered.durable_missing_ranges == ()
                assert recovered.durable == state.durable

    asyncio.run(run())


@pytest.mark.holds("moving-writer")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.slow
def test_a_writer_that_moves_at_random_arrives_exactly(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)

    async def run() -> None:
        async with AsyncExitStack() as stack:
            nodes = [
                await stack.enter_async_context(spool_running(tmp_path / name)) for name in "abc"
            ]
            position = step = 0
            for _ in range(4):
                async with gateway_running(tmp_path / "up") as (gateway, port):
                    for _ in range(3):
                        node = source.choice(nodes)
                        state = arrive(node, position)
                        if position > state.accepted:  # It comes back, as its hello says.
                            state.accepted = state.durable = position
                            state.after_missing = True
                            state.learn({1: KEYS}, beside=True)
                        count = source.randrange(1, 30)
                        position = await log(node, range(step, step + count), position=position)
                        step += count
                        if source.random() < 0.6:
                            await relay_all(source.choice(nodes), port)
                    if source.random() < 0.5:
                        gateway.save_writers()
            async with gateway_running(tmp_path / "up") as (gateway, port):
                for node in source.sample(nodes, 3):
                    await relay_all(node, port)
                assert sorted(steps_in(spooled_in(gateway))) == list(range(step))
                writer = gateway.registry.get("w1")
                assert writer is not None
                assert writer.missing_ranges == ()

    asyncio.run(run())


def test_a_late_frame_is_no_damage_and_moves_no_end(tmp_path: Path) -> None:
    """A reader that starts in a segment whose first frame came late must miss nothing after it."""

    async def run() -> None:
        async with (
            spool_running(tmp_path / "a") as first,
            spool_running(tmp_path / "b") as second,
        ):
            end = await log(first, range(10))
            end = await log(second, range(10, 20), position=end)
            async with gateway_running(tmp_path / "up") as (_, port):
                await relay_all(second, port)
            async with gateway_running(tmp_path / "up") as (gateway, port):
                await relay_all(first, port)
                await log(second, range(20, 30))
                await relay_all(second, port)
                reader = SpoolReader(gateway.folder, gateway.number)
                assert gateway.end.segment > 1, "the late frame is the first of its segment"
                start = Location(gateway.end.segment, PAGE_BYTES)
                extent = reader.read_extent(
                    start, gateway.end.offset, points_max=1 << 62, bytes_max=1 << 62
                )
                reader.close()
                assert [each.missing_bytes for each in extent.frames] == [0] * 2
                assert steps_in(extent.frames) == [*range(10), *range(20, 30)]

    asyncio.run(run())


@pytest.mark.holds("bound-relay-missing-ranges")
@pytest.mark.slow
def test_missing_ranges_of_a_writer_are_bounded_and_the_oldest_is_forgotten_and_counted(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with gateway_running(tmp_path / "up") as (gateway, port):
            for number in range(MISSING_RANGES_MAX + 2):
                async with spool_running(tmp_path / f"n{number}") as node:
                    await log(node, [number], position=4000 * (number + 1))
                    await relay_all(node, port)
            state = gateway.registry.get("w1")
            assert state is not None
            assert len(state.missing_ranges) == MISSING_RANGES_MAX
            assert state.missing_ranges == state.durable_missing_ranges
            assert gateway.counters.bounds_reached["relay_missing_ranges"] == 2
            async with spool_running(tmp_path / "late") as node:
                await log(node, [1000], position=800)
                await relay_all(node, port)
            assert 1000 not in steps_in(spooled_in(gateway)), "its range was forgotten"

    asyncio.run(run())


def test_missing_ranges_are_cut_by_what_comes() -> None:
    ranges = ranges_after((), mark=8, position=80, end=96, jumps=True)
    assert ranges == ((8, 80),)
    assert parts_in(ranges, 0, 24) == [(8, 24)]
    ranges = ranges_after(ranges, mark=96, position=24, end=40, jumps=False)
    assert ranges == ((8, 24), (40, 80))
    assert parts_in(ranges, 16, 48) == [(16, 24), (40, 48)]
    assert parts_in(ranges, 24, 40) == parts_in(ranges, 80, 200) == []
    assert ranges_after(ranges, mark=96, position=8, end=80, jumps=False) == ()
    assert ranges_after((), mark=96, position=200, end=208, jumps=False) == ()
