"""The personal daemon of a socket: started if none listens, and again after it died.

    <socket>.start    process id of the daemon that a script started last; its mtime says when

The file, taken under its lock, lets several ranks of one node start one daemon and not one each.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwell import _spawn
from stepwell_wire.former_store import service_store_before, service_store_text
from stepwell_wire.lock_notes import (
    PERSONAL,
    STOPPED,
    read_lock_note,
    socket_lock,
    socket_of,
)
from stepwell_wire.places import DATA_VARIABLE, SOCKET_VARIABLE, default_data_dir, own_socket
from stepwell_wire.trusted_socket import folder_problem

if TYPE_CHECKING:
    import subprocess

RESTART_SECONDS: Final = 30.0
"""A daemon that died is started again so long after its last start, or later.

It is sooner, once, for a run that ends and for a call that waits for an artifact.
"""
RESTART_SECONDS_MAX: Final = 600.0
_START_SECONDS_MAX: Final = 60.0
"""How long to wait for a daemon that runs and does not answer yet."""
_TURN_SECONDS: Final = 2.0
_FILE_BYTES_MAX: Final = 64
_ENDED: Final = "the daemon was stopped and not started again"
_OTHER_SOCKET: Final = f"name another socket with {SOCKET_VARIABLE}"


class PersonalDaemon:
    """Keeps a daemon running on one socket. Used on one thread, the sender's.

    Attributes:
        expected: a daemon answers soon, as far as is known.
    """

    def __init__(
        self,
        socket: str,
        data_dir: Path,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.expected = False
        self._is_allowed = False
        self._is_awaited = False
        self._socket, self._data_dir = socket, data_dir
        self._say, self._clock = say, clock
        self._starts = 0
        self._failures = 0  # Starts after which no daemon answered.
        self._started_at = 0.0
        self._answered = False
        self._process: subprocess.Popen[bytes] | None = None  # Of the last start.
        self._refusal = ""  # Why it did not start.

    def allow(self, *, expected: bool) -> None:
        """Allow the start of daemons; ``expected``: the first one starts soon."""
        self._is_allowed = True
        self.expected = expected

    def hurry(self) -> None:
        """Make the next start due now, because a caller waits. From any thread."""
        self._is_awaited = True

    def note_answer(self) -> None:
        self._answered = True
        self._failures = 0

    def ensure_started(self) -> str:
        """Start a daemon if one is due; return why none will answer, "" if one may.

        Called each time that no daemon listens.
        """
        if not self._is_allowed:
            return ""
        code = None if self._process is None else self._process.poll()
        if self._process is not None and code is None:
            self.expected = True
            return ""
        if code == _spawn.DATA_HELD and self._linked():
            self.expected = True
            return ""
        if not self._is_missed():
            self.expected = False
            return _ENDED if self._kind() == STOPPED else ""
        trouble = self._trouble(code)
        if self._starts and self._clock() - self._started_at < self._pause_seconds(code):
            self.expected = not trouble
            return trouble
        return self._start()

    def _linked(self) -> bool:
        """Let our default socket lead to the daemon that has the data folder, if one answers.

        Two sessions of a user that differ in TMPDIR may start a daemon each at the same moment:
        one of them gets the folder.
        """
        other, own = socket_of(self._data_dir), Path(self._socket)
        if other is None or os.environ.get(SOCKET_VARIABLE) or own != own_socket():
            return False
        fresh = own.with_name(f"{own.name}.{os.getpid()}")
        try:
            if folder_problem(own.parent) or (own.exists() and not own.is_symlink()):
                return False
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(other)
            fresh.replace(own)
        except OSError:
            return False
        self._process = None
        return True

    def _is_missed(self) -> bool:
        """Whether a daemon should run here: not if the user ended it, or runs one by hand."""
        if not self._answered:
            return True
        kind = self._kind()
        return kind != STOPPED and (kind == PERSONAL or self._starts > 0)

    def _kind(self) -> str:
        """Return the note about the last daemon on the socket."""
        return read_lock_note(socket_lock(Path(self._socket))).more

    def _trouble(self, code: int | None) -> str:
        if code in (None, 0, _spawn.ANOTHER_RUNS) or self._answered:
            return self._refusal
        log = self._data_dir / _spawn.PERSONAL_LOG_FILE
        words = _spawn.why_ended(self._data_dir)
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"the personal daemon {how}: {words or log}"

    def _pause_seconds(self, code: int | None) -> float:
        if code == _spawn.ANOTHER_RUNS or self._is_awaited:
            return _TURN_SECONDS  # One that is just ending, or just starting.
        return min(RESTART_SECONDS * 2.0 ** min(self._failures, 8), RESTART_SECONDS_MAX)

    def _start(self) -> str:
        self.expected = True
        again = self._answered
        socket_folder = Path(self._socket).parent
        if problem := folder_problem(socket_folder):  # Before anything is written there.
            self._process = None
            self._note_start(f"a daemon cannot be started in {problem}; {_OTHER_SOCKET}")
            return self._refusal
        if other := self._service_store():
            self._process = None
            self._note_start(service_store_text(Path(self._socket), other))
            return self._refusal
        with _turn(Path(self._socket)) as held:
            pause_seconds = _TURN_SECONDS if self._is_awaited else RESTART_SECONDS
            if held is None or _is_starting(held) or (again and _age(held) < pause_seconds):
                return ""  # Another process does, or did.
            try:
                self._process = _spawn.start_daemon(self._socket, self._data_dir)
            except OSError as error:
                self._process = None
                self._note_start(f"starting a personal daemon failed: {error}")
                return self._refusal
            _note_starter(held, self._process.pid)
        self._note_start()
        if again:
            self._say(f"the personal daemon on {self._socket} ended and is started again")
        return ""

    def _service_store(self) -> Path | None:
        """Return the folder of a service that had the socket, if ours is only the default one."""
        if os.environ.get(DATA_VARIABLE) or self._data_dir != default_data_dir():
            return None
        return service_store_before(Path(self._socket), self._data_dir)

    def _note_start(self, refusal: str = "") -> None:
        self._refusal = refusal
        self.expected = not refusal
        self._starts += 1
        self._failures += 1
        self._is_awaited = False
        self._started_at = self._clock()
        self._answered = False


@contextmanager
def _turn(socket: Path) -> Iterator[int | None]:
    """Yield the start file while it is locked; None where another process has it.

    -1 if the file cannot be made: then each process starts its own.
    """
    try:
        socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = socket.with_name(f"{socket.name}.start")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        yield -1
        return
    try:
        # A lock of the process, not of the file: a forked child does not keep it.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield None
    else:
        yield descriptor
    finally:
        os.close(descriptor)


def _note_starter(descriptor: int, pid: int) -> None:
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{pid}\n".encode(), 0)


def _is_starting(descriptor: int) -> bool:
    """Whether the daemon that was started last runs, and may answer soon."""
    if descriptor < 0 or _age(descriptor) > _START_SECONDS_MAX:
        return False
    text = os.pread(descriptor, _FILE_BYTES_MAX, 0).strip()
    if not text.isdigit() or text == b"0":
        return False
    try:
        os.kill(int(text), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _age(descriptor: int) -> float:
    """Return the seconds since the last start, infinite where none is known."""
    if descriptor < 0:
        return float("inf")
    found = os.fstat(descriptor)
    age = time.time() - found.st_mtime
    return age if found.st_size and age >= 0 else float("inf")
