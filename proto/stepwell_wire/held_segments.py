"""The segments that a journal's reader holds open, and how far they are valid."""

import bisect
import contextlib
import os
from pathlib import Path
from typing import Final

from stepwell_wire.errors import JournalError
from stepwell_wire.folder import JournalFolder
from stepwell_wire.segment import (
    BASE_AT,
    PAGE_BYTES,
    SEGMENT_SUFFIX,
    SegmentEnd,
    checked_end,
    pack_acked,
    segment_base,
    segment_end,
    segment_name,
)

NO_SEGMENTS: Final = "the journal contains no data; remove the folder"


class OpenSegment:
    """An open segment, and where it ends."""

    __slots__ = ("base", "descriptor", "found", "path")

    def __init__(self, base: int, path: Path, descriptor: int) -> None:
        self.base, self.path, self.descriptor = base, path, descriptor
        self.found = SegmentEnd()

    def look(self, *, restarted: bool, following: int | None = None) -> None:
        """Read how far the writer has written."""
        page, size = self.read(PAGE_BYTES, 0), os.fstat(self.descriptor).st_size
        self.found = segment_end(
            page, self.base, size, self.read, restarted=restarted, following=following
        )

    def read(self, size: int, offset: int) -> bytes:
        return os.pread(self.descriptor, size, offset)

    def changed(self) -> tuple[int, int]:
        """Return the range of records that do not match their checksum; reads them all."""
        checked = checked_end(self.read(PAGE_BYTES, 0), self.read)
        return checked, max(checked, self.found.promised)

    @property
    def end(self) -> int:
        return self.found.end

    @property
    def limit(self) -> int:
        """The position just past the last record."""
        return self.base + self.found.end - PAGE_BYTES


