"""A daemon's notes in its lock files, for processes that find the lock held or the daemon gone.

    <data>/daemon.lock    process id | socket      one a line
    <socket>.lock         process id | kind | data folder

The kind is `service`, or `personal` for a daemon that a training script started and may start again
when it dies, or `stopped` once a user ended such a daemon on purpose.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

DATA_LOCK: Final = "daemon.lock"
SERVICE: Final = "service"
PERSONAL: Final = "personal"
STOPPED: Final = "stopped"
_BYTES_MAX: Final = 8192


class LockNote(NamedTuple):
    """``pid`` and ``more`` as texts, "" if they are not noted."""

    pid: str
    more: str


def socket_lock(socket: Path) -> Path:
    return socket.with_name(f"{socket.name}.lock")


def write_lock_note(descriptor: int, *more: str) -> None:
    """Note this process and ``more``; a full disk costs only the note."""
    with suppress(OSError):
        lines = (str(os.getpid()), *more, "")
        text = "\n".join(lines).encode("utf-8", "surrogateescape")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)


def read_lock_note(path: Path) -> LockNote:
    pid, more, *_ = _lines(path)
    return LockNote(pid, more)


def data_of(socket: Path) -> Path | None:
    """Return the data folder of the last daemon on ``socket``, which may have ended.

    None if it is unknown: daemons of older releases did not note it.
    """
    data = _lines(socket_lock(socket))[2]
    return Path(data) if data else None


def other_data_before(socket: Path, data: Path) -> Path | None:
    """Return the data folder of the last daemon on ``socket`` if it exists and is not ``data``.

    A daemon that is started on ``socket`` with ``data`` would split the runs of that other one.
    """
    folder = data_of(socket)
    if folder is None or not os.path.isdir(folder):
        return None
    return None if os.path.realpath(folder) == os.path.realpath(data) else folder


def stores_elsewhere(other: str, socket: Path, data: Path) -> bool:
    """Return whether the daemon on ``other`` has, or had at its end, another folder than ``data``.

    Args:
        other: a path, "" if it is not known.
        socket: that of the daemon with the folder ``data``.
    """
    if not other or os.path.realpath(other) == os.path.realpath(socket):
        return False
    return other_data_before(Path(other), data) is not None


def _lines(path: Path) -> tuple[str, str, str]:
    """Return the first three lines of a note, "" for missing ones."""
    try:
        with path.open("rb") as file:
            lines = file.read(_BYTES_MAX).decode("utf-8", "surrogateescape").split("\n")
    except OSError:
        lines = []
    pid, more, data = [*(line.strip() for line in lines[:3]), "", "", ""][:3]
    return pid, more, data


def socket_of(data: Path) -> Path | None:
    """Return the socket of the daemon that has this data folder; None if none runs here.

    The lock itself is not tried: that could make the start of a daemon fail.
    """
    note = read_lock_note(data / DATA_LOCK)
    return Path(note.more) if note.more and _is_served(note.more, note.pid) else None


def is_in_use(socket: Path) -> bool:
    """Return whether a daemon of this user's sessions listens on ``socket``."""
    return _is_served(str(socket), read_lock_note(socket_lock(socket)).pid)


def _is_served(socket: str, pid: str) -> bool:
    """Return whether the socket exists and the process in the note about it is alive."""
    try:
        if not stat.S_ISSOCK(os.stat(socket).st_mode):
            return False
        with suppress(PermissionError):  # The process of another user, who shares the folder.
            os.kill(int(pid), 0)
    except (OSError, ValueError, OverflowError):
        return False
    return True


def has_other_data(socket: Path, data: Path) -> bool:
    """Return whether the daemon that answers on ``socket`` surely has another folder than ``data``.

    Both lock files of a daemon have its process id. It is unknown if one of them cannot be read.
    """
    pid = read_lock_note(socket_lock(socket)).pid
    try:
        os.stat(data / DATA_LOCK)
    except FileNotFoundError:
        return bool(pid)
    except OSError:
        return False
    of_data = read_lock_note(data / DATA_LOCK).pid
    return bool(pid and of_data) and pid != of_data


def other_data_text(socket: Path, data: Path) -> str:
    """Return the message about ``data``, which has no effect because of the daemon's folder."""
    return (
        f"the data folder {data} has no effect: the daemon on {socket} runs already and has "
        "another folder; for a separate daemon with this folder, set STEPWELL_SOCKET too"
    )
