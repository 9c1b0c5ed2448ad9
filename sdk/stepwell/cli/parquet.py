"""Parquet files, written by hand: rows in, row groups out, nothing but the standard library.

    file      := "PAR1" | row group … | footer | footer bytes u32 | "PAR1"
    row group := column chunk …, one a column, each of one page
    page      := page header | gzip( definition levels | values in plain encoding )

Headers and footer are Thrift in its compact protocol. A file of this small subset is read by
every reader; a library for it would be the largest dependency of the whole command line.
(Apache Parquet format 2.9: parquet.thrift, Encodings.md; Thrift compact protocol.)
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, BinaryIO, Final

GROUP_ROWS_MAX: Final = 65_536
GROUP_VALUES_MAX: Final = 2_000_000
_MAGIC: Final = b"PAR1"
_PLAIN: Final = 0
_RLE: Final = 3
_GZIP: Final = 2
_CREATED_BY: Final = b"stepwell"

_Field = tuple[int, Any]  # (field id, value)
_Struct = tuple[_Field, ...]


class ColumnKind(Enum):
    """What a column holds; the values are Parquet's numbers of the physical types."""

    INTEGER = 2
    FLOAT = 5
    TEXT = 6


@dataclass(frozen=True, slots=True)
class Column:
    """A column; what a row lacks, or has as None, is null where it is ``optional``."""

    name: str
    kind: ColumnKind
    optional: bool = True


class ParquetWriter:
    """Writes rows to ``file``; ``close`` makes it complete."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file = file
        self._columns = columns
        self._rows: list[Mapping[str, Any]] = []
        self._value_count = 0
        self._groups: list[_Struct] = []
        self._row_count = 0
        self._position = 0
        self._put(_MAGIC)

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        self._value_count += len(row)
        if len(self._rows) >= GROUP_ROWS_MAX or self._value_count >= GROUP_VALUES_MAX:
            self._end_group()

    def close(self) -> None:
        self._end_group()
        root = ((4, b"schema"), (5, len(self._columns)))
        footer = _struct(
            (
                (1, 2),
                (2, [root, *map(_schema_element, self._columns)]),
                (3, _Long(self._row_count)),
                (4, self._groups),
                (6, _CREATED_BY),
            )
        )
        self._put(footer + struct.pack("<I", len(footer)) + _MAGIC)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._position += len(data)

    def _end_group(self) -> None:
        if not self._rows:
            return
        start = self._position
        chunks = [self._put_chunk(column) for column in self._columns]
        count = len(self._rows)
        self._groups.append(((1, chunks), (2, _Long(self._position - start)), (3, _Long(count))))
        self._row_count += count
        self._rows = []
        self._value_count = 0

    def _put_chunk(self, column: Column) -> _Struct:
        values = [row.get(column.name) for row in self._rows]
        body = _page_body(column, values)
        compressor = zlib.compressobj(1, wbits=31)
        packed = compressor.compress(body) + compressor.flush()
        page = ((1, len(values)), (2, _PLAIN), (3, _RLE), (4, _RLE))
        header = _struct(((1, 0), (2, len(body)), (3, len(packed)), (5, page)))
        offset = self._position
        self._put(header + packed)
        meta = (
            (1, column.kind.value),
            (2, [_PLAIN, _RLE]),
            (3, [column.name.encode("utf-8", "backslashreplace")]),
            (4, _GZIP),
            (5, _Long(len(values))),
            (6, _Long(len(header) + len(body))),
            (7, _Long(len(header) + len(packed))),
            (9, _Long(offset)),
        )
        return ((2, _Long(offset)), (3, meta))


def _schema_element(column: Column) -> _Struct:
    name = column.name.encode("utf-8", "backslashreplace")
    fields = ((1, column.kind.value), (3, int(column.optional)), (4, name))
    if column.kind is ColumnKind.TEXT:
        return (*fields, (6, 0), (10, ((1, ()),)))  # UTF8, in the old way of saying it and the new
    return fields


def _page_body(column: Column, values: list[Any]) -> bytes:
    levels = b""
    if column.optional:
        packed = _levels([value is not None for value in values])
        levels = struct.pack("<I", len(packed)) + packed
        values = [value for value in values if value is not None]
    match column.kind:
        case ColumnKind.INTEGER:
            return levels + struct.pack(f"<{len(values)}q", *values)
        case ColumnKind.FLOAT:
            return levels + struct.pack(f"<{len(values)}d", *values)
    encoded = [value.encode("utf-8", "backslashreplace") for value in values]
    return levels + b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def _levels(present: list[bool]) -> bytes:
    """Return which values are there: a run where all or none are, else bits, lowest first."""
    if all(present) or not any(present):
        return _varint(len(present) << 1) + bytes([present[0]])
    group_count = -(-len(present) // 8)
    bits = "".join("1" if each else "0" for each in reversed(present))
    return _varint(group_count << 1 | 1) + int(bits, 2).to_bytes(group_count, "little")


class _Long(int):
    """An integer that Thrift declares as i64."""


def _struct(fields: _Struct) -> bytes:
    """Return a Thrift struct; a value is an int, a _Long, bytes, a struct or a list of these."""
    out = bytearray()
    last = 0
    for number, value in fields:
        kind, data = _value(value)
        out.append((number - last) << 4 | kind)  # Ids here are never 16 or more apart.
        out += data
        last = number
    return bytes(out + b"\0")


def _value(value: Any) -> tuple[int, bytes]:
    """Return the compact protocol's number of the type, and the bytes."""
    match value:
        case bytes():
            return 8, _varint(len(value)) + value
        case _Long():
            return 6, _varint(value << 1)  # Zigzag; none is negative.
        case int():
            return 5, _varint(value << 1)
        case tuple():
            return 12, _struct(value)
    items = [_value(item) for item in value]
    kind = items[0][0] if items else 12
    count = len(items)
    is_short = count < 15
    head = bytes([count << 4 | kind]) if is_short else bytes([0xF0 | kind]) + _varint(count)
    return 9, head + b"".join(data for _, data in items)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
