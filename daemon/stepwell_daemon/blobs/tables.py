"""Parquet of the rows that a trainer staged; see `stepwell_wire.table_rows` for their form.

Two passes: one over the heads of the blocks, which finds the type of each column, and one that
writes one group of rows after the other, so that memory is bounded by one group.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stepwell_wire import table_columns as columns
from stepwell_wire import table_rows as rows

_TYPES: Final = {
    rows.FLOAT: columns.NUMBER,
    rows.INTEGER: columns.INTEGER,
    rows.BOOLEAN: columns.BOOLEAN,
    rows.MOMENT: columns.DATETIME,
    rows.TEXT: columns.TEXT,
    rows.JSON: columns.JSON,
    rows.MEDIUM: columns.MEDIA,
    rows.MIXED: columns.MIXED,
}
_ARROW: Final = {
    columns.NUMBER: pa.float64(),
    columns.INTEGER: pa.int64(),
    columns.BOOLEAN: pa.bool_(),
    columns.DATETIME: pa.timestamp("us", tz="UTC"),
}
_NUMPY: Final = {rows.FLOAT: "<f8", rows.INTEGER: "<i8", rows.MOMENT: "<i8", rows.BOOLEAN: "u1"}


@dataclass(slots=True)
class _Block:
    code: str
    has_nulls: bool
    offset: int
    size: int
    rows: int


@dataclass(slots=True)
class _Plan:
    """The positions of the parts of the file."""

    names: list[str]
    rows: int
    groups: list[list[_Block]] = field(default_factory=list)
    types: list[str] = field(default_factory=list)


def write_table(source: IO[bytes], size: int, target: Path) -> tuple[int, int]:
    """Write the payload of ``size`` bytes as Parquet; return its numbers of columns and rows.

    Raises:
        ValueError: The payload is not in the form of staged rows.
        OSError: The disk fails.
    """
    plan = _read_plan(source, size)
    plan.types = [_type_of(source, plan, place) for place in range(len(plan.names))]
    schema = _schema(plan)
    with pq.ParquetWriter(target, schema, compression="zstd", write_statistics=True) as writer:
        first = 0
        for group in plan.groups:
            count = group[0].rows if group else 0
            arrays = [pa.array(np.arange(first, first + count, dtype=np.int64))]
            for kind, block in zip(plan.types, group, strict=True):
                arrays += _arrays(source, block, kind)
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            first += count
    return len(plan.names), plan.rows


# ---------------------------------------------------------------------- the first pass


def _read_plan(source: IO[bytes], size: int) -> _Plan:
    if _take(source, len(rows.MAGIC), size) != rows.MAGIC:
        raise ValueError("the magic number of a table is missing")
    (head_bytes,) = rows.HEAD.unpack(_take(source, rows.HEAD.size, size))
    if head_bytes > rows.HEAD_BYTES_MAX:
        raise ValueError(f"a header of {head_bytes} bytes; the maximum is {rows.HEAD_BYTES_MAX}")
    head = json.loads(_take(source, head_bytes, size))
    names = head.get("columns") if isinstance(head, dict) else None
    if (
        not isinstance(names, list)
        or len(names) > rows.COLUMNS_MAX
        or not all(isinstance(name, str) for name in names)
    ):
        raise ValueError("the header has no valid list of columns")
    plan = _Plan(names, 0)
    while source.tell() < size and names:
        plan.groups.append(_read_group(source, size, len(names)))
        plan.rows += plan.groups[-1][0].rows
    if names and plan.rows != head.get("rows"):
        raise ValueError(f"found {plan.rows} rows, the header says {head.get('rows')}")
    return plan


def _read_group(source: IO[bytes], size: int, width: int) -> list[_Block]:
    (count,) = rows.GROUP.unpack(_take(source, rows.GROUP.size, size))
    if count > rows.GROUP_ROWS:
        raise ValueError(f"a group of {count} rows; the maximum is {rows.GROUP_ROWS}")
    group = []
    for _ in range(width):
        code, has_nulls, length = rows.BLOCK.unpack(_take(source, rows.BLOCK.size, size))
        block = _Block(code.decode("latin-1"), bool(has_nulls), source.tell(), length, count)
        if block.code not in rows.CODES or block.offset + length > size:
            raise ValueError(f"an invalid block of kind {block.code!r} with {length} bytes")
        group.append(block)
        source.seek(length, 1)
    return group


def _take(source: IO[bytes], count: int, size: int) -> bytes:
    if source.tell() + count > size:
        raise ValueError("unexpected end of the file")
    return source.read(count)


def _type_of(source: IO[bytes], plan: _Plan, place: int) -> str:
    """Return the type of one column over all its groups."""
    codes = {group[place].code for group in plan.groups} - {rows.NOTHING}
    if not codes:
        return columns.TEXT
    if len(codes) == 1:
        return _TYPES[codes.pop()]
    if codes == {rows.FLOAT, rows.INTEGER}:
        whole = (group[place] for group in plan.groups if group[place].code == rows.INTEGER)
        return columns.NUMBER if all(_is_exact(source, block) for block in whole) else columns.MIXED
    return columns.MIXED


def _is_exact(source: IO[bytes], block: _Block) -> bool:
    values, _ = _fixed(source, block)
    return bool(((values >= -rows.EXACT_MAX) & (values <= rows.EXACT_MAX)).all())


def _schema(plan: _Plan) -> Any:
    fields = [pa.field(columns.ROW, pa.int64())]
    for place, kind in enumerate(plan.types):
        fields.append(pa.field(f"c{place}", _ARROW.get(kind, pa.string())))
        if kind == columns.MIXED:
            fields.append(pa.field(f"k{place}", pa.string()))
    pairs = zip(plan.names, plan.types, strict=True)
    told = [{"name": name, "type": kind} for name, kind in pairs]
    return pa.schema(fields, metadata={columns.METADATA_KEY: json.dumps(told).encode()})


# ---------------------------------------------------------------------- the second pass


def _arrays(source: IO[bytes], block: _Block, kind: str) -> list[Any]:
    """Return the arrays of one block: its values, and their kinds in a mixed column."""
    if kind == columns.MIXED:
        told = _mixed(source, block)
        texts = [None if each is None else each[1] for each in told]
        kinds = [None if each is None else each[0] for each in told]
        return [pa.array(texts, pa.string()), pa.array(kinds, pa.string())]
    wanted = _ARROW.get(kind, pa.string())
    if block.code == rows.NOTHING:
        return [pa.nulls(block.rows, wanted)]
    if block.code in _NUMPY:
        values, nulls = _fixed(source, block)
        if kind == columns.NUMBER:
            values = values.astype(np.float64)
        made = pa.array(values.astype(bool) if kind == columns.BOOLEAN else values, mask=nulls)
        return [made.cast(wanted)]
    return [pa.array(_texts(source, block), pa.string())]


def _data(source: IO[bytes], block: _Block) -> tuple[bytes, Any]:
    """Return a block's stored values, and a mask of the missing ones."""
    source.seek(block.offset)
    data = source.read(block.size)
    if not block.has_nulls:
        return data, None
    if len(data) < block.rows:
        raise ValueError("a block is shorter than its null mask")
    return data[block.rows :], np.frombuffer(data[: block.rows], np.uint8).astype(bool)


