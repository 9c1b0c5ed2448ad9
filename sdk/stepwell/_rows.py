"""Content of records: schemas of rows, and parts of large events.

No I/O and no state of the journal here.
"""

import struct
from collections.abc import Mapping
from typing import Any

from stepwell_wire.limits import EVENT_BYTES_MAX


class Schema:
    """Ordered metric names with an id, and how a row of them is packed."""

    __slots__ = ("home", "id", "keys", "last", "pack", "size", "special")

    def __init__(self, number: int, keys: tuple[str, ...], home: Any, *, special: bool) -> None:
        packer = struct.Struct(f"<IIqq{len(keys)}d")
        self.id = number
        self.keys = keys
        self.size = packer.size
        self.pack = packer.pack
        self.home = home  # The mapping of the segment that holds its definition.
        self.special = special  # The values need more work than storing.
        self.last = 0  # Offset of its last row in the current segment, 0 for none.


def cut_into_parts(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Split ``values`` into parts that are each below the size limit of an event."""
    room = EVENT_BYTES_MAX // 2
    parts: list[dict[str, Any]] = []
    size = room + 1
    for name, value in values.items():
        need = len(name) * 4 + _size_of(value)
        if size + need > room:
            parts.append({})
            size = 0
        parts[-1][name] = value
        size += need
    return parts


def _size_of(value: Any) -> int:
    """Return an upper estimate of the bytes of ``value`` in msgpack."""
    if isinstance(value, str):
        return len(value) * 4 + 8
    if isinstance(value, Mapping):
        return 8 + sum(_size_of(key) + _size_of(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return 8 + sum(_size_of(item) for item in value)
    return 16
