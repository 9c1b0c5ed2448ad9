"""Secret files of the gateway: read again when they change, refused when others may read them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from stepwell_daemon.errors import DaemonConfigError
from stepwell_wire import secret_files
from stepwell_wire.watched_files import WatchedFiles

logger = logging.getLogger("stepwell_daemon")

Content = TypeVar("Content")


def read_secret(path: Path) -> bytes:
    """Return the content of ``path``.

    Raises:
        DaemonConfigError: It cannot be read, or every user may read it.
    """
    try:
        return secret_files.read_secret(path)
    except secret_files.SecretFileError as error:
        raise DaemonConfigError(str(error)) from error


def watched(
    paths: tuple[Path, ...], load: Callable[[], Content], *, what: str
) -> WatchedFiles[Content]:
    """Return the files, kept up to date.

    Args:
        what: the setting that names them.

    Raises:
        DaemonConfigError: They are unusable.
    """
    return WatchedFiles(paths, load, what=what, invalid=DaemonConfigError, logger=logger)
