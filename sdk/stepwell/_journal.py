"""The writer's side of the journal: segments made ahead, filled by `log`, freed after the ack.

`log` stores into the mapping of the current segment (see `_writer.py`). Everything that may
touch a disk happens here: only `advance` is called from `log`, and only to take the segment
that the sender's thread has prepared. The other methods belong to that thread.
"""

import contextlib
import fcntl
import os
import threading
from pathlib import Path

from stepwell._journal_checks import JournalChecks
from stepwell._mapped_segment import MappedSegment, make_segment
from stepwell._spare_segments import SpareSegments
from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal_files import LOCK_FILE, WRITER_FILE, WriterFile
from stepwell_wire.records import HEADER, aligned
from stepwell_wire.segment import (
    COMMITTED_WORD,
    NEXT_WORD,
    PAGE_BYTES,
    segment_name,
    whole_records,
)

_COPY_BYTES_MAX = 256 * 1024


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
        self._spares = SpareSegments(self.folder, segment_bytes)
        self._checks = JournalChecks(lambda: self.held, durable=durable)
        self._lock_descriptor = -1
        made = parent / f".{self.folder.name}"
        parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
        try:
            self._lock_descriptor = os.open(
                made / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660
            )
            fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (made / WRITER_FILE).touch(0o660)
            (made / WRITER_FILE).write_text(info.to_json())
            first = make_segment(made / segment_name(0), segment_bytes)
            first.begin_at(0, acked=0)
            made.rename(self.folder)
        except OSError:
            import shutil

            if self._lock_descriptor >= 0:
                os.close(self._lock_descriptor)
            shutil.rmtree(made, ignore_errors=True)
            raise
        first.path = self.folder / segment_name(0)
        # Oldest first; the last one is being filled.
        self.held: tuple[MappedSegment, ...] = (first,)

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
        """Make a fresh segment follow ``old``; False if there is no room for one.

        The caller must not write into ``old`` any more. If another segment is already the current
        one, nothing is done. ``problem`` is the disk's error, or None if the journal has its
        largest size.

        A signal handler may interrupt this and call it itself (see `_writer.py`): then the inner
        call's segment is used, and the outer call gives its own back.

        Args:
            beyond_limit: for the end of the run: also if the journal has its largest size, and a
                smaller segment if the disk has no room for a whole one.
        """
        if self.held[-1] is old and self.is_full and not beyond_limit:
            self.problem = None
            return False
        try:
            while self.held[-1] is old and not self.closed:
                segment = self._spares.take(is_last=beyond_limit)
                if segment is None:
                    self.problem = self._spares.problem
                    return self.held[-1] is not old
                self._let_follow(segment, old)
        except OSError as error:
            self.problem = error
            return self.held[-1] is not old
        self.problem = None
        return self.held[-1] is not old

    def _let_follow(self, segment: MappedSegment, old: MappedSegment) -> None:
        """Make ``segment`` the current one after ``old``, unless a handler changed it meanwhile."""
        words = old.words
        if words is None:  # Closed by a signal handler.
            self._spares.discard(segment)
            return
        committed = words[COMMITTED_WORD]
        base = old.base + committed - PAGE_BYTES
        segment.begin_at(base, acked=self.acked)
        source, target = str(segment.path), str(self.folder / segment_name(base))
        # No Python function is called between a check and what depends on it.
        if self.held[-1] is old and not self.closed:
            os.rename(source, target)
            with self._held_lock:
                if self.held[-1] is old and not self.closed and words[COMMITTED_WORD] == committed:
                    words[NEXT_WORD] = base
                    self.held = (*self.held, segment)
            if self.held[-1] is old:
                os.unlink(target)  # Its name would mean that ``old`` ends there.
            elif all(each.base != base for each in self.held):
                os.unlink(target)  # A handler's segment follows, at another place.
        if self.held[-1] is segment:
            segment.path = Path(target)
        else:
            self._spares.discard(segment)

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
                # Without a system call: each one hands the interpreter's lock to the training
                # loop, and taking it back costs both more than the copy.
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
        self.current.note_acked(position)

    def tend(self) -> None:
        """Free acknowledged segments, prepare the next one for `log`, extend the checksums."""
        self._free()
        current = self.current
        if current.committed_end > current.size // 4 and not self.is_full:
            self._spares.prepare()
        self._checks.tend()

    def check(self) -> None:
        """Extend the checksums to the new bytes, and note them in the segments."""
        self._checks.check()

    def sync(self) -> None:
        """Write everything to disk; OSError if the disk fails."""
        self._checks.sync()

    def close(self, *, keep_lock: bool = False) -> None:
        """Complete the checksums, cut the preallocated rest, release the lock; the folder stays.

        Args:
            keep_lock: hold it until this process ends: no other process imports the journal before.
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
        self._spares.close()
        for segment in self.held:
            segment.close()
        if not keep_lock:
            self.release_lock()

    def remove(self) -> None:
        """Delete the folder; only after everything in it was acknowledged."""
        self.closed = True
        self._spares.close()
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

    def _free(self) -> None:
        acked = self.acked
        while len(self.held) > 1 and self.held[0].limit <= acked:
            # Noted first: a journal that begins beyond its ack counts as one that lost a file.
            self.current.note_acked(acked)
            segment = self.held[0]
            with self._held_lock:
                self.held = self.held[1:]
            if not self._spares.is_ready and segment.size == self.segment_bytes:
                with contextlib.suppress(OSError):
                    self._spares.recycle(segment)
                    continue
            segment.close()
            segment.path.unlink(missing_ok=True)
        for segment in self.held[:-1]:
            segment.unmap()
