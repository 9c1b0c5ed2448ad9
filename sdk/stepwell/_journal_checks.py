"""Checksums of the journal's segments: after a loss of power they show which bytes are valid."""

import contextlib
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from stepwell._mapped_segment import MappedSegment
from stepwell_wire.segment import checked_slot_at, pack_checked

_CHECK_SECONDS: Final = 2.0
"""Time between two extensions of the checksums."""
_SAFE_SLOT_SECONDS: Final = 30.0
"""The kernel writes dirty pages back in about this time."""
_READ_BYTES: Final = 1 << 20
_SAFE, _LATEST = 0, 1  # The two checked slots: surely on disk; as of the last check.


class JournalChecks:
    """Notes in each segment of ``held`` how far its checksum reaches.

    Args:
        held: the journal's segments.
        durable: whether `sync` writes them to disk; else the kernel does, at a time it chooses.
    """

    def __init__(self, held: Callable[[], tuple[MappedSegment, ...]], *, durable: bool) -> None:
        self._held, self._durable = held, durable
        self._lock = threading.Lock()
        self._safe_slot_at = self._checked_at = time.monotonic()

    def tend(self) -> None:
        """Extend the checksums, from time to time."""
        now = time.monotonic()
        if now - self._checked_at >= _CHECK_SECONDS:
            self._checked_at = now
            self.check()

    def check(self) -> None:
        """Extend the checksums to the new bytes, and note them in the segments."""
        with self._checking() as is_ours:
            if is_ours:
                self._check()

    def sync(self) -> None:
        """Write everything to disk; OSError if the disk fails."""
        with self._checking() as is_ours:
            if not is_ours:
                return
            self._check()
            for segment in self._held():
                if segment.descriptor >= 0 and segment.synced_end < segment.check_end:
                    os.fdatasync(segment.descriptor)
                    _write_slot(segment, _SAFE)
                    segment.synced_end = segment.check_end

    @contextlib.contextmanager
    def _checking(self) -> Iterator[bool]:
        """Hold the right to extend checksums; yields False if another thread continues it."""
        is_ours = self._lock.acquire(timeout=_CHECK_SECONDS)
        try:
            yield is_ours
        finally:
            if is_ours:
                self._lock.release()

    def _check(self) -> None:
        safe_due = not self._durable and time.monotonic() - self._safe_slot_at > _SAFE_SLOT_SECONDS
        if safe_due:
            self._safe_slot_at = time.monotonic()
        for segment in self._held():
            end = segment.committed_end
            if segment.descriptor < 0 or end == segment.check_end:
                continue
            if safe_due:
                _write_slot(segment, _SAFE)
            while segment.check_end < end:
                size = min(end - segment.check_end, _READ_BYTES)
                records = os.pread(segment.descriptor, size, segment.check_end)
                if not records:
                    return
                segment.check_crc = zlib.crc32(records, segment.check_crc)
                segment.check_end += len(records)
            _write_slot(segment, _LATEST)


def _write_slot(segment: MappedSegment, slot: int) -> None:
    packed = pack_checked(segment.check_end, segment.check_crc)
    os.pwrite(segment.descriptor, packed, checked_slot_at(slot))
