"""One segment of this process's own journal: mapped at first, then a descriptor, then freed."""

import errno
import mmap
import os
from pathlib import Path

from stepwell_wire.segment import (
    ACKED_COPY_WORD,
    ACKED_WORD,
    BASE_AT,
    COMMITTED_WORD,
    NEXT_WORD,
    NO_BASE,
    PAGE_BYTES,
    acked_copy,
    pack_page,
)


class MappedSegment:
    """One file: mapped while it is the current one, a descriptor until it is freed."""

    __slots__ = (
        "base",
        "check_crc",
        "check_end",
        "descriptor",
        "end",
        "mapping",
        "path",
        "size",
        "synced_end",
        "words",
    )

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path, self.descriptor, self.size = path, descriptor, size
        self.base = NO_BASE
        self.end: int | None = None  # file offset past the last record, once unmapped
        self.mapping: mmap.mmap | None = None
        self.words: memoryview | None = None
        self.check_end, self.check_crc = PAGE_BYTES, 0
        self.synced_end = PAGE_BYTES
        self.map()

    def map(self) -> None:
        self.mapping = mmap.mmap(self.descriptor, self.size)
        self.words = memoryview(self.mapping)[:PAGE_BYTES].cast("Q")

    @property
    def committed_end(self) -> int:
        """The file offset past the last record."""
        words = self.words
        if words is None:
            assert self.end is not None
            return self.end
        return int(words[COMMITTED_WORD])

    @property
    def is_empty(self) -> bool:
        return self.committed_end == PAGE_BYTES

    @property
    def limit(self) -> int:
        """The position past the last record."""
        return self.base + self.committed_end - PAGE_BYTES

    def begin_at(self, base: int, *, acked: int) -> None:
        """Write its first position, and the acknowledged position, to the page."""
        words = self.words
        assert words is not None
        words[ACKED_WORD], words[ACKED_COPY_WORD] = acked, acked_copy(acked)
        words[NEXT_WORD] = 0
        words[BASE_AT // 8] = base
        self.base = base

    def note_acked(self, acked: int) -> None:
        """Write the acknowledged position to the page, if that is mapped and has a lower one."""
        words = self.words
        if words is not None and words[ACKED_WORD] < acked:  # A relay writes there as well.
            words[ACKED_WORD], words[ACKED_COPY_WORD] = acked, acked_copy(acked)

    def unmap(self) -> None:
        if self.words is not None:
            self.end = self.committed_end
            # Not closed here: another thread may be reading the page; the last one unmaps.
            self.words = self.mapping = None

    def close(self) -> None:
        self.unmap()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def make_segment(path: Path, size: int) -> MappedSegment:
    """Make the file ``path`` of ``size`` bytes, without a first position yet.

    Raises:
        OSError: It cannot be made; nothing is left behind.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660)
    try:
        # Allocated for real: a full disk is an error here, not a SIGBUS in `log`.
        os.posix_fallocate(descriptor, 0, size)
        os.pwrite(descriptor, pack_page(NO_BASE), 0)
        return MappedSegment(path, descriptor, size)
    except (OSError, ValueError) as error:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise
        raise OSError(errno.ENODEV, str(error)) from error
