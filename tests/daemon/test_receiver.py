"""Connections: whatever ends one, at whatever moment, the daemon is as if it had not been."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.ingest_pb2 import ClientMessage, ServerMessage
from tests.daemon.made import frame, hello, row, schema_event, spool_running, spooled_in, steps_in

START = schema_event()
FRAMES = [(0, START), (len(START), row(0)), (len(START) + len(row(0)), row(1))]


class Connection:
    """A client that says hello and three frames, and ends.

    Args:
        hangs_at: at which of the calls, counted from 0, the connection no longer answers.
        fails: it fails there instead.
    """

    def __init__(self, hangs_at: int | None = None, *, fails: bool = False) -> None:
        messages = [ClientMessage(hello=hello())]
        messages += [ClientMessage(frame=frame(*each)) for each in FRAMES]
        self._messages = [each.SerializeToString() for each in messages]
        self._hangs_at, self._fails = hangs_at, fails
        self.calls = 0
        self.hangs = asyncio.Event()
        self.answers: list[ServerMessage] = []

    async def _call(self) -> None:
        self.calls += 1
        if self.calls - 1 == self._hangs_at:
            if self._fails:
                raise grpc.aio.UsageError("the connection is gone")
            self.hangs.set()
            await asyncio.Event().wait()

    async def read(self) -> Any:
        await self._call()
        return self._messages.pop(0) if self._messages else grpc.aio.EOF

    async def write(self, message: bytes) -> None:
        await self._call()
        self.answers.append(ServerMessage.FromString(message))

    async def abort(self, *_: Any) -> None:
        pass


def receiver_of(spool: Spool, left: list[WriterState], **more: Any) -> Receiver:
    return Receiver(
        spool,
        counters=spool.counters,
        writers_max=1,
        connections_max=1,
        on_left=left.append,
        **more,
    )


async def assert_let_go(spool: Spool, receiver: Receiver, left: list[WriterState]) -> None:
    """Nothing is left of a connection, and the writer can connect again and is taken whole."""
    assert receiver.connections == 0
    assert spool.registry.connected() == []
    states = list(spool.registry.states.values())
    assert left == states
    assert all(state.disconnected_at is not None for state in states)
    again = Connection()
    async with asyncio.timeout(30):
        await receiver.stream(None, again)
    assert again.answers[0].WhichOneof("body") == "welcome"
    assert again.answers[-1].ack.position == FRAMES[-1][0] + len(FRAMES[-1][1])
    assert steps_in(spooled_in(spool)) == [0, 1]


CALLS = 7  # hello, welcome, three frames and the end; acks come together, at least one.


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("call", range(CALLS))
def test_a_connection_that_ends_at_any_call_lets_its_writer_go(
    tmp_path: Path, call: int, fails: bool
) -> None:
    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            left: list[WriterState] = []
            receiver = receiver_of(spool, left)
            connection = Connection(call, fails=fails)
            serving = asyncio.create_task(receiver.stream(None, connection))
            async with asyncio.timeout(30):
                if not fails:
                    await connection.hangs.wait()
                    serving.cancel()
                await asyncio.wait([serving])
            assert connection.calls > call
            assert spool.counters.handler_errors == int(fails)
            await assert_let_go(spool, receiver, left)

    asyncio.run(run())


@pytest.mark.parametrize("place", ["room", "durable"])
def test_a_connection_that_is_cancelled_while_it_waits_for_the_disk_lets_its_writer_go(
    tmp_path: Path, place: str
) -> None:
    class SlowDisk(Disk):
        """Syncs nothing until it is let."""

        def sync(self, descriptor: int) -> None:
            loop.call_soon_threadsafe(reached.set)
            released.wait(60)
            super().sync(descriptor)

    async def run() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        small = {"in_flight_bytes_max": 8} if place == "room" else {}
        released.set()  # What the spool syncs when it opens is not held up.
        async with spool_running(tmp_path, disk=SlowDisk(), **small) as spool:
            left: list[WriterState] = []
            receiver = receiver_of(spool, left)
            # The first segment is made with its first frame in it: it is there before.
            await assert_let_go(spool, receiver, left)
            left.clear()
            released.clear()
            reached.clear()
            connection = Connection()
            connection._messages[1:] = [
                ClientMessage(frame=frame(spool_end(spool), row(2))).SerializeToString(),
                ClientMessage(frame=frame(spool_end(spool) + 40, row(3))).SerializeToString(),
            ]
            serving = asyncio.create_task(receiver.stream(None, connection))
            async with asyncio.timeout(30):
                await reached.wait()
                serving.cancel()
                await asyncio.wait([serving])
            assert receiver.connections == 0
            assert spool.registry.connected() == []
            assert len(left) == 1
            released.set()
            await spool.settled()
            assert steps_in(spooled_in(spool))[:3] == [0, 1, 2]

    loop: asyncio.AbstractEventLoop
    reached, released = asyncio.Event(), threading.Event()
    asyncio.run(run())


def spool_end(spool: Spool) -> int:
    (state,) = spool.registry.states.values()
    return state.accepted


def test_a_connection_that_is_cancelled_while_its_folder_is_looked_at_lets_its_writer_go(
    tmp_path: Path,
) -> None:
    class SlowPlaces(JournalPlaces):
        def objection(self, path: str) -> str:
            loop.call_soon_threadsafe(reached.set)
            released.wait(60)
            return ""

    async def run() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        async with spool_running(tmp_path / "spool") as spool:
            left: list[WriterState] = []
            receiver = receiver_of(spool, left, places=SlowPlaces(tmp_path))
            connection = Connection()
            connection._messages[0] = ClientMessage(
                hello=hello(journal_dir=str(tmp_path))
            ).SerializeToString()
            serving = asyncio.create_task(receiver.stream(None, connection))
            async with asyncio.timeout(30):
                await reached.wait()
                serving.cancel()
                await asyncio.wait([serving])
            released.set()
            await assert_let_go(spool, receiver, left)

    loop: asyncio.AbstractEventLoop
    reached, released = asyncio.Event(), threading.Event()
    asyncio.run(run())


def test_frames_of_many_connections_exceed_the_memory_for_them_by_one_at_most(
    tmp_path: Path,
) -> None:
    """All of them had passed the check, then each read a frame and appended it."""
    bound, connections = 64, 20

    async def run() -> None:
        async with spool_running(tmp_path, in_flight_bytes_max=bound) as spool:
            most = 0
            taken = spool.append

            def watching(*args: Any, **kwargs: Any) -> None:
                nonlocal most
                taken(*args, **kwargs)
                most = max(most, spool.in_flight_bytes)

            spool.append = watching  # type: ignore[method-assign]
            receiver = Receiver(
                spool,
                counters=spool.counters,
                writers_max=connections,
                connections_max=connections,
            )
            ready = asyncio.Barrier(connections)
            answers = [AtOnce(f"w{number}", ready) for number in range(connections)]
            async with asyncio.timeout(60):
                await asyncio.gather(*(receiver.stream(None, each) for each in answers))
            assert all(each.answers[-1].ack.position for each in answers)
            assert most < bound + len(START)

    asyncio.run(run())


class AtOnce(Connection):
    """Waits with its first frame until all others have begun to read theirs."""

    def __init__(self, name: str, ready: asyncio.Barrier) -> None:
        super().__init__()
        self._messages[0] = ClientMessage(hello=hello(name)).SerializeToString()
        self._ready = ready

    async def read(self) -> Any:
        if len(self._messages) == len(FRAMES):
            await self._ready.wait()
        return await super().read()
