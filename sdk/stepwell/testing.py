"""For tests of code that logs: a daemon that keeps everything it receives in memory.

    from stepwell.testing import RecordingDaemon

    with RecordingDaemon() as daemon:
        run = stepwell.init(project="test", settings={"socket": daemon.socket})
        train(run)
        run.finish()
        assert daemon.points("loss")[-1].value < 0.1

It is a real gRPC server on a real unix socket that keeps positions as the real one does, but it
holds everything in memory and forwards nothing.
"""

import os
import shutil
import struct
import tempfile
import threading
import zlib
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # As in `_channel.py`.

import grpc

from stepwell._testing_blobs import ReceivedArtifact, ReceivedBlob, ReceivedBlobs
from stepwell_wire import __version__
from stepwell_wire.ingest_pb2 import (
    GAP,
    LIMIT,
    MALFORMED,
    UNSUPPORTED_VERSION,
    Ack,
    ClientMessage,
    Command,
    Hello,
    Refusal,
    RefusalCode,
    ServerMessage,
    Welcome,
)
from stepwell_wire.limits import (
    FRAME_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
)
from stepwell_wire.records import (
    EVENT_SCHEMA,
    HEADER_BYTES,
    PADDING_SCHEMA,
    SCHEMA,
    scan_records,
    unpack_event,
)
from stepwell_wire.service import INGEST_SERVICE

_THREADS_MAX = 64


class Point(NamedTuple):
    """One value as it was logged. ``time`` is in seconds since 1970 UTC."""

    run_id: str
    label: str
    metric: str
    step: int
    time: float
    value: float


class Event(NamedTuple):
    """One event as it was logged."""

    run_id: str
    label: str
    kind: str
    step: int
    body: dict[str, Any]


@dataclass
class ReceivedWriter:
    """One writer's stream.

    Attributes:
        hellos: the first messages of all its connections.
        records: its bytes from ``base`` on, in order, each once.
        duplicate_bytes: number of bytes that were sent again.
    """

    hellos: list[Hello] = field(default_factory=list)
    base: int = 0
    records: bytearray = field(default_factory=bytearray)
    duplicate_bytes: int = 0

    @property
    def hello(self) -> Hello:
        return self.hellos[-1]

    @property
    def position(self) -> int:
        """All bytes before this position were received."""
        return self.base + len(self.records)


