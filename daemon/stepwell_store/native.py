"""ClickHouse's Native format: blocks of columns as bytes, both ways.

    block  := columns varint | rows varint | column × columns
    column := name string | type string | data
    string := length varint | bytes
    data   :  numbers little-endian one after another; String as length varint and bytes each;
              Tuple element by element; Nullable as a byte map, then the data;
              Array as u64 end offsets, then the elements

Numbers are read and written as numpy arrays, without a Python object for each value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NUMBERS: Final[dict[str, str]] = {
    "UInt8": "u1",
    "UInt16": "<u2",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Int8": "i1",
    "Int16": "<i2",
    "Int32": "<i4",
    "Int64": "<i8",
    "Float32": "<f4",
    "Float64": "<f8",
    "Bool": "?",
}


def varint(number: int) -> bytes:
    """Return ``number`` (>= 0) in LEB128."""
    if number < 0x80:
        return bytes((number,))
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def string(text: str) -> bytes:
    """Return ``text`` as one String value; lone surrogates become question marks."""
    encoded = text.encode("utf-8", "replace")
    return varint(len(encoded)) + encoded


def strings(texts: Iterable[str]) -> bytes:
    """Return the data of a String column."""
    return b"".join(map(string, texts))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a block: its ClickHouse type and its data, in one or more pieces."""

    name: str
    type: str
    pieces: tuple[bytes | memoryview, ...]


def number_column(name: str, type_name: str, values: NDArray[Any] | Sequence[float]) -> Column:
    """Return a column of one of ``NUMBERS``."""
    array = np.ascontiguousarray(values, dtype=NUMBERS[type_name])
    return Column(name, type_name, (array.data.cast("B") if array.size else b"",))


def text_column(name: str, texts: Iterable[str]) -> Column:
    return Column(name, "String", (strings(texts),))


def tuple_column(name: str, *parts: Column) -> Column:
    """Return a named Tuple column of ``parts``."""
    inner = ", ".join(f"{part.name} {part.type}" for part in parts)
    pieces = tuple(piece for part in parts for piece in part.pieces)
    return Column(name, f"Tuple({inner})", pieces)


def encode_block(columns: Sequence[Column], rows: int) -> list[bytes | memoryview]:
    """Return the block's bytes in pieces, ready for ``os.writev``; numbers are not copied."""
    pieces: list[bytes | memoryview] = [varint(len(columns)) + varint(rows)]
    for column in columns:
        pieces.append(string(column.name) + string(column.type))
        pieces.extend(piece for piece in column.pieces if len(piece))
    return pieces


def array_of(column: Column, rows: int) -> NDArray[Any]:
    """Return ``column`` as one array: ``str`` objects for String, fields for a Tuple."""
    pieces = column.pieces
    data = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
    found: dict[str, list[NDArray[Any]]] = {}
    _read_column(data, 0, column.name, column.type, rows, found)
    if column.name in found:
        return found[column.name][0]
    fields = {name.removeprefix(f"{column.name}."): parts[0] for name, parts in found.items()}
    array = np.empty(rows, dtype=[(name, values.dtype) for name, values in fields.items()])
    for name, values in fields.items():
        array[name] = values
    return array


class UnknownTypeError(ValueError):
    """A column type that this reader does not support; the query should cast it."""


def decode_blocks(data: bytes | memoryview) -> dict[str, NDArray[Any]]:
    """Return the columns of the Native blocks in ``data``, each block's rows in order.

    Numbers come as arrays of their dtype, String as objects of ``str``, Array as objects of
    arrays, and each element of a Tuple as a column of its own called ``name.element``.

    Raises:
        UnknownTypeError: A type other than numbers, String, Tuple, Nullable or Array of them.
    """
    view = memoryview(data)
    found: dict[str, list[NDArray[Any]]] = {}
    offset = 0
    while offset < len(view):
        width, offset = _varint_at(view, offset)
        rows, offset = _varint_at(view, offset)
        for _ in range(width):
            name, offset = _string_at(view, offset)
            type_name, offset = _string_at(view, offset)
            offset = _read_column(view, offset, name, type_name, rows, found)
    return {
        name: parts[0] if len(parts) == 1 else np.concatenate(parts)
        for name, parts in found.items()
    }


def _read_column(
    view: memoryview,
    offset: int,
    name: str,
    type_name: str,
    rows: int,
    found: dict[str, list[NDArray[Any]]],
) -> int:
    if dtype := NUMBERS.get(type_name):
        size = rows * np.dtype(dtype).itemsize
        values = np.frombuffer(view[offset : offset + size], dtype=dtype)
        found.setdefault(name, []).append(values)
        return offset + size
    if type_name == "String":
        texts = np.empty(rows, dtype=object)
        for row in range(rows):
            texts[row], offset = _string_at(view, offset)
        found.setdefault(name, []).append(texts)
        return offset
    outer, _, inner = type_name.partition("(")
    inner = inner[:-1]
    if outer == "SimpleAggregateFunction":
        return _read_column(view, offset, name, split_types(inner)[1], rows, found)
    if outer == "Tuple":
        for number, element in enumerate(split_types(inner), start=1):
            label, _, element_type = element.partition(" ")
            if not element_type or "(" in label:
                label, element_type = str(number), element
            offset = _read_column(view, offset, f"{name}.{label}", element_type, rows, found)
        return offset
    if outer == "Nullable":
        missing = np.frombuffer(view[offset : offset + rows], dtype=bool)
        held: dict[str, list[NDArray[Any]]] = {}
        offset = _read_column(view, offset + rows, name, inner, rows, held)
        values = held[name][0].astype(object)
        values[missing] = None
        found.setdefault(name, []).append(values)
        return offset
    if outer == "Array":
        ends = np.frombuffer(view[offset : offset + 8 * rows], dtype="<u8")
        total = int(ends[-1]) if rows else 0
        held = {}
        offset = _read_column(view, offset + 8 * rows, name, inner, total, held)
        lists = np.empty(rows, dtype=object)
        start = 0
        for row, end in enumerate(ends.tolist()):
            lists[row] = held[name][0][start:end]
            start = end
        found.setdefault(name, []).append(lists)
        return offset
    raise UnknownTypeError(
        f"column {name} has the unsupported type {type_name}; cast it to another type"
    )


def split_types(inner: str) -> list[str]:
    """Return the comma-separated members of a type's argument list, nested ones whole."""
    members, depth, start = [], 0, 0
    for position, character in enumerate(inner):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            members.append(inner[start:position].strip())
            start = position + 1
    members.append(inner[start:].strip())
    return members


def _varint_at(view: memoryview, offset: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = view[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, offset
        shift += 7


def _string_at(view: memoryview, offset: int) -> tuple[str, int]:
    size, offset = _varint_at(view, offset)
    return str(view[offset : offset + size], "utf-8", "replace"), offset + size
