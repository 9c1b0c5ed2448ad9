"""The embedded engine: the one process that opens a data directory's ClickHouse.

    python -m stepwell_store.engine DATA_DIR --control-fd N [--memory-bytes-max B] …

It is a separate process because chdb opens a directory in one process only, hangs in forked
children and may hang when it crashes. A separate process can be killed without harm to the daemon.
It listens on DATA_DIR/engine.sock, answers each connection in a separate thread, and ends when its
owner closes the control socket or dies. Signals to the process group do not end it: the owner
decides when all rows are written.

Inserts use only INSERT … FROM INFILE, because `send_insert` reports success for rows that the table
refused (chdb-core 26.9).
"""

import argparse
import fcntl
import importlib
import itertools
import os
import re
import select
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from stepwell_store.channel import (
    INLINE_BYTES_MAX,
    Message,
    receive_message,
    send_message,
    socket_address,
    write_memory_file,
)
from stepwell_store.engine_watch import EngineWatch
from stepwell_store.errors import CANCELLED, code_of
from stepwell_store.uncommitted import drop_uncommitted
from stepwell_wire.capabilities import drop_capabilities

LOCK_FILE: Final = "engine.lock"
SOCKET_FILE: Final = "engine.sock"
TEMPORARY: Final = "engine.tmp"
READY: Final = b"ready"
BUSY: Final = b"busy"
FORBIDDEN: Final = b"forbidden "
"""Before the path of a file or folder of the store that the engine has no permission for."""
CONNECTIONS_MAX: Final = 128
_ENTRIES_MAX: Final = 20_000
_DRAIN_SECONDS: Final = 10.0
_SET_ATTEMPTS: Final = 10
_MESSAGE_CHARACTERS_MAX: Final = 2000
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FREE_BYTES_MIN: Final = 16 << 20
"""Below this free space the engine inserts no rows. Once, after a disk had become full in the
middle of an insert, a truncated part (an empty marks file) was treated as complete."""
TOKEN: Final = re.compile(r"[A-Za-z0-9_.:/@+=-]{1,256}")
_CANNOT_LOCK: Final = 76
_SESSION_SETTINGS: Final = (
    "SET async_insert = 0, output_format_json_quote_denormals = 1, "
    "output_format_json_quote_64bit_integers = 0, session_timezone = 'UTC', "
    "output_format_native_write_json_as_string = 1"
)


class Engine:
    """The open store and its connections."""

    def __init__(self, url: str) -> None:
        # Imported late: a waiting engine need not load it.
        chdb: Any = importlib.import_module("chdb")
        self._connect: Callable[[], Any] = lambda: chdb.connect(url)
        self._first = self._connect()  # Keeps the store open while no client is connected.
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._numbers = itertools.count(1)
        self._watch = EngineWatch(self._connect)
        self._peers: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def serve(self, listener: socket.socket) -> None:
        """Accept connections until the listener is closed."""
        while True:
            self._slots.acquire()
            try:
                peer, _ = listener.accept()
            except OSError:
                self._slots.release()
                return
            thread = threading.Thread(target=self._converse, args=(peer,), daemon=True)
            with self._lock:
                if self._stopping:
                    peer.close()
                    self._slots.release()
                    return
                self._peers.add(peer)
                self._threads.add(thread)
            thread.start()

    def stop(self) -> None:
        """Wait for the requests in progress, up to a limit, and close the store."""
        with self._lock:
            self._stopping = True
            threads = list(self._threads)
            for peer in self._peers:
                try:
                    peer.shutdown(socket.SHUT_RD)
                except OSError:
                    pass  # It has just ended by itself.
        deadline = time.monotonic() + _DRAIN_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._first.close()

    def _converse(self, peer: socket.socket) -> None:
        session = EngineSession(self._connect(), self._watch, number=next(self._numbers))
        try:
            while (message := receive_message(peer)) is not None:
                try:
                    session.answer(peer, message)
                finally:
                    message.close()
        except (OSError, ValueError):
            pass  # The client is gone or sends invalid messages; its connection is closed.
        finally:
            session.close()
            with self._lock:
                self._peers.discard(peer)
                self._threads.discard(threading.current_thread())
            peer.close()
            self._slots.release()


