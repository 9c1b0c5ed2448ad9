"""Hostile clients: what they may cost, and what they may not."""

import asyncio
from pathlib import Path
from typing import Any

from stepwell_daemon.receiver import Receiver
from stepwell_wire.ingest_pb2 import LIMIT, ServerMessage
from tests.daemon.made import spool_running


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
            await receiver._stream(None, context)
        assert [answer.refusal.code for answer in context.answers] == [LIMIT]
        assert not context.aborted
        assert receiver.connections == 0
        assert spool.counters.refused == {"limit": 1}
        assert spool.counters.handler_errors == 0
