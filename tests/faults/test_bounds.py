"""Every bound refuses, waits or drops as docs/operations.md says, and counts it by its name."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_daemon import frames as frames_module
from stepwell_daemon import session as session_module
from stepwell_daemon.bounds import BOUNDS, DROPS, Dropped, reported_by_writers
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import SpoolUnavailableError
from stepwell_daemon.forwarder import Forwarder, ForwardSettings
from stepwell_daemon.gateway import relayed
from stepwell_daemon.metrics import build_registry, render
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.samplers.node_writer import NodeWriters
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.status import status
from stepwell_wire.ingest_pb2 import (
    BUSY,
    LIMIT,
    ClientMessage,
    RelayBatch,
    RelayWriter,
    Schema,
)
from stepwell_wire.limits import FRAME_BYTES_MAX, IDENTIFIER_BYTES_MAX
from stepwell_wire.records import GAP, pack_event
from stepwell_wire.rows import Event
from tests.daemon.facts import facts_of
from tests.daemon.fakes import FakeSink
from tests.daemon.made import append, frame, hello, new_writer, row, schema_event, spool_running
from tests.daemon.samplers import reading
from tests.faults.said import Said

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def says(*frames: tuple[int, bytes], **changes: Any) -> Said:
    messages = [ClientMessage(hello=hello(**changes))]
    return Said(messages + [ClientMessage(frame=frame(*each)) for each in frames])


def receiver_of(spool: Spool, **bounds: int) -> Receiver:
    values = {"writers_max": 10, "connections_max": 10, **bounds}
    return Receiver(spool, counters=spool.counters, **values)


async def forward_all(spool: Spool) -> None:
    """Store everything that ``spool`` holds."""
    forwarder = Forwarder(spool, ForwardSettings(block_delay_seconds=0.0), counters=spool.counters)
    running = asyncio.create_task(forwarder.run(FakeSink()))
    async with asyncio.timeout(30):
        await forwarder.reach(spool.end)
    running.cancel()
    await asyncio.wait({running})
    forwarder.close()


def metric(spool: Spool, folder: Path, line: str) -> float:
    """Return the value that /metrics gives for ``line``."""
    text = render(build_registry(facts_of(spool, folder))).decode()
    (found,) = (each for each in text.splitlines() if each.startswith(f"{line} "))
    return float(found.split()[-1])


def test_the_page_names_every_bound_and_every_reason() -> None:
    page = PAGE.read_text("utf-8")
    missing = [name for name in (*BOUNDS, *DROPS) if f"`{name}`" not in page]
    assert not missing, f"docs/operations.md lacks {', '.join(missing)}"


# ---------------------------------------------------------------------------- refusals


@pytest.mark.holds(
    "bound-spool",
    "bound-connections",
    "bound-writers",
    "bound-frame",
    "bound-metric-name",
    "bound-metrics",
    "bound-name-sets",
    "bound-identifiers",
)
@pytest.mark.parametrize(
    ("bound", "code", "said"),
    [
        ("identifier_bytes", LIMIT, lambda: says(label="l" * (IDENTIFIER_BYTES_MAX + 1))),
        ("frame_bytes", LIMIT, lambda: says((0, bytes(FRAME_BYTES_MAX + 8)))),
        ("metric_name_bytes", LIMIT, lambda: says((0, schema_event(["n" * 513])))),
        ("metrics_per_writer", LIMIT, lambda: says((0, schema_event(list("abcd"))))),
        (
            "schemas_per_writer",
            LIMIT,
            lambda: says(schemas=[Schema(id=1, keys=["a"]), Schema(id=2, keys=["b"])]),
        ),
        ("connections_max", BUSY, says),
        ("writers_max", BUSY, says),
        ("spool_bytes_max", BUSY, says),
    ],
)
def test_a_refusal_counts_under_the_bound_that_it_was_made_at(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
    code: int,
    said: Callable[[], Said],
) -> None:
    monkeypatch.setattr(frames_module, "METRICS_PER_WRITER_MAX", 3)
    monkeypatch.setattr(session_module, "SCHEMAS_PER_WRITER_MAX", 1)

    async def run() -> None:
        limit = 1 if bound == "spool_bytes_max" else 1 << 30
        async with spool_running(tmp_path, bytes_max=limit) as spool:
            if bound == "spool_bytes_max":
                append(spool, new_writer(spool, "before"), schema_event())
                await spool.settled()
            reached = {bound: 0} if bound in ("connections_max", "writers_max") else {}
            connection = said()
            async with asyncio.timeout(30):
                await receiver_of(spool, **reached).stream(None, connection)
            assert connection.refusals == [code]
            counted = {name: n for name, n in spool.counters.bounds_reached.items() if n}
            assert counted == {bound: 1}
            line = f'stepwell_bounds_reached_total{{bound="{bound}"}}'
            assert metric(spool, tmp_path, line) == 1.0
            assert status(facts_of(spool, tmp_path))["totals"]["bounds_reached"] == {bound: 1}

    asyncio.run(run())


@pytest.mark.holds("hostile-client", "bound-writer-share")
def test_a_writer_that_floods_the_spool_leaves_the_rest_to_others(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path, bytes_max=20_000) as spool:
            flood, other = new_writer(spool, "flood"), new_writer(spool, "other")
            receiver = receiver_of(spool)
            random = Random(1)
            for state in (flood, other):
                append(spool, state, schema_event())
            step = 0
            while not spool.is_over_its_share(flood):
                receiver.check_ready(flood)
                append(spool, flood, row(step, [random.random(), random.random()]))
                await spool.settled()
                step += 1
            with pytest.raises(StreamRefusedError) as refused:
                receiver.check_ready(flood)
            assert refused.value.refusal.bound == "writer_share_max"
            assert step > 50
            assert not spool.is_full
            receiver.check_ready(other)
            append(spool, other, row(0))
            await spool.settled()
            await forward_all(spool)
            assert (flood.waiting_bytes, other.waiting_bytes, spool.waiting_bytes) == (0, 0, 0)
            receiver.check_ready(flood)

    asyncio.run(run())


def test_a_writer_alone_has_most_of_the_spool_and_may_be_given_all(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path, bytes_max=20_000, writer_share_max=1.0) as spool:
            flood = new_writer(spool, "flood")
            append(spool, flood, schema_event())
            random = Random(1)
            while not spool.is_full:
                assert not spool.is_over_its_share(flood)
                append(spool, flood, row(0, [random.random(), random.random()]))
                await spool.settled()

    asyncio.run(run())


@pytest.mark.holds("bound-relayed-writers")
def test_a_stream_with_too_many_relayed_writers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relayed, "RELAY_WRITERS_MAX", 1)

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            writers = [RelayWriter(index=n, writer=hello(f"w{n}")) for n in range(2)]
            with pytest.raises(StreamRefusedError) as refused:
                relayed.RelayedWriters(spool, via="d").take(RelayBatch(writers=writers))
            assert refused.value.refusal.bound == "relay_writers"

    asyncio.run(run())


@pytest.mark.holds("bound-frames-in-memory")
def test_frames_beyond_the_memory_for_them_wait_and_are_all_taken(tmp_path: Path) -> None:
    steps = 200

    async def run() -> None:
        async with spool_running(tmp_path, in_flight_bytes_max=64) as spool:
            stream = [schema_event(), *(row(step) for step in range(steps))]
            positions = [sum(map(len, stream[:index])) for index in range(len(stream))]
            connection = says(*zip(positions, stream, strict=True))
            most = 0
            taken = spool.append

            def watching(*args: Any, **kwargs: Any) -> None:
                nonlocal most
                taken(*args, **kwargs)
                most = max(most, spool.in_flight_bytes)

            spool.append = watching  # type: ignore[method-assign]
            async with asyncio.timeout(30):
                await receiver_of(spool).stream(None, connection)
            assert connection.refusals == []
            assert spool.counters.points_received == 2 * steps
            assert most < 64 + max(map(len, stream))
            assert spool.counters.bounds_reached["in_flight_bytes_max"] > 1

    asyncio.run(run())


# ---------------------------------------------------------------------------- drops


@pytest.mark.holds("bound-samples")
def test_samples_of_the_node_leave_the_last_of_the_spool_to_runs(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path, bytes_max=100_000) as spool:
            node = NodeWriters(spool, "here")
            assert node.append([reading(cpu=1.0, memory=2.0)], 1_000_000) == 2
            state = new_writer(spool)
            append(spool, state, schema_event())
            step = 0
            while spool.has_room_for_samples:
                append(spool, state, row(step))
                await spool.settled()
                step += 1
            assert not spool.is_full
            assert node.append([reading(cpu=1.0, memory=2.0)], 2_000_000) == 0
            assert receiver_of(spool).check_ready() is None
            assert spool.counters.dropped_rows["sample_spool_full"] == 1
            assert spool.counters.dropped_points["sample_spool_full"] == 2
            line = 'stepwell_dropped_points_total{reason="sample_spool_full"}'
            assert metric(spool, tmp_path, line) == 2.0

    asyncio.run(run())


@pytest.mark.holds("bound-failing-spool")
def test_samples_that_a_failing_spool_cannot_take_are_counted(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            spool.failure = SpoolUnavailableError(tmp_path, OSError(5, "Input/output error"))
            assert NodeWriters(spool, "here").append([reading(cpu=1.0)], 1_000_000) == 0
            assert spool.counters.dropped_rows["sample_spool_failing"] == 1

    asyncio.run(run())


@pytest.mark.holds("bound-journal-bytes", "bound-writer")
def test_what_a_writer_dropped_is_counted_once_by_reason(tmp_path: Path) -> None:
    told = b"".join(
        pack_event(GAP, {**why, "rows": 3, "points": points}, step=0, time_us=1)
        for why, points in (
            # A reason alone is of a former release; where there is a kind, no reason counts.
            ({"reason": "journal full"}, 6),
            ({"kind": "journal_disk", "reason": "journal full"}, 5),
            ({"kind": "writer_limit", "reason": "disk"}, 4),
            ({"kind": "dead_letter", "reason": "limit"}, 1),
            ({"kind": "of a later release", "reason": "limit"}, 1),
            ({"reason": "console, disk"}, 0),
            ({"kind": "console_lines", "reason": "?"}, 0),
            ({"kind": "events", "reason": "?"}, 0),
        )
    )

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            connection = says((0, told), (0, told))  # Sent again, as after a lost ack.
            async with asyncio.timeout(30):
                await receiver_of(spool).stream(None, connection)
            assert status(facts_of(spool, tmp_path))["totals"]["dropped"] == {
                "journal_full": {"rows": 3, "points": 6},
                "journal_disk": {"rows": 3, "points": 5},
                "console_lines": {"rows": 6, "points": 0},
                "events": {"rows": 3, "points": 0},
                "writer_limit": {"rows": 3, "points": 4},
                "other": {"rows": 6, "points": 2},
            }

    asyncio.run(run())


_ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "disk", b"", [], {}, [1], {"rows": 1}])
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["kind", "reason", "rows", "points"]), _ANYTHING),
        max_size=3,
    )
)
def test_no_body_of_a_gap_adds_a_reason_or_ends_the_counting(bodies: list[dict[str, Any]]) -> None:
    counters = Counters()
    counters.drop(reported_by_writers(Event(0, 1, GAP, body) for body in bodies))
    assert tuple(counters.dropped_rows) == DROPS
    assert tuple(counters.dropped_points) == DROPS
    assert all(0 <= count <= 1 << 56 for count in counters.dropped_rows.values())


def test_events_of_other_kinds_drop_nothing() -> None:
    assert reported_by_writers([Event(0, 1, "config", {"rows": 3})]) == ()
    assert reported_by_writers([Event(0, 1, GAP, {"rows": 3})]) == (Dropped("other", 3, 0),)