class EngineSession:
    """One connection's view of the store: requests run one by one, each with a time limit."""

    def __init__(self, connection: Any, watch: EngineWatch, *, number: int) -> None:
        self._connection = connection
        self._result: Any = None
        self._watch = watch
        self._number = number
        self._limits = ""
        connection.query(_SESSION_SETTINGS)

    def answer(self, peer: socket.socket, message: Message) -> None:
        """Execute the request ``message`` and send the result to ``peer``."""
        try:
            self._send_outcome(peer, message)
        finally:
            self._result = None  # It must not stay in memory while the connection is idle.

    def _send_outcome(self, peer: socket.socket, message: Message) -> None:
        try:
            result = self._perform(peer, message)
        except Exception as error:  # An exception of chdb is the client's error, not ours.
            text = str(error)
            fields = {"code": code_of(text), "message": text[:_MESSAGE_CHARACTERS_MAX]}
            send_message(peer, {"error": fields})
            return
        if len(result) <= INLINE_BYTES_MAX:
            send_message(peer, {}, body=result)
            return
        descriptor = write_memory_file("stepwell-result", [result])
        try:
            send_message(peer, {}, descriptors=[descriptor])
        finally:
            os.close(descriptor)

    def close(self) -> None:
        self._connection.close()

    def _perform(self, peer: socket.socket, message: Message) -> bytes | memoryview:
        fields = message.fields
        match fields.get("op"):
            case "insert":
                self._limit()
                return self._insert(fields, message.descriptors)
            case "query":
                comment = self._limit(
                    float(fields["timeout_seconds"]),
                    int(fields.get("memory_bytes") or 0),
                    str(fields.get("query_id") or ""),
                )
                with self._watch.watching(peer, comment):
                    result = self._connection.query(
                        fields["sql"], fields["format"], params=fields["parameters"]
                    )
                # chdb frees the bytes with the result, even if views of them exist.
                self._result = result
                return memoryview(result.get_memview().view())
            case "ping":
                self._limit()
                self._connection.query("SELECT 1")
                return b""
        raise ValueError(f"{fields.get('op')!r} is not a request of this engine")

    def _insert(self, fields: dict[str, Any], descriptors: list[int]) -> bytes:
        names = [fields["table"], *fields["columns"]]
        if not all(_NAME.fullmatch(name) for name in names) or len(descriptors) != 1:
            raise ValueError("an insert needs plain names and one memory file")
        if not TOKEN.fullmatch(fields["token"]):
            raise ValueError(f"{fields['token']!r} is not a valid token")
        columns = ", ".join(f"`{name}`" for name in fields["columns"])
        self._connection.query(
            f"INSERT INTO `{fields['table']}` ({columns}) "
            f"FROM INFILE '/proc/self/fd/{descriptors[0]}' SETTINGS async_insert = 0, "
            # Blocks have one row for each key; merging a block with itself took most of the time.
            "optimize_on_insert = 0, "
            f"min_free_disk_bytes_to_perform_insert = {FREE_BYTES_MIN}, "
            f"insert_deduplication_token = '{fields['token']}' FORMAT Native"
        )
        return b""

    def _limit(self, seconds: float = 0.0, memory_bytes: int = 0, query_id: str = "") -> str:
        """Set the limits of the next query; return the comment by which it can be killed."""
        if query_id and not TOKEN.fullmatch(query_id):
            raise ValueError(f"{query_id!r} is not a valid query id")
        comment = f"{self._number} {query_id}"
        limits = (
            f"SET max_execution_time = {seconds!r}, max_memory_usage = {memory_bytes}, "
            # A compiled expression may give a constant column as an ordinary one, from the third
            # use on: the query then fails with ILLEGAL_COLUMN.
            f"compile_expressions = 0, log_comment = '{comment}'"
        )
        if limits != self._limits:
            self._set(limits)
            self._limits = limits
        return comment

    def _set(self, limits: str) -> None:
        """Set ``limits``, again if a late cancellation of the last query ended this one.

        Until it has ended, it has the comment of that query.
        """
        for attempt in range(_SET_ATTEMPTS):
            try:
                self._connection.query(limits)
            except Exception as error:
                if code_of(str(error)) != CANCELLED or attempt == _SET_ATTEMPTS - 1:
                    raise
            else:
                return


