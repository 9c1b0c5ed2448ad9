"""The cursor file: the place that the forwarder has reached, and the extent that it is sending.

    file := slot | slot                 each in a block of 4096 bytes of its own
    slot := magic[8] | crc u32 | layout u16 | layout's complement u16 | generation u64
            | segment u64 | offset u64 | extent_end u64

Writes go to the two slots in turn, each synced: after a torn write the other slot has the previous
state. A slot contains its data twice, 2048 bytes apart, so that one flipped bit does no harm:
without the copy the other slot would name an older extent. ``extent_end`` is an offset in the
cursor's segment; 0 means that no extent is being sent. ``layout`` is the layout of the extent's
blocks; releases with the first layout wrote 0 for it and its complement. The CRC covers the fields
after these two.
"""

import struct
import zlib
from pathlib import Path
from typing import Final

from stepwell_daemon import failpoints
from stepwell_daemon.errors import DamagedStateError
from stepwell_daemon.spool.disk import Disk, write_halting
from stepwell_daemon.spool.segment import Location, Progress

_SLOT: Final = struct.Struct("<8sIHHQQQQ")
_MAGIC: Final = b"SWCURSR\n"
_SLOT_BYTES: Final = 4096
_COPY_AT: Final = 2048
_COVERED_FROM: Final = 16
_FIRST_LAYOUT: Final = 1
_COMPLEMENT: Final = 0xFFFF
_PLACES: Final = (0, _COPY_AT, _SLOT_BYTES, _SLOT_BYTES + _COPY_AT)


class CursorFile:
    """Stores one Progress durably. One caller at a time."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self._disk = disk or Disk()
        self.path = path
        self._generation = 0
        self._descriptor = -1

    def open(self, default: Progress) -> Progress:
        """Return the last saved state; ``default`` if there is none.

        Raises:
            DamagedStateError: The file exists and neither slot is valid.
        """
        if not self.path.exists():
            self._create(default)
            return default
        self._descriptor = self._disk.open_to_write(self.path)
        found = [slot for place in _PLACES if (slot := self._read(place))]
        if not found:
            self.close()
            raise DamagedStateError(
                self.path,
                "both slots are damaged, so the stored position is unknown; the file is "
                "quarantined and the whole spool is sent again",
            )
        self._generation, progress = max(found)
        try:
            # A killed daemon may have left it in memory only. It must be durable before its
            # effects are.
            self._disk.sync(self._descriptor)
        except OSError:
            self.close()
            self._create(progress)
        return progress

    def quarantine(self) -> Path:
        """Rename a damaged file; return its new path."""
        target = self.path.with_name(f"{self.path.name}.damaged")
        self._disk.rename(self.path, target)
        return target

    def save(self, progress: Progress) -> None:
        """Make ``progress`` durable.

        Raises:
            OSError: It may or may not be durable; the caller keeps the previous one and retries.
        """
        if self._descriptor < 0:
            # The last save failed somewhere: only the content of the file is reliable now.
            self._create(progress)
            return
        generation = self._generation + 1
        try:
            slot = _pack(generation, progress)
            failpoints.hit("cursor.before-write")
            place = generation % 2 * _SLOT_BYTES
            write_halting(self._disk, self._descriptor, slot, place, "cursor.mid-write")
            failpoints.hit("cursor.written")
            self._disk.sync(self._descriptor)
            failpoints.hit("cursor.synced")
        except OSError:
            # Never sync a file again after a failed sync: create a new one next time.
            self.close()
            self._create(progress)
            return
        self._generation = generation

    def close(self) -> None:
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1

    def peek(self) -> Progress | None:
        """Return the last saved state without changing the file; None if there is none.

        Raises:
            DamagedStateError: The file exists and neither slot is valid.
        """
        try:
            self._descriptor = self._disk.open_to_read(self.path)
        except FileNotFoundError:
            return None
        try:
            found = [slot for place in _PLACES if (slot := self._read(place))]
        finally:
            self.close()
        if not found:
            raise DamagedStateError(self.path, "both slots are damaged")
        return max(found)[1]

    def _create(self, progress: Progress) -> None:
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        descriptor = self._disk.create(temporary, 2 * _SLOT_BYTES)
        try:
            generation = self._generation + 1
            slot = _pack(generation, progress)
            self._disk.write(descriptor, slot, generation % 2 * _SLOT_BYTES)
            self._disk.sync(descriptor)
            failpoints.hit("cursor.created")
            self._disk.rename(temporary, self.path)
            failpoints.hit("cursor.renamed")
            self._disk.sync_folder(self.path.parent)
        except BaseException:
            self._disk.close(descriptor)
            raise
        self._generation += 1
        self._descriptor = descriptor

    def _read(self, place: int) -> tuple[int, Progress] | None:
        data = self._disk.read(self._descriptor, _SLOT.size, place)
        if len(data) < _SLOT.size:
            return None
        magic, crc, layout, complement, generation, segment, offset, end = _SLOT.unpack(data)
        if magic != _MAGIC or zlib.crc32(data[_COVERED_FROM:]) != crc:
            return None
        if not layout and not complement:
            layout = _FIRST_LAYOUT
        elif layout ^ complement != _COMPLEMENT:
            return None
        return generation, Progress(Location(segment, offset), end, layout)


def _pack(generation: int, progress: Progress) -> bytes:
    (segment, offset), extent_end, layout = progress
    covered = struct.pack("<QQQQ", generation, segment, offset, extent_end)
    head = struct.pack("<8sIHH", _MAGIC, zlib.crc32(covered), layout, layout ^ _COMPLEMENT)
    slot = head + covered
    return slot.ljust(_COPY_AT, b"\0") + slot
