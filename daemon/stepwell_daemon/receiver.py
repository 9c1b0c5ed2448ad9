"""The Ingest service: receives frames, sends acks.

Messages are parsed here and not by grpc, so that an invalid message gets an answer with the reason.
The records of a frame are in the spool's queue, not in the call: they stay there if the client
disconnects.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from stepwell_daemon import failpoints
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import SpoolUnavailableError
from stepwell_daemon.hub_commands import HubCommands
from stepwell_daemon.hub_process import HubProcess
from stepwell_daemon.intake import take_frame
from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.refusal import Refusal, StreamRefusedError
from stepwell_daemon.session import Session, open_session
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_wire import __version__
from stepwell_wire.ingest_pb2 import BUSY, LIMIT, MALFORMED, ClientMessage, Hello, ServerMessage
from stepwell_wire.limits import FRAME_BYTES_MAX, PROTOCOL_MAJOR, PROTOCOL_MINOR
from stepwell_wire.service import INGEST_SERVICE

logger = logging.getLogger("stepwell_daemon")

Write = Callable[[bytes], Awaitable[None]]


class Receiver:
    """Takes frames from all connections into one spool."""

    def __init__(
        self,
        spool: Spool,
        *,
        counters: Counters,
        writers_max: int,
        connections_max: int,
        hello_seconds: float = 30.0,
        hub: HubProcess | None = None,
        commands: HubCommands | None = None,
        places: JournalPlaces | None = None,
        check_run: Callable[[str, str, str], None] = lambda project, run_id, writer_id: None,
        on_change: Callable[[], None] = lambda: None,
        on_left: Callable[[WriterState], None] = lambda state: None,
    ) -> None:
        """
        Args:
            check_run: called with project, run id and writer id of a hello; may raise
                StreamRefusedError.
        """
        self._spool = spool
        self._counters = counters
        self._writers_max = writers_max
        self._connections_max = connections_max
        self._hello_seconds = hello_seconds
        self._hub = hub
        self._commands = commands
        self._places = places
        self._check_run = check_run
        self._on_change = on_change
        self._on_left = on_left
        self._connections = 0
        self._closing = False
        spool.on_durable = self._notify_durable
        spool.on_failure = self._notify_failure

    @property
    def connections(self) -> int:
        return self._connections

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Count a connection that another service serves."""
        self._connections += 1
        try:
            yield
        finally:
            self._connections -= 1
            self._on_change()

    def handlers(self) -> grpc.GenericRpcHandler:
        method = grpc.stream_stream_rpc_method_handler(self.stream)
        return grpc.method_handlers_generic_handler(INGEST_SERVICE, {"Stream": method})

    async def drain(self, timeout_seconds: float) -> None:
        """Take no more frames; acknowledge the taken ones, then end every stream."""
        self._closing = True
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._spool.settled()
        except TimeoutError:
            logger.warning("frames in memory could not be made durable, their writers keep them")
        for state in self._spool.registry.connected():
            if state.session is not None:
                state.session.refuse(self._busy("the daemon is shutting down", state))

    # ------------------------------------------------------------------ one connection

    async def stream(self, _: Any, context: Any) -> None:
        """Serve one connection until it ends; gRPC calls it.

        Args:
            context: of gRPC; messages are read from it and written to it.
        """
        self._connections += 1
        session: Session | None = None
        try:
            hello = await self._hello(context)
            if hello is None:
                return
            notice = await self._notice(hello)
            session = self._open(hello)  # From here on the writer counts as connected.
            await self._welcome(session, notice, context)
            await self._serve(session, context)
        except StreamRefusedError as refused:
            await self._send_refusal(refused.refusal, context)
        except Exception:
            self._counters.handler_errors += 1
            logger.exception("a connection failed, its writer will connect again")
            await context.abort(grpc.StatusCode.INTERNAL, "the daemon failed; see its log")
        finally:
            self._connections -= 1
            if session is not None and session.leave(time.monotonic()):
                self._on_left(session.state)
            self._on_change()

    async def _hello(self, context: Any) -> Hello | None:
        """Return the first message of a connection; None if it ended before."""
        try:
            async with asyncio.timeout(self._hello_seconds):
                data = await context.read()
        except TimeoutError as error:
            raise StreamRefusedError(
                LIMIT,
                f"no hello within {self._hello_seconds:g} seconds; connect again",
                bound="hello_seconds",
            ) from error
        if data is grpc.aio.EOF:
            return None
        message = parse_message(data)
        if message.WhichOneof("body") != "hello":
            raise StreamRefusedError(MALFORMED, "the first message must be a hello")
        self.check_ready()
        if self._connections > self._connections_max:
            raise StreamRefusedError(
                BUSY,
                f"more than {self._connections_max} connections; close some, or raise "
                "connections_max",
                bound="connections_max",
            )
        return message.hello

    def _open(self, hello: Hello) -> Session:
        self._check_run(hello.project, hello.run_id, hello.writer_id)
        session = open_session(hello, self._spool.registry, writers_max=self._writers_max)
        state = session.state
        if session.skipped_bytes:
            self._counters.skipped_bytes += session.skipped_bytes
            logger.warning(
                "a writer continues beyond its acknowledged position, the bytes between are "
                "missing writer=%s position=%d bytes=%d",
                state.info.writer_id,
                state.accepted,
                session.skipped_bytes,
            )
        state.note_seen(time.time())
        self._on_change()
        return session

    async def _welcome(self, session: Session, notice: str, context: Any) -> None:
        welcome = ServerMessage()
        welcome.welcome.protocol_major = PROTOCOL_MAJOR
        welcome.welcome.protocol_minor = PROTOCOL_MINOR
        welcome.welcome.server = f"stepwell-daemon/{__version__}"
        welcome.welcome.daemon_id = self._spool.daemon_id
        welcome.welcome.position = session.state.durable
        welcome.welcome.frame_bytes_max = FRAME_BYTES_MAX
        if self._hub is not None:
            welcome.welcome.page_url = self._hub.url
            welcome.welcome.hub_folder = self._hub.folder
        welcome.welcome.notice = notice
        await context.write(welcome.SerializeToString())
        if self._commands is not None and session.sweep_id:
            self._commands.welcome(session)

    async def _notice(self, hello: Hello) -> str:
        """Return a notice for the writer's user about the place of its journal, "" for none."""
        if self._places is None or not hello.journal_dir:
            return ""
        loop = asyncio.get_running_loop()  # The folder may be on a file system that answers late.
        return await loop.run_in_executor(None, self._places.objection, hello.journal_dir)

    async def _serve(self, session: Session, context: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read_frames(session, context), name="read-frames")
            await self._acknowledge(session, context)
            reading.cancel()
        if session.refusal is not None:
            await self._send_refusal(session.refusal, context)

    async def _read_frames(self, session: Session, context: Any) -> None:
        try:
            while True:
                await self._spool.room()
                data = await context.read()
                if data is grpc.aio.EOF:
                    break
                failpoints.hit("receive.read")
                # Several streams may have passed that check together: the frames that were read
                # wait as well.
                await self._spool.room()
                message = parse_message(data)
                if message.WhichOneof("body") != "frame":
                    raise StreamRefusedError(MALFORMED, "expected a frame after the hello")
                if session.refusal is not None:
                    break
                self.check_ready(session.state)
                self._take(session, message)
        except StreamRefusedError as refused:
            session.refuse(refused.refusal)
        session.ended = True
        session.changed.set()

    def _take(self, session: Session, message: ClientMessage) -> None:
        """Check a frame and append it to the spool, in one step of the loop."""
        taken = session.take(message.frame)
        session.state.note_seen(time.time())
        take_frame(self._spool, session.state, taken)
        if not taken.records:
            session.acked = min(session.acked, taken.position - 1)  # Send the mark once more.
            session.changed.set()
            return
        failpoints.hit("receive.taken")

    async def _acknowledge(self, session: Session, context: Any) -> None:
        """Send acks until the stream ends."""
        state = session.state
        while True:
            await session.changed.wait()
            session.changed.clear()
            if state.durable > session.acked:
                session.acked = state.durable
                message = ServerMessage()
                message.ack.position = session.acked
                failpoints.hit("ack.before")
                await context.write(message.SerializeToString())
                failpoints.hit("ack.after")
            while session.commands and session.refusal is None:
                await context.write(
                    ServerMessage(command=session.commands.pop(0)).SerializeToString()
                )
            if session.refusal is not None:
                return
            if session.ended and state.durable >= state.accepted:
                return

    async def _send_refusal(self, refusal: Refusal, context: Any) -> None:
        self._counters.refuse(refusal.reason, refusal.bound)
        message = ServerMessage()
        message.refusal.code = refusal.code
        message.refusal.detail = refusal.detail
        message.refusal.position = refusal.position
        await context.write(message.SerializeToString())

    # ------------------------------------------------------------------ state of the daemon

    def check_ready(self, state: WriterState | None = None) -> None:
        """Raise StreamRefusedError if no more frames can be taken now."""
        position = state.durable if state is not None else 0
        if self._closing:
            raise StreamRefusedError(BUSY, "the daemon is shutting down; try again later", position)
        if self._spool.failure is not None:
            raise StreamRefusedError(BUSY, str(self._spool.failure), position)
        if self._spool.is_full:
            raise StreamRefusedError(
                BUSY,
                f"the spool is full: it holds {self._spool.unforwarded_bytes} bytes that are "
                "not stored; see `stepwell status` for the problem of the store, or raise "
                "spool_bytes_max",
                position,
                bound="spool_bytes_max",
            )
        if state is not None and self._spool.is_over_its_share(state):
            raise StreamRefusedError(
                BUSY,
                f"this writer has {state.waiting_bytes} of the {self._spool.waiting_bytes} "
                "waiting bytes, more than its share (writer_share_max) while the spool is "
                "more than three quarters full; it waits until more rows are stored",
                position,
                bound="writer_share_max",
            )

    def _notify_durable(self, state: WriterState) -> None:
        if state.session is not None:
            state.session.changed.set()

    def _notify_failure(self, error: SpoolUnavailableError) -> None:
        for state in self._spool.registry.connected():
            if state.session is not None:
                state.session.refuse(self._busy(str(error), state))

    def _busy(self, detail: str, state: WriterState) -> Refusal:
        return Refusal(BUSY, f"{detail}; try again later", state.durable)


def parse_message(data: bytes) -> ClientMessage:
    """Return the message in ``data``.

    Raises:
        StreamRefusedError: It is not a valid message.
    """
    try:
        return ClientMessage.FromString(data)
    except DecodeError as error:
        raise StreamRefusedError(
            MALFORMED, f"{len(data)} bytes that are not a valid ClientMessage"
        ) from error
