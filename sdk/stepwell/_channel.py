"""The stream to the daemon over its unix socket.

This file and `_blob_channel.py` are the only ones of the SDK that import grpc, which costs 100 ms
and 20 MB. It is imported on the sender's thread, or by a tool.
"""

import os

# With grpc's own fork support on, a parent that forks while it sends can deadlock (measured);
# without it the parent works, and a child does not use the channels that it inherited
# (see `_relay_process.py`).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import atexit
import ctypes
import queue
import threading
import weakref
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import grpc

from stepwell._command import Command
from stepwell.errors import DaemonUnreachableError, NoThreadError, RefusedError
from stepwell_wire.exit_note import Ending
from stepwell_wire.ingest_pb2 import (
    ClientMessage,
    Frame,
    Hello,
    RefusalCode,
    Schema,
    ServerMessage,
)
from stepwell_wire.journal_files import WriterFile
from stepwell_wire.limits import MESSAGE_BYTES_MAX, PROTOCOL_MAJOR, PROTOCOL_MINOR
from stepwell_wire.service import STREAM
from stepwell_wire.trusted_socket import CHANNEL_OPTIONS, TrustedSocket, UntrustedSocketError

WELCOME_SECONDS_MAX: Final = 10.0
_DESCRIPTORS_NEEDED: Final = 24
"""Far more than a connection takes (measured: 4): other threads may open some meanwhile."""

OPTIONS: Final = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    # A separate connection: a shared one may be in a back-off that we did not choose.
    *CHANNEL_OPTIONS,
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),
    ("grpc.http2.max_pings_without_data", 0),
]


def hello_of(
    info: WriterFile,
    *,
    folder: str,
    position: int,
    schemas: Iterable[tuple[int, tuple[str, ...]]],
    client: str,
    recovered: bool = False,
    ending: Ending | None = None,
    sweep_id: str = "",
) -> Hello:
    """Return the first message of a stream."""
    end_state, exit_code = ending or ("", 0)
    return Hello(
        protocol_major=PROTOCOL_MAJOR,
        protocol_minor=PROTOCOL_MINOR,
        client=client,
        project=info.project,
        run_id=info.run_id,
        writer_id=info.writer_id,
        label=info.label,
        scope=info.scope,
        host=info.host,
        pid=info.pid,
        journal_dir=folder,
        position=position,
        schemas=[Schema(id=number, keys=keys) for number, keys in schemas],
        recovered=recovered,
        end_state=end_state,
        exit_code=exit_code,
        sweep_id=sweep_id,
    )


def check_descriptors(socket: str) -> None:
    """Raise if the process has almost no descriptors left.

    grpc ends the process if it gets no descriptor (measured: "Eventfd wakeup fd is not
    supported"). Training must continue, so grpc is not called then.
    """
    opened: list[int] = []
    try:
        while len(opened) < _DESCRIPTORS_NEEDED:
            opened.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        few = f"fewer than {_DESCRIPTORS_NEEDED} file descriptors are left"
        raise DaemonUnreachableError(
            socket,
            f"{few}: {error.strerror}",
            obstacle=f"{few}, so rows cannot be sent; close files, or raise `ulimit -n`",
        ) from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def check_threads(socket: str) -> None:
    """Raise if this process cannot start a thread: grpc would then wait for one without end.

    Python 3.12 starts no thread while the interpreter ends. grpc then hangs in a call, and in
    closing a channel (measured with 3.12.1 and grpcio 1.85).
    """
    try:
        threading.Thread(target=int, name="stepwell-probe", daemon=True).start()
    except RuntimeError as error:
        raise NoThreadError(socket, str(error)) from error


def open_channel(socket: str) -> tuple[Any, TrustedSocket]:
    """Return a channel to the daemon on ``socket``, and the object that must stay open with it.

    Raises:
        NoThreadError: No thread can be started.
        DaemonUnreachableError: There is no socket, or it is another user's; or too few
            descriptors are left.
    """
    check_threads(socket)
    check_descriptors(socket)
    try:
        held = TrustedSocket(socket)
    except UntrustedSocketError as error:
        raise DaemonUnreachableError(socket, str(error), obstacle=str(error)) from error
    except OSError as error:
        raise DaemonUnreachableError(socket, error.strerror or str(error)) from error
    channel = grpc.insecure_channel(f"unix:{held.address}", options=OPTIONS)
    keep_alive(channel)
    return channel, held


_abandoned: list[Any] = []
"""Objects of grpc whose closing or collection might hang."""

_alive: "weakref.WeakSet[Any]" = weakref.WeakSet()


def keep_alive(made: Any) -> None:
    """Let ``made``, an object of grpc, outlive the interpreter; see ``outlive_interpreter``."""
    _alive.add(made)


