"""The Relay service, the gateway's end: receives batches of other daemons, sends acks.

A relayed frame is treated like a frame from a writer: checked, cut by position, appended to the
spool, acknowledged when it is durable. There are three differences. One stream carries many
writers. A frame that can never be taken is refused alone. The writers run on other nodes, so this
daemon does not look for their journals or processes.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from stepwell_daemon.gateway.batches import unpack_batch
from stepwell_daemon.gateway.relayed import RelayedWriters
from stepwell_daemon.gateway.tokens import ACCEPTED, Caller, Tokens
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.refusal import Refusal, StreamRefusedError
from stepwell_daemon.spool.spool import Spool
from stepwell_wire import __version__
from stepwell_wire.ingest_pb2 import (
    BUSY,
    LIMIT,
    MALFORMED,
    UNSUPPORTED_VERSION,
    BatchAck,
    PackedBatch,
    RelayReply,
    RelayRequest,
)
from stepwell_wire.limits import IDENTIFIER_BYTES_MAX, PROTOCOL_MAJOR, PROTOCOL_MINOR
from stepwell_wire.service import INGEST_SERVICE

logger = logging.getLogger("stepwell_daemon")

_HELLO_SECONDS_MAX: Final = 30.0
_BATCHES_MAX: Final = 16
"""Batches of one stream that wait for the disk; further ones stay in the socket."""


@dataclass(slots=True, eq=False)
class _Stream:
    """One connection of one daemon."""

    caller: Caller
    daemon_id: str = ""
    waiting: deque[tuple[int, BatchAck]] = field(default_factory=deque)
    """(append count that must be durable, ack), oldest first."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    refusal: Refusal | None = None
    ended: bool = False

    def refuse(self, refusal: Refusal) -> None:
        if self.refusal is None:
            self.refusal = refusal
        self.changed.set()
        self.room.set()


async def _at_once(_: object) -> None:
    pass


