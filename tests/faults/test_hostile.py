"""Hostile clients: what they may cost, and what they may not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.recovery import JournalRecovery
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.session import open_session
from stepwell_daemon.writers import Registry
from stepwell_wire.ingest_pb2 import LIMIT, ServerMessage
from tests.daemon.made import hello, new_writer, spool_running

pytestmark = pytest.mark.holds("hostile-client")


class SilentContext:
    """A connection whose client never says anything."""

    def __init__(self) -> None:
        self.answers: list[ServerMessage] = []
        self.aborted = False

    async def read(self) -> Any:
        await asyncio.Event().wait()

    async def write(self, message: bytes) -> None:
        self.answers.append(ServerMessage.FromString(message))

    async def abort(self, *_: Any) -> None:
        self.aborted = True


@pytest.mark.holds("bound-hello")
def test_a_connection_without_a_hello_is_refused_and_counted(tmp_path: Path) -> None:
    asyncio.run(silent(tmp_path))


async def silent(tmp_path: Path) -> None:
    async with spool_running(tmp_path) as spool:
        receiver = Receiver(
            spool,
            counters=spool.counters,
            writers_max=10,
            connections_max=10,
            hello_seconds=0.01,
        )
        context = SilentContext()
        async with asyncio.timeout(30):
            await receiver.stream(None, context)
        assert [answer.refusal.code for answer in context.answers] == [LIMIT]
        assert not context.aborted
        assert receiver.connections == 0
        assert spool.counters.refused == {"limit": 1}
        assert spool.counters.bounds_reached["hello_seconds"] == 1
        assert spool.counters.handler_errors == 0


def test_a_position_near_the_end_of_64_bits_is_refused() -> None:
    with pytest.raises(StreamRefusedError, match="the maximum is") as refused:
        open_session(hello(position=2**64 - 8), Registry({}), writers_max=1)
    assert refused.value.refusal.code == LIMIT


@pytest.mark.parametrize("name", ["n" * 300, "a/" * 2040])
def test_a_journal_dir_that_cannot_be_looked_at_does_not_stop_recovery(
    tmp_path: Path, name: str
) -> None:
    """Path.exists() raises for such names; the look, and the daemon with it, ended there."""

    async def look() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            state = new_writer(spool)
            state.journal_dir = str(tmp_path / name)
            state.accepted = state.durable = 8
            recovery = JournalRecovery(
                spool,
                places=JournalPlaces(tmp_path / "journals"),
                counters=spool.counters,
                host=state.info.host,
            )
            after = new_writer(spool, "w2")
            after.accepted = after.durable = 8
            after.is_dead = True
            try:
                await recovery.look()
            finally:
                recovery.close()
            await spool.settled()
            assert after.finished, "the look ended before the last writer"

    asyncio.run(look())


def test_a_writer_that_died_at_the_last_moment_of_64_bits_is_ended(tmp_path: Path) -> None:
    async def end() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            state = new_writer(spool)
            state.last_time_us = 2**63 - 1
            state.accepted = state.durable = 8
            state.is_dead = True
            recovery = JournalRecovery(
                spool, places=JournalPlaces(tmp_path / "journals"), counters=spool.counters
            )
            try:
                await recovery.look()
                await spool.settled()
            finally:
                recovery.close()
            assert state.finished

    asyncio.run(end())
