"""What a node relays arrives at the gateway once, whatever fails between them."""

import asyncio
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.gateway import batches
from stepwell_daemon.gateway.connection import Connection, GatewayError
from stepwell_daemon.gateway.relayed import RelayedWriters
from stepwell_daemon.gateway.sink import UPSTREAM_FILE
from stepwell_daemon.session import Session
from stepwell_daemon.spool import record
from stepwell_daemon.spool.dead_letter import FOLDER, list_dead_letters
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.replaying import replay
from stepwell_daemon.spool.segment import PAGE_BYTES, Location, Progress
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.spool.walker import SpooledFrame
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.ingest_pb2 import PackedBatch, RelayBatch
from stepwell_wire.limits import RELAY_BATCH_BYTES_MAX
from tests.daemon.fakes import FakeSink
from tests.daemon.forwarding import ROWS, fill
from tests.daemon.gateways import gateway_running, relay_all, relaying
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
from tests.node import free_port
from tests.waiting import until


def steps_of(spool: Spool, writer: str) -> list[int]:
    """Return the steps of all rows of ``writer`` in ``spool``, in order."""
    return steps_in([each for each in spooled_in(spool) if each.info.writer_id == writer])


def finishes(spool: Spool) -> list[SpooledFrame]:
    return [each for each in spooled_in(spool) if each.record.flags & record.FINISHES]


def test_rows_of_many_writers_arrive_once_and_in_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            await fill(spool, writers=3)
            await relay_all(spool, port)
            await fill(spool, writers=3, rows=range(ROWS, 2 * ROWS))
            await relay_all(spool, port)
            for number in range(3):
                assert steps_of(gateway, f"w{number}") == list(range(2 * ROWS))
                state = gateway.registry.get(f"w{number}")
                known = spool.registry.get(f"w{number}")
                assert state is not None
                assert known is not None
                assert state.durable == known.durable
                assert (state.info, state.via) == (known.info, spool.daemon_id)
            assert spool.is_forwarded
            assert gateway.counters.points_received == 3 * 2 * ROWS * 2
            assert gateway.counters.duplicate_bytes == gateway.counters.skipped_bytes == 0
            assert spool.counters.points_stored == gateway.counters.points_received

    asyncio.run(run())