class Relay:
    """Takes batches from all daemons that relay to this one."""

    def __init__(
        self,
        receiver: Receiver,
        spool: Spool,
        *,
        tokens: Tokens,
        until_free: Callable[[list[tuple[str, str, str]]], Awaitable[None]] = _at_once,
    ) -> None:
        """
        Args:
            until_free: waits while rows of deleted runs are being deleted; takes project, run id
                and writer id of the described writers.
        """
        self._until_free = until_free
        self._receiver = receiver
        self._spool = spool
        self._counters = spool.counters
        self._tokens = tokens
        self._streams: set[_Stream] = set()
        spool.watchers.append(self._look)

    @property
    def daemons(self) -> list[str]:
        """The ids of the daemons that are connected."""
        return sorted(stream.daemon_id for stream in self._streams if stream.daemon_id)

    def handlers(self) -> grpc.GenericRpcHandler:
        method = grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.method_handlers_generic_handler(INGEST_SERVICE, {"Relay": method})

    def drain(self) -> None:
        """End every stream; durable batches have been acknowledged by then."""
        self._look()
        for stream in self._streams:
            stream.refuse(Refusal(BUSY, "the daemon is shutting down; try again later"))

    # ------------------------------------------------------------------ one connection

    async def _stream(self, _: Any, context: Any) -> None:
        caller = self._tokens.caller(context.invocation_metadata() or ())
        if caller is None:
            self._counters.refused["unauthenticated"] += 1
            logger.warning("refused a daemon with an unknown token peer=%s", context.peer())
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "the token is not known here; compare gateway_token_file of the node with "
                "gateway_tokens_file of the gateway",
            )
            return
        await context.send_initial_metadata((ACCEPTED,))
        stream = _Stream(caller)
        writers: RelayedWriters | None = None
        try:
            with self._receiver.connected():
                self._streams.add(stream)
                writers = await self._greet(stream, context)
                if writers is not None:
                    await self._serve(stream, writers, context)
        except StreamRefusedError as refused:
            await self._send_refusal(refused.refusal, context)
        except Exception:
            self._counters.handler_errors += 1
            logger.exception("a relay stream failed, its daemon will connect again")
            await context.abort(grpc.StatusCode.INTERNAL, "the gateway failed; see its log")
        finally:
            self._streams.discard(stream)
            if writers is not None:
                writers.close()
                logger.info("a daemon disconnected daemon=%s", stream.daemon_id)

    async def _greet(self, stream: _Stream, context: Any) -> RelayedWriters | None:
        try:
            async with asyncio.timeout(_HELLO_SECONDS_MAX):
                data = await context.read()
        except TimeoutError:
            raise StreamRefusedError(
                BUSY, f"no hello within {_HELLO_SECONDS_MAX:g} seconds", bound="hello_seconds"
            ) from None
        if data is grpc.aio.EOF:
            return None
        message = _parse(data)
        if message.WhichOneof("body") != "hello":
            raise StreamRefusedError(MALFORMED, "the first message must be a hello")
        hello = message.hello
        if hello.protocol_major != PROTOCOL_MAJOR:
            raise StreamRefusedError(
                UNSUPPORTED_VERSION,
                f"the client uses protocol {hello.protocol_major}, this daemon protocol "
                f"{PROTOCOL_MAJOR}; install the same major version of stepwell on both sides",
            )
        if not hello.daemon_id or len(hello.daemon_id.encode()) > IDENTIFIER_BYTES_MAX:
            raise StreamRefusedError(MALFORMED, "the daemon_id of the hello is missing or too long")
        if hello.daemon_id == self._spool.daemon_id:
            raise StreamRefusedError(
                LIMIT, "this daemon relays to itself; set gateway_address to another one"
            )
        self._receiver.check_ready()
        for other in self._streams:
            if other.daemon_id == hello.daemon_id:
                other.refuse(
                    Refusal(BUSY, "the daemon connected again; this older connection is closed")
                )
        stream.daemon_id = hello.daemon_id
        logger.info(
            "a daemon connected daemon=%s host=%s token=%s",
            hello.daemon_id,
            hello.host[:255],
            stream.caller.name or "none",
        )
        reply = RelayReply()
        reply.welcome.protocol_major = PROTOCOL_MAJOR
        reply.welcome.protocol_minor = PROTOCOL_MINOR
        reply.welcome.server = f"stepwell-daemon/{__version__}"
        reply.welcome.daemon_id = self._spool.daemon_id
        await context.write(reply.SerializeToString())
        return RelayedWriters(self._spool, via=hello.daemon_id)

    async def _serve(self, stream: _Stream, writers: RelayedWriters, context: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(
                self._read_batches(stream, writers, context), name="read-batches"
            )
            await self._acknowledge(stream, context)
            reading.cancel()
        if stream.refusal is not None:
            await self._send_refusal(stream.refusal, context)

    async def _read_batches(self, stream: _Stream, writers: RelayedWriters, context: Any) -> None:
        loop = asyncio.get_running_loop()
        number = 0
        try:
            while stream.refusal is None:
                await self._spool.room()
                data = await context.read()
                if data is grpc.aio.EOF:
                    break
                message = _parse(data)
                if message.WhichOneof("body") != "batch":
                    raise StreamRefusedError(MALFORMED, "expected a batch after the hello")
                number += 1
                packed: PackedBatch = message.batch
                if packed.number != number:
                    raise StreamRefusedError(MALFORMED, f"batch {packed.number}, expected {number}")
                try:
                    batch = await loop.run_in_executor(None, unpack_batch, packed)
                except ValueError as error:
                    raise StreamRefusedError(MALFORMED, str(error)) from error
                # Several streams may have passed that check together: the batches that were read
                # wait as well.
                await self._spool.room()
                hellos = [each.writer for each in batch.writers]
                await self._until_free(
                    [(each.project, each.run_id, each.writer_id) for each in hellos]
                )
                if stream.refusal is not None:
                    break
                if not self._tokens.still_holds(stream.caller):
                    raise StreamRefusedError(
                        BUSY,
                        "the token is no longer valid; set a token of the gateway's "
                        "gateway_tokens_file in gateway_token_file",
                    )
                self._receiver.check_ready()
                ack = BatchAck(number=number, refused=writers.take(batch))
                stream.waiting.append((self._spool.append_count, ack))
                stream.changed.set()
                while len(stream.waiting) >= _BATCHES_MAX and stream.refusal is None:
                    stream.room.clear()
                    await stream.room.wait()
        except StreamRefusedError as refused:
            stream.refuse(refused.refusal)
        stream.ended = True
        stream.changed.set()

    async def _acknowledge(self, stream: _Stream, context: Any) -> None:
        """Send acks until the stream ends."""
        while True:
            await stream.changed.wait()
            stream.changed.clear()
            while stream.waiting and stream.waiting[0][0] <= self._spool.durable_count:
                _, ack = stream.waiting.popleft()
                stream.room.set()
                await context.write(RelayReply(ack=ack).SerializeToString())
            if stream.refusal is not None or (stream.ended and not stream.waiting):
                return

    async def _send_refusal(self, refusal: Refusal, context: Any) -> None:
        self._counters.refuse(refusal.reason, refusal.bound)
        reply = RelayReply()
        reply.refusal.code = refusal.code
        reply.refusal.detail = refusal.detail
        await context.write(reply.SerializeToString())

    def _look(self) -> None:
        """Called when frames became durable or failed to."""
        failure = self._spool.failure
        for stream in self._streams:
            if failure is not None:
                stream.refuse(Refusal(BUSY, f"{failure}; try again later"))
            stream.changed.set()


def _parse(data: bytes) -> RelayRequest:
    try:
        return RelayRequest.FromString(data)
    except DecodeError as error:
        raise StreamRefusedError(
            MALFORMED, f"{len(data)} bytes that are not a valid RelayRequest"
        ) from error
