"""Disks that fail where a test wants: at the n-th call, once, for ever, or for good."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepwell_daemon.spool.disk import Disk

WRITING = ("create", "write", "sync", "truncate", "rename", "unlink", "sync_folder")


class CrashError(BaseException):
    """The process died here. No `except Exception` or `except OSError` may see it."""


class FaultyDisk(Disk):
    """Counts the calls that change something and asks ``decide`` before each what happens.

    ``decide(call number, name)`` returns None to go on, or the exception to raise. A failing
    write has written the first half.
    """

    def __init__(self, decide: Callable[[int, str], BaseException | None]) -> None:
        self.decide = decide
        self.calls = 0

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

    def _before(self, name: str) -> None:
        self.calls += 1
        error = self.decide(self.calls, name)
        if error is not None:
            raise error


def no_space(*_: Any) -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def fails_at(number: int, *, for_calls: int = 1) -> FaultyDisk:
    """Return a disk whose calls ``number`` … fail with EIO."""

    def decide(call: int, _: str) -> OSError | None:
        failing = number <= call < number + for_calls
        return OSError(errno.EIO, "Input/output error") if failing else None

    return FaultyDisk(decide)


def crashes_at(number: int) -> FaultyDisk:
    """Return a disk at whose call ``number`` the process dies."""
    return FaultyDisk(lambda call, _: CrashError() if call >= number else None)