@atexit.register
def outlive_interpreter() -> None:
    """Exclude grpc's objects from the interpreter's last garbage collection, or a forked child's.

    A call takes its own lock when it is collected. If a thread of grpc held that lock when the
    interpreter began to end, or at a fork, the lock is never released and the process hangs (seen
    in 2 of 4,280 ends on a loaded machine). An object with an extra reference is not collected.
    """
    for each in list(_alive):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))
        _alive.discard(each)


class Connection:
    """One stream, from hello to its end.

    ``on_ack``, ``on_command`` and ``on_end`` are called on a thread of the connection. ``on_end``
    is called once, also if the stream never began, with the reason of the end.

    Raises:
        DaemonUnreachableError: No welcome came, as `open_channel` says, or no thread can start.
        RefusedError: The daemon refused the hello.
    """

    def __init__(
        self,
        socket: str,
        hello: Hello,
        *,
        on_ack: Callable[[int], None],
        on_end: Callable[[Exception], None],
        on_command: Callable[[Command], None] = lambda command: None,
        welcome_seconds_max: float = WELCOME_SECONDS_MAX,
    ) -> None:
        self.socket = socket
        self.position = 0  # the daemon's high-water mark, from its welcome
        self.frame_bytes_max = 0
        self.page_url = ""
        self.hub_folder = ""  # where the key of the page is
        self.notice = ""  # the daemon's text for the user
        self._on_ack, self._on_end, self._on_command = on_ack, on_end, on_command
        # The hub may send a command to a run of a sweep at any time.
        self._listens_always = bool(hello.sweep_id)
        self._welcomed = threading.Event()
        self._awaited = 0  # the end position of the last frame
        self._handed_over = threading.Event()
        self._end: Exception | None = None
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._channel, self._held = open_channel(socket)
        stream = self._channel.stream_stream(
            STREAM, request_serializer=None, response_deserializer=ServerMessage.FromString
        )
        self._outgoing.put(ClientMessage(hello=hello).SerializeToString())
        try:
            self._call: Any = stream(iter(self._outgoing.get, None))
            _alive.add(self._call)
            threading.Thread(target=self._receive, name="stepwell-acks", daemon=True).start()
        except RuntimeError as error:  # `check_threads` got the last thread.
            _abandoned.append(self)
            raise NoThreadError(socket, str(error)) from error
        if not self._welcomed.wait(welcome_seconds_max):
            self.close()
            raise DaemonUnreachableError(socket, f"no answer within {welcome_seconds_max:.0f} s")
        if self._end is not None:
            self.close()
            raise self._end

    def send(self, position: int, records: bytes) -> None:
        """Hand one frame to grpc; returns at once."""
        frame = Frame(position=position, records=records, crc32=zlib.crc32(records))
        self._awaited = position + len(records)
        self._outgoing.put(ClientMessage(frame=frame).SerializeToString())
        self._handed_over.set()

    def close(self) -> None:
        """End the stream; safe to call twice."""
        self._outgoing.put(None)
        self._handed_over.set()
        self._call.cancel()
        self._channel.close()
        self._held.close()

    def _receive(self) -> None:
        end: Exception = DaemonUnreachableError(self.socket, "the daemon ended the stream")
        try:
            for reply in self._call:
                kind = reply.WhichOneof("body")
                if kind == "ack":
                    self._on_ack(reply.ack.position)
                    self._rest_until_awaiting(reply.ack.position)
                elif kind == "welcome":
                    self.position = reply.welcome.position
                    self.frame_bytes_max = reply.welcome.frame_bytes_max
                    self.page_url = reply.welcome.page_url
                    self.hub_folder = reply.welcome.hub_folder
                    self.notice = reply.welcome.notice
                    self._welcomed.set()
                    self._rest_until_awaiting(reply.welcome.position)
                elif kind == "command":
                    self._on_command(_command_of(reply.command))
                elif kind == "refusal":
                    refusal = reply.refusal
                    end = RefusedError(_code_name(refusal.code), refusal.detail, refusal.position)
                    break
        except grpc.RpcError as error:
            details = getattr(error, "details", lambda: None)() or str(error)
            end = DaemonUnreachableError(self.socket, details.splitlines()[0])
        self._end = end
        self._welcomed.set()
        self._on_end(end)

    def _rest_until_awaiting(self, acked: int) -> None:
        """Wait until an ack can come: grpc's own wait wakes ten times a second without need."""
        if self._listens_always:
            return
        while self._awaited <= acked and self._end is None:
            self._handed_over.wait()
            self._handed_over.clear()
            if self._awaited <= acked:
                return  # Closed, or all was acknowledged: read the stream.


def _command_of(message: Any) -> Command:
    return Command(message.kind, message.reason, message.sweep_id, message.number, message.fencing)


def _code_name(code: int) -> str:
    try:
        return str(RefusalCode.Name(code))
    except ValueError:
        return str(code)  # Of a newer daemon.
