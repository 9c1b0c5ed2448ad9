"""Series over another metric: the x of each point is that metric's value at the point's step.

    points of y  ─┐
                  ├─ by label: the last x at or before the step of y ─ floor(x / 2**level)
    points of x  ─┘

A row often has only one of the two (an epoch is logged once, a loss a thousand times), so the last
value of x is used until the next one. Points of y before the first x, or with an x that is not
finite, are left out. Up to ``ROWS_MAX`` points are read one by one. For longer series the finest
rollup that is short enough is read. Its buckets keep their extremes, and their x is the value at
their last step.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.aggregates import ROLLUP_WIDTHS
from stepwell_store.queries.axis import (
    SeriesRequestError,
    SeriesView,
    check_level,
    finest_level,
    float_bucket,
    float_level,
)
from stepwell_store.queries.bucket_series import MetricSeries, Series, columns_of
from stepwell_store.queries.limits import Question
from stepwell_store.queries.series_names import FoundSeries, find_series

ROWS_MAX: Final = 2_000_000
"""Maximum of points, or buckets of rollups, read for one request."""

_Rows = dict[str, NDArray[Any]]

_RAW: Final = """
SELECT series, step AS first_step, step AS last_step, time AS last_time, toUInt64(1) AS points,
       value AS first_value, value AS last_value
FROM points WHERE series IN {series:Array(UInt64)}
"""
_ROLLED: Final = """
SELECT series, min(first.step) AS first_step, max(last.step) AS last_step,
       max(last.time) AS last_time, sum(count) AS points,
       sum(nan_count) AS nans, sum(positive_inf_count) AS positive_infs,
       sum(negative_inf_count) AS negative_infs, min(min) AS minimum, max(max) AS maximum,
       sum(sum) AS total,
       argMin(first.value, bitShiftLeft(toInt128(first.step), 64) + first.time) AS first_value,
       argMax(last.value, bitShiftLeft(toInt128(last.step), 64) + last.time) AS last_value
FROM step_rollups WHERE width = {width:UInt32} AND series IN {series:Array(UInt64)}
GROUP BY series, bucket
"""


def metric_axis_series(
    question: Question,
    project: str,
    runs: list[str],
    names: list[str],
    found: FoundSeries,
    view: SeriesView,
) -> dict[str, MetricSeries]:
    """Return the series of ``found`` over ``view.x``, by metric."""
    every = list(dict.fromkeys([*names, view.x.metric]))  # x may be drawn over itself.
    labelled = find_series(question, project, runs, every, keeps_labels=True)
    assert labelled is not None
    x_place = every.index(view.x.metric)
    places = _x_series(labelled, x_place)
    width = _source(found, labelled.taken(labelled.metric == x_place))
    wanted = sorted({*found.series.tolist(), *labelled.series[list(places.values())].tolist()})
    rows = _read(question, wanted, width)
    if not rows:
        return {}
    by_series = _by_series(rows)
    made = {}
    for at in np.unique(found.metric).tolist():
        part = found.taken(found.metric == at)
        lines = _lines(part, labelled, places, by_series)
        if lines:
            made[names[at]] = _cut(names[at], runs, part, lines, view)
    return made


def _x_series(labelled: FoundSeries, x_place: int) -> dict[tuple[int, str], int]:
    """Return the place of the series of the x metric, by run and label."""
    return {
        (int(labelled.run[at]), labelled.labels[at]): at
        for at in np.flatnonzero(labelled.metric == x_place).tolist()
    }


def _source(found: FoundSeries, on_x: FoundSeries) -> int:
    """Return the finest source with few enough rows: 1 for points, else a rollup's width."""
    points = int(found.points.sum() + on_x.points.sum())
    for width in (1, *ROLLUP_WIDTHS):
        if points / width <= ROWS_MAX:
            return width
    return ROLLUP_WIDTHS[-1]


def _read(question: Question, series: list[int], width: int) -> _Rows:
    if width > 1:
        return question.arrays(_ROLLED, {"series": series, "width": width})
    rows = question.arrays(_RAW, {"series": series})
    if not rows:
        return {}
    value = rows["last_value"]
    finite = np.isfinite(value)
    more = {
        "nans": np.isnan(value).astype(np.int64),
        "positive_infs": (value == np.inf).astype(np.int64),
        "negative_infs": (value == -np.inf).astype(np.int64),
        "minimum": np.where(finite, value, np.inf),
        "maximum": np.where(finite, value, -np.inf),
        "total": np.where(finite, value, 0.0),
    }
    return {**rows, **more}


def _by_series(rows: _Rows) -> dict[int, _Rows]:
    """Return the rows of each series by step and time."""
    order = np.lexsort((rows["last_time"], rows["last_step"], rows["series"]))
    rows = {name: values[order] for name, values in rows.items()}
    series, starts = np.unique(rows["series"], return_index=True)
    bounds = [*starts.tolist(), len(order)]
    return {
        number: {name: values[bounds[at] : bounds[at + 1]] for name, values in rows.items()}
        for at, number in enumerate(series.tolist())
    }


