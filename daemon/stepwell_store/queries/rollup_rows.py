"""Stored rows of a rollup, merged here into buckets.

If a bucket is a few rows wide, the engine's grouping costs more than the rows themselves: it groups
600,000 rows in three times the time that it needs to return them. Stored rows come almost sorted,
so merging them is a comparison of neighbours. Pure: no store here.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Rows = dict[str, NDArray[Any]]

SHIFT_MAX: Final = 2
"""Buckets of at most ``2**SHIFT_MAX`` rows are merged here, wider ones in the engine."""
ROWS_MAX: Final = 4_000_000
"""More rows are merged in the engine: here each takes about 100 bytes."""

_SUMS: Final = ("points", "total", "nans", "positive_infs", "negative_infs")
_FIRST: Final = ("first_value", "first_x")
_LAST: Final = ("last_value", "last_x")

COLUMNS: Final = """count AS points, sum AS total, min AS minimum, max AS maximum,
       first.value AS first_value, first.step AS first_x, first.time AS first_time,
       last.value AS last_value, last.step AS last_x, last.time AS last_time"""
NON_FINITE_COLUMNS: Final = """, nan_count AS nans, positive_inf_count AS positive_infs,
       negative_inf_count AS negative_infs"""


def joined_rows(rows: Mapping[str, NDArray[Any]], shift: int) -> Rows:
    """Return one row for each series and bucket, sorted by them.

    Args:
        rows: ``owner`` and ``bucket`` (of the rollup), and ``COLUMNS``, in any order, with several
            rows for a bucket whose points were stored in several parts.
        shift: ``2**shift`` buckets of the rollup are one of the result.
    """
    rows = _sorted(rows)
    same = _same(rows["owner"], rows["bucket"])
    if same.any():
        rows = _without_repetition(rows, same)
    bucket = rows["bucket"] >> shift
    if shift:
        starts = np.flatnonzero(np.append(True, ~_same(rows["owner"], bucket)))
        # Buckets of a rollup come in the order of their steps: the first row has the first point.
        rows = _reduced(rows, starts, first=starts, last=np.append(starts[1:], len(bucket)) - 1)
        bucket = bucket[starts]
    kept = {name: values for name, values in rows.items() if not name.endswith("_time")}
    return {**kept, "bucket": bucket}


def _same(*columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each row except the first whether it has the values of the previous one."""
    same = np.ones(max(0, len(columns[0]) - 1), dtype=bool)
    for values in columns:
        same &= values[1:] == values[:-1]
    return same


def _sorted(rows: Mapping[str, NDArray[Any]]) -> Rows:
    owner, bucket = rows["owner"], rows["bucket"]
    above = owner[1:] > owner[:-1]
    above |= (owner[1:] == owner[:-1]) & (bucket[1:] >= bucket[:-1])
    if above.all():
        return dict(rows)
    order = np.lexsort((bucket, owner))
    return {name: values[order] for name, values in rows.items()}


def _without_repetition(rows: Rows, same: NDArray[np.bool_]) -> Rows:
    """Return the sorted ``rows`` with the rows of one bucket merged into one."""
    starts = np.flatnonzero(np.append(True, ~same))
    group = np.cumsum(np.append(True, ~same)) - 1
    repeated = np.append(False, same)
    repeated[:-1] |= same
    places = np.flatnonzero(repeated)
    first, last = starts.copy(), starts.copy()
    where = group[places]
    begins = np.append(True, np.diff(where) != 0)  # An order by group keeps each group's place.
    ends = np.append(np.diff(where) != 0, True)
    # Points are compared as in the engine's merges: by step, time and value.
    by_first = [rows[f"first_{name}"][places] for name in ("value", "time", "x")]
    first[where[begins]] = places[np.lexsort((*by_first, where))[begins]]
    by_last = [rows[f"last_{name}"][places] for name in ("value", "time", "x")]
    last[where[ends]] = places[np.lexsort((*by_last, where))[ends]]
    return _reduced(rows, starts, first=first, last=last)


def _reduced(
    rows: Rows, starts: NDArray[np.intp], *, first: NDArray[np.intp], last: NDArray[np.intp]
) -> Rows:
    """Return one row for each slice of rows from one of ``starts`` to the next.

    Args:
        first, last: the row of each slice with its first point, and with its last one.
    """
    made: Rows = {"owner": rows["owner"][starts], "bucket": rows["bucket"][starts]}
    made |= {name: np.add.reduceat(rows[name], starts) for name in _SUMS if name in rows}
    made["minimum"] = np.minimum.reduceat(rows["minimum"], starts)
    made["maximum"] = np.maximum.reduceat(rows["maximum"], starts)
    made |= {name: rows[name][first] for name in (*_FIRST, "first_time")}
    made |= {name: rows[name][last] for name in (*_LAST, "last_time")}
    return made
