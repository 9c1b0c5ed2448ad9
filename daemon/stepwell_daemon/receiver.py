"""The Ingest service: frames in, acks out.

A frame is taken whole or refused with a reason. What was taken goes to the spool whether or not
its connection lives on; the ack follows the fdatasync that covers it.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from stepwell_daemon.counters import Counters, Rate
from stepwell_daemon.errors import SpoolFullError
from stepwell_daemon.spool.record import HAS_FINISH, HAS_SCHEMAS
from stepwell_daemon.spool.spool import Spool, Writer
from stepwell_daemon.spool.state import KnownWriter
from stepwell_wire import __version__, limits
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.ingest_pb2 import (
    BUSY,
    GAP,
    LIMIT,
    MALFORMED,
    UNSUPPORTED_VERSION,
    ClientMessage,
    Frame,
    Hello,
    RefusalCode,
    ServerMessage,
)
from stepwell_wire.records import FINISH
from stepwell_wire.rows import DecodedRecords, decode_records

logger = logging.getLogger("stepwell_daemon")

UNACKED_FRAMES_MAX: Final = 32


class RefusedError(Exception):
    """A message that is not taken; ends the stream."""

    def __init__(self, code: RefusalCode, detail: str, position: int = 0) -> None:
        super().__init__(detail)
        self.code, self.detail, self.position = code, detail, position


@dataclass(eq=False)
class Connection:
    """One open stream."""

    writer: Writer
    rate: Rate = field(default_factory=Rate)
    last_frame_at: float = field(default_factory=time.monotonic)


class Receiver:
    """Checks what writers send and hands it to the spool."""

    def __init__(self, spool: Spool, counters: Counters, *, writers_max: int) -> None:
        self._spool = spool
        self._counters = counters
        self._writers_max = writers_max
        self.connections: set[Connection] = set()
        self.page_url = ""
        self.refusing = ""  # why nothing is taken any more, while stopping
        self.last_activity = time.monotonic()

    async def stream(self, requests: AsyncIterator[bytes], context: Any) -> None:
        """Serve one stream: the gRPC handler."""
        connection: Connection | None = None
        acks: asyncio.Queue[tuple[int, asyncio.Future[None]]] = asyncio.Queue(UNACKED_FRAMES_MAX)
        acking: asyncio.Task[None] | None = None
        try:
            async for data in requests:
                message = self._parse(data)
                if connection is None:
                    connection = self._welcome(message)
                    self.connections.add(connection)
                    await context.write(self._welcome_message(connection.writer))
                    acking = asyncio.create_task(_send_acks(acks, context), name="acks")
                    continue
                if message.WhichOneof("body") != "frame":
                    raise RefusedError(MALFORMED, "a second hello on one stream")
                await self._spool.room()
                end, future = self.take(connection.writer, message.frame)
                connection.last_frame_at = self.last_activity = time.monotonic()
                connection.rate.add(len(message.frame.records))
                await acks.put((end, future))
        except RefusedError as refused:
            name = RefusalCode.Name(refused.code)
            self._counters.refused[name.lower()] += 1
            logger.warning("refused code=%s detail=%s", name, refused.detail)
            await _cancel(acking)
            acking = None
            reply = ServerMessage()
            reply.refusal.code = refused.code
            reply.refusal.detail = refused.detail
            reply.refusal.position = refused.position
            await context.write(reply.SerializeToString())
        finally:
            self.last_activity = time.monotonic()
            if connection is not None:
                self.connections.discard(connection)
            if acking is not None:
                if not acks.empty():
                    await asyncio.wait([acking], timeout=1.0)
                await _cancel(acking)

    def _parse(self, data: bytes) -> ClientMessage:
        try:
            return ClientMessage.FromString(data)
        except Exception as error:  # protobuf's DecodeError has no public base across versions
            raise RefusedError(MALFORMED, f"no message of this protocol: {error}") from error

    def _welcome(self, message: ClientMessage) -> Connection:
        if message.WhichOneof("body") != "hello":
            raise RefusedError(MALFORMED, "the first message of a stream is a hello")
        hello = message.hello
        if hello.protocol_major != limits.PROTOCOL_MAJOR:
            raise RefusedError(
                UNSUPPORTED_VERSION,
                f"this daemon speaks protocol {limits.PROTOCOL_MAJOR}, the writer "
                f"{hello.protocol_major}; install the same minor version of stepwell on both sides",
            )
        if self.refusing:
            raise RefusedError(BUSY, self.refusing)
        if len(self.connections) >= self._writers_max:
            raise RefusedError(BUSY, f"{self._writers_max} writers are connected, the most allowed")
        return Connection(self.register(hello))

    def register(self, hello: Hello) -> Writer:
        """Return the writer that ``hello`` names, made known if it is new."""
        for name in ("project", "run_id", "writer_id", "label"):
            if len(getattr(hello, name).encode()) > limits.IDENTIFIER_BYTES_MAX:
                raise RefusedError(LIMIT, f"{name}: at most {limits.IDENTIFIER_BYTES_MAX} bytes")
        if not hello.run_id or not hello.writer_id or hello.scope not in ("run", "node"):
            raise RefusedError(MALFORMED, "a hello has run_id, writer_id and scope run or node")
        writer = self._spool.writers.get(hello.writer_id)
        if writer is None:
            known = KnownWriter(
                project=hello.project,
                run_id=hello.run_id,
                writer_id=hello.writer_id,
                label=hello.label,
                scope=hello.scope,
                host=hello.host,
                pid=hello.pid,
                journal_dir=hello.journal_dir,
                high_water=hello.position,
                finished=False,
                seen_at=time.time(),
            )
            writer = Writer(known, accepted=hello.position)
        elif writer.known.run_id != hello.run_id or writer.known.project != hello.project:
            raise RefusedError(
                MALFORMED, f"writer {hello.writer_id} belongs to run {writer.known.run_id}"
            )
        schemas = {schema.id: tuple(schema.keys) for schema in hello.schemas}
        for number, keys in schemas.items():
            if not 1 <= number <= limits.SCHEMAS_PER_WRITER_MAX or not keys:
                raise RefusedError(LIMIT, f"schema {number}: an id from 1 and at least one name")
            if writer.schemas.get(number, keys) != keys:
                raise RefusedError(MALFORMED, f"schema {number} changed its names")
        writer.schemas.update(schemas)
        if hello.position > writer.accepted:
            # The writer no longer has what lies between: it was acknowledged by another spool.
            writer.accepted = hello.position
        self._spool.writers[hello.writer_id] = writer
        return writer

    def _welcome_message(self, writer: Writer) -> bytes:
        reply = ServerMessage()
        reply.welcome.protocol_major = limits.PROTOCOL_MAJOR
        reply.welcome.protocol_minor = limits.PROTOCOL_MINOR
        reply.welcome.server = f"stepwelld/{__version__}"
        reply.welcome.daemon_id = self._spool.spool_id
        reply.welcome.position = writer.accepted
        reply.welcome.frame_bytes_max = limits.FRAME_BYTES_MAX
        reply.welcome.page_url = self.page_url
        return reply.SerializeToString()

    def take(self, writer: Writer, frame: Frame) -> "tuple[int, asyncio.Future[None]]":
        """Check ``frame`` and append what is new of it.

        Returns:
            The position to acknowledge and the future that is done when it is durable.
        """
        records, position = frame.records, frame.position
        end = position + len(records)
        if self.refusing:
            raise RefusedError(BUSY, self.refusing, writer.accepted)
        if len(records) > limits.FRAME_BYTES_MAX:
            raise RefusedError(
                LIMIT, f"a frame of {len(records)} bytes; at most {limits.FRAME_BYTES_MAX}"
            )
        if zlib.crc32(records) != frame.crc32:
            raise RefusedError(MALFORMED, "the checksum of a frame does not fit", writer.accepted)
        if position > writer.accepted:
            raise RefusedError(
                GAP,
                f"position {position} is beyond {writer.accepted}, go back there",
                writer.accepted,
            )
        self._counters.frames_received += 1
        self._counters.bytes_received += len(records)
        self._counters.byte_rate.add(len(records))
        known = writer.accepted - position
        if known:
            self._counters.duplicate_bytes += min(known, len(records))
            records = records[known:]
        if not records:
            # Acknowledged when what came before is durable: it joins the next commit.
            return end, self._append(writer, b"", 0)
        try:
            decoded, defined = decode_records(records, writer.schemas)
        except MalformedRecordsError as error:
            raise RefusedError(MALFORMED, str(error), writer.accepted) from error
        if len(writer.schemas) + len(defined) > limits.SCHEMAS_PER_WRITER_MAX:
            raise RefusedError(LIMIT, f"more than {limits.SCHEMAS_PER_WRITER_MAX} schemas")
        future = self._append(writer, records, _flags(decoded, bool(defined)))
        writer.schemas.update(defined)
        self._counters.points_received += decoded.point_count
        self._counters.receive_rate.add(decoded.point_count)
        return end, future

    def _append(self, writer: Writer, records: bytes, flags: int) -> "asyncio.Future[None]":
        try:
            return self._spool.append(writer, writer.accepted, records, flags=flags)
        except SpoolFullError as error:
            raise RefusedError(BUSY, str(error), writer.accepted) from error


def _flags(decoded: DecodedRecords, has_schemas: bool) -> int:
    flags = HAS_SCHEMAS if has_schemas else 0
    if any(event.kind == FINISH for event in decoded.events):
        flags |= HAS_FINISH
    return flags


async def _send_acks(acks: "asyncio.Queue[tuple[int, asyncio.Future[None]]]", context: Any) -> None:
    """Send one ack for all frames that became durable together."""
    held: tuple[int, asyncio.Future[None]] | None = None
    while True:
        end, future = held or await acks.get()
        held = None
        await future
        while held is None and not acks.empty():
            following = acks.get_nowait()
            if following[1].done():
                end = following[0]
            else:
                held = following
        reply = ServerMessage()
        reply.ack.position = end
        await context.write(reply.SerializeToString())


async def _cancel(task: "asyncio.Task[None] | None") -> None:
    if task is None:
        return
    task.cancel()
    try:
        await task
    except (asyncio.CancelledError, Exception):  # The stream may be gone; its end is all we want.
        pass
