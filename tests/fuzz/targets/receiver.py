"""The Ingest service as gRPC calls it: messages in, answers out, on a real event loop."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import grpc.aio

from stepwell_daemon.receiver import Receiver
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.ingest_pb2 import ServerMessage
from tests.fuzz.inputs import entries
from tests.fuzz.invariants import require
from tests.fuzz.ledger import LedgerSpool
from tests.fuzz.targets import frames
from tests.fuzz.targets.target import Target


class _Connection:
    """What a client says on one stream, and what it is told."""

    def __init__(self, said: Iterator[tuple[int, bytes]], spool: LedgerSpool) -> None:
        self._said = said
        self._spool = spool
        self.count = 0
        self.last_ack = -1
        self.refused = False
        self.open = True

    def _state(self) -> WriterState | None:
        return next(iter(self._spool.registry.connected()), None)

    async def read(self) -> Any:
        await asyncio.sleep(0)
        for op, payload in self._said:
            op %= 8
            if op == frames.COMMIT:
                self._spool.commit()
                continue
            self.count += 1
            if self.count == 1 and op != frames.RAW:
                op, payload = frames.HELLO, (payload if op == frames.HELLO else b"\0\1\0\1")
            return frames.message_of(op, payload, self._state())
        self.open = False
        self._spool.commit()
        return grpc.aio.EOF

    async def write(self, data: bytes) -> None:
        require(not self.refused, "something was said after a refusal")
        message = ServerMessage.FromString(data)
        what = message.WhichOneof("body")
        if what == "refusal":
            require(bool(message.refusal.detail), "a refusal without a reason")
            self.refused = True
            self._spool.commit()
        elif what == "ack":
            require(message.ack.position >= self.last_ack, "an ack went back")
            self.last_ack = message.ack.position
        else:
            require(what == "welcome", "an answer of no kind")
            self.last_ack = message.welcome.position

    async def abort(self, *_: Any) -> None:
        require(False, "the handler failed; the log says how")


class Receivers(Target):
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def seeds(self) -> list[bytes]:
        return frames.seeds()

    def feed(self, data: bytes) -> int:
        return self._loop.run_until_complete(self._feed(data))

    async def _feed(self, data: bytes) -> int:
        spool = LedgerSpool()
        receiver = Receiver(
            cast(Spool, spool), counters=spool.counters, writers_max=8, connections_max=8
        )
        said = entries(data)
        count = 0
        while True:
            connection = _Connection(said, spool)
            await receiver.stream(None, connection)
            count += connection.count
            require(receiver.connections == 0, "a connection that ended is counted")
            require(not spool.registry.connected(), "a writer without a connection is connected")
            if not connection.open or not connection.count:
                break
        require(not spool.counters.handler_errors, "the handler failed; the log says how")
        spool.check()
        return count

    def close(self) -> None:
        self._loop.close()
