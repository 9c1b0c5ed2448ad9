"""Packed rows."""

import struct

from stepwell_wire.records import HEADER


def pack_row(schema: int, step: int, time_us: int, values: list[float]) -> bytes:
    size = HEADER.size + 8 * len(values)
    return HEADER.pack(schema, size, step, time_us) + struct.pack(f"<{len(values)}d", *values)