class RecordingDaemon:
    """A daemon that keeps all frames in memory; a context manager.

    Attributes:
        socket: its unix socket, for ``STEPWELL_SOCKET`` or ``settings={"socket": …}``.
        frame_count: frames received in all.
        hold_acks: while set, frames are received and not acknowledged.
        notice: the text that each writer prints when it connects.
        page_url, hub_folder: places of the page and its key, sent in the welcome.
    """

    def __init__(self, socket: str | Path | None = None) -> None:
        self._folder = None if socket is not None else tempfile.mkdtemp(prefix="sw-test-")
        self.socket = str(socket if socket is not None else Path(str(self._folder)) / "s.sock")
        self.frame_count = 0
        self.hold_acks = False
        self.notice = ""
        self.page_url = self.hub_folder = ""
        self._writers: dict[str, ReceivedWriter] = {}
        self._refusals: list[tuple[int, str]] = []
        self._commands: list[Command] = []
        self._blobs = ReceivedBlobs()
        self._changed = threading.Condition()
        self._server: grpc.Server | None = None

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Listen. After `stop`, it continues with its content."""
        server = grpc.server(
            futures.ThreadPoolExecutor(_THREADS_MAX),
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.so_reuseport", 0),
            ],
        )
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=ClientMessage.FromString,
            response_serializer=ServerMessage.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(INGEST_SERVICE, {"Stream": handler}),
                self._blobs.handlers(),
            )
        )
        Path(self.socket).unlink(missing_ok=True)
        server.add_insecure_port(f"unix:{self.socket}")
        server.start()
        self._server = server

    def stop(self) -> None:
        """Break all connections and stop listening, as a kill does."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(0).wait()
            Path(self.socket).unlink(missing_ok=True)

    def forget(self) -> None:
        """Lose everything, as a daemon with a new data folder."""
        with self._changed:
            self._writers.clear()

    def refuse_next(self, code: str, detail: str = "rejected by a test") -> None:
        """Answer the next message with a refusal, such as ``BUSY`` or ``MALFORMED``."""
        with self._changed:
            self._refusals.append((int(RefusalCode.Value(code)), detail))

    def command(self, kind: str, reason: str, *, sweep_id: str, number: int) -> None:
        """Send a command of the hub with the next answer to a run of a sweep."""
        made = Command(kind=kind, reason=reason, sweep_id=sweep_id, number=number, fencing=1)
        self._commands.append(made)

    def __enter__(self) -> "RecordingDaemon":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # ------------------------------------------------------------------ what was received

    @property
    def writers(self) -> list[ReceivedWriter]:
        """All writers, in the order of their first hello."""
        with self._changed:
            return list(self._writers.values())

    @property
    def run_ids(self) -> list[str]:
        return list(dict.fromkeys(writer.hello.run_id for writer in self.writers))

    def points(self, metric: str | None = None, *, run_id: str | None = None) -> list[Point]:
        """Return the points received so far, writer by writer, in log order."""
        return [
            point
            for writer in self.writers
            for point in _points(writer)
            if metric in (None, point.metric) and run_id in (None, point.run_id)
        ]

    def events(self, kind: str | None = None, *, run_id: str | None = None) -> list[Event]:
        """Return the events received so far, without definitions of schemas."""
        return [
            event
            for writer in self.writers
            for event in _events(writer)
            if kind in (None, event.kind) and run_id in (None, event.run_id)
        ]

    def merged(self, kind: str, *, run_id: str | None = None) -> dict[str, Any]:
        """Return the merged content of all ``config``, ``summary`` or ``metadata`` events."""
        found: dict[str, Any] = {}
        for event in self.events(kind, run_id=run_id):
            for path in event.body.get("delete") or ():
                found.pop(path, None)
            found.update(event.body.get("set") or {})
        return found

    def console(self, stream: str = "stdout") -> list[str]:
        """Return the printed lines, each with its last text."""
        lines: dict[tuple[int, int], str] = {}
        for number, writer in enumerate(self.writers):
            for event in _events(writer):
                if event.kind == "console" and event.body["stream"] == stream:
                    for line, _, text in event.body["lines"]:
                        lines[number, line] = text
        return [lines[key] for key in sorted(lines)]

    @property
    def blobs(self) -> dict[str, ReceivedBlob]:
        """Bytes of media, by the id that rows name."""
        return dict(self._blobs.held)

    @property
    def artifacts(self) -> list[ReceivedArtifact]:
        """The artifacts that were handed over, in order."""
        return list(self._blobs.artifacts.values())

    def wait_for(self, condition: Any, timeout_seconds: float = 30.0) -> bool:
        """Wait until ``condition()`` is true; it is checked after each message."""
        with self._changed:
            return bool(self._changed.wait_for(condition, timeout_seconds))

    # ------------------------------------------------------------------ the stream

    def _stream(self, messages: Iterator[ClientMessage], _: Any) -> Iterator[ServerMessage]:
        writer: ReceivedWriter | None = None
        for message in messages:
            refusal, writer, reply = self._take(message, writer)
            if refusal is not None:
                yield ServerMessage(refusal=refusal)
                return
            if reply is not None:
                yield reply
            while writer is not None and writer.hello.sweep_id and self._commands:
                yield ServerMessage(command=self._commands.pop(0))

    def _take(
        self, message: ClientMessage, writer: ReceivedWriter | None
    ) -> tuple[Refusal | None, ReceivedWriter | None, ServerMessage | None]:
        with self._changed:
            self._changed.notify_all()
            position = writer.position if writer is not None else 0
            if self._refusals:
                code, detail = self._refusals.pop(0)
                return Refusal(code=code, detail=detail, position=position), writer, None  # type: ignore[arg-type]
            if message.WhichOneof("body") == "hello":
                return self._greet(message.hello)
            if writer is None:
                return Refusal(code=MALFORMED, detail="hello comes first"), None, None
            frame = message.frame
            self.frame_count += 1
            if len(frame.records) > FRAME_BYTES_MAX:
                return (
                    Refusal(code=LIMIT, detail="frame too large", position=position),
                    writer,
                    None,
                )
            if zlib.crc32(frame.records) != frame.crc32:
                return Refusal(code=MALFORMED, detail="CRC", position=position), writer, None
            if frame.position > position:
                return Refusal(code=GAP, detail="gap", position=position), writer, None
            list(scan_records(frame.records))  # Whole records, or this stream breaks here.
            known = position - frame.position
            writer.duplicate_bytes += min(known, len(frame.records))
            writer.records += frame.records[known:]
            if self.hold_acks:
                return None, writer, None
            return None, writer, ServerMessage(ack=Ack(position=writer.position))

    def _greet(
        self, hello: Hello
    ) -> tuple[Refusal | None, ReceivedWriter | None, ServerMessage | None]:
        if hello.protocol_major != PROTOCOL_MAJOR:
            return Refusal(code=UNSUPPORTED_VERSION, detail="version"), None, None
        writer = self._writers.get(hello.writer_id)
        if writer is None:
            writer = self._writers[hello.writer_id] = ReceivedWriter(base=hello.position)
        writer.hellos.append(hello)
        welcome = Welcome(
            protocol_major=PROTOCOL_MAJOR,
            protocol_minor=PROTOCOL_MINOR,
            server=f"recording/{__version__}",
            daemon_id="recording",
            position=writer.position,
            frame_bytes_max=FRAME_BYTES_MAX,
            notice=self.notice,
            page_url=self.page_url,
            hub_folder=self.hub_folder,
        )
        return None, writer, ServerMessage(welcome=welcome)


def _points(writer: ReceivedWriter) -> Iterator[Point]:
    records = bytes(writer.records)
    schemas = {schema.id: tuple(schema.keys) for schema in writer.hellos[0].schemas}
    run_id, label = writer.hello.run_id, writer.hello.label
    for record in scan_records(records):
        if record.schema == EVENT_SCHEMA:
            kind, body = unpack_event(records, record)
            if kind == SCHEMA:
                schemas[body["id"]] = tuple(body["keys"])
            continue
        if record.schema == PADDING_SCHEMA:
            continue
        keys = schemas[record.schema]
        values = struct.unpack_from(f"<{len(keys)}d", records, record.offset + HEADER_BYTES)
        for key, value in zip(keys, values, strict=True):
            yield Point(run_id, label, key, record.step, record.time_us / 1e6, value)


def _events(writer: ReceivedWriter) -> Iterator[Event]:
    records = bytes(writer.records)
    for record in scan_records(records):
        if record.schema == EVENT_SCHEMA:
            kind, body = unpack_event(records, record)
            if kind != SCHEMA:
                yield Event(writer.hello.run_id, writer.hello.label, kind, record.step, body)
