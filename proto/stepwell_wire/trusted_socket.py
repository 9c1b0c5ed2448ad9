"""A unix socket whose creator is checked before a byte is sent to it.

Trusted users are root, our own user, and the owners of the folders on the socket's path, as long
as only trusted users can create entries in the folder above (`/run/stepwell` of a service, a home
below `/home`). The owner of a folder in `/tmp` is not trusted. STEPWELL_SOCKET_OWNER names one
more user.

The socket is opened without connecting, checked, and reached through its descriptor: a socket that
is put into its place meanwhile is another one, and is not reached.
"""

import errno
import os
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, Self

from stepwell_wire.places import SOCKET_VARIABLE

OWNER_VARIABLE: Final = "STEPWELL_SOCKET_OWNER"
CHANNEL_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    # An http_proxy variable must not catch a unix socket.
    ("grpc.enable_http_proxy", 0),
)
"""For each gRPC channel to `TrustedSocket.address`.

The address is the number of a descriptor, which may soon be another socket's. gRPC shares
connections by address: the daemon that had the number before would answer.
"""
_CREDENTIALS: Final = struct.Struct("3i")
_LINKS_MAX: Final = 40


class UntrustedSocketError(PermissionError):
    """The socket belongs to a user who is not trusted; nothing was sent to it.

    Attributes:
        owner: the user's number.
        problem, remedy: the two halves of the message.
    """

    def __init__(self, path: str, owner: int, what: str) -> None:
        problem = f"{what} belongs to another user (uid {owner}), so no data is sent to it"
        self.remedy = (
            f"name another socket with {SOCKET_VARIABLE}; or, if you want to use that user's "
            f"daemon, set {OWNER_VARIABLE}={owner}; or ask that user to remove it"
        )
        super().__init__(errno.EPERM, f"{problem}; {self.remedy}", path)
        self.owner = owner
        self.problem = f"{path}: {problem}"

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


class Peer(NamedTuple):
    """The listening process, as the kernel reports it; ``pid`` is 0 if it is not visible."""

    pid: int
    user: int
    group: int


class TrustedSocket:
    """A socket file that is held open; ``address`` leads to it and to no other.

    A context manager: the address is valid while it is open.
    """

    def __init__(self, path: str, environ: Mapping[str, str] = os.environ) -> None:
        """Open the socket at ``path``.

        Raises:
            UntrustedSocketError: A user who is not trusted made it.
            OSError: It is missing, is not a socket, or cannot be reached.
        """
        self.path = path
        self._trusted = trusted_users(os.path.dirname(os.path.abspath(path)), environ)
        self._descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            found = os.fstat(self._descriptor)
            if not stat.S_ISSOCK(found.st_mode):
                raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK), path)
            if found.st_uid not in self._trusted:
                raise UntrustedSocketError(path, found.st_uid, "the socket")
        except BaseException:
            self.close()
            raise
        own = f"/proc/self/fd/{self._descriptor}"
        # Without /proc only the path can be used; its owner was checked all the same.
        self.address = own if os.path.exists(own) else path

    def connect(self, peer: socket.socket) -> "Peer":
        """Connect ``peer``, check which process listens, and return that process.

        Raises:
            UntrustedSocketError: The listening process belongs to a user who is not trusted.
            OSError: As of `socket.connect`.
        """
        peer.connect(self.address)
        held = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        found = Peer(*_CREDENTIALS.unpack(held))
        if found.user not in self._trusted:
            raise UntrustedSocketError(self.path, found.user, "the process that listens there")
        return found

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def trusted_users(folder: str, environ: Mapping[str, str] = os.environ) -> frozenset[int]:
    """Return the users who may have made a socket in ``folder``, see the top of the file."""
    trusted = {0, os.geteuid(), *_named_owner(environ)}
    waiting = [part for part in folder.split("/") if part][::-1]
    at = "/"
    at_is_sure = True  # Only trusted users can have made what is in it.
    for _ in range(len(waiting) + _LINKS_MAX):
        if not waiting:
            break
        path = os.path.join(at, waiting.pop())
        try:
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                if not at_is_sure and found.st_uid not in trusted:
                    break  # Its owner decides where it leads.
                target = os.readlink(path)
                at, at_is_sure = ("/", True) if target.startswith("/") else (at, at_is_sure)
                waiting += [part for part in target.split("/") if part not in ("", ".")][::-1]
                continue
        except OSError:
            break  # Missing or inaccessible: no other user is trusted.
        if at_is_sure:
            trusted.add(found.st_uid)
        at = path
        at_is_sure = found.st_uid in trusted and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return frozenset(trusted)


def folder_problem(folder: Path) -> str:
    """Return why our daemon may not listen in ``folder``; "" if it may, or without a folder.

    Another user of such a folder could replace our socket.
    """
    try:
        found = folder.stat()
    except OSError:
        return ""
    if found.st_uid not in (os.geteuid(), 0):
        return f"{folder}: belongs to another user (uid {found.st_uid})"
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        return f"{folder}: every user may write there"
    return ""


def _named_owner(environ: Mapping[str, str]) -> list[int]:
    named = environ.get(OWNER_VARIABLE, "")
    if not named:
        return []
    if named.isdigit():
        return [int(named)]
    import pwd

    try:
        return [pwd.getpwnam(named).pw_uid]
    except KeyError:
        return []  # A user unknown to this machine made nothing here.
