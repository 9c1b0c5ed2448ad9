"""Whole numbers as ints, where scripts read logged values. The store has floats only.

So ``range(run.summary["epoch"])`` works. The value decides, as the type that a script logged is
not stored.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeGuard

from stepwell.errors import HubError

EXACT_BELOW: Final = 2.0**53  # A larger float may stand for several ints.
SECONDS: Final = frozenset({"_timestamp", "_runtime"})
_PAGE_ROWS: Final = 1000
_PAGE_ROWS_MAX: Final = 10_000


def is_whole(value: Any) -> TypeGuard[float]:
    """Return whether ``value`` is a float that an int replaces without a loss."""
    return (
        type(value) is float
        and value.is_integer()
        and abs(value) < EXACT_BELOW
        and (value != 0.0 or math.copysign(1.0, value) > 0)
    )


def whole(value: Any) -> Any:
    """Return a whole number as an int, anything else as it is."""
    return int(value) if is_whole(value) else value


def whole_operations(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the operations of `define_metric`; a mean is a float."""
    return {name: each if name == "mean" else whole(each) for name, each in values.items()}


def whole_summary(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary of the hub. A dict in it has values below a name, or of operations."""
    return {name: _whole_in_summary(name, value) for name, value in values.items()}


def _whole_in_summary(name: str, value: Any) -> Any:
    if isinstance(value, dict) and "_type" not in value:
        found = {below: _whole_in_summary(below, each) for below, each in value.items()}
        if "mean" in value:
            found["mean"] = value["mean"]
        return found
    return value if name in SECONDS else whole(value)


def whole_columns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Change the rows: columns whose numbers are all whole get ints. Return ``rows``."""
    others: set[str] = set(SECONDS)
    found: set[str] = set()
    for row in rows:
        for name, value in row.items():
            if type(value) is float and name not in others:
                if is_whole(value):
                    found.add(name)
                else:
                    others.add(name)
    if found := found - others:
        for row in rows:
            for name in found & row.keys():
                if type(row[name]) is float:
                    row[name] = int(row[name])
    return rows


def whole_pages(rows: Iterable[dict[str, Any]], page_size: int) -> Iterator[dict[str, Any]]:
    """Yield ``rows``; a column is of one type within each ``page_size`` of them."""
    size = min(max(1, page_size or _PAGE_ROWS), _PAGE_ROWS_MAX)
    page: list[dict[str, Any]] = []
    try:
        for row in rows:
            page.append(row)
            if len(page) >= size:
                ready, page = page, []
                yield from whole_columns(ready)
    except HubError:  # The answer broke off: its rows are good.
        yield from whole_columns(page)
        raise
    yield from whole_columns(page)
