"""Points of many writers, collected row by row and sorted by (series, step, time).

Rows arrive as tables (rows × metrics) in log order, steps almost always rising. So a column of a
table is already a sorted series. To lay out a block, columns are copied to positions computed from
the sorted fingerprints, without sorting points and without Python code for each point.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stepwell_store.aggregates import Points

_T = TypeVar("_T", bound=np.generic)
# With fewer rows in a column, one scatter for all is cheaper than a copy of each.
_COLUMN_ROWS_MIN = 32


@dataclass(slots=True)
class RowGroup:
    """Rows of one writer and schema, in log order.

    Attributes:
        series: shape (keys,), the fingerprint of each column.
        steps, times, values: one array for each group of rows: (n,), (n,) and (n, keys).
    """

    series: NDArray[np.uint64]
    steps: list[NDArray[np.int64]] = field(default_factory=list)
    times: list[NDArray[np.int64]] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)


def sort_points(groups: Sequence[RowGroup]) -> Points:
    """Return the points of ``groups`` sorted by (series, step, time).

    Points that are equal in all three keep the order of ``groups`` and of their rows.
    """
    lengths = [sum(map(len, group.steps)) for group in groups]
    names = np.concatenate([group.series for group in groups])
    counts = np.repeat(np.asarray(lengths), [len(group.series) for group in groups])
    order = np.argsort(names, kind="stable")
    ends = np.cumsum(counts[order])
    offsets = np.empty(len(names), dtype=np.int64)
    offsets[order] = ends - counts[order]
    total = int(ends[-1])
    series = np.repeat(names[order], counts[order])
    steps = np.empty(total, dtype=np.int64)
    times = np.empty(total, dtype=np.int64)
    values = np.empty(total, dtype=np.float64)
    first = 0
    for group, rows in zip(groups, lengths, strict=True):
        keys = len(group.series)
        _lay_out(group, rows, offsets[first : first + keys], steps, times, values)
        first += keys
    ordered = names[order]
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(shared):
        _sort_series(np.unique(shared), series, steps, times, values)
    return Points(series, steps, times, values)


def _lay_out(
    group: RowGroup,
    rows: int,
    offsets: NDArray[np.int64],
    steps: NDArray[np.int64],
    times: NDArray[np.int64],
    values: NDArray[np.float64],
) -> None:
    """Copy each column of ``group`` to its place, sorted by (step, time)."""
    own_steps = _joined(group.steps)
    own_times = _joined(group.times)
    tables = group.values
    if not _is_sorted(own_steps, own_times):
        order = np.lexsort((own_times, own_steps))  # A stable sort: log order decides ties.
        own_steps, own_times = own_steps[order], own_times[order]
        tables = [_joined(tables)[order]]
    if rows < _COLUMN_ROWS_MIN:
        places = offsets[:, None] + np.arange(rows)
        steps[places] = own_steps
        times[places] = own_times
        values[places] = _joined(tables).T
        return
    for column, offset in enumerate(offsets.tolist()):
        steps[offset : offset + rows] = own_steps
        times[offset : offset + rows] = own_times
        for table in tables:
            end = offset + len(table)
            values[offset:end] = table[:, column]
            offset = end


def _sort_series(
    shared: NDArray[np.uint64],
    series: NDArray[np.uint64],
    steps: NDArray[np.int64],
    times: NDArray[np.int64],
    values: NDArray[np.float64],
) -> None:
    """Sort in place the ``shared`` series, whose points came from several groups."""
    firsts = np.searchsorted(series, shared, side="left")
    ends = np.searchsorted(series, shared, side="right")
    lengths = ends - firsts
    starts = np.cumsum(lengths) - lengths
    places = np.arange(int(lengths.sum())) + np.repeat(firsts - starts, lengths)
    order = places[np.lexsort((times[places], steps[places], series[places]))]
    steps[places], times[places], values[places] = steps[order], times[order], values[order]


def _is_sorted(steps: NDArray[np.int64], times: NDArray[np.int64]) -> bool:
    if bool((steps[1:] > steps[:-1]).all()):
        return True
    equal = steps[1:] == steps[:-1]
    return bool(((steps[1:] > steps[:-1]) | (equal & (times[1:] >= times[:-1]))).all())


def _joined(arrays: list[NDArray[_T]]) -> NDArray[_T]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
