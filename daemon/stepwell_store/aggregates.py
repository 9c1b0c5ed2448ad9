"""Partial statistics and rollups of sorted points, in numpy.

A block's points, sorted by (series, step, time), are cut where the series or the bucket changes,
and each slice is reduced once; wider buckets and whole series are reduced from those results. The
rows are partial: AggregatingMergeTree merges the rows of one bucket from several blocks.
docs/decisions/0002-rollups-in-numpy.md explains why this is not a materialized view.

NaN and infinities are counted separately. minimum, maximum and sum are over finite values only.
Without finite values they are +inf, -inf and 0, the neutral elements.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.table_block import Values

ROLLUP_WIDTHS: Final = (64, 512, 2048)
"""Steps in a bucket, finest first; each a power of two and a multiple of the one before."""

NODE_ROLLUP_WIDTHS: Final = (1 << 26, 1 << 30)
"""Microseconds in a bucket of a node's series (67 seconds, 18 minutes), finest first."""

for _widths in (ROLLUP_WIDTHS, NODE_ROLLUP_WIDTHS):
    assert all(width & (width - 1) == 0 for width in _widths)
    assert list(_widths) == sorted(_widths)


@dataclass(frozen=True, slots=True)
class Points:
    """Points sorted by (series, step, time)."""

    series: NDArray[np.uint64]
    steps: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Aggregates:
    """One row per slice, in the order of the slices; every array has shape (slices,)."""

    series: NDArray[np.uint64]
    bucket: NDArray[np.int64]
    count: NDArray[np.int64]
    nan_count: NDArray[np.int64]
    positive_inf_count: NDArray[np.int64]
    negative_inf_count: NDArray[np.int64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    total: NDArray[np.float64]
    first_step: NDArray[np.int64]
    first_time: NDArray[np.int64]
    first_value: NDArray[np.float64]
    last_step: NDArray[np.int64]
    last_time: NDArray[np.int64]
    last_value: NDArray[np.float64]
    time_min: NDArray[np.int64]
    time_max: NDArray[np.int64]

    def taken(self, order: NDArray[np.intp]) -> "Aggregates":
        """Return the rows in another order."""
        return Aggregates(**{each.name: getattr(self, each.name)[order] for each in fields(self)})

    def columns(self) -> dict[str, Values]:
        """Return the columns that the tables of partial rows have, by their names there."""
        return {
            "series": self.series,
            "bucket": self.bucket,
            "count": self.count,
            "nan_count": self.nan_count,
            "positive_inf_count": self.positive_inf_count,
            "negative_inf_count": self.negative_inf_count,
            "min": self.minimum,
            "max": self.maximum,
            "sum": self.total,
            "first": (self.first_step, self.first_time, self.first_value),
            "last": (self.last_step, self.last_time, self.last_value),
            "time_min": self.time_min,
            "time_max": self.time_max,
        }


def joined(parts: Sequence[Aggregates]) -> Aggregates:
    """Return the rows of ``parts``, one part after the other."""
    return Aggregates(
        **{
            each.name: np.concatenate([getattr(part, each.name) for part in parts])
            for each in fields(Aggregates)
        }
    )


def aggregate(points: Points) -> tuple[list[Aggregates], Aggregates]:
    """Return the rollups of ``points``, one per width in ``ROLLUP_WIDTHS``, and the statistics.

    ``points`` holds at least one point.
    """
    rollups = _rollups(points, points.steps, ROLLUP_WIDTHS)
    whole = np.zeros(len(rollups[-1].series), dtype=np.int64)
    return rollups, _slices_of_slices(rollups[-1], whole)


def aggregate_over_time(points: Points) -> list[Aggregates]:
    """Return the rollups of a node's ``points``, one per width in ``NODE_ROLLUP_WIDTHS``.

    ``points`` holds at least one point, and is sorted by (series, time).
    """
    return _rollups(points, points.times, NODE_ROLLUP_WIDTHS)


def _rollups(points: Points, places: NDArray[np.int64], widths: Sequence[int]) -> list[Aggregates]:
    """Return the rollups over ``places``, which ascend within each series."""
    rollups = [_slices_of_points(points, places >> (widths[0].bit_length() - 1))]
    for finer, width in itertools.pairwise(widths):
        shift = (width // finer).bit_length() - 1
        rollups.append(_slices_of_slices(rollups[-1], rollups[-1].bucket >> shift))
    return rollups


def slice_starts(series: NDArray[np.uint64], buckets: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the indexes at which a new series or bucket begins; the first is 0."""
    changes = np.empty(len(series), dtype=bool)
    changes[0] = True
    np.not_equal(series[1:], series[:-1], out=changes[1:])
    changes[1:] |= buckets[1:] != buckets[:-1]
    return np.flatnonzero(changes)


def _slices_of_points(points: Points, buckets: NDArray[np.int64]) -> Aggregates:
    starts = slice_starts(points.series, buckets)
    lasts = np.append(starts[1:], len(buckets)) - 1
    values = points.values
    finite = np.isfinite(values)
    nothing = np.zeros(len(starts), dtype=np.int64)
    if finite.all():
        low = high = addend = values
        nan_count = positive = negative = nothing
    else:
        low = np.where(finite, values, np.inf)
        high = np.where(finite, values, -np.inf)
        addend = np.where(finite, values, 0.0)
        nan_count = _count(np.isnan(values), starts)
        positive = _count(values == np.inf, starts)
        negative = _count(values == -np.inf, starts)
    with np.errstate(over="ignore"):
        total = np.add.reduceat(addend, starts)
    return Aggregates(
        series=points.series[starts],
        bucket=buckets[starts],
        count=lasts - starts + 1,
        nan_count=nan_count,
        positive_inf_count=positive,
        negative_inf_count=negative,
        minimum=np.minimum.reduceat(low, starts),
        maximum=np.maximum.reduceat(high, starts),
        total=total,
        first_step=points.steps[starts],
        first_time=points.times[starts],
        first_value=values[starts],
        last_step=points.steps[lasts],
        last_time=points.times[lasts],
        last_value=values[lasts],
        time_min=np.minimum.reduceat(points.times, starts),
        time_max=np.maximum.reduceat(points.times, starts),
    )


def _slices_of_slices(finer: Aggregates, buckets: NDArray[np.int64]) -> Aggregates:
    starts = slice_starts(finer.series, buckets)
    lasts = np.append(starts[1:], len(buckets)) - 1
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduceat(finer.total, starts)
    return Aggregates(
        series=finer.series[starts],
        bucket=buckets[starts],
        count=np.add.reduceat(finer.count, starts),
        nan_count=np.add.reduceat(finer.nan_count, starts),
        positive_inf_count=np.add.reduceat(finer.positive_inf_count, starts),
        negative_inf_count=np.add.reduceat(finer.negative_inf_count, starts),
        minimum=np.minimum.reduceat(finer.minimum, starts),
        maximum=np.maximum.reduceat(finer.maximum, starts),
        total=total,
        first_step=finer.first_step[starts],
        first_time=finer.first_time[starts],
        first_value=finer.first_value[starts],
        last_step=finer.last_step[lasts],
        last_time=finer.last_time[lasts],
        last_value=finer.last_value[lasts],
        time_min=np.minimum.reduceat(finer.time_min, starts),
        time_max=np.maximum.reduceat(finer.time_max, starts),
    )


def _count(mask: NDArray[np.bool_], starts: NDArray[np.intp]) -> NDArray[np.int64]:
    return np.add.reduceat(mask, starts, dtype=np.int64)
