"""Disks that fail where a test wants: at the n-th call, once or always."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepwell_daemon.spool.disk import Disk


class CrashError(BaseException):
    """The process died here. No `except Exception` or `except OSError` may see it."""


class FaultyDisk(Disk):
    """Counts the calls that change something and asks ``decide`` before each what happens.

    ``decide(call number, name)`` returns None to go on, or the exception to raise. A failing
    write has written the first half. With ``reads`` those that only read count too.
    """

    def __init__(
        self, decide: Callable[[int, str], BaseException | None], *, reads: bool = False
    ) -> None:
        self.decide = decide
        self.reads = reads
        self.calls = 0

    def open_to_read(self, path: Path) -> int:
        self._before_reading("open_to_read")
        return super().open_to_read(path)

    def open_to_write(self, path: Path) -> int:
        self._before_reading("open_to_write")
        return super().open_to_write(path)

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        self._before_reading("read")
        return super().read(descriptor, size, offset)

    def size(self, descriptor: int) -> int:
        self._before_reading("size")
        return super().size(descriptor)

    def make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            self._before("make_folder")
        super().make_folder(folder)

    def create(self, path: Path, size: int) -> int:
        self._before("create")
        return super().create(path, size)

    def write(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
        try:
            self._before("write")
        except BaseException:
            super().write(descriptor, memoryview(data)[: len(data) // 2], offset)
            raise
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        self._before("sync")
        super().sync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        self._before("truncate")
        super().truncate(descriptor, size)

    def rename(self, source: Path, target: Path) -> None:
        self._before("rename")
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._before("unlink")
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        self._before("sync_folder")
        super().sync_folder(folder)

    def _before_reading(self, name: str) -> None:
        if self.reads:
            self._before(name)

    def _before(self, name: str) -> None:
        self.calls += 1
        error = self.decide(self.calls, name)
        if error is not None:
            raise error


class QuickDisk(Disk):
    """Syncs nothing: for tests that open spools by the thousand, where no machine stops."""

    def sync(self, descriptor: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


def no_space(*_: Any) -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def fails_at(
    number: int, *, for_calls: float = 1, reason: int = errno.EIO, reads: bool = False
) -> FaultyDisk:
    """Return a disk whose calls ``number`` … fail with ``reason``."""

    def decide(call: int, _: str) -> OSError | None:
        failing = number <= call < number + for_calls
        return OSError(reason, os.strerror(reason)) if failing else None

    return FaultyDisk(decide, reads=reads)


def crashes_at(number: int) -> FaultyDisk:
    """Return a disk at whose call ``number`` the process dies."""
    return FaultyDisk(lambda call, _: CrashError() if call >= number else None)
