"""Journals: what one writer leaves on disk, and how others read it.

One folder a writer: `writer.json` (who writes), `lock` (held with flock while it lives) and
segments (see `segment.py`) named by the position of their first record, in 20 decimal digits.
Segments follow each other without a hole. A file named `spare-…` belongs to the writer alone.

What cannot be believed, after a restart of the machine or damage, is quarantined, never deleted.
"""

import bisect
import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stepwell_wire.errors import MalformedRecordsError, WireError
from stepwell_wire.exit_note import Ending, read_ending
from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal_files import (
    LOCK_FILE,
    UNVERIFIED_SUFFIX,
    WRITER_FILE,
    WriterFile,
    has_restarted,
)
from stepwell_wire.records import HEADER, HEADER_BYTES, aligned, check_header
from stepwell_wire.segment import (
    BASE_AT,
    PAGE_BYTES,
    SEGMENT_SUFFIX,
    SegmentEnd,
    checked_end,
    definitions,
    pack_acked,
    segment_base,
    segment_end,
    segment_name,
    whole_records,
)

NOTHING_LEFT: Final = "and so nothing to repair; remove the folder"


class JournalError(WireError):
    """A journal that cannot be read, with what is wrong, where, and what to do."""


def _no_journal(path: Path, *, has_records: bool = False) -> JournalError:
    if has_records:
        return JournalError(f"{path}: {nobodys_text(path)}")
    return JournalError(f"{path}: no {WRITER_FILE}; this is no journal of stepwell")


def _whose_hint(path: Path) -> str:
    return f"`stepwell journal repair {path} --unverified --project … --run …`"


def nobodys_text(path: Path) -> str:
    """Return what is wrong with a folder of records that do not say whose they are."""
    return f"it holds records and no {WRITER_FILE}: {_whose_hint(path)} says whose they are"


class _OpenSegment:
    """An open segment, and where it ends."""

    __slots__ = ("base", "descriptor", "found", "path")

    def __init__(self, base: int, path: Path, descriptor: int) -> None:
        self.base, self.path, self.descriptor = base, path, descriptor
        self.found = SegmentEnd()

    def look(self, *, restarted: bool, following: int | None = None) -> None:
        """Take in how far the writer has come."""
        page, size = self.read(PAGE_BYTES, 0), os.fstat(self.descriptor).st_size
        self.found = segment_end(
            page, self.base, size, self.read, restarted=restarted, following=following
        )

    def read(self, size: int, offset: int) -> bytes:
        return os.pread(self.descriptor, size, offset)

    def changed(self) -> tuple[int, int]:
        """Return from where to where the records are not what a checksum says; reads them all."""
        checked = checked_end(self.read(PAGE_BYTES, 0), self.read)
        return checked, max(checked, self.found.promised)

    @property
    def end(self) -> int:
        return self.found.end

    @property
    def limit(self) -> int:
        """The position just past the last record."""
        return self.base + self.found.end - PAGE_BYTES


