"""The writers table: high-water marks beside the spool, for writers whose segments are deleted.

    file := magic[8] | crc u32 | msgpack {"segment", "offset", "writers": [{…}, …]}

``segment`` and ``offset`` are the end of the part that the marks cover; the rest is read from the
spool itself. The whole table is written before any segment is freed.
"""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgpack

from stepwell_daemon.errors import DamagedStateError
from stepwell_daemon.spool.disk import Disk, replace_file
from stepwell_daemon.spool.segment import Location
from stepwell_daemon.writer_packing import Mark, marks_of, pack_states, unpack_states
from stepwell_daemon.writer_state import WriterState

FILE: Final = "writers.tbl"
_MAGIC: Final = b"SWWRTRS\n"
_HEAD: Final = struct.Struct("<8sI")


def save_writers(
    folder: Path,
    states: Iterable[WriterState],
    covers: Location,
    *,
    now: float,
    disk: Disk | None = None,
) -> None:
    write_table(folder, pack_table(marks_of(states), covers, now=now), disk=disk)


def pack_table(marks: Iterable[Mark], covers: Location, *, now: float) -> bytes:
    content: bytes = msgpack.packb(
        {
            "segment": covers.segment,
            "offset": covers.offset,
            "writers": pack_states(marks, now=now),
        }
    )
    return _HEAD.pack(_MAGIC, zlib.crc32(content)) + content


def write_table(folder: Path, packed: bytes, *, disk: Disk | None = None) -> None:
    replace_file(disk or Disk(), folder / FILE, packed)


def load_writers(folder: Path) -> tuple[dict[int, WriterState], Location]:
    """Return the writers and the end of the part of the spool that their marks cover; empty without
    a table.

    Raises:
        DamagedStateError: The file exists and is damaged.
    """
    path = folder / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}, Location(0, 0)
    damaged = DamagedStateError(
        path,
        "the table of writers is damaged; it is quarantined, and high-water marks come from the "
        "segments alone",
    )
    if len(data) < _HEAD.size:
        raise damaged
    magic, crc = _HEAD.unpack_from(data)
    content = data[_HEAD.size :]
    if magic != _MAGIC or zlib.crc32(content) != crc:
        raise damaged
    try:
        held = msgpack.unpackb(content)
        return unpack_states(held["writers"]), Location(held["segment"], held["offset"])
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged from error