def main() -> int:
    """Run the engine until its owner closes the control socket."""
    parser = argparse.ArgumentParser(prog="stepwell_store.engine")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--owner-pid", type=int, required=True)
    parser.add_argument("--memory-bytes-max", type=int, default=2 << 30)
    parser.add_argument("--lock-wait-seconds", type=float, default=15.0)
    options = parser.parse_args()
    drop_capabilities()
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    control = socket.socket(fileno=options.control_fd)
    lock = _take_lock(options.data_dir / LOCK_FILE, options.lock_wait_seconds)
    if lock is None:
        control.sendall(BUSY)
        return 3
    settings = {
        "max_server_memory_usage": options.memory_bytes_max,
        "mark_cache_size": 64 << 20,
        "uncompressed_cache_size": 0,
    }
    _use_temporary(options.data_dir / TEMPORARY)
    url = f"{options.data_dir / 'store'}?" + "&".join(f"{k}={v}" for k, v in settings.items())
    try:
        for part in drop_uncommitted(options.data_dir / "store"):
            print(
                f"block of a killed engine without rows, stored when it is sent again: {part}",
                file=sys.stderr,
            )
        engine = _open(url, options.lock_wait_seconds)
    except Exception:
        if path := find_forbidden(options.data_dir / "store"):
            control.sendall(FORBIDDEN + os.fsencode(path))
        raise
    listener = _listen(options.data_dir / SOCKET_FILE)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # Again, because chdb has set its own handlers.
    accepting = threading.Thread(target=engine.serve, args=(listener,), daemon=True)
    accepting.start()
    control.sendall(READY)
    _wait_for_owner(control, options.owner_pid)
    # A crash or a hang while closing is harmless, but must not keep the directory locked.
    threading.Timer(_DRAIN_SECONDS + 5, os._exit, (4,)).start()
    listener.shutdown(socket.SHUT_RDWR)
    (options.data_dir / SOCKET_FILE).unlink(missing_ok=True)
    engine.stop()
    sys.stderr.flush()
    os._exit(0)


def _take_lock(path: Path, wait_seconds: float) -> int | None:
    """Return the held lock's descriptor, None if another engine keeps it for the whole time."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.05)
            continue
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return descriptor


def _use_temporary(folder: Path) -> None:
    """Let chdb write its temporary files in ``folder``, without those of a killed engine.

    The owner's TMPDIR may be missing or not writable, and in it a killed engine's files stay.
    """
    shutil.rmtree(folder, ignore_errors=True)  # We hold the lock: no other engine uses it.
    folder.mkdir(mode=0o700, exist_ok=True)
    os.environ["TMPDIR"] = str(folder.absolute())


def _open(url: str, wait_seconds: float) -> Engine:
    """Open the store; after a kill chdb's own lock may last a moment longer than ours."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return Engine(url)
        except Exception as error:
            locked = code_of(str(error)) == _CANNOT_LOCK or "Cannot lock file" in str(error)
            if not locked or time.monotonic() >= deadline:
                raise
        time.sleep(0.1)


def find_forbidden(folder: Path) -> str:
    """Return a path in ``folder``, or ``folder``, that this process may not use; "" without any.

    Looks at the first 20,000 entries.
    """
    left = _ENTRIES_MAX
    waiting = [str(folder)] if folder.is_dir() else []
    while waiting:
        place = waiting.pop()
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            return place
        with os.scandir(place) as entries:
            for entry in itertools.islice(entries, left):
                left -= 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif not entry.is_symlink() and not os.access(entry.path, os.R_OK):
                    return entry.path
    return ""


def _listen(path: Path) -> socket.socket:
    """Return a socket that listens at ``path``, for owner and group only."""
    path.unlink(missing_ok=True)  # We hold the lock, so an existing file belongs to a dead engine.
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o117)
    try:
        with socket_address(path) as address:
            listener.bind(address)
    finally:
        os.umask(mask)
    listener.listen(CONNECTIONS_MAX)
    return listener


def _wait_for_owner(control: socket.socket, owner_pid: int) -> None:
    """Return when the owner closes the control socket, or has died.

    A forked child of the owner may hold the socket open, so the parent process is checked as well.
    """
    while os.getppid() == owner_pid:
        readable, _, _ = select.select([control], [], [], 1.0)
        if readable and not control.recv(64):
            return


if __name__ == "__main__":
    code = 1
    try:
        code = main()
    except BaseException:
        traceback.print_exc()
    finally:
        # Never exit through the interpreter: with the store open it can hang in chdb's crash
        # handler and keep the directory locked.
        sys.stderr.flush()
        os._exit(code)
