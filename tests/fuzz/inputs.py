"""How the fuzzer's bytes become a sequence of operations, and operations become bytes.

    input := entry*        entry := op u8 | size u16 | payload[size]

A size beyond the end means the rest, so that every input is valid.
"""

import struct
from collections.abc import Iterator
from typing import Final

from stepwell_wire.limits import SCHEMAS_PER_WRITER_MAX
from stepwell_wire.records import (
    CONFIG,
    CONSOLE,
    DEFINE_METRIC,
    FINISH,
    GAP,
    HEADER,
    HEADER_BYTES,
    METADATA,
    PADDING_SCHEMA,
    RUN,
    SCHEMA,
    START,
    SUMMARY,
    VALUES,
    aligned,
    pack_event,
)

KINDS: Final = (
    *(SCHEMA, START, RUN, CONFIG, SUMMARY, METADATA),
    *(DEFINE_METRIC, CONSOLE, VALUES, GAP, FINISH, "unknown"),
)
ENTRIES_MAX: Final = 256
_RECORDS_MAX: Final = 32
_HEAD: Final = struct.Struct("<BH")


def entry(op: int, payload: bytes = b"") -> bytes:
    return _HEAD.pack(op, len(payload)) + payload


def entries(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield ``(op, payload)``, at most ``ENTRIES_MAX``."""
    offset = count = 0
    while offset + _HEAD.size <= len(data) and count < ENTRIES_MAX:
        op, size = _HEAD.unpack_from(data, offset)
        offset += _HEAD.size
        yield op, data[offset : offset + size]
        offset += size
        count += 1


def number(payload: bytes, at: int, default: int = 0) -> int:
    return payload[at] if at < len(payload) else default


def keys_of(schema: int) -> tuple[str, ...]:
    """Return the names that ``made_records`` gives schema ``schema``."""
    return tuple(f"k{place}" for place in range(1 + schema % 3))


def made_records(payload: bytes) -> bytes:
    """Return well-made records, one for each three bytes of ``payload``, at most 32."""
    made = []
    for at in range(0, min(len(payload), 3 * _RECORDS_MAX) - 2, 3):
        what, which, step = payload[at : at + 3]
        schema = 1 + which % 6
        width = len(keys_of(schema))
        if what % 8 == 0:
            body = {"id": schema, "keys": list(keys_of(schema))}
            made.append(pack_event(SCHEMA, body, step=0, time_us=step))
        elif what % 8 == 1:
            made.append(HEADER.pack(PADDING_SCHEMA, HEADER_BYTES + 8, 0, 0) + bytes(8))
        elif what % 8 == 2:
            body = {"state": "finished", "exit_code": step}
            made.append(pack_event(FINISH, body, step=0, time_us=step))
        elif what % 8 == 3:
            body = {"values": {f"v{which}": step, "n": {"a": [step, None, "t"]}}}
            made.append(pack_event(VALUES, body, step=step, time_us=step))
        else:
            packed = struct.pack(f"<{width}d", *(step / (1 + each) for each in range(width)))
            row = HEADER.pack(schema, HEADER_BYTES + len(packed), step, 1000 + step) + packed
            made.append(row * (1 if what % 8 < 7 else 12))
    return b"".join(made)


def event_of(payload: bytes) -> bytes:
    """Return an event whose kind is known and whose body is what the fuzzer says."""
    import msgpack

    kind = KINDS[number(payload, 0) % len(KINDS)]
    body = b"\x92" + msgpack.packb(kind) + payload[1:]
    size = HEADER_BYTES + len(body)
    return (HEADER.pack(0, size, 1, 2) + body).ljust(aligned(size), b"\0")


def row_of(payload: bytes) -> bytes:
    """Return a record whose header's first fields and body are what the fuzzer says."""
    schema = int.from_bytes(payload[:4], "little") % (SCHEMAS_PER_WRITER_MAX + 2)
    body = payload[4:]
    size = HEADER_BYTES + len(body)
    return (HEADER.pack(schema, size, 3, 4) + body).ljust(aligned(size), b"\0")


_MADE: Final = (made_records, event_of, row_of, bytes)


def records_of(payload: bytes) -> bytes:
    """Return records of the kind that the first byte of ``payload`` names."""
    return _MADE[number(payload, 0) % len(_MADE)](payload[1:])


def seed_records() -> list[bytes]:
    """Return payloads for ``records_of`` that make something of every kind."""
    import msgpack

    bodies: tuple[tuple[str, object], ...] = (
        (START, {"rank": 1, "world_size": 2, "client": "c", "started_at": 5, "name": "n"}),
        (RUN, {"name": "n", "tags": ["a", "b"], "notes": None}),
        (CONFIG, {"set": {"a": {"b": 1, "c": 2**64 - 1}}, "delete": ["a.d"]}),
        (DEFINE_METRIC, {"name": "m", "step_metric": "s", "summary": ["min"], "hidden": False}),
        (CONSOLE, {"stream": "stdout", "lines": [[1, 2, "text"], [2, 3, "ü"]]}),
        (VALUES, {"values": {"k": [1, 2.5, {"x": None}], "b": b"raw", "t": "text"}}),
        (GAP, {"reason": "full", "rows": 1, "points": 2, "first_step": 0, "last_step": 9}),
        (FINISH, {"state": "failed", "exit_code": 1}),
        (SCHEMA, {"id": 3, "keys": ["k0"]}),
        ("unknown", {"deep": [[[[[{"a": [1]}]]]]], "time": msgpack.Timestamp(1, 2)}),
    )
    made = [bytes([0]) + bytes(range(60)), bytes([0, 0, 0, 0, 4, 0, 1, 7, 0, 2, 4, 0, 9])]
    for kind, body in bodies:
        made.append(bytes([1, KINDS.index(kind)]) + msgpack.packb(body, use_bin_type=True))
    made.append(bytes([2]) + struct.pack("<Idd", 1, 0.5, 0.25))
    made.append(bytes([3]) + made_records(bytes([0, 0, 0, 4, 0, 1])))
    return made
