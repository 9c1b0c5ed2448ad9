"""Values as text for a terminal, and as JSON. Pure functions."""

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from stepwell_wire.media_values import medium_name

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


_CELL_COLUMNS_MAX: Final = 60
_NAME_COLUMNS_MAX: Final = 40
"""A longer name moves only its own value to the right."""


def plain(text: object) -> str:
    """Return ``text`` on one line and without control characters of a terminal."""
    line = _ESCAPES.sub("", str(text)).replace("\t", "    ").replace("\n", "⏎")
    return _CONTROL.sub("", line)


def bytes_text(count: float) -> str:
    """Return e.g. ``12.3 MB``; powers of 1,000."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def count_text(count: float) -> str:
    """Return ``count`` with separated thousands."""
    return f"{count:,.0f}"


def counted(count: float, one: str, several: str = "") -> str:
    """Return ``count`` with its noun: ``1 run``, ``2 runs``."""
    return f"{count_text(count)} {one if count == 1 else several or f'{one}s'}"


def first_names(names: Sequence[str], shown_max: int = 10) -> str:
    """Return the first names, and how many others there are: ``a, b and 3 more``."""
    more = f" and {count_text(len(names) - shown_max)} more" if len(names) > shown_max else ""
    return f"{', '.join(names[:shown_max])}{more}"


def of_others_text(count: int) -> str:
    """Return ``2 journals of other users are``, for journals that this user has no rights to."""
    return (
        "1 journal of another user is"
        if count == 1
        else f"{count_text(count)} journals of other users are"
    )


def seconds_text(seconds: float | None) -> str:
    """Return e.g. ``40ms``, ``4.2s``, ``3m05s``, ``2h07m``, ``5d03h``."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for size, above, below, unit in ((60, 3600, 1, "ms"), (3600, 86400, 60, "hm")):
        if whole < above:
            return f"{whole // size}{unit[0]}{whole % size // below:02d}{unit[1]}"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def moment_text(seconds: float | None) -> str:
    """Return a moment in local time."""
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def zoned_text(seconds: float | None) -> str:
    """Return a moment in local time with its distance to UTC."""
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def value_text(value: object) -> str:
    """Return a value as one word or one line."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return number_text(value)
    if name := medium_name(value):
        return plain(f"({name})")  # The JSON has all facts of a medium.
    return json_line(value) if isinstance(value, Mapping | list | tuple) else plain(value)


def json_line(value: object) -> str:
    """Return a value as JSON on one line."""
    return plain(json.dumps(jsonable(value), ensure_ascii=False))


def number_text(value: float | None) -> str:
    """Return a float with six significant digits."""
    if value is None:
        return "-"
    if value.is_integer() and abs(value) <= 2**53:
        return f"{value:.0f}"
    return f"{value:.6g}"


def flat(
    nested: Mapping[str, Any], prefix: str = "", *, has_media: bool = True
) -> list[tuple[str, Any]]:
    """Return (dotted path, value) for every leaf.

    Args:
        has_media: a dict with ``_type`` is a medium, and so a leaf; a config has none.
    """
    found: list[tuple[str, Any]] = []
    for name, value in nested.items():
        if isinstance(value, Mapping) and value and not (has_media and "_type" in value):
            found += flat(value, f"{prefix}{name}.", has_media=has_media)
        else:
            found.append((f"{prefix}{name}", value))
    return found


def table_text(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> str:
    """Return an aligned table.

    Args:
        right: numbers of the columns that are aligned to the right.
    """
    lines = [list(headers), *(list(row) for row in rows)]
    widths = [
        min(max(text_width(line[column]) for line in lines), _CELL_COLUMNS_MAX)
        for column in range(len(headers))
    ]

    def cell(text: str, column: int) -> str:
        space = " " * (widths[column] - text_width(text))
        return space + text if column in right else text + space

    return "\n".join(
        "  ".join(cell(text, column) for column, text in enumerate(line)).rstrip() for line in lines
    )


def pairs_text(pairs: Sequence[tuple[str, str]], indent: str = "  ") -> str:
    """Return a line ``name  value`` for each, aligned."""
    width = max((min(text_width(name), _NAME_COLUMNS_MAX) for name, _ in pairs), default=0)
    return "\n".join(
        f"{indent}{name}{' ' * (width - text_width(name))}  {text}".rstrip() for name, text in pairs
    )


def text_width(text: str) -> int:
    """Return the terminal's columns for ``text``."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def json_number(value: float) -> float | str:
    """Return a float for strict JSON: NaN and infinities become text."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def jsonable(value: Any) -> Any:
    """Return ``value`` with NaN and infinities as text, at any depth."""
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, Mapping):
        return {str(name): jsonable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return value


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Return strict JSON."""
    return json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False, indent=indent)
