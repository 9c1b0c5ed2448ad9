"""Files that are read again when they change: certificates, keys and tokens.

A file is read again when its modification time, size or inode has changed. If it is unreadable or
invalid, the former content stays valid and one line is logged: a typo during a rotation must not
stop a server.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Content = TypeVar("Content")


class WatchedFiles(Generic[Content]):
    """The parsed content of some files, kept up to date."""

    def __init__(
        self,
        paths: tuple[Path, ...],
        load: Callable[[], Content],
        *,
        what: str,
        invalid: type[Exception],
        logger: logging.Logger,
    ) -> None:
        """
        Args:
            load: reads the files; its errors at the start are raised here.
            what: the setting or the part that uses them, for the log.
            invalid: the error of ``load`` for unusable files.
        """
        self._paths, self._load = paths, load
        self._what, self._invalid, self._logger = what, invalid, logger
        self._seen = self._stamps()
        self._content = load()

    def current(self) -> Content:
        """Return the present content, or the last valid one."""
        stamps = self._stamps()
        if stamps != self._seen:
            self._seen = stamps
            try:
                self._content = self._load()
            except self._invalid as error:
                self._logger.error(
                    "a changed file of %s is invalid, the former one stays valid: %s",
                    self._what,
                    error,
                )
            else:
                paths = ", ".join(map(str, self._paths))
                self._logger.info("reloaded changed files of %s: %s", self._what, paths)
        return self._content

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
