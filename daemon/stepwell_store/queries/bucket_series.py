"""Buckets of series as arrays, and the part that a reader with some of them still needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# A table of indexes at most this much larger than the rows is faster than a sort.
_DENSE_FACTOR: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One metric of one run; each array has one entry for each bucket with a point.

    Attributes:
        label: of the writer, if labels are kept apart; else empty.
        host: of a node's series; else empty.
        version: number of stored points of the series, inside the range or not. If the version is
            the same, the series is unchanged.
        is_tail: the reader's buckets before the first one here are unchanged.
        bucket: floor(x / 2**level), ascending.
        count: all points; ``nan_count`` and the two infinite counts are among them.
        min, max, mean: of the finite points; NaN without any.
        first, last: the values of the first and last point, also if not finite. Of several ranks
            with a point at that step (over a metric also at that x): the mean.
        first_x, last_x: the x of these points, in the unit of x.
        newest, newest_step: over a metric, whose x may fall: the value of the bucket's point with
            the highest step, and this step. Else None.
    """

    run_id: str
    metric: str
    label: str
    host: str
    version: int
    is_tail: bool
    bucket: NDArray[np.int64]
    count: NDArray[np.int64]
    nan_count: NDArray[np.int64]
    positive_inf_count: NDArray[np.int64]
    negative_inf_count: NDArray[np.int64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    mean: NDArray[np.float64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    first_x: NDArray[np.float64]
    last_x: NDArray[np.float64]
    newest: NDArray[np.float64] | None = None
    newest_step: NDArray[np.float64] | None = None


_NO_ARRAYS: Final = ("run_id", "metric", "label", "host", "version", "is_tail")
_OVER_METRIC: Final = ("newest", "newest_step")
ARRAYS: Final = tuple(
    each.name for each in fields(Series) if each.name not in _NO_ARRAYS + _OVER_METRIC
)


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """One metric in several runs, all in buckets of one width.

    Attributes:
        width: ``2**level`` in the unit of x: steps, µs, or the unit of the metric on x.
        points: number of points in all these buckets.
    """

    metric: str
    x: str
    level: int
    width: float
    series: tuple[Series, ...]

    @property
    def points(self) -> int:
        return sum(int(each.count.sum()) for each in self.series)


@dataclass(frozen=True, slots=True)
class HeldBuckets:
    """The part of one series that a reader has.

    Attributes:
        tail: the bucket from which on the answer always contains the buckets: the reader's last
            one.
        head_count: the points in its buckets before ``tail``.
    """

    run_id: str
    label: str
    level: int
    tail: int
    head_count: int


def without_known_head(answer: MetricSeries, held: Sequence[HeldBuckets]) -> MetricSeries:
    """Return ``answer`` without the reader's unchanged buckets.

    Points are only added, so a head with the same number of points is unchanged. Late points
    increase the number: then the whole series is returned. Over another metric the whole series is
    always returned, because a late value of that metric moves points between buckets of the head.
    """
    if not held or answer.x.startswith("metric:"):
        return answer
    known = {(each.run_id, each.label): each for each in held if each.level == answer.level}
    series = tuple(_tail(each, known.get((each.run_id, each.label))) for each in answer.series)
    return replace(answer, series=series)


def _tail(series: Series, held: HeldBuckets | None) -> Series:
    if held is None:
        return series
    start = int(np.searchsorted(series.bucket, held.tail))
    if start == 0 or int(series.count[:start].sum()) != held.head_count:
        return series
    return replace(series, is_tail=True, **{name: getattr(series, name)[start:] for name in ARRAYS})


def sorted_rows(owner: NDArray[np.intp], bucket: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the order of rows by (owner, bucket); no two rows have equal pairs."""
    low, high = int(bucket.min()), int(bucket.max())
    span = high - low + 1
    owners = int(owner.max()) + 1
    if span * owners <= _DENSE_FACTOR * len(bucket) + 1_000_000:
        places = np.full(span * owners, -1, dtype=np.intp)
        places[owner * span + (bucket - low)] = np.arange(len(bucket))
        return places[places >= 0]
    return np.lexsort((bucket, owner))


def columns_of(rows: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``Series`` from sorted rows of a query (or of an equal computation).

    ``rows`` has ``bucket, points, total, minimum, maximum, first_value, last_value, first_x,
    last_x`` and, if any value is not finite, ``nans, positive_infs, negative_infs``. The extremes
    of a row without finite values are meaningless.
    """
    count = rows["points"].astype(np.int64)
    nothing = np.zeros(len(count), dtype=np.int64)
    non_finite = [
        rows[name].astype(np.int64) if name in rows else nothing
        for name in ("nans", "positive_infs", "negative_infs")
    ]
    finite = count - non_finite[0] - non_finite[1] - non_finite[2] if "nans" in rows else count
    has_any = finite > 0
    mean = np.full(len(count), np.nan)
    np.divide(rows["total"], finite, out=mean, where=has_any)
    is_whole = bool(has_any.all())
    return {
        "bucket": rows["bucket"].astype(np.int64),
        "count": count,
        "nan_count": non_finite[0],
        "positive_inf_count": non_finite[1],
        "negative_inf_count": non_finite[2],
        "min": rows["minimum"] if is_whole else np.where(has_any, rows["minimum"], np.nan),
        "max": rows["maximum"] if is_whole else np.where(has_any, rows["maximum"], np.nan),
        "mean": mean,
        "first": rows["first_value"],
        "last": rows["last_value"],
        "first_x": rows["first_x"].astype(np.float64),
        "last_x": rows["last_x"].astype(np.float64),
    }