def _lines(
    part: FoundSeries,
    labelled: FoundSeries,
    places: dict[tuple[int, str], int],
    by_series: dict[int, _Rows],
) -> dict[int, _Rows]:
    """Return the rows of each owner with their ``x``, in the order of drawing."""
    label_of = dict(zip(labelled.series.tolist(), labelled.labels, strict=True))
    gathered: dict[int, list[_Rows]] = {}
    for at, number in enumerate(part.series.tolist()):
        label = label_of[number]
        # If labels are merged, a rank without an x of its own uses the only one.
        place = places.get((int(part.run[at]), label), places.get((int(part.run[at]), "")))
        if place is None or number not in by_series:
            continue
        placed = _placed(by_series[number], by_series.get(int(labelled.series[place])))
        if len(placed["x"]):
            gathered.setdefault(int(part.owner[at]), []).append(placed)
    return {owner: _joined(lines) for owner, lines in gathered.items()}


def _placed(of_y: _Rows, of_x: _Rows | None) -> _Rows:
    if of_x is None:
        return {**of_y, "x": np.zeros(0)}
    last = np.searchsorted(of_x["last_step"], of_y["last_step"], side="right") - 1
    x = np.where(last >= 0, of_x["last_value"][np.maximum(last, 0)], np.nan)
    kept = np.isfinite(x)
    return {**{name: values[kept] for name, values in of_y.items()}, "x": x[kept]}


def _joined(lines: Sequence[_Rows]) -> _Rows:
    rows = {name: np.concatenate([line[name] for line in lines]) for name in lines[0]}
    order = np.lexsort((rows["last_time"], rows["last_step"], rows["x"]))
    rows = {name: values[order] for name, values in rows.items()}
    if len(lines) > 1:
        rows["first_value"] = _means(rows, "first")
        rows["last_value"] = _means(rows, "last")
    return rows


def _means(rows: _Rows, end: str) -> NDArray[np.float64]:
    """Return for each row the mean of the ranks' values at its x and step, if any are finite."""
    x, step, values = rows["x"], rows[f"{end}_step"], rows[f"{end}_value"]
    if len(values) == 0:
        return values
    starts = np.flatnonzero(np.append(True, (np.diff(x) != 0) | (np.diff(step) != 0)))
    finite = np.isfinite(values)
    count = np.add.reduceat(finite, starts, dtype=np.int64)
    total = np.add.reduceat(np.where(finite, values, 0.0), starts)
    lengths = np.diff(np.append(starts, len(values)))
    means = np.repeat(total / np.maximum(count, 1), lengths)
    return np.where(np.repeat(count, lengths) > 0, means, values)


def _cut(
    metric: str, runs: Sequence[str], part: FoundSeries, lines: dict[int, _Rows], view: SeriesView
) -> MetricSeries:
    low = min(float(rows["x"][0]) for rows in lines.values())
    high = max(float(rows["x"][-1]) for rows in lines.values())
    first = low if view.first is None else view.first
    last = high if view.last is None else view.last
    if first > last and view.level is None:  # One end is of the view, and all points are beyond it.
        return MetricSeries(metric, str(view.x), view.level or 0, 2.0 ** (view.level or 0), ())
    level = float_level(first, last, view.buckets) if view.level is None else view.level
    if level < finest_level(first, last):
        raise SeriesRequestError(
            f"level {level} is finer than the resolution of the numbers from {first} to "
            f"{last}; expected {finest_level(first, last)} or more"
        )
    low_bucket, high_bucket = float_bucket(first, level), float_bucket(last, level)
    check_level(level, high_bucket - low_bucket + 1)
    series = []
    for at, owner in enumerate(part.owner.tolist()):
        if owner not in lines or (at and owner == part.owner[at - 1]):
            continue
        rows = _reduced(lines[owner], level, low_bucket, high_bucket)
        if rows is None:
            continue
        series.append(
            Series(
                run_id=runs[int(part.run[at])],
                metric=metric,
                label=part.labels[at],
                host="",
                version=int(part.points[part.owner == owner].sum()),
                is_tail=False,
                newest=rows["newest"],
                newest_step=rows["newest_step"].astype(np.float64),
                **columns_of(rows),
            )
        )
    return MetricSeries(metric, str(view.x), level, 2.0**level, tuple(series))


def _reduced(rows: _Rows, level: int, low: int, high: int) -> _Rows | None:
    """Return one row for each bucket, None without any in the range."""
    with np.errstate(over="ignore"):  # It is far outside the range.
        bucket = np.floor(np.ldexp(rows["x"], -level))
    inside = (bucket >= low) & (bucket <= high)
    if not inside.any():
        return None
    rows = {name: values[inside] for name, values in rows.items()}
    bucket = bucket[inside].astype(np.int64)
    starts = np.flatnonzero(np.append(True, np.diff(bucket) != 0))
    lasts = np.append(starts[1:], len(bucket)) - 1
    newest = np.lexsort((rows["last_time"], rows["last_step"], bucket))[lasts]
    sums = ("points", "nans", "positive_infs", "negative_infs", "total")
    return {
        "bucket": bucket[starts],
        **{name: np.add.reduceat(rows[name], starts) for name in sums},
        "minimum": np.minimum.reduceat(rows["minimum"], starts),
        "maximum": np.maximum.reduceat(rows["maximum"], starts),
        "first_value": rows["first_value"][starts],
        "last_value": rows["last_value"][lasts],
        "first_x": rows["x"][starts],
        "last_x": rows["x"][lasts],
        "newest": rows["last_value"][newest],
        "newest_step": rows["last_step"][newest],
    }
