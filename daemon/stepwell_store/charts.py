"""Series cut into buckets for drawing, from the coarsest rollup that is fine enough.

A bucket keeps the extremes of its points, so that no peak is lost at any zoom. Buckets of a
rollup's width or more are whole multiples of it and start at one of its borders: then they are
exact, not interpolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.aggregates import ROLLUP_WIDTHS
from stepwell_store.store import Store

# The later of two points at a step is the last. One 128-bit number of step and time is five times
# quicker to compare than a tuple of them.
_RAW: Final = """
SELECT series, intDiv(step - {start:Int64}, {width:Int64}) AS bucket,
       count() AS points, countIf(isFinite(value)) AS finite, countIf(isNaN(value)) AS nans,
       minIf(value, isFinite(value)) AS minimum, maxIf(value, isFinite(value)) AS maximum,
       sumIf(value, isFinite(value)) AS total,
       argMax(value, bitShiftLeft(toInt128(step), 64) + time) AS newest
FROM points
WHERE series IN {series:Array(UInt64)} AND step BETWEEN {start:Int64} AND {last:Int64}
GROUP BY series, bucket
"""

_ROLLED: Final = """
SELECT series, intDiv(bucket - {start:Int64}, {width:Int64}) AS drawn,
       sum(count) AS points, sum(nan_count) AS nans,
       sum(count - nan_count - positive_inf_count - negative_inf_count) AS finite,
       min(min) AS minimum, max(max) AS maximum, sum(sum) AS total,
       argMax(last.value, bitShiftLeft(toInt128(last.step), 64) + last.time) AS newest
FROM step_rollups
WHERE width = {rollup:UInt32} AND series IN {series:Array(UInt64)}
  AND bucket BETWEEN {start:Int64} AND {last:Int64}
GROUP BY series, drawn
"""


@dataclass(frozen=True, slots=True)
class SeriesBuckets:
    """One series in buckets that hold a point; every array has one entry per such bucket.

    Attributes:
        first_steps: where the bucket starts.
        minimum, maximum, mean: of its finite values; NaN where there are none.
        last: the value of its last point, whatever it is.
        count: its points; ``nan_count`` of them are NaN.
    """

    first_steps: NDArray[np.int64]
    count: NDArray[np.int64]
    nan_count: NDArray[np.int64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    mean: NDArray[np.float64]
    last: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Series in buckets of ``width`` steps; ``rollup_width`` is 1 where raw points were read."""

    width: int
    rollup_width: int
    series: dict[int, SeriesBuckets]


def bucket_width(first_step: int, last_step: int, bucket_count: int) -> tuple[int, int]:
    """Return the steps in a bucket and the width of the rollup to make it of (1: raw points).

    There are never more than ``bucket_count`` + 1 buckets: the first starts at a border.
    """
    if last_step < first_step or bucket_count < 1:
        raise ValueError(f"steps {first_step} to {last_step} in {bucket_count} buckets")
    width = -(-(last_step - first_step + 1) // bucket_count)
    for rollup in reversed(ROLLUP_WIDTHS):
        if width >= rollup:
            return -(-width // rollup) * rollup, rollup
    return width, 1


def buckets(
    store: Store,
    series_list: Sequence[int],
    first_step: int,
    last_step: int,
    bucket_count: int,
    *,
    timeout_seconds: float = 30,
) -> Buckets:
    """Return each of ``series_list`` between two steps (both inside) in about ``bucket_count``.

    The first and last bucket of a rollup may reach beyond the range. A bucket without points is
    left out: a gap is a gap. Series without points in the range are left out as well.
    """
    width, rollup = bucket_width(first_step, last_step, bucket_count)
    start = first_step if rollup == 1 else first_step // rollup
    parameters = {
        "series": list(series_list),
        "start": start,
        "last": last_step if rollup == 1 else last_step // rollup,
        "width": width // rollup,
        **({} if rollup == 1 else {"rollup": rollup}),
    }
    if not series_list:
        return Buckets(width, rollup, {})
    columns = store.arrays(
        _RAW if rollup == 1 else _ROLLED,
        parameters=parameters,
        timeout_seconds=timeout_seconds,
    )
    if not columns:
        return Buckets(width, rollup, {})
    number = columns.pop("bucket" if rollup == 1 else "drawn")
    order = np.lexsort((number, columns["series"]))
    columns = {name: values[order] for name, values in columns.items()}
    columns["first_step"] = number[order] * width + start * rollup
    found, firsts = np.unique(columns["series"], return_index=True)
    bounds = [*firsts.tolist(), len(order)]
    drawn = {
        series: _series_buckets(columns, slice(bounds[at], bounds[at + 1]))
        for at, series in enumerate(found.tolist())
    }
    return Buckets(width, rollup, drawn)


def _series_buckets(columns: dict[str, NDArray[Any]], part: slice) -> SeriesBuckets:
    finite = columns["finite"][part].astype(np.int64)
    has_any = finite > 0
    mean = np.full(len(finite), np.nan)
    np.divide(columns["total"][part], finite, out=mean, where=has_any)
    return SeriesBuckets(
        first_steps=columns["first_step"][part],
        count=columns["points"][part].astype(np.int64),
        nan_count=columns["nans"][part].astype(np.int64),
        minimum=np.where(has_any, columns["minimum"][part], np.nan),
        maximum=np.where(has_any, columns["maximum"][part], np.nan),
        mean=mean,
        last=columns["newest"][part],
    )
