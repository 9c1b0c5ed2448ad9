"""Values as text, as the page writes them (hub/web/src/parts/format.ts). Pure."""

import json
import math
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from stepwell_wire.media_values import medium_name
from stepwell_wire.table_columns import DATETIME

_PLAIN: Final = Context(prec=5, rounding=ROUND_HALF_UP)
_SHORT: Final = Context(prec=4, rounding=ROUND_HALF_UP)
_OPERATIONS: Final = frozenset({"min", "max", "mean", "first", "last", "best"})
_CHARACTERS_MAX: Final = 500
_EPOCH: Final = datetime(1970, 1, 1)
_EXACT_MAX: Final = 2**53
_DURATIONS: Final = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def value_text(value: Any) -> str:
    """Return a value of a config, a summary or a metric on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    text = value if isinstance(value, str) else _json(value)
    return text[:_CHARACTERS_MAX]


def column_text(value: Any, column: str) -> str:
    """Return the value of a run's ``column``; of several operations of define_metric each one."""
    if column.startswith("config."):
        return value_text(value)
    if medium := medium_name(value):
        return f"({medium})"
    if not _are_operations(value):
        return value_text(value)
    return ", ".join(f"{name} {number_text(number)}" for name, number in value.items())


def shown_value(value: Any, column: str) -> Any:
    """Return the value of ``column``; of one operation of define_metric, {"min": 1}, its number."""
    if column.startswith("config.") or not _are_operations(value) or len(value) != 1:
        return value
    return next(iter(value.values()))


def cell_text(cell: Any, kind: str) -> str:
    """Return a cell of a logged table, whose column has the type ``kind``."""
    if kind == DATETIME and isinstance(cell, int):
        return utc_text(cell)
    if isinstance(cell, dict) and "characters" in cell:  # A cut text.
        text = str(cell["text"])
        return f"{text}…" if len(text) < cell["characters"] else text
    return cell if isinstance(cell, str) else value_text(cell)


def exact_text(value: Any) -> str:
    """Return a value with all digits of a number."""
    if isinstance(value, float) and math.isfinite(value):
        return _script_number(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value_text(value)


def number_text(value: float) -> str:
    """Return five significant digits, with an exponent only where it is shorter."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    size = abs(value)
    if isinstance(value, int) and size > _EXACT_MAX:
        return str(value)
    if value == int(value) and size < 1e10:
        return str(int(value))
    if 1e5 <= size < 1e10:
        return str(math.floor(value + 0.5))
    is_plain = 1e-3 <= size < 1e5
    rounded = (_PLAIN if is_plain else _SHORT).create_decimal(value)
    is_plain = is_plain and abs(rounded) < 100_000
    text = f"{rounded:f}" if is_plain else f"{rounded:e}"
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def duration_text(seconds: float) -> str:
    """Return two units at most: 4 s, 3 min 20 s, 5 h 2 min, 3 d 4 h."""
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if 0 < seconds < 0.1:
        return f"{max(1, math.floor(seconds * 1000 + 0.5))} ms"
    if seconds < 10:
        return f"{math.floor(seconds * 10 + 0.5) / 10:g} s"
    whole = math.floor(seconds + 0.5)
    for big, big_name, small, small_name in _DURATIONS:
        if whole >= big:
            rest = whole % big // small
            return f"{whole // big} {big_name}" + (f" {rest} {small_name}" if rest else "")
    return f"{whole} s"


def utc_text(micros: int) -> str:
    """Return a moment in UTC, with the fraction of a second if any: 2026-11-26 08:15:02.250."""
    try:
        moment = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return "?"
    rest = f".{moment.microsecond:06}".removesuffix("000") if moment.microsecond else ""
    return moment.isoformat(sep=" ", timespec="seconds") + rest


def _are_operations(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and _OPERATIONS.issuperset(value)
        and all(isinstance(each, int | float) for each in value.values())
    )


def _json(value: Any) -> str:
    """Return JSON as a browser writes it; numbers that JSON does not have are texts."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(str(k))}:{_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_json, value)) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return _script_number(value) if math.isfinite(value) else _odd(value)
    if isinstance(value, int):
        return str(value)
    return _quoted(str(value))


def _odd(value: float) -> str:
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return _quoted(name)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _script_number(value: float) -> str:
    """Return the shortest text of a number, as JavaScript writes it: 0.00001 and 1e-7."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    if 1e-6 <= abs(value) < 1e21:
        return f"{Decimal(repr(value)):f}"
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent):+d}"