def _fixed(source: IO[bytes], block: _Block) -> tuple[Any, Any]:
    data, nulls = _data(source, block)
    kind = np.dtype(_NUMPY[block.code])
    if len(data) != block.rows * kind.itemsize:
        raise ValueError(f"a block has {len(data)} bytes for {block.rows} values")
    return np.frombuffer(data, kind), nulls


def _texts(source: IO[bytes], block: _Block) -> list[str | None]:
    data, nulls = _data(source, block)
    found = json.loads(data)
    if not isinstance(found, list) or len(found) != block.rows:
        raise ValueError(f"expected a list of {block.rows} texts")
    if not all(isinstance(text, str) for text in found):
        raise ValueError("expected a list of texts")
    if nulls is None:
        return found
    return [None if gone else text for text, gone in zip(found, nulls.tolist(), strict=True)]


def _mixed(source: IO[bytes], block: _Block) -> list[tuple[str, str] | None]:
    """Return (kind, text) of each value of a mixed column, None for a missing value."""
    if block.code == rows.NOTHING:
        return [None] * block.rows
    if block.code == rows.MIXED:
        data, _ = _data(source, block)
        pairs = json.loads(data)
        if not isinstance(pairs, list) or len(pairs) != block.rows:
            raise ValueError(f"expected a list of {block.rows} values")
        return [
            None if code == rows.NOTHING else _kind_and_text(code, value) for code, value in pairs
        ]
    if block.code in _NUMPY:
        values, nulls = _fixed(source, block)
        gone = [False] * block.rows if nulls is None else nulls.tolist()
        listed = zip(values.tolist(), gone, strict=True)
        return [None if is_gone else _kind_and_text(block.code, value) for value, is_gone in listed]
    return [
        None if text is None else _kind_and_text(block.code, text) for text in _texts(source, block)
    ]


def _kind_and_text(code: str, value: Any) -> tuple[str, str]:
    if code not in _TYPES or code == rows.MIXED:
        raise ValueError(f"unknown kind of value {code!r}")
    kind = _TYPES[code]
    if kind == columns.BOOLEAN:
        return kind, "true" if value else "false"
    if kind == columns.DATETIME:
        moment = np.datetime64(int(value), "us")
        return kind, f"{np.datetime_as_string(moment)}Z"
    return kind, value if isinstance(value, str) else repr(value)