def test_consecutive_frames_of_a_writer_become_one(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            await fill(spool, writers=2, rows=range(20))
            await relay_all(spool, port)
            assert len(spooled_in(spool)) == 42
            assert len(spooled_in(gateway)) == 4  # 64 points an extent: two extents, two writers.

    asyncio.run(run())


def test_what_is_sent_again_is_recognised(tmp_path: Path) -> None:
    """The node dies after every extent was taken and before its cursor moved."""

    async def run() -> None:
        async with gateway_running(tmp_path / "up") as (gateway, port):
            async with spool_running(tmp_path / "node") as spool:
                await fill(spool)
                await relay_all(spool, port)
                size = gateway.counters.bytes_received
                first = Progress(Location(1, PAGE_BYTES))
                await spool.save_progress(first)
                await relay_all(spool, port)
            assert gateway.counters.duplicate_bytes == size == gateway.counters.bytes_received
            for number in range(2):
                assert steps_of(gateway, f"w{number}") == list(range(ROWS))

    asyncio.run(run())


class _Cut:
    """Ends a connection at the nth call of one of its methods."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, at: int, *, after: bool) -> None:
        self.calls = 0
        original = getattr(Connection, name)

        async def method(connection: Connection, *arguments: Any) -> Any:
            self.calls += 1
            if self.calls == at and not after:
                raise GatewayError("cut before")
            result = await original(connection, *arguments)
            if self.calls == at and after:
                raise GatewayError("cut after")
            return result

        monkeypatch.setattr(Connection, name, method)


@pytest.mark.holds("broken-gateway")
@pytest.mark.parametrize("name", ["send", "receive"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.slow
def test_a_cut_at_any_message_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: bool, at: int
) -> None:
    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            await fill(spool)
            cut = _Cut(monkeypatch, name, at, after=after)
            await relay_all(spool, port)
            assert cut.calls > at
            assert spool.counters.insert_failures == 1
            for number in range(2):
                assert steps_of(gateway, f"w{number}") == list(range(ROWS))

    asyncio.run(run())


def test_a_gateway_that_restarts_goes_on_where_it_was(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path / "node") as spool:
            await fill(spool)
            async with gateway_running(tmp_path / "up") as (gateway, port):
                await relay_all(spool, port)
            async with relaying(spool, port) as forwarder:
                await fill(spool, rows=range(ROWS, 2 * ROWS))
                async with asyncio.timeout(30):
                    await until(lambda: not forwarder.health.healthy, "the gateway to be missed")
                assert "cannot be reached" in forwarder.health.last_error
                async with gateway_running(tmp_path / "up", address=f"127.0.0.1:{port}") as (
                    gateway,
                    _,
                ):
                    async with asyncio.timeout(30):
                        await forwarder.reach(spool.end)
                    assert forwarder.health.healthy
                    assert steps_of(gateway, "w1") == list(range(2 * ROWS))
                    assert gateway.counters.skipped_bytes == 0
            assert spool.counters.upstream_changes == 0

    asyncio.run(run())


def test_a_gateway_with_another_spool_is_noted_and_gets_what_comes(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path / "node", disk=NotingDisk()) as spool:
            await fill(spool)
            async with gateway_running(tmp_path / "up") as (gateway, port):
                await relay_all(spool, port)
                first = gateway.daemon_id
            await fill(spool, rows=range(ROWS, 2 * ROWS))
            async with gateway_running(tmp_path / "up2") as (gateway, port):
                await relay_all(spool, port)
                assert steps_of(gateway, "w0") == list(range(ROWS, 2 * ROWS))
                state = spool.registry.get("w0")
                assert state is not None
                assert gateway.counters.skipped_bytes > 0
                known = gateway.registry.get("w0")
                assert known is not None
                assert known.durable == state.durable
                assert gateway.daemon_id != first
                assert (spool.folder / UPSTREAM_FILE).read_text().strip() == gateway.daemon_id
            assert spool.counters.upstream_changes == 1

    replacing: set[threading.Thread] = set()

    class NotingDisk(Disk):
        def rename(self, source: Path, target: Path) -> None:
            if target.name == UPSTREAM_FILE:
                replacing.add(threading.current_thread())
            super().rename(source, target)

    asyncio.run(run())
    assert replacing
    assert threading.current_thread() not in replacing, "the loop waited for the disk"


def test_what_was_made_for_a_dead_writer_arrives_once(tmp_path: Path) -> None:
    def end_it(spool: Spool) -> None:
        state = new_writer(spool, "w0")
        spool.append(
            state,
            state.accepted,
            finish_event("crashed"),
            points=0,
            flags=record.FINISHES | record.SYNTHETIC,
        )

    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            await fill(spool, writers=1)
            end_it(spool)
            await spool.settled()
            await relay_all(spool, port)
            await spool.save_progress(Progress(Location(1, PAGE_BYTES)))
            await relay_all(spool, port)
            (finish,) = finishes(gateway)
            assert finish.record.flags & record.SYNTHETIC
            state = gateway.registry.get("w0")
            assert state is not None
            assert state.finished
            assert state.durable == new_writer(spool, "w0").durable

    asyncio.run(run())


def test_a_jump_of_a_writer_is_a_jump_at_the_gateway(tmp_path: Path) -> None:
    """A journal lost its middle: what follows must not be held back for ever."""

    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            await fill(spool, writers=1, rows=range(3))
            state = new_writer(spool, "w0")
            spool.append(state, state.accepted + 800, row(9), points=2, flags=record.JUMPS)
            await spool.settled()
            await relay_all(spool, port)
            assert steps_of(gateway, "w0") == [0, 1, 2, 9]
            assert spooled_in(gateway)[-1].record.flags & record.JUMPS
            assert gateway.counters.skipped_bytes == 800
            known = gateway.registry.get("w0")
            assert known is not None
            assert known.durable == state.durable

    asyncio.run(run())


def test_points_of_a_node_keep_their_host(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            info = writer_info("n1", project="", run_id="node-far", scope="node", host="far")
            state = WriterState(info, seen_at=1e12)
            spool.registry.add(state)
            append(spool, state, schema_event() + row(1))
            await spool.settled()
            await relay_all(spool, port)
            (frame,) = spooled_in(gateway)
            assert frame.info == info
            assert frame.info.is_node

    asyncio.run(run())


def test_an_older_stream_that_ends_late_leaves_the_writers_to_the_newer(tmp_path: Path) -> None:
    """Else their schemas would be forgotten while frames still come."""
    info = writer_info("w0")
    (named,) = batches.describe(1, info, {1: ("loss", "accuracy")})

    async def run() -> None:
        async with spool_running(tmp_path / "up") as spool:
            older, newer = RelayedWriters(spool, via="a"), RelayedWriters(spool, via="a")
            older.take(RelayBatch(writers=[named]))
            newer.take(RelayBatch(writers=[named, named]))
            older.close()
            state = spool.registry.get("w0")
            assert state is not None
            assert state.disconnected_at is None
            newer.close()
            assert state.disconnected_at is not None

    asyncio.run(run())


def test_a_writer_of_the_gateway_itself_is_not_taken_from_a_relay(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            local = new_writer(gateway, "w0")
            local.session = Session(local)
            await fill(spool, writers=2, rows=range(3))
            await relay_all(spool, port)
            assert steps_of(gateway, "w0") == []
            assert steps_of(gateway, "w1") == [0, 1, 2]
            assert local.accepted == 0
            assert spool.counters.dead_letter_records == 4
            assert gateway.counters.refused["limit"] > 0

    asyncio.run(run())


def append_poison(spool: Spool, step: int) -> None:
    """Append a frame that no daemon takes: its row is of a schema that was never defined."""
    state = new_writer(spool, "w0")
    spool.append(state, state.accepted, row(step, schema=7), points=2)


@pytest.mark.parametrize("bad", [[0], [3], [2, 3], [1, 4, 5], [5]])
def test_a_frame_that_is_never_taken_is_dead_lettered_alone(tmp_path: Path, bad: list[int]) -> None:
    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            append(spool, new_writer(spool, "w0"), schema_event())
            append(spool, new_writer(spool, "w1"), schema_event())
            for step in range(6):
                if step in bad:
                    append_poison(spool, step)
                else:
                    append(spool, new_writer(spool, "w0"), row(step))
                append(spool, new_writer(spool, "w1"), row(step))
            await spool.settled()
            await relay_all(spool, port)
            assert steps_of(gateway, "w0") == [step for step in range(6) if step not in bad]
            assert steps_of(gateway, "w1") == list(range(6))
            assert spool.counters.dead_letter_records == len(bad)
            reasons = sorted((spool.folder / FOLDER).glob("*.reason"))
            assert len(reasons) == len(bad)
            assert "schema 7" in reasons[0].read_text()

    asyncio.run(run())


def test_what_a_gateway_refused_is_replayed_where_it_stores_and_counts_once(tmp_path: Path) -> None:
    """The gateway has passed that place of the stream; the copied file says all that is needed."""

    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            local = new_writer(gateway, "w0")
            local.session = Session(local)  # So the gateway refuses the node's.
            await fill(spool, writers=1, rows=range(3))
            await relay_all(spool, port)
            assert steps_of(gateway, "w0") == []

    asyncio.run(run())
    shutil.copytree(tmp_path / "node" / FOLDER, tmp_path / "up" / FOLDER)
    sink = FakeSink()
    held = list_dead_letters(tmp_path / "up")
    for path in held:
        content = path.read_bytes()
        replay(path, sink)
        path.write_bytes(content)  # As if the move had been lost.
        replay(path, sink)
    assert len(held) == 4
    assert sink.steps() == [0, 0, 1, 1, 2, 2]
    assert set(sink.points().values()) == {1}


@pytest.mark.holds("broken-gateway")
def test_a_full_gateway_makes_the_node_wait(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            await fill(spool)
            room = gateway.settings.bytes_max
            object.__setattr__(gateway.settings, "bytes_max", 0)
            async with relaying(spool, port) as forwarder, asyncio.timeout(30):
                await until(lambda: "busy" in forwarder.health.last_error, "a busy gateway")
                assert steps_of(gateway, "w0") == []
                object.__setattr__(gateway.settings, "bytes_max", room)
                await forwarder.reach(spool.end)
            assert steps_of(gateway, "w0") == list(range(ROWS))

    asyncio.run(run())


def test_a_daemon_that_relays_to_itself_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with gateway_running(tmp_path / "up") as (gateway, port):
            await fill(gateway)
            async with relaying(gateway, port) as forwarder, asyncio.timeout(30):
                await until(lambda: "to itself" in forwarder.health.last_error, "the refusal")

    asyncio.run(run())


def test_a_gateway_that_nobody_is_at_is_told_before_anything_is_logged(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path / "node") as node:
            async with relaying(node, free_port()) as forwarder:
                await until(lambda: not forwarder.health.healthy, "the gateway to be missed")
            assert node.is_forwarded
        async with (
            gateway_running(tmp_path / "gateway") as (_, port),
            spool_running(tmp_path / "other") as node,
            relaying(node, port) as forwarder,
        ):
            forwarder.health.healthy = False
            await until(lambda: forwarder.health.healthy, "the gateway to be back")

    asyncio.run(run())


@pytest.mark.holds("broken-gateway")
@pytest.mark.slow
def test_a_silent_gateway_is_given_up_and_tried_again(tmp_path: Path) -> None:
    async def run() -> None:
        held: list[asyncio.StreamWriter] = []

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.append(writer)  # Takes everything, says nothing.
            while await reader.read(1 << 16):
                pass

        hole = await asyncio.start_server(hold, "127.0.0.1", 0)
        port = hole.sockets[0].getsockname()[1]
        async with spool_running(tmp_path / "node") as spool:
            await fill(spool)
            settings = {"timeout_seconds": 0.2}
            async with relaying(spool, port, **settings) as forwarder, asyncio.timeout(30):
                await until(lambda: spool.counters.insert_failures >= 2, "two failures")
                assert not forwarder.health.healthy
                assert not spool.is_forwarded
        hole.close()

    asyncio.run(run())


def test_a_daemon_without_relays_gives_a_clear_reason(tmp_path: Path) -> None:
    import grpc.aio

    async def run() -> None:
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with spool_running(tmp_path / "node") as spool:
            await fill(spool)
            async with relaying(spool, port) as forwarder, asyncio.timeout(30):
                await until(lambda: not forwarder.health.healthy, "the gateway to be missed")
                assert "older than protocol 1.1" in forwarder.health.last_error
        await server.stop(None)

    asyncio.run(run())


@pytest.mark.holds("stored-once-over-gateways")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.slow
def test_random_frames_and_cuts_arrive_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    source = random.Random(seed)
    original = Connection.receive

    async def flaky(connection: Connection) -> Any:
        if source.random() < 0.2:
            raise GatewayError("cut")
        return await original(connection)

    monkeypatch.setattr(Connection, "receive", flaky)
    wanted: dict[str, list[int]] = {f"w{number}": [] for number in range(4)}

    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            for name in wanted:
                append(spool, new_writer(spool, name), schema_event())
            async with relaying(spool, port) as forwarder, asyncio.timeout(60):
                for step in range(300):
                    name = source.choice(sorted(wanted))
                    if name == "w0" and source.random() < 0.1:
                        append_poison(spool, step)
                    else:
                        append(spool, new_writer(spool, name), row(step))
                        wanted[name].append(step)
                    if source.random() < 0.05:
                        await spool.settled()
                await spool.settled()
                await forwarder.reach(spool.end)
            for name, steps in wanted.items():
                assert steps_of(gateway, name) == steps

    asyncio.run(run())


def test_a_batch_that_says_it_is_too_large_is_not_unpacked() -> None:
    packed = PackedBatch(number=1, raw_bytes=RELAY_BATCH_BYTES_MAX + 1, payload=b"x")
    with pytest.raises(ValueError, match="the maximum is"):
        batches.unpack_batch(packed)


@pytest.mark.parametrize("raw_bytes", [0, 1, 99, 101, 4096])
def test_a_batch_of_another_size_than_it_says_is_refused(raw_bytes: int) -> None:
    import lz4.block

    payload = lz4.block.compress(bytes(100), store_size=False)
    with pytest.raises(ValueError, match=r"its header says|unpacking"):
        batches.unpack_batch(PackedBatch(number=1, raw_bytes=raw_bytes, payload=payload))
