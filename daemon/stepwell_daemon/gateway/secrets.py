"""Secret files: read again when they change, refused when others may read them.

A file is read again when its modification time, size or inode has changed. If it is unreadable or
invalid, the former content stays valid and one line is logged: a typo during a rotation must not
stop a gateway.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from stepwell_daemon.errors import DaemonConfigError
from stepwell_wire import secret_files

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


class WatchedFiles(Generic[Content]):
    """The parsed content of some files, kept up to date."""

    def __init__(self, paths: tuple[Path, ...], load: Callable[[], Content]) -> None:
        """
        Args:
            load: reads the files.

        Raises:
            DaemonConfigError: They are unusable.
        """
        self._paths = paths
        self._load = load
        self._seen = self._stamps()
        self._content = load()

    def current(self) -> Content:
        """Return the present content, or the last valid one."""
        stamps = self._stamps()
        if stamps != self._seen:
            self._seen = stamps
            try:
                self._content = self._load()
            except DaemonConfigError as error:
                logger.error("a changed secret is invalid, the former one stays valid: %s", error)
            else:
                logger.info("reloaded changed secrets: %s", ", ".join(map(str, self._paths)))
        return self._content

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
