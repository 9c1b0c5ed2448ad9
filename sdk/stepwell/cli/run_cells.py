"""A value of a run's column as a person reads it: moments as dates, durations with their unit.

A metric with operations of `define_metric` is shown by them, as on the page: ``0.1`` of one
operation, ``min 0.1, max 0.9`` of several.
"""

from collections.abc import Mapping
from typing import Final

from stepwell.cli.text import json_line, moment_text, seconds_text, value_text

_OPERATIONS: Final = frozenset(("min", "max", "mean", "first", "last", "best"))


def cell_text(path: str, value: object) -> str:
    """Return ``value`` of the column ``path`` as one line."""
    from stepwell_store.queries.paths import FIELDS, Kind, ValueKind, parse_path

    parsed = parse_path(path)
    kind = FIELDS[parsed.name] if parsed.kind is Kind.RUN else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind is ValueKind.MOMENT:
            return moment_text(value)
        if kind is ValueKind.DURATION:
            return seconds_text(value)
    if isinstance(value, Mapping) and parsed.kind is Kind.CONFIG:
        return json_line(value)
    return _operations_text(value) if isinstance(value, Mapping) and value else value_text(value)


def _operations_text(value: Mapping[str, object]) -> str:
    """Return the text of a metric's operations, or of another dict."""
    numbers = {
        name: value_text(each)
        for name, each in value.items()
        if name in _OPERATIONS and isinstance(each, int | float) and not isinstance(each, bool)
    }
    if len(numbers) < len(value):
        return value_text(value)
    if len(numbers) == 1:
        return next(iter(numbers.values()))
    return ", ".join(f"{name} {number}" for name, number in numbers.items())