class HeldSegments:
    """A folder's segments that follow each other without a missing range, oldest first.

    Args:
        restarted: whether the machine has restarted since they were written.

    Attributes:
        acked: the position up to which the writer or a recoverer got acks.
        unverified_bytes: number of bytes after the last valid one.
    """

    def __init__(self, path: Path, folder: JournalFolder, *, restarted: bool) -> None:
        self.path = path
        self.acked = 0
        self.unverified_bytes = 0
        self.segments: list[OpenSegment] = []
        self._folder = folder
        self._restarted = restarted
        self._unjoined = ""  # Why the segments after the last one cannot be joined to it.

    @property
    def oldest(self) -> int:
        """The oldest position still held."""
        return self.segments[0].base if self.segments else self.acked

    @property
    def limit(self) -> int:
        """The position just past the last valid record, as of the last look."""
        return self.segments[-1].limit if self.segments else self.acked

    def segment_of(self, position: int) -> OpenSegment | None:
        """Return the segment that holds ``position``; None if there is none."""
        index = bisect.bisect_right(self.segments, position, key=lambda each: each.base) - 1
        if index < 0:
            return None
        segment = self.segments[index]
        return segment if position < segment.limit else None

    def bytes_of(self, segment: OpenSegment, offset: int, size: int) -> bytes:
        """Return ``size`` bytes of ``segment`` from its file's ``offset`` on.

        Raises:
            JournalError: They cannot be read, or the file is now another segment.
        """
        try:
            read = os.pread(segment.descriptor, size, offset)
            base = int.from_bytes(os.pread(segment.descriptor, 8, BASE_AT), "little")
        except OSError as error:
            raise JournalError(f"{segment.path}: {error.strerror}") from error
        if base != segment.base:
            raise JournalError(
                f"{segment.path}: its writer freed this segment during the read; try again"
            )
        if len(read) != size:
            raise JournalError(
                f"{segment.path}: {offset + len(read)} bytes, expected {offset + size}; "
                "another program truncated the file"
            )
        return read

    def note_acked(self, position: int) -> None:
        """Write the acknowledged position into the last segment's page."""
        self.acked = position
        if not self.segments:
            return
        last = self.segments[-1]
        try:
            for at, word in pack_acked(position):
                os.pwrite(last.descriptor, word, at)
        except OSError as error:
            raise JournalError(f"{last.path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the files; safe to call twice."""
        for segment in self.segments:
            os.close(segment.descriptor)
        self.segments = []

    # ------------------------------------------------------------------ damage

    def missing(self, had: int) -> str:
        """Return a description of data missing from position ``had`` on, "" if none is."""
        if self._unjoined:
            return self._unjoined
        if not self.segments:
            return f"{self.path}: no segments: {NO_SEGMENTS}"
        if self.oldest > had:
            return (
                f"{self.path}: a segment file before {self.segments[0].path} is missing, "
                f"with {self.oldest - had} unacknowledged bytes"
            )
        last = self.segments[-1]
        cut_bytes = last.found.cut_bytes
        if last.limit + cut_bytes > max(last.limit, had):
            return (
                f"{last.path}: {last.end} bytes, expected {last.end + cut_bytes}; another "
                "program truncated the file"
            )
        if last.found.is_wrong:
            return f"{last.path}: the end offset in its page is invalid"
        if last.found.is_followed:
            return (
                f"{self.path}: segment {segment_name(last.limit)}, after {last.path.name}, "
                "is missing"
            )
        return ""

    def changed(self, had: int) -> str:
        """Return a description of changed records from position ``had`` on; checks all of them."""
        for segment in self.segments:
            start, end = segment.changed()
            if segment.base + max(segment.end, end) - PAGE_BYTES <= had:
                continue
            if end > start:
                return (
                    f"{segment.path}: the records at offset {start} to {end} do not match "
                    "their checksum; the file was changed"
                )
        return ""

    def is_doubtful(self, name: str) -> bool:
        """Return whether the file ``name`` is a segment with unverified data."""
        if not name.endswith(SEGMENT_SUFFIX):
            return False
        held = next((each for each in self.segments if each.path.name == name), None)
        return held is None or held.found.claimed > held.end

    # ------------------------------------------------------------------ what there is

    def look(self) -> None:
        """Bring the list of segments up to date."""
        known = {each.base: each for each in self.segments}
        fresh: list[OpenSegment] = []
        doubtful = 0
        self._unjoined = ""
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
                        self._note_unjoined(
                            f"{path}: invalid first page, expected the page of a segment"
                        )
                    continue
            elif not self._restarted:
                segment.look(restarted=False)
            # The writer may have given up an empty segment and continued in the one before it.
            is_empty = segment.found.is_empty
            if fresh and not self._restarted and (base > fresh[-1].limit or not is_empty):
                fresh[-1].look(restarted=False, following=base)
            if len(fresh) == 1 and fresh[0].found.is_empty and fresh[0].limit != base:
                os.close(fresh.pop().descriptor)  # The segment that replaced it has been freed.
            if fresh and fresh[-1].limit != base:
                # A missing range: the segments after it cannot be joined to those before it.
                limit = fresh[-1].limit
                if not is_empty or base > limit:
                    self._note_unjoined(
                        f"{path}: begins at position {base}, but {fresh[-1].path.name} ends "
                        f"at {limit}; a segment file between them is missing, or one of the "
                        "two was changed"
                    )
                doubtful += segment.found.claimed - PAGE_BYTES
                os.close(segment.descriptor)
                continue
            doubtful += segment.found.claimed - segment.end
            fresh.append(segment)
        for gone in known.values():
            os.close(gone.descriptor)
        self.segments = fresh
        self.unverified_bytes = max(doubtful, 0)

    def _note_unjoined(self, what: str) -> None:
        self._unjoined = self._unjoined or what

    def _is_same(self, segment: OpenSegment) -> bool:
        with contextlib.suppress(OSError):
            return (
                int.from_bytes(os.pread(segment.descriptor, 8, BASE_AT), "little") == segment.base
            )
        return False

    def _segment_paths(self) -> list[Path]:
        try:
            names = self._folder.names()
        except OSError:
            return []  # Its writer removed it after the last ack: it holds no segments any more.
        return [self.path / name for name in sorted(names) if segment_base(name) is not None]

    def _open(self, path: Path, base: int) -> OpenSegment | None:
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
        segment = OpenSegment(base, path, descriptor)
        segment.look(restarted=self._restarted)
        if not segment.found.has_page:
            os.close(descriptor)
            return None
        self.acked = max(self.acked, segment.found.acked)
        return segment
