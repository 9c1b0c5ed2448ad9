"""The journal as its writer sees it: segments made ahead, filled by `log`, freed after the ack.

`log` stores into the mapping of the current segment (see `_writer.py`). Everything that may
touch a disk happens here: only `advance` is called from `log`, and only to take the segment
that the sender's thread has prepared. The other methods belong to that thread.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal_files import LOCK_FILE, WRITER_FILE, WriterFile
from stepwell_wire.records import HEADER, aligned
from stepwell_wire.segment import (
    ACKED_COPY_WORD,
    ACKED_WORD,
    BASE_AT,
    COMMITTED_WORD,
    NEXT_WORD,
    NO_BASE,
    PAGE_BYTES,
    acked_copy,
    checked_slot_at,
    pack_checked,
    pack_page,
    segment_name,
    whole_records,
)

_RETRY_SECONDS = 1.0  # After a failed creation: a full disk is not asked at every row.
_SAFE_SLOT_SECONDS = 30.0  # The kernel writes dirty pages back in about this time.
_CHECK_SECONDS = 2.0  # Between checksums of what is new.
_COPY_BYTES_MAX = 256 * 1024
_SAFE, _LATEST = 0, 1  # The two checked slots: surely on disk; as of the last tick.


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

    def unmap(self) -> None:
        if self.words is not None:
            self.end = self.committed_end
            # Not closed by hand: another thread may just look at the page; the last one unmaps.
            self.words = self.mapping = None

    def close(self) -> None:
        self.unmap()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Journal:
    """One writer's folder.

    Raises:
        OSError: The folder or its first segment cannot be made; nothing is left behind.
    """

    def __init__(
        self, parent: Path, info: WriterFile, *, segment_bytes: int, bytes_max: int, durable: bool
    ) -> None:
        self.info = info
        self.folder = parent / f"{info.run_id}-{info.writer_id}"
        self.segment_bytes = segment_bytes
        self.segments_max = max(2, bytes_max // segment_bytes)
        self.durable = durable
        self.acked = 0
        self.problem: OSError | None = None  # why the last creation failed
        self.closed = False
        self._held_lock = threading.RLock()
        self._check_lock = threading.Lock()
        self._spare: MappedSegment | None = None
        self._made_count = 0
        self._retry_at = 0.0
        self._safe_slot_at = self._checked_at = time.monotonic()
        self._lock_descriptor = -1
        made = parent / f".{self.folder.name}"
        parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
        try:
            self._lock_descriptor = os.open(
                made / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660
            )
            fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (made / WRITER_FILE).write_text(info.to_json())
            first = self._make(made)
            self._set_base(first, 0)
            first.path.rename(made / segment_name(0))
            made.rename(self.folder)
        except OSError:
            import shutil

            if self._lock_descriptor >= 0:
                os.close(self._lock_descriptor)
            shutil.rmtree(made, ignore_errors=True)
            raise
        first.path = self.folder / segment_name(0)
        self.held: tuple[MappedSegment, ...] = (
            first,
        )  # oldest first; the last one is being filled

    # ------------------------------------------------------------------ from log()

    @property
    def current(self) -> MappedSegment:
        """The segment that `log` fills."""
        return self.held[-1]

    @property
    def committed(self) -> int:
        """The position past the last record that `log` has published."""
        return self.current.limit

    @property
    def is_full(self) -> bool:
        """Whether `log` gets no further segment until one is freed."""
        return len(self.held) >= self.segments_max

    def advance(self, old: MappedSegment, *, beyond_limit: bool = False) -> bool:
        """Make a fresh segment follow ``old``; False when there is no room for one.

        The caller sees to it that nothing is written into ``old`` any more; where another is the
        current one by now, all is done. ``problem`` says whether the disk refused, or is None
        when the journal is as large as it may become.

        A signal handler may interrupt this and call it itself (see `_writer.py`): then the inner
        call's segment stands, and the outer one gives its own back.
        """
        if self.held[-1] is old and self.is_full and not beyond_limit:
            self.problem = None
            return False
        try:
            while self.held[-1] is old and not self.closed:
                segment = self._take_spare(at_once=beyond_limit)
                if segment is None:
                    return self.held[-1] is not old
                self._let_follow(segment, old)
        except OSError as error:
            self.problem = error
            return self.held[-1] is not old
        self.problem = None
        return self.held[-1] is not old

    def _let_follow(self, segment: MappedSegment, old: MappedSegment) -> None:
        """Make ``segment`` the current one after ``old``, unless something came in between."""
        words = old.words
        if words is None:  # Closed by a signal handler.
            self._discard(segment)
            return
        committed = words[COMMITTED_WORD]
        base = old.base + committed - PAGE_BYTES
        self._set_base(segment, base)
        source, target = str(segment.path), str(self.folder / segment_name(base))
        # No Python function is called between a check and what depends on it.
        if self.held[-1] is old and not self.closed:
            os.rename(source, target)
            with self._held_lock:
                if self.held[-1] is old and not self.closed and words[COMMITTED_WORD] == committed:
                    words[NEXT_WORD] = base
                    self.held = (*self.held, segment)
            if self.held[-1] is old:
                os.unlink(target)  # Its name would say that ``old`` ends there.
            elif all(each.base != base for each in self.held):
                os.unlink(target)  # A handler's segment follows, at another place.
        if self.held[-1] is segment:
            segment.path = Path(target)
        else:
            self._discard(segment)

    def _take_spare(self, *, at_once: bool) -> MappedSegment | None:
        """Return the segment that was made ahead, else make one; None shortly after a failure.

        Raises:
            OSError: None can be made.
        """
        segment, self._spare = self._spare, None
        if segment is not None:
            return segment
        now = time.monotonic()
        if now < self._retry_at and not at_once:
            return None
        try:
            return self._make(self.folder)
        except OSError:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            raise

    # ------------------------------------------------------------------ from the sender's thread

    def read(self, position: int, bytes_max: int) -> bytes:
        """Return whole records from ``position`` on, from one segment; ``b""`` at the end."""
        for segment in self.held:
            if segment.base <= position < segment.limit:
                break
        else:
            return b""
        offset = position - segment.base + PAGE_BYTES
        available = segment.committed_end - offset
        if available <= bytes_max:
            mapping = segment.mapping
            if mapping is not None and available <= _COPY_BYTES_MAX:
                # Without a system call: each one gives the interpreter's lock to the training
                # loop, and getting it back costs both more than the copy.
                return mapping[offset : offset + available]
            return os.pread(segment.descriptor, available, offset)
        chunk = os.pread(segment.descriptor, bytes_max, offset)
        end = whole_records(chunk)
        if end:
            return chunk[:end]
        _, size, _, _ = HEADER.unpack_from(chunk)
        return os.pread(segment.descriptor, aligned(size), offset)

    @property
    def oldest(self) -> int:
        """The oldest position that can still be read."""
        return self.held[0].base

    def note_acked(self, position: int) -> None:
        """Write the acknowledged position to disk; any thread may call this."""
        self.acked = position
        self._write_acked()

    def tend(self) -> None:
        """Free what is acknowledged, prepare what `log` needs next, check what is new."""
        self._free()
        current = self.current
        is_due = self._spare is None and current.committed_end > current.size // 4
        if is_due and not self.is_full and time.monotonic() >= self._retry_at:
            try:
                self._spare = self._make(self.folder)
            except OSError:
                self._retry_at = time.monotonic() + _RETRY_SECONDS
        now = time.monotonic()
        if now - self._checked_at >= _CHECK_SECONDS:
            self._checked_at = now
            self.check()

    def check(self) -> None:
        """Extend the checksums to what was written since, and note them in the segments."""
        with self._checking() as is_ours:
            if is_ours:
                self._check()

    @contextlib.contextmanager
    def _checking(self) -> Iterator[bool]:
        """Be the only one who extends checksums; yields False where another thread goes on."""
        is_ours = self._check_lock.acquire(timeout=_CHECK_SECONDS)
        try:
            yield is_ours
        finally:
            if is_ours:
                self._check_lock.release()

    def _check(self) -> None:
        safe_due = not self.durable and time.monotonic() - self._safe_slot_at > _SAFE_SLOT_SECONDS
        if safe_due:
            self._safe_slot_at = time.monotonic()
        for segment in self.held:
            end = segment.committed_end
            if segment.descriptor < 0 or end == segment.check_end:
                continue
            if safe_due:
                self._write_slot(segment, _SAFE)
            while segment.check_end < end:
                size = min(end - segment.check_end, 1 << 20)
                records = os.pread(segment.descriptor, size, segment.check_end)
                if not records:
                    return
                segment.check_crc = zlib.crc32(records, segment.check_crc)
                segment.check_end += len(records)
            self._write_slot(segment, _LATEST)

    def sync(self) -> None:
        """Bring to disk what is written; OSError when the disk fails."""
        with self._checking() as is_ours:
            if not is_ours:
                return
            self._check()
            for segment in self.held:
                if segment.descriptor >= 0 and segment.synced_end < segment.check_end:
                    os.fdatasync(segment.descriptor)
                    self._write_slot(segment, _SAFE)
                    segment.synced_end = segment.check_end

    def close(self, *, keep_lock: bool = False) -> None:
        """Check all, cut what was preallocated and let go of the lock; the folder stays.

        Args:
            keep_lock: hold it until this process ends: nobody takes the journal in before.
        """
        self.closed = True
        with contextlib.suppress(OSError):
            self.check()
        current = self.current
        current.unmap()
        with contextlib.suppress(OSError):
            os.ftruncate(current.descriptor, current.committed_end)
            if self.durable:
                self.sync()
        if self._spare is not None:
            self._spare.close()
            self._spare.path.unlink(missing_ok=True)
            self._spare = None
        for segment in self.held:
            segment.close()
        if not keep_lock:
            self.release_lock()

    def remove(self) -> None:
        """Delete the folder; only after everything in it was acknowledged."""
        self.closed = True
        if self._spare is not None:
            self._spare.close()
        for segment in self.held:
            segment.close()
        with contextlib.suppress(OSError):
            folder = JournalFolder(self.folder)
            folder.remove(last=LOCK_FILE)
            folder.close()
        self.release_lock()

    def release_lock(self) -> None:
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    # ------------------------------------------------------------------ inside

    def _make(self, folder: Path) -> MappedSegment:
        self._made_count += 1
        path = folder / f"spare-{self._made_count}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660)
        try:
            # Allocated for real: a full disk is an error here, not a SIGBUS in `log`.
            os.posix_fallocate(descriptor, 0, self.segment_bytes)
            os.pwrite(descriptor, pack_page(NO_BASE), 0)
            return MappedSegment(path, descriptor, self.segment_bytes)
        except (OSError, ValueError) as error:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise
            raise OSError(errno.ENODEV, str(error)) from error

    def _set_base(self, segment: MappedSegment, base: int) -> None:
        words = segment.words
        assert words is not None
        words[ACKED_WORD], words[ACKED_COPY_WORD] = self.acked, acked_copy(self.acked)
        words[NEXT_WORD] = 0
        words[BASE_AT // 8] = base
        segment.base = base

    def _discard(self, segment: MappedSegment) -> None:
        """Let go of a segment that was not needed; its file may have been replaced already."""
        segment.close()
        with contextlib.suppress(OSError):
            if segment.path.name.startswith("spare-"):
                segment.path.unlink(missing_ok=True)

    def _free(self) -> None:
        acked = self.acked
        while len(self.held) > 1 and self.held[0].limit <= acked:
            # Noted first: a journal that begins beyond its ack is one that lost a file.
            self._write_acked()
            segment = self.held[0]
            with self._held_lock:
                self.held = self.held[1:]
            if self._spare is None:
                with contextlib.suppress(OSError):
                    self._spare = self._recycle(segment)
                    continue
            segment.close()
            segment.path.unlink(missing_ok=True)
        for segment in self.held[:-1]:
            segment.unmap()

    def _recycle(self, segment: MappedSegment) -> MappedSegment:
        """Turn a freed segment into a spare one: its blocks are allocated already."""
        self._made_count += 1
        path = self.folder / f"spare-{self._made_count}"
        segment.path.rename(path)  # First: under its old name it would look damaged.
        segment.unmap()
        os.pwrite(segment.descriptor, pack_page(NO_BASE), 0)
        return MappedSegment(path, segment.descriptor, segment.size)

    def _write_acked(self) -> None:
        words = self.current.words
        if words is not None and words[ACKED_WORD] < self.acked:  # A relay writes there as well.
            words[ACKED_WORD], words[ACKED_COPY_WORD] = self.acked, acked_copy(self.acked)

    def _write_slot(self, segment: MappedSegment, slot: int) -> None:
        packed = pack_checked(segment.check_end, segment.check_crc)
        os.pwrite(segment.descriptor, packed, checked_slot_at(slot))
