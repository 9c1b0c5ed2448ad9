"""The small durable facts beside the segments: forward cursor and writers' high-water marks."""

import json
import logging
import struct
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from stepwell_daemon.spool.disk import Disk

logger = logging.getLogger("stepwell_daemon")

_SLOT: Final = struct.Struct("<8sQQQQ")
_SLOT_BYTES: Final = 512  # a disk sector each: a torn write spoils one slot only
_MAGIC: Final = b"SWCURS01"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the forwarder got.

    Attributes:
        segment, offset: everything before is in the store.
        extent_end: while inserts are under way, the offset in the same segment where the
            extent that they were cut from ends; 0 when none is. After a crash the very same
            extent is sent again.
    """

    segment: int
    offset: int
    extent_end: int = 0


class CursorFile:
    """Two slots written in turn, each with a checksum; the newer good one counts."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        self._turn = 0
        self._last: Cursor | None = None
        if not path.exists():
            disk.replace(path, bytes(2 * _SLOT_BYTES))
        self._fd = disk.open(path, write=True)
        data = disk.read(self._fd, 2 * _SLOT_BYTES, 0)
        for slot in (0, 1):
            found = _read_slot(data[slot * _SLOT_BYTES : slot * _SLOT_BYTES + _SLOT.size + 4])
            if found is not None and found[0] > self._turn:
                self._turn, self._last = found

    def read(self) -> Cursor | None:
        return self._last

    def write(self, cursor: Cursor) -> None:
        """Store ``cursor`` durably; returns after the sync."""
        turn = self._turn + 1
        body = _SLOT.pack(_MAGIC, turn, cursor.segment, cursor.offset, cursor.extent_end)
        slot = (body + struct.pack("<I", zlib.crc32(body))).ljust(_SLOT_BYTES, b"\0")
        self._disk.write(self._fd, [slot], (turn & 1) * _SLOT_BYTES)
        self._disk.sync(self._fd)
        self._turn, self._last = turn, cursor

    def close(self) -> None:
        if self._fd >= 0:
            self._disk.close(self._fd)
            self._fd = -1


def _read_slot(slot: bytes) -> tuple[int, Cursor] | None:
    if len(slot) < _SLOT.size + 4:
        return None
    magic, turn, segment, offset, extent_end = _SLOT.unpack_from(slot)
    (crc,) = struct.unpack_from("<I", slot, _SLOT.size)
    if magic != _MAGIC or crc != zlib.crc32(slot[: _SLOT.size]):
        return None
    return turn, Cursor(segment, offset, extent_end)


@dataclass(slots=True)
class KnownWriter:
    """What is remembered of a writer when its segments are gone."""

    project: str
    run_id: str
    writer_id: str
    label: str
    scope: str
    host: str
    pid: int
    journal_dir: str
    high_water: int
    finished: bool
    seen_at: float  # seconds since 1970


def read_writers(path: Path) -> dict[str, KnownWriter]:
    """Return the writers table; an unreadable one is set aside and counts as empty."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        return {fields["writer_id"]: KnownWriter(**fields) for fields in document["writers"]}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        aside = path.with_name(path.name + ".damaged")
        path.rename(aside)
        logger.error("writers table damaged, set aside path=%s error=%s", aside, error)
        return {}


def write_writers(path: Path, writers: dict[str, KnownWriter], disk: Disk) -> None:
    document = {"version": 1, "writers": [asdict(writer) for writer in writers.values()]}
    disk.replace(path, json.dumps(document).encode())
