"""One daemon a data folder and a socket: a lock, and a socket that nobody stale holds."""

import errno
import fcntl
import os
import socket
import stat
from pathlib import Path

from stepwell_daemon.errors import AlreadyRunningError, ConfigError


def lock_data(data_dir: Path) -> int:
    """Return the descriptor that holds the lock of ``data_dir``; it ends with the process.

    Raises:
        AlreadyRunningError: Another daemon holds it.
        ConfigError: The folder cannot be made or written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        fd = os.open(data_dir / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ConfigError(
            f"data folder {data_dir}: {error.strerror}; name another with --data or STEPWELL_DATA"
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise AlreadyRunningError(
            f"another daemon (pid {holder}) has the data folder {data_dir}; use it "
            "(`stepwell status`), stop it, or name another folder with --data"
        ) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def prepare_socket(path: Path) -> None:
    """Make the socket's folder and remove a socket that a dead daemon left.

    Raises:
        AlreadyRunningError: A daemon answers on it.
        ConfigError: The folder or the path cannot be used.
    """
    folder = path.parent
    try:
        folder.mkdir(parents=True, mode=0o750, exist_ok=True)
        owner = folder.stat()
    except OSError as error:
        raise ConfigError(f"socket folder {folder}: {error.strerror}; choose another") from error
    if owner.st_uid not in (os.getuid(), 0):
        raise ConfigError(
            f"socket folder {folder} belongs to uid {owner.st_uid}: whoever owns it could take the "
            "socket's place; name another with --socket or STEPWELL_SOCKET"
        )
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ConfigError(f"{path} is there and is no socket; remove it or name another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise AlreadyRunningError(f"{path}: {error.strerror}; is a daemon hung?") from error
        else:
            raise AlreadyRunningError(f"another daemon answers on {path}; use it or stop it")
    path.unlink(missing_ok=True)
