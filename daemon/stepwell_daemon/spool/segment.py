"""Segments: the files of the spool.

    segment := page | record*           NNNNNNNNNNNNNNNN.seg, numbered 1, 2, 3 …
    page    := magic[8] | version u32 | crc u32 | spool u64 | number u64 | previous_end u64
               | created u64 | zeros to 4096

``previous_end`` is the end of the previous segment: after a failed sync it gives the valid length
of the predecessor. The CRC covers the 32 bytes after it. A later version covers the same bytes and
seeds the CRC with its number, so that a flipped bit does not look like a later version.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from stepwell_daemon import failpoints
from stepwell_daemon.errors import NewerSpoolError
from stepwell_daemon.spool.disk import Disk, write_halting
from stepwell_store.tables import BLOCK_LAYOUT

PAGE_BYTES: Final = 4096
VERSION: Final = 1
SUFFIX: Final = ".seg"
_DIGITS: Final = 16
_MAGIC: Final = b"SWSPOOL\n"
_PAGE: Final = struct.Struct("<8sIIQQQQ")
_COVERED: Final = struct.Struct("<QQQQ")


class NewerVersionError(Exception):
    """A segment of a version that this release does not read."""


class Location(NamedTuple):
    """A place in the spool."""

    segment: int
    offset: int


class Progress(NamedTuple):
    """Records before ``cursor`` are stored; those up to ``extent_end`` are being stored.

    ``layout`` is the ``BLOCK_LAYOUT`` by which the extent was first cut into blocks.
    """

    cursor: Location
    extent_end: int = 0
    layout: int = BLOCK_LAYOUT


@dataclass(frozen=True, slots=True)
class SegmentPage:
    spool: int
    number: int
    previous_end: int
    created_us: int

    @property
    def seed(self) -> int:
        """The seed of the CRCs of this segment's records."""
        return zlib.crc32(struct.pack("<QQ", self.spool, self.number))

    def pack(self) -> bytes:
        covered = _COVERED.pack(self.spool, self.number, self.previous_end, self.created_us)
        page = struct.pack("<8sII", _MAGIC, VERSION, zlib.crc32(covered)) + covered
        return page.ljust(PAGE_BYTES, b"\0")

    @classmethod
    def unpack(cls, page: bytes) -> Self | None:
        """Return the fields of ``page``, None if it is damaged.

        Raises:
            NewerVersionError: A later release wrote it.
        """
        if len(page) < _PAGE.size:
            return None
        magic, version, crc, spool, number, previous_end, created_us = _PAGE.unpack_from(page)
        covered = _COVERED.pack(spool, number, previous_end, created_us)
        if magic != _MAGIC:
            return None
        if version > VERSION and zlib.crc32(covered, version) == crc:
            raise NewerVersionError(version)
        if version != VERSION or zlib.crc32(covered) != crc:
            return None
        return cls(spool, number, previous_end, created_us)


def seed_of(spool: int, number: int) -> int:
    return SegmentPage(spool, number, 0, 0).seed


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:0{_DIGITS}d}{SUFFIX}"


def list_segments(folder: Path) -> list[int]:
    """Return the numbers of the segments in ``folder``, oldest first."""
    return sorted(
        int(path.stem)
        for path in folder.glob(f"*{SUFFIX}")
        if len(path.stem) == _DIGITS and path.stem.isascii() and path.stem.isdigit()
    )


def missing_segments(
    present: Iterable[int], progress: Progress | None, covers: Location
) -> list[range]:
    """Return the numbers of missing segments, in runs, oldest first.

    Args:
        progress: segments before its cursor are stored, and may be deleted; None if unknown.
        covers: the end of the spool that the table of writers covers.
    """
    held = set(present)
    known = {*held, covers.segment if covers.offset > PAGE_BYTES else 0}
    if progress is None:
        first = min(held, default=covers.segment + 1)
    else:
        first = progress.cursor.segment
        if progress.extent_end or progress.cursor.offset > PAGE_BYTES:
            known.add(first)
    runs: list[range] = []
    for number in range(first, max(known) + 1):
        if number in held:
            continue
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs


def and_more(run: range) -> str:
    """Return the number of further segments in ``run`` as a text for a message; "" for none."""
    return f" and the {len(run) - 1} after it" if len(run) > 1 else ""


def create_segment(
    disk: Disk, folder: Path, page: SegmentPage, size: int, content: bytes = b""
) -> int:
    """Create a segment that begins with the records ``content``; return its descriptor.

    It gets its name only when page and content are on disk. So its ``previous_end`` and the records
    that replace its predecessor's tail become valid at the same moment.
    """
    path = segment_path(folder, page.number)
    temporary = path.with_suffix(".tmp")
    descriptor = disk.create(temporary, max(size, PAGE_BYTES + len(content)))
    try:
        failpoints.hit("segment.created")
        write_halting(disk, descriptor, page.pack() + content, 0, "segment.mid-write")
        failpoints.hit("segment.written")
        disk.sync(descriptor)
        failpoints.hit("segment.synced")
        disk.rename(temporary, path)
        failpoints.hit("segment.renamed")
        disk.sync_folder(folder)
        failpoints.hit("segment.durable")
    except BaseException:
        disk.close(descriptor)
        raise
    return descriptor


def read_page(disk: Disk, path: Path) -> SegmentPage | None:
    descriptor = disk.open_to_read(path)
    try:
        return SegmentPage.unpack(disk.read(descriptor, PAGE_BYTES, 0))
    except NewerVersionError as error:
        raise NewerSpoolError(path, int(error.args[0]), VERSION) from None
    finally:
        disk.close(descriptor)
