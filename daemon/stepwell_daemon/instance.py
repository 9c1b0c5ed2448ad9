"""One daemon per data folder and per socket: the locks and the path of the socket."""

import fcntl
import grp
import os
import socket
import stat
from pathlib import Path
from typing import Self

from stepwell_daemon.errors import AlreadyRunningError, DaemonConfigError, DataHeldError
from stepwell_wire.commands import command_text, shell_word
from stepwell_wire.lock_notes import (
    DATA_LOCK,
    PERSONAL,
    SERVICE,
    STOPPED,
    LockNote,
    read_lock_note,
    socket_lock,
    write_lock_note,
)
from stepwell_wire.places import SOCKET_VARIABLE
from stepwell_wire.trusted_socket import folder_problem

_CONNECT_SECONDS = 2.0
_OTHER_SOCKET = f"choose another socket with {SOCKET_VARIABLE} or --socket"


class Instance:
    """The locks on one data folder and one socket, held until ``close`` or the process's end.

    The lock files remain: if one were removed, two daemons could hold locks of the same name.
    """

    def __init__(self, data: Path, socket_path: Path, *, kind: str = SERVICE) -> None:
        """Take both locks.

        Args:
            kind: the note on this daemon in the socket's lock file, see `lock_notes`.

        Raises:
            AlreadyRunningError: Another daemon has the socket, or is about to.
            DataHeldError: Another daemon, on another socket, has the data folder.
            DaemonConfigError: A folder cannot be made or belongs to another user.
        """
        self._descriptors: list[int] = []
        self.socket_path, self._kind = socket_path, kind
        self._data = str(data.absolute())
        try:
            make_private_folder(data)
            if (other := self._lock(data / DATA_LOCK, str(socket_path))) is not None:
                if other.more and os.path.realpath(other.more) != os.path.realpath(socket_path):
                    raise DataHeldError(_held(data, other))
                raise AlreadyRunningError(_taken(f"the data folder {data}", other))
            self._take_socket()
        except BaseException:
            self.close()
            raise

    def take_socket_again(self) -> None:
        """Prepare the socket's path as at the start, after its files or its folder were removed.

        Raises:
            AlreadyRunningError: Another daemon has the socket now.
            DaemonConfigError: The folder cannot be made or belongs to another user.
        """
        parent = self.socket_path.parent.parent
        if not parent.is_dir():  # Of the user's sessions: systemd makes it at the next login.
            raise DaemonConfigError(f"{parent}: no such folder")
        held = len(self._descriptors)
        try:
            self._take_socket()
        except BaseException:
            while len(self._descriptors) > held:
                os.close(self._descriptors.pop())
            raise

    def _take_socket(self) -> None:
        folder, lock = self.socket_path.parent, socket_lock(self.socket_path)
        make_private_folder(folder)
        check_socket_folder(folder)
        other = None if self._holds(lock) else self._lock(lock, self._kind, self._data)
        if other is not None:
            raise AlreadyRunningError(_taken(f"the socket {self.socket_path}", other))
        self._clear_socket()

    def _holds(self, path: Path) -> bool:
        """Return whether this process has the lock at ``path`` itself."""
        try:
            there = os.stat(path)
        except OSError:
            return False
        return any(os.path.samestat(os.fstat(each), there) for each in self._descriptors)

    def close(self) -> None:
        """Release both. Can be called twice."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def note_stopped(self) -> None:
        """Prevent training scripts from starting this daemon again: a user stopped it."""
        if self._descriptors:
            write_lock_note(self._descriptors[-1], STOPPED, self._data)

    def _lock(self, path: Path, *more: str) -> LockNote | None:
        """Take the lock at ``path`` and note ``more``; return the note of a present holder."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DaemonConfigError(f"{path}: opening failed ({error.strerror})") from error
        self._descriptors.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return read_lock_note(path)
        write_lock_note(descriptor, *more)
        return None

    def _clear_socket(self) -> None:
        """Remove the socket of a killed daemon, or a link to it; refuse one that answers."""
        path = self.socket_path
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            if path.is_symlink():
                path.unlink(missing_ok=True)
            return
        if not stat.S_ISSOCK(mode):
            raise DaemonConfigError(f"{path}: exists and is not a socket; {_OTHER_SOCKET}")
        if socket_answers(path):
            raise AlreadyRunningError(_taken(f"the socket {path}", LockNote("", "")))
        path.unlink(missing_ok=True)


def _held(data: Path, other: LockNote) -> str:
    text = f"the data folder {data} is in use by the daemon on {other.more} (pid {other.pid})"
    if os.path.exists(other.more):
        return (
            f"{text}; use it with STEPWELL_SOCKET={shell_word(other.more)}, stop it with "
            f"{command_text('down', '--socket', other.more)}, or choose another folder with "
            "STEPWELL_DATA or --data"
        )
    return (
        f"{text}, whose socket is gone until that daemon can make it again, such as at the "
        f"user's next login; it imports journals meanwhile. `kill {other.pid}` ends it"
    )


def _taken(what: str, other: LockNote) -> str:
    kind = "a personal" if other.more == PERSONAL else "another"
    return (
        f"{kind} daemon (pid {other.pid or '?'}) uses {what}; use that daemon, stop it with "
        "`stepwell down`, or choose another with --data and --socket"
    )


def socket_answers(path: Path) -> bool:
    """Return whether a process accepts connections on ``path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True  # Its queue is full: a process listens.
        except OSError:
            return False
    return True


def make_private_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError as error:
        raise DaemonConfigError(
            f"{folder}: not a folder; choose a folder, or a path that does not exist yet"
        ) from error
    except OSError as error:
        raise DaemonConfigError(f"{folder}: cannot be made ({error.strerror})") from error


def group_number(group: str) -> int:
    """Return the number of ``group``.

    Raises:
        DaemonConfigError: There is no such group.
    """
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise DaemonConfigError(
            f"socket_group {group}: no such group; create it, or correct the setting"
        ) from None


def open_to_group(socket_path: Path, group: str) -> None:
    """Let the members of ``group`` use the socket: 0660 in a folder of 0750.

    Raises:
        DaemonConfigError: There is no such group, or the daemon's user may not change the socket's
            group to it.
    """
    number = group_number(group)
    folder = socket_path.parent
    try:
        os.chown(socket_path, -1, number)
        found = folder.stat()
        if found.st_uid == os.geteuid() and not found.st_mode & stat.S_IXOTH:
            os.chown(folder, -1, number)
            folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IRGRP | stat.S_IXGRP)
    except OSError as error:
        raise DaemonConfigError(
            f"socket_group {group}: changing the group of {socket_path} failed "
            f"({error.strerror}); the daemon's user must be a member"
        ) from error


def check_socket_folder(folder: Path) -> None:
    """Raise DaemonConfigError if another user could replace our socket."""
    if problem := folder_problem(folder):
        raise DaemonConfigError(f"{problem}; {_OTHER_SOCKET}")
