"""Frames of a given size."""

import random

from stepwell_wire.records import HEADER, HEADER_BYTES, PADDING_SCHEMA


def padding() -> bytes:
    """Bytes that mean nothing and do not compress, to fill segments quickly."""
    body = random.Random(5).randbytes(8192)
    return HEADER.pack(PADDING_SCHEMA, HEADER_BYTES + len(body), 0, 0) + body
