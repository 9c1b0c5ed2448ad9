"""Delivery of one writer's bytes to the daemon.

The writer's own sender, the relay of a forked child and `stepwell sync` read the bytes from
different places and at different times; sending, acks and retries are the same for all.
"""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from stepwell import _import_gate
from stepwell._command import Command
from stepwell.errors import RefusedError
from stepwell_wire.exit_note import Ending
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import WriterFile
from stepwell_wire.limits import FRAME_BYTES_MAX, FRAME_BYTES_TARGET

if TYPE_CHECKING:
    from stepwell._channel import Connection

WINDOW_BYTES_MAX = 8 * 1024 * 1024  # Sent and not yet acknowledged; held twice in memory by grpc.


_FOR_GOOD = frozenset({"MALFORMED", "UNSUPPORTED_VERSION", "LIMIT", "POSITION"})


def is_for_good(error: RefusedError, oldest: int) -> bool:
    """Whether the daemon will never take a writer that still holds its bytes from ``oldest`` on."""
    return error.code in _FOR_GOOD or (error.code == "GAP" and error.position < oldest)


class Source(Protocol):
    """The bytes of a writer."""

    @property
    def info(self) -> WriterFile: ...
    @property
    def folder(self) -> str: ...
    @property
    def oldest(self) -> int: ...
    @property
    def committed(self) -> int: ...
    @property
    def acked(self) -> int: ...
    def schemas(self) -> Iterable[tuple[int, tuple[str, ...]]]: ...
    def read(self, position: int, bytes_max: int) -> bytes: ...
    def note_acked(self, position: int) -> None: ...


class ReaderSource:
    """The journal of another process."""

    def __init__(self, reader: JournalReader) -> None:
        self.reader = reader
        self.info = reader.info
        self.folder = str(reader.path.absolute())

    @property
    def oldest(self) -> int:
        return self.reader.oldest

    @property
    def committed(self) -> int:
        return self.reader.committed

    @property
    def acked(self) -> int:
        return self.reader.acked

    def schemas(self) -> Iterable[tuple[int, tuple[str, ...]]]:
        return self.reader.schemas().items()

    def read(self, position: int, bytes_max: int) -> bytes:
        return self.reader.read(position, bytes_max)

    def note_acked(self, position: int) -> None:
        self.reader.mark_acked(position)


class JournalDelivery:
    """Sends a source over one connection after another.

    All methods but the callbacks belong to one thread. ``changed`` is notified when an ack
    came or the stream ended; then ``on_change`` is called, on the connection's thread.

    Attributes:
        sent: the position up to which everything was handed to this connection.
        failure: the error that ended the last connection, until the next one.
    """

    def __init__(
        self,
        source: Source,
        *,
        socket: str,
        client: str,
        recovered: bool = False,
        ending: Ending | None = None,
        on_change: Callable[[], None] = lambda: None,
        sweep_id: str = "",
        on_command: Callable[[Command], None] = lambda command: None,
    ) -> None:
        self.source = source
        self.sent = source.acked
        self.failure: Exception | None = None
        self.changed = threading.Condition()
        self.page_url = self.hub_folder = self.notice = ""
        self._socket, self._client, self._recovered = socket, client, recovered
        self._ending = ending
        self._on_change = on_change
        self._sweep_id, self._on_command = sweep_id, on_command
        self._connection: Connection | None = None
        self._generation = 0

    @property
    def connected(self) -> bool:
        return self._connection is not None and self.failure is None

    @property
    def window_is_full(self) -> bool:
        return self.sent - self.source.acked >= WINDOW_BYTES_MAX

    def connect(self) -> None:
        """Open a stream and continue from the daemon's high-water mark.

        Raises:
            DaemonUnreachableError: No daemon answers.
            RefusedError: The daemon refused, or asks for bytes that were freed.
        """
        with _import_gate.importing:
            from stepwell._channel import Connection, hello_of

        self.disconnect()
        self._generation += 1
        generation = self._generation
        self.failure = None
        source = self.source
        hello = hello_of(
            source.info,
            folder=source.folder,
            position=source.oldest,
            schemas=source.schemas(),
            client=self._client,
            recovered=self._recovered,
            ending=self._ending,
            sweep_id=self._sweep_id,
        )
        connection = Connection(
            self._socket,
            hello,
            on_ack=self._on_ack,
            on_end=lambda error: self._on_end(generation, error),
            on_command=self._on_command,
        )
        position = connection.position
        if not source.oldest <= position <= source.committed:
            connection.close()
            raise RefusedError(
                "POSITION",
                f"the daemon requests data from position {position} on, but {source.folder} "
                f"contains {source.oldest} to {source.committed}; the daemon's data folder "
                "was probably replaced",
                position,
            )
        self._connection = connection
        self.page_url, self.hub_folder = connection.page_url, connection.hub_folder
        self.notice = connection.notice
        self.sent = position
        self._on_ack(position)

    def pump(self) -> int:
        """Send the available bytes, up to the window's limit; return their count."""
        connection = self._connection
        if connection is None:
            return 0
        size_max = min(FRAME_BYTES_TARGET, connection.frame_bytes_max or FRAME_BYTES_MAX)
        total = 0
        while self.failure is None and not self.window_is_full:
            records = self.source.read(self.sent, size_max)
            if not records:
                break
            connection.send(self.sent, records)
            self.sent += len(records)
            total += len(records)
        return total

    def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def wait_acked(self, position: int, timeout_seconds: float) -> bool:
        """Wait until everything before ``position`` is acknowledged, or the stream ends."""
        with self.changed:
            return (
                self.changed.wait_for(
                    lambda: self.source.acked >= position or self.failure is not None,
                    timeout_seconds,
                )
                and self.source.acked >= position
            )

    def _on_ack(self, position: int) -> None:
        with self.changed:
            if position > self.source.acked:
                self.source.note_acked(position)
            self.changed.notify_all()
        self._on_change()

    def _on_end(self, generation: int, error: Exception) -> None:
        if generation != self._generation:
            return  # Of a connection that was given up.
        with self.changed:
            self.failure = error
            self.changed.notify_all()
        self._on_change()
