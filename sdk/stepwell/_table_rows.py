"""Rows of a table in the form in which they are staged; see `stepwell_wire.table_rows`.

Whole columns of one kind are packed by C code of the standard library: `array` for numbers, `json`
for texts. A million rows of ten columns take about two seconds of an old core; JSON of whole rows
takes as long, is a fifth larger and has no types.
"""

import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from stepwell._names import valid_text
from stepwell_wire.table_rows import (
    BLOCK,
    BOOLEAN,
    EXACT_MAX,
    FLOAT,
    GROUP,
    GROUP_ROWS,
    HEAD,
    INTEGER,
    JSON,
    MAGIC,
    MEDIUM,
    MIXED,
    MOMENT,
    NOTHING,
    TEXT,
)

_NONE: Final = type(None)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final = {float: FLOAT, int: INTEGER, bool: BOOLEAN, str: TEXT}
_FIXED: Final = {FLOAT: "d", INTEGER: "q", MOMENT: "q", BOOLEAN: "b"}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Describe = Callable[[Any], Any]
"""Returns a value as JSON; a medium as the object that describes it."""


def pack_rows(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], describe: Describe
) -> Iterator[bytes]:
    """Yield the pieces of a payload.

    Args:
        rows: each with one value for each of ``columns``.
    """
    head = _bytes({"columns": list(columns), "rows": len(rows)})
    yield MAGIC + HEAD.pack(len(head)) + head
    for start in range(0, len(rows), GROUP_ROWS):
        group = rows[start : start + GROUP_ROWS]
        yield GROUP.pack(len(group))
        for values in zip(*group, strict=True):
            yield from _pack_block(values, describe)


def _pack_block(values: Sequence[Any], describe: Describe) -> tuple[bytes, bytes]:
    kinds = set(map(type, values))
    has_nulls = _NONE in kinds
    kinds.discard(_NONE)
    code = _code_of(kinds, values)
    if code is None:
        return _pack_odd(values, describe)
    return _pack_plain(code, values, has_nulls=has_nulls)


def _code_of(kinds: set[type], values: Sequence[Any]) -> str | None:
    """Return the code of values of these kinds, None where each value must be looked at."""
    if not kinds:
        return NOTHING
    if kinds == {int, float}:
        whole = [value for value in values if type(value) is int]
        return FLOAT if min(whole) >= -EXACT_MAX and max(whole) <= EXACT_MAX else None
    code = _PLAIN.get(next(iter(kinds))) if len(kinds) == 1 else None
    if code == INTEGER:
        present = [value for value in values if value is not None]
        return code if min(present) >= -(2**63) and max(present) < 2**63 else None
    return code


def _pack_plain(code: str, values: Sequence[Any], *, has_nulls: bool) -> tuple[bytes, bytes]:
    nulls = b""
    if has_nulls and code != NOTHING:
        nulls = bytes(value is None for value in values)
        empty: Any = 0 if code in _FIXED else ""
        values = [empty if value is None else value for value in values]
    if code == NOTHING:
        data = b""
    elif code in _FIXED:
        data = array(_FIXED[code], values).tobytes()
    else:
        data = _bytes(values)
    return BLOCK.pack(code.encode(), bool(nulls), len(nulls) + len(data)), nulls + data


def _pack_odd(values: Sequence[Any], describe: Describe) -> tuple[bytes, bytes]:
    """Pack values of several kinds, or of kinds that must be looked at one by one."""
    typed = [None if value is None else _typed(value, describe) for value in values]
    codes = {each[0] for each in typed if each is not None}
    has_nulls = None in typed
    if codes == {FLOAT, INTEGER} and all(
        each is None or each[0] == FLOAT or abs(each[1]) <= EXACT_MAX for each in typed
    ):
        codes = {FLOAT}
    if len(codes) == 1:
        plain = [None if each is None else each[1] for each in typed]
        return _pack_plain(codes.pop(), plain, has_nulls=has_nulls)
    mixed = [[NOTHING, None] if each is None else each for each in typed]
    nulls = bytes(each is None for each in typed) if has_nulls else b""
    data = nulls + _bytes(mixed)
    return BLOCK.pack(MIXED.encode(), has_nulls, len(data)), data


def _bytes(value: Any) -> bytes:
    """Return JSON in UTF-8; a lone surrogate in a text becomes its escape, see `valid_text`."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        return _encode(_valid(value)).encode()


def _valid(value: Any) -> Any:
    if isinstance(value, dict):
        return {valid_text(name): _valid(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_valid, value))
    return valid_text(value) if isinstance(value, str) else value


def _typed(value: Any, describe: Describe) -> tuple[str, Any] | None:
    """Return the code of one value, and the value in its block's form; None for no value."""
    if isinstance(value, datetime | date):
        return _typed_moment(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = _item(value)
        if value is None:  # NaT of numpy.
            return None
    if hasattr(value, "to_pydatetime"):
        return _typed_moment(value.to_pydatetime())
    if isinstance(value, datetime | date):
        return _typed_moment(value)
    if isinstance(value, bool):
        return BOOLEAN, value
    if isinstance(value, float):
        return FLOAT, float(value)
    if isinstance(value, int):
        inside = -(2**63) <= value < 2**63
        return (INTEGER, int(value)) if inside else (TEXT, str(describe(value)))
    found = describe(value)
    if found is None:
        return None
    if isinstance(found, bool | float | int):
        return _typed(found, describe)
    if isinstance(found, str):
        return TEXT, found
    is_medium = isinstance(found, dict) and isinstance(found.get("_type"), str)
    return (MEDIUM if is_medium else JSON), _encode(found)


def _typed_moment(value: date) -> tuple[str, Any] | None:
    """Return a moment; one without a zone is taken as UTC."""
    if value != value:  # The NaT of pandas is a datetime.
        return None
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    since = value - _EPOCH
    return MOMENT, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _item(value: Any) -> Any:
    """Return a scalar of numpy or torch as a Python object; if impossible, unchanged."""
    try:
        found = value.item()
    except Exception:
        return value
    if isinstance(found, int) and type(value).__name__ == "datetime64":
        return value.astype("datetime64[us]").item()  # Of nanoseconds.
    return found
