"""Segments made ahead: `log` takes one when its own is full, without waiting for the disk.

All methods but `take` and `discard` belong to the sender's thread.
"""

import contextlib
import errno
import os
import time
from pathlib import Path
from typing import Final

from stepwell._mapped_segment import MappedSegment, make_segment
from stepwell_wire.segment import NO_BASE, pack_page

_RETRY_SECONDS: Final = 1.0
"""Pause after a failed creation: a full disk is not tried at every row."""
_LAST_BYTES_MIN: Final = 64 * 1024
"""The smallest segment that is made for the end of a run."""
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


class SpareSegments:
    """The next segment of the journal in ``folder``, each of ``size`` bytes."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._ready: MappedSegment | None = None
        self.problem: OSError | None = None  # Of the last creation that failed.
        self._made_count = 0
        self._retry_at = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether `take` has one at once."""
        return self._ready is not None

    def take(self, *, is_last: bool) -> MappedSegment | None:
        """Return the segment made ahead, else make one; None shortly after a failure.

        Args:
            is_last: try to make one also shortly after a failure, and a smaller one if the disk
                has no room for a whole one.

        Raises:
            OSError: None can be made.
        """
        segment, self._ready = self._ready, None
        if segment is not None:
            return segment
        if is_last:
            return self._make_last()
        if time.monotonic() < self._retry_at:
            return None
        return self._make(self._size)

    def prepare(self) -> None:
        """Make one ahead, unless there is one or making one has just failed."""
        if self._ready is None and time.monotonic() >= self._retry_at:
            with contextlib.suppress(OSError):
                self._ready = self._make(self._size)

    def recycle(self, segment: MappedSegment) -> None:
        """Turn a freed segment into the next one: its blocks are allocated already.

        Raises:
            OSError: The disk refuses.
        """
        path = self._next_path()
        segment.path.rename(path)  # First: under its old name it would look damaged.
        segment.unmap()
        os.pwrite(segment.descriptor, pack_page(NO_BASE), 0)
        self._ready = MappedSegment(path, segment.descriptor, segment.size)

    def discard(self, segment: MappedSegment) -> None:
        """Release a segment that was not needed; its file may have been replaced already."""
        segment.close()
        with contextlib.suppress(OSError):
            if segment.path.name.startswith("spare-"):
                segment.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the segment made ahead."""
        segment, self._ready = self._ready, None
        if segment is not None:
            self.discard(segment)

    def _make_last(self) -> MappedSegment:
        size = self._size
        while True:
            try:
                return self._make(size)
            except OSError as error:
                if error.errno not in _NO_SPACE or size <= _LAST_BYTES_MIN:
                    raise
                size = max(size // 2, _LAST_BYTES_MIN)

    def _make(self, size: int) -> MappedSegment:
        try:
            return make_segment(self._next_path(), size)
        except OSError as error:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            self.problem = error
            raise

    def _next_path(self) -> Path:
        self._made_count += 1
        return self._folder / f"spare-{self._made_count}"
