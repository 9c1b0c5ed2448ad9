"""The daemons' samples of nodes, in buckets of time: of a run's hosts, or of any."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.aggregates import NODE_ROLLUP_WIDTHS
from stepwell_store.queries.axis import SeriesRequestError, check_level, integer_level
from stepwell_store.queries.bucket_series import MetricSeries, Series, columns_of, sorted_rows
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.run_devices import OWN_LABELS, RunDevices
from stepwell_store.store import Store

_NAMES: Final = """
SELECT DISTINCT host, metric, label, series FROM node_series
WHERE host IN {hosts:Array(String)} AND OWN_LABELS
  AND (empty({metrics:Array(String)}) OR metric IN {metrics:Array(String)})
ORDER BY metric, host, label
""".replace("OWN_LABELS", OWN_LABELS)
_POINTS: Final = """
SELECT series AS owner, bitShiftRight(time, {level:UInt8}) AS bucket, count() AS points,
       countIf(isNaN(value)) AS nans, countIf(value = inf) AS positive_infs,
       countIf(value = -inf) AS negative_infs, sumIf(value, isFinite(value)) AS total,
       minIf(value, isFinite(value)) AS minimum, maxIf(value, isFinite(value)) AS maximum,
       argMin(value, time) AS first_value, argMax(value, time) AS last_value,
       min(time) AS first_x, max(time) AS last_x
FROM node_points
WHERE series IN {series:Array(UInt64)} AND time BETWEEN {first:Int64} AND {last:Int64}
GROUP BY owner, bucket
"""
_ROLLED: Final = """
SELECT series AS owner, bitShiftRight(time, {level:UInt8}) AS bucket, sum(count) AS points,
       sum(nan_count) AS nans, sum(positive_inf_count) AS positive_infs,
       sum(negative_inf_count) AS negative_infs, sum(sum) AS total,
       min(min) AS minimum, max(max) AS maximum,
       argMin(tupleElement(first, 2), tupleElement(first, 1)) AS first_value,
       argMax(tupleElement(last, 2), tupleElement(last, 1)) AS last_value,
       min(tupleElement(first, 1)) AS first_x, max(tupleElement(last, 1)) AS last_x
FROM node_rollups
WHERE width = {width:UInt32} AND series IN {series:Array(UInt64)}
  AND time BETWEEN {first:Int64} AND {last:Int64}
GROUP BY owner, bucket
"""


def node_buckets(
    store: Store,
    hosts: Sequence[str],
    *,
    first_time_us: int,
    last_time_us: int,
    metrics: Sequence[str] = (),
    devices: RunDevices | None = None,
    all_devices: bool = False,
    buckets: int = 512,
    limits: Limits = DEFAULT,
) -> tuple[MetricSeries, ...]:
    """Return each metric of ``hosts`` between two moments, by name; x is µs since 1970 UTC.

    Args:
        first_time_us, last_time_us: both included. All metrics have buckets of the same width.
        metrics: only these; all if empty.
        devices: only the GPUs and processes of this run, with the run's names for them; without it
            there are no processes.
        all_devices: all GPUs, but only the processes of ``devices``.

    A series has the host and the device's label, and no run. Its version is the number of its
    points in the range.

    Raises:
        SeriesRequestError: The range is empty, or there are too many buckets.
    """
    if first_time_us > last_time_us:
        raise SeriesRequestError(f"the range {first_time_us} to {last_time_us} µs is empty")
    level = integer_level(first_time_us, last_time_us, buckets)
    check_level(level, (last_time_us >> level) - (first_time_us >> level) + 1)
    if not hosts:
        return ()
    question = Question(store, limits)
    writers = [] if devices is None else devices.writer_ids
    asked = {"hosts": list(hosts), "metrics": list(metrics), "writers": writers}
    names = question.rows(_NAMES, asked)
    if devices is not None:
        names = list(_shown(names, devices, all_devices=all_devices))
    if not names:
        return ()
    cut: dict[str, object] = {
        "series": [row["series"] for row in names],
        "level": level,
        "first": (first_time_us >> level) << level,
        "last": (((last_time_us >> level) + 1) << level) - 1,
    }
    # These buckets nest in those of the answer, so the result is equal, from fewer rows.
    if width := max((each for each in NODE_ROLLUP_WIDTHS if each <= 1 << level), default=0):
        rows = question.arrays(_ROLLED, {**cut, "width": width})
    else:
        rows = question.arrays(_POINTS, cut)
    if not rows:
        return ()
    by_metric: dict[str, list[Series]] = {}
    for series in _split(rows, names):
        by_metric.setdefault(series.metric, []).append(series)
    return tuple(
        MetricSeries(metric, "time", level, 2.0**level, tuple(held))
        for metric, held in by_metric.items()
    )


def _shown(
    names: list[dict[str, Any]], devices: RunDevices, *, all_devices: bool
) -> Iterator[dict[str, Any]]:
    for row in names:
        label = devices.shown(row["host"], row["label"], all_devices=all_devices)
        if label is not None:
            yield {**row, "label": label}


def _split(rows: dict[str, NDArray[Any]], names: list[dict[str, Any]]) -> list[Series]:
    known = np.array([row["series"] for row in names], dtype=np.uint64)
    by_number = np.argsort(known)
    number = by_number[np.searchsorted(known[by_number], rows["owner"])]
    order = sorted_rows(number, rows["bucket"].astype(np.int64))
    arrays = columns_of({name: values[order] for name, values in rows.items()})
    bounds = np.searchsorted(number[order], np.arange(len(names) + 1)).tolist()
    return [
        Series(
            run_id="",
            metric=row["metric"],
            label=row["label"],
            host=row["host"],
            version=int(arrays["count"][bounds[at] : bounds[at + 1]].sum()),
            is_tail=False,
            **{name: values[bounds[at] : bounds[at + 1]] for name, values in arrays.items()},
        )
        for at, row in enumerate(names)
        if bounds[at] < bounds[at + 1]
    ]
