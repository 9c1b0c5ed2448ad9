"""Digests of files that were hashed before, so that an unchanged file is not read again.

A file is recognised by device, inode, size, modification and change time. A file that was written
just before it was hashed is not noted, because the clock of a file system is too coarse to show a
later change. SQLite in WAL mode; a lost file costs only time.
"""

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

_ROWS_MAX: Final = 1_000_000
_YOUNG_NS: Final = 1_000_000_000
_BUSY_SECONDS: Final = 10.0
_AT_ONCE: Final = 500
_ALL_BITS: Final = (1 << 64) - 1


class FileMarks(NamedTuple):
    """The marks that must be equal for a file to count as the same."""

    dev: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Digests:
    """The cache of one daemon. If its file is unusable, the cache is empty."""

    def __init__(self, path: Path, *, rows_max: int = _ROWS_MAX) -> None:
        self._rows_max = rows_max
        self._database: sqlite3.Connection | None = None
        try:
            self._database = _opened(path)
        except sqlite3.Error:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            with contextlib.suppress(sqlite3.Error):
                self._database = _opened(path)

    def find(self, asked: Iterable[FileMarks]) -> dict[FileMarks, str]:
        """Return the digests of the known files."""
        found: dict[FileMarks, str] = {}
        if self._database is None:
            return found
        by_place = {(marks.dev, marks.inode): marks for marks in asked}
        by_dev: dict[int, list[int]] = {}
        for dev, inode in by_place:
            by_dev.setdefault(dev, []).append(inode)
        with contextlib.suppress(sqlite3.Error):
            for dev, inodes in by_dev.items():
                for first in range(0, len(inodes), _AT_ONCE):
                    part = [_signed(each) for each in inodes[first : first + _AT_ONCE]]
                    places = ",".join("?" * len(part))
                    rows = self._database.execute(
                        "SELECT inode, size, mtime, ctime, digest FROM digests"
                        f" WHERE dev = ? AND inode IN ({places})",
                        [_signed(dev), *part],
                    )
                    for inode, size, mtime, ctime, digest in rows:
                        marks = by_place[dev, inode & _ALL_BITS]
                        noted = (size, mtime, ctime)
                        if noted == _bound(marks)[2:]:
                            found[marks] = str(digest)
        return found

    def note(self, found: Iterable[tuple[FileMarks, str]]) -> None:
        """Note digests; they replace earlier ones of the same inodes."""
        if self._database is None:
            return
        rows = [(*_bound(marks), digest) for marks, digest in found]
        with contextlib.suppress(sqlite3.Error), self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO digests (dev, inode, size, mtime, ctime, digest)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._database.execute(
                "DELETE FROM digests WHERE rowid <= (SELECT max(rowid) FROM digests) - ?",
                (self._rows_max,),
            )

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def is_settled(mtime_ns: int, hashed_at_ns: int) -> bool:
    """Return whether a file was unchanged for long enough before it was hashed."""
    return mtime_ns < hashed_at_ns - _YOUNG_NS


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    database.execute(
        "CREATE TABLE IF NOT EXISTS digests (dev INTEGER, inode INTEGER, size INTEGER,"
        " mtime INTEGER, ctime INTEGER, digest TEXT, UNIQUE (dev, inode))"
    )
    return database


def _bound(marks: FileMarks) -> tuple[int, ...]:
    """Return ``marks`` as signed 64-bit numbers, as SQLite stores them."""
    return tuple(map(_signed, marks))


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number
