"""The destination of the daemon's log: standard error, or a file that may be renamed at any
time."""

import errno
import logging
import os
import tempfile
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Final

from stepwell_daemon.errors import DaemonConfigError

_OURS: Final = ("stepwell_daemon", "stepwell_store", "stepwell_wire")


def check_log_file(path: Path) -> None:
    """Check whether a log can be written to ``path``; change nothing.

    Raises:
        DaemonConfigError: It cannot.
    """
    if path.is_dir():
        raise DaemonConfigError(f"log_file: {path} is a folder; set the path of a file")
    if not path.exists():
        check_can_be_made(path, "log_file")
    elif not os.access(path, os.W_OK):
        raise DaemonConfigError(
            f"log_file: writing {path} failed: permission denied; set another path, or give this "
            "user the right to write it"
        )


def check_can_be_made(path: Path, name: str) -> None:
    """Check whether ``path``, of the setting ``name``, can be made with its folders; leave no file.

    A folder is really made and removed, because for root the rights are not enough to know: the
    rights of /proc, for example, would allow it.

    Raises:
        DaemonConfigError: It cannot.
    """
    place = path.parent
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise DaemonConfigError(
            f"{name}: creating {path} failed: {place} is not a folder; set another path"
        )
    if problem := _write_problem(place):
        raise DaemonConfigError(
            f"{name}: creating {path} failed in {place} ({problem}); set another "
            "path, or give this user the right to write there"
        )


def check_can_be_written(folder: Path, name: str) -> None:
    """Check whether files can be made in ``folder``, of the setting ``name``; leave no file.

    Raises:
        DaemonConfigError: They cannot.
    """
    if problem := _write_problem(folder):
        raise DaemonConfigError(
            f"{name}: writing in {folder} failed ({problem}); set another path, or give this "
            "user the right to write there"
        )


def _write_problem(folder: Path) -> str:
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".stepwell-check-", dir=folder))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return error.strerror or str(error)
    return ""


def configure_logging(log_file: str, level: str) -> None:
    """Send the log to ``log_file``, or to standard error if it is empty.

    After the file was renamed or removed, the next line begins a new file.

    Raises:
        DaemonConfigError: It cannot be written.
    """
    handler: logging.Handler = logging.StreamHandler()
    if log_file:
        path = Path(log_file).expanduser().absolute()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = WatchedFileHandler(path)
        except OSError as error:
            raise DaemonConfigError(
                f"{path}: opening the log failed ({error.strerror}); set another log_file"
            ) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)


def set_level(level: str) -> None:
    """Log from ``level`` on; from libraries only warnings and errors."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(number, logging.WARNING))
    for name in _OURS:
        logging.getLogger(name).setLevel(number)