class JournalReader:
    """Reads a writer's folder, of a live writer or a dead one.

    Args:
        check: looks at the open folder first; what it raises ends the attempt.

    Attributes:
        info: who writes.
        unverified_bytes: what lies beyond the last byte that can be believed.
    """

    def __init__(self, path: Path, *, check: Callable[[JournalFolder], None] | None = None) -> None:
        self.path = Path(path)
        try:
            self._folder = JournalFolder(self.path)
        except FileNotFoundError as error:
            raise _no_journal(self.path) from error
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror}") from error
        try:
            if check is not None:
                check(self._folder)
            self.info = self._read_info()
        except BaseException:
            self._folder.close()
            raise
        self._restarted = has_restarted(self.info)
        self._lock_descriptor: int | None = None
        self._severed = ""
        self._segments: list[_OpenSegment] = []
        self._acked = 0
        self.unverified_bytes = 0
        try:
            self._scan()
        except BaseException:
            self.close()
            raise

    @property
    def folder(self) -> JournalFolder:
        """The open folder, until the reader is closed."""
        return self._folder

    def _read_info(self) -> WriterFile:
        try:
            with open(self._folder.open(WRITER_FILE, os.O_RDONLY), encoding="utf-8") as file:
                return WriterFile.from_json(file.read())
        except FileNotFoundError as error:
            has_records = any(name.endswith(SEGMENT_SUFFIX) for name in self._folder.names())
            raise _no_journal(self.path, has_records=has_records) from error
        except (OSError, ValueError) as error:
            raise JournalError(
                f"{self.path / WRITER_FILE}: {error}; what is held cannot be assigned to a run: "
                f"{_whose_hint(self.path)} says whose it is, or move the folder away"
            ) from error

    # ------------------------------------------------------------------ who holds it

    def writer_is_alive(self) -> bool:
        """Return whether another process holds the journal: its writer or a recoverer."""
        if self._lock_descriptor is not None:
            return False
        if not self.take_lock():
            return True
        self.release_lock()
        return False

    def take_lock(self) -> bool:
        """Become the journal's only reader; False when its writer or another one holds it."""
        if self._lock_descriptor is not None:
            return True
        try:
            descriptor = self._folder.open_lock(LOCK_FILE)
        except FileNotFoundError:
            return False  # The folder has gone: its writer or another recoverer was quicker.
        except OSError as error:
            raise JournalError(f"{self.path / LOCK_FILE}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock_descriptor = descriptor
        return True

    def release_lock(self) -> None:
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    # ------------------------------------------------------------------ what is held

    def noted_ending(self) -> Ending | None:
        """Return how the dead writer ended, as its exit note says; None without one."""
        return read_ending(self._folder)

    @property
    def oldest(self) -> int:
        """The oldest position still held."""
        return self._segments[0].base if self._segments else self._acked

    @property
    def committed(self) -> int:
        """The position just past the last record that can be believed; looks anew at each call."""
        self._scan()
        return self._segments[-1].limit if self._segments else self._acked

    @property
    def acked(self) -> int:
        """The position up to which the writer or a recoverer was told that all is durable."""
        return self._acked

    def damage(self, had: int = 0) -> str:
        """Return what of a dead writer's journal is gone or was changed, "" where all is whole.

        Reads every record that has a checksum. After a restart of the machine nobody knows: the
        disk may hold older numbers, and what does not hold is in doubt instead.

        Args:
            had: the position up to which somebody has everything, whatever was acknowledged.

        Raises:
            OSError: It cannot be read.
        """
        self._scan()  # The writer may have gone on since, and died.
        if self._restarted:
            return ""
        had = max(had, self._acked)
        found = self._missing(had) or self._changed(had)
        return "" if self._is_gone() else found

    def _is_gone(self) -> bool:
        """Return whether the folder was removed, or hidden to be, by somebody who has it all."""
        with contextlib.suppress(OSError):
            found = os.stat(self.path, follow_symlinks=False)
            return not os.path.samestat(found, os.fstat(self._folder.descriptor))
        return True

    def _missing(self, had: int) -> str:
        if self._severed:
            return self._severed
        if not self._segments:
            return f"{self.path}: no segment is left, {NOTHING_LEFT}"
        if self.oldest > had:
            return (
                f"{self.path}: {self.oldest - had} bytes before {self._segments[0].path} are gone "
                "and were never acknowledged; a file is missing"
            )
        last = self._segments[-1]
        cut_bytes = last.found.cut_bytes
        if last.limit + cut_bytes > max(last.limit, had):
            return (
                f"{last.path}: {last.end} bytes, {last.end + cut_bytes} were written; the "
                "file was cut by something else than stepwell"
            )
        if last.found.is_wrong:
            return f"{last.path}: its page says an end that cannot be"
        if last.found.is_followed:
            return (
                f"{self.path}: {segment_name(last.limit)} is gone, which followed "
                f"{last.path.name}; a file is missing"
            )
        return ""

    def _changed(self, had: int) -> str:
        for segment in self._segments:
            start, end = segment.changed()
            if segment.base + max(segment.end, end) - PAGE_BYTES <= had:
                continue
            if end > start:
                return (
                    f"{segment.path}: what lies at {start} to {end} is not what its checksum says; "
                    "something changed it"
                )
        return ""

    def read(self, position: int, bytes_max: int) -> bytes:
        """Return whole records from ``position`` on, from one segment; ``b""`` at the end.

        At most ``bytes_max``, but at least one record, however large.

        Raises:
            JournalError: ``position`` is older than what is held, or the bytes there are no
                records.
        """
        if position < self.oldest:
            raise JournalError(
                f"{self.path}: position {position} is gone, the oldest held is {self.oldest}"
            )
        segment = self._segment_of(position)
        if segment is None:
            self._scan()
            segment = self._segment_of(position)
        if segment is None:
            return b""
        offset = position - segment.base + PAGE_BYTES
        available = segment.end - offset
        if available <= bytes_max:
            return self._bytes(segment, offset, available)
        chunk = self._bytes(segment, offset, min(available, max(bytes_max, HEADER_BYTES)))
        end = whole_records(chunk)
        if end == 0:
            if available < HEADER_BYTES:
                raise JournalError(
                    f"{segment.path}: offset {offset}: {available} bytes are left, expected a "
                    f"record of at least {HEADER_BYTES}"
                )
            schema, size, _, _ = HEADER.unpack_from(chunk)
            try:
                check_header(schema, size, 0, available)
            except MalformedRecordsError as error:
                raise JournalError(f"{segment.path}: offset {offset}: {error}") from error
            return self._bytes(segment, offset, aligned(size))
        return chunk[:end]

    def schemas(self) -> dict[int, tuple[str, ...]]:
        """Return every schema that is defined in what is held."""
        self._scan()
        found: dict[int, tuple[str, ...]] = {}
        for segment in self._segments:
            found |= definitions(self._bytes(segment, PAGE_BYTES, segment.end - PAGE_BYTES))
        return found

    # ------------------------------------------------------------------ what a recoverer writes

    def mark_acked(self, position: int) -> None:
        """Note on disk that all before ``position`` is durable elsewhere; frees nothing."""
        if position <= self._acked:
            return
        self._acked = position
        if self._segments:
            last = self._segments[-1]
            try:
                for at, word in pack_acked(position):
                    os.pwrite(last.descriptor, word, at)
            except OSError as error:
                raise JournalError(f"{last.path}: {error.strerror}") from error

    def remove(self) -> None:
        """Delete the folder of a dead writer of which everything believed is acknowledged.

        What is not believed stays under names that end in ``.unverified``.

        Raises:
            JournalError: The writer lives, or something is not acknowledged.
        """
        if self.writer_is_alive():
            raise JournalError(f"{self.path}: its writer still runs; nothing was removed")
        if self.acked < self.committed:
            raise JournalError(
                f"{self.path}: {self.committed - self.acked} bytes are not acknowledged; "
                "nothing was removed"
            )
        if not self.unverified_bytes:
            self._folder.remove(last=LOCK_FILE)
            self.close()
            return
        for name in sorted(self._folder.names()):
            file = self.path / name
            if name == WRITER_FILE or (name.endswith(SEGMENT_SUFFIX) and self._is_doubtful(file)):
                self._folder.rename(name, name + UNVERIFIED_SUFFIX)
            elif not name.endswith(UNVERIFIED_SUFFIX):
                self._folder.unlink(name)
        self.close()

    def close(self) -> None:
        """Release files and lock; safe to call twice."""
        for segment in self._segments:
            os.close(segment.descriptor)
        self._segments = []
        self.release_lock()
        self._folder.close()

    # ------------------------------------------------------------------ inside

    def _is_doubtful(self, file: Path) -> bool:
        held = next((each for each in self._segments if each.path == file), None)
        return held is None or held.found.claimed > held.end

    def _segment_of(self, position: int) -> _OpenSegment | None:
        index = bisect.bisect_right(self._segments, position, key=lambda each: each.base) - 1
        if index < 0:
            return None
        segment = self._segments[index]
        return segment if position < segment.limit else None

    def _bytes(self, segment: _OpenSegment, offset: int, size: int) -> bytes:
        try:
            read = os.pread(segment.descriptor, size, offset)
            base = int.from_bytes(os.pread(segment.descriptor, 8, BASE_AT), "little")
        except OSError as error:
            raise JournalError(f"{segment.path}: {error.strerror}") from error
        if base != segment.base:
            raise JournalError(f"{segment.path}: its writer freed it while it was read; try again")
        if len(read) != size:
            raise JournalError(
                f"{segment.path}: {offset + len(read)} bytes, expected {offset + size}; "
                "the file was cut by something else than stepwell"
            )
        return read

    def _scan(self) -> None:
        """Bring the list of segments up to date."""
        known = {each.base: each for each in self._segments}
        fresh: list[_OpenSegment] = []
        doubtful = 0
        self._severed = ""
        for path in self._segment_paths():
            base = int(path.stem)
            segment = known.pop(base, None)
            if segment is None or not self._is_same(segment):
                if segment is not None:
                    os.close(segment.descriptor)
                segment = self._open(path, base)
                if segment is None:
                    with contextlib.suppress(OSError):
                        doubtful += max(0, self._folder.size_of(path.name) - PAGE_BYTES)
                        self._sever(f"{path}: its first page is none of a segment")
                    continue
            elif not self._restarted:
                segment.look(restarted=False)
            # One that holds nothing may be what its writer gave up, and wrote on before it.
            is_empty = segment.found.is_empty
            if fresh and not self._restarted and (base > fresh[-1].limit or not is_empty):
                fresh[-1].look(restarted=False, following=base)
            if len(fresh) == 1 and fresh[0].found.is_empty and fresh[0].limit != base:
                os.close(fresh.pop().descriptor)  # What it was given up for has been freed.
            if fresh and fresh[-1].limit != base:
                # A hole: what lies behind it cannot be joined to what lies before.
                limit = fresh[-1].limit
                if not is_empty or base > limit:
                    self._sever(
                        f"{path}: begins at {base}, and {fresh[-1].path.name} ends at {limit}; "
                        "a file is missing or was changed"
                    )
                doubtful += segment.found.claimed - PAGE_BYTES
                os.close(segment.descriptor)
                continue
            doubtful += segment.found.claimed - segment.end
            fresh.append(segment)
        for gone in known.values():
            os.close(gone.descriptor)
        self._segments = fresh
        self.unverified_bytes = max(doubtful, 0)

    def _sever(self, what: str) -> None:
        self._severed = self._severed or what

    def _is_same(self, segment: _OpenSegment) -> bool:
        with contextlib.suppress(OSError):
            return (
                int.from_bytes(os.pread(segment.descriptor, 8, BASE_AT), "little") == segment.base
            )
        return False

    def _segment_paths(self) -> list[Path]:
        try:
            names = self._folder.names()
        except OSError:
            return []  # Removed by its writer after the last ack: nothing is held any more.
        return [self.path / name for name in sorted(names) if segment_base(name) is not None]

    def _open(self, path: Path, base: int) -> _OpenSegment | None:
        """Return the segment, or None when its page is not one of segment ``base``."""
        try:
            try:
                descriptor = self._folder.open(path.name, os.O_RDWR)
            except PermissionError:
                descriptor = self._folder.open(path.name, os.O_RDONLY)
        except FileNotFoundError:
            return None  # Freed since the folder was listed.
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from error
        segment = _OpenSegment(base, path, descriptor)
        segment.look(restarted=self._restarted)
        if not segment.found.has_page:
            os.close(descriptor)
            return None
        self._acked = max(self._acked, segment.found.acked)
        return segment
