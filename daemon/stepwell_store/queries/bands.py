"""Groups of runs as bands: for each bucket the mean over runs, their spread and their number.

    points → per run and bucket: mean, min, max → per group and bucket: mean of means, std, …

All runs of a group count; there is no sampling. Over steps and time ClickHouse does both steps;
over another metric this module does the second step.

Over time, runs seldom log in the same buckets: between its points a run counts with its last ones,
so that the mean of a bucket does not depend on which runs logged just then.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.queries.axis import STEP, SeriesRequestError, SeriesView, XAxis
from stepwell_store.queries.bucket_series import Series, sorted_rows
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.metric_axis import metric_axis_series
from stepwell_store.queries.series import Cut, choose_cut, parameters_of, run_starts, select
from stepwell_store.queries.series_names import FoundSeries, find_series
from stepwell_store.store import Store

RUNS_MAX: Final = 20_000
"""Maximum of runs in all groups of one request."""

_CARRIED_MAX: Final = 2_000_000
"""Over time: maximum of runs times buckets for which runs count between their points."""
_GAPS_BESIDE: Final = 4
"""Over time: how far points are read on each side of the range, as a multiple of the usual distance
between a run's points."""

# Of runs without a finite value in a bucket, only the points count.
_BANDS: Final = """
SELECT transform(owner, {{band_owners:Array(UInt64)}}, {{band_groups:Array(UInt64)}}, toUInt64(0))
           AS band,
       bucket, sum(points) AS all_points, countIf(has_any) AS with_values{sums},
       avgIf(its_mean, has_any) AS mean, varPopIf(its_mean, has_any) AS variance,
       minIf(minimum, has_any) AS low, maxIf(maximum, has_any) AS high
FROM ({by_run})
GROUP BY band, bucket HAVING all_points > 0
"""
_BY_RUN: Final = """
SELECT owner, {bucket} AS bucket, points, minimum, maximum{non_finite},
       {finite} > 0 AS has_any, total / ({finite}) AS its_mean
FROM ({inner})
"""
# Each row of a run again in the buckets until its next row, there without points.
_CARRIED: Final = """
SELECT owner, own_bucket + ahead AS bucket, if(ahead = 0, own_points, 0) AS points,
       tupleElement(row, 2) AS has_any, tupleElement(row, 3) AS its_mean,
       tupleElement(row, 4) AS minimum, tupleElement(row, 5) AS maximum{non_finite}
FROM (
    SELECT owner, row, tupleElement(row, 1) AS own_bucket, tupleElement(row, 6) AS own_points,
           greatest(0, {{lowest:Int64}} - own_bucket) AS begin,
           least(until, {{highest:Int64}} + 1) - own_bucket AS end
    FROM (
        SELECT owner, arraySort(groupArray((toInt64(bucket), has_any, its_mean, minimum, maximum,
                                            points{names}))) AS rows,
               arrayMap(each -> tupleElement(each, 1), rows) AS places,
               arrayPushBack(arrayPopFront(places), places[length(places)] + 1) AS nexts
        FROM ({by_run}) GROUP BY owner
    ) ARRAY JOIN rows AS row, nexts AS until
)
ARRAY JOIN arrayMap(each -> begin + each, range(toUInt32(greatest(0, end - begin)))) AS ahead
"""
_NON_FINITE: Final = ("nans", "positive_infs", "negative_infs")


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """One metric of one group of runs; each array has one entry for each bucket with a point.

    Attributes:
        version: number of stored points of the metric in all runs of the group.
        run_count: runs with a finite value in the bucket, of ``group_runs`` in the group. Over
            time also runs between two of their points; they count with the earlier one's bucket.
        count: points; ``nan_count`` and the two infinite counts are among them.
        mean: of the runs' means. std: of the runs' means, with n - 1; 0 for one.
        min, max: over all finite points. All four are NaN if no run has a finite value.
        first_x, last_x: lowest and highest x of the bucket's points; only over another metric.
    """

    group: str
    group_runs: int
    version: int
    bucket: NDArray[np.int64]
    run_count: NDArray[np.int64]
    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    nan_count: NDArray[np.int64]
    positive_inf_count: NDArray[np.int64]
    negative_inf_count: NDArray[np.int64]
    first_x: NDArray[np.float64] | None = None
    last_x: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class MetricBands:
    """One metric in several groups, all in buckets of one width (see ``MetricSeries``)."""

    metric: str
    x: str
    level: int
    width: float
    bands: tuple[Band, ...]

    @property
    def points(self) -> int:
        return sum(int(each.count.sum()) for each in self.bands)


def group_bands(
    store: Store,
    project: str,
    groups: Mapping[str, Sequence[str]],
    metrics: Sequence[str],
    *,
    x: XAxis = STEP,
    first: float | None = None,
    last: float | None = None,
    buckets: int = 512,
    level: int | None = None,
    limits: Limits = DEFAULT,
) -> tuple[MetricBands, ...]:
    """Return each of ``metrics`` for each group, in the order of ``metrics``.

    Args:
        groups: run ids by the name of their group; a run is in one group only.
        The rest: as for ``series_buckets``. The writers' series of a run are merged.

    Raises:
        SeriesRequestError: The request is invalid.
    """
    groups = {name: tuple(dict.fromkeys(members)) for name, members in groups.items()}
    runs = _runs_of(groups)
    names = list(dict.fromkeys(metrics))
    question = Question(store, limits)
    view = SeriesView(x, first, last, buckets, level)
    found = find_series(question, project, runs, names, keeps_labels=False)
    group_of = _group_of(groups, runs)
    made: dict[str, MetricBands] = {}
    if found is not None and x.kind == "metric":
        over = metric_axis_series(question, project, runs, names, found, view)
        for name, one in over.items():
            bands = _bands_of_series(one.series, groups)
            made[name] = MetricBands(name, one.x, one.level, one.width, bands)
    elif found is not None:
        starts = run_starts(question, project, runs, found) if x.kind == "relative" else None
        for at in np.unique(found.metric).tolist():
            part = found.taken(found.metric == at)
            offsets = None if starts is None else starts[part.run]
            cut = choose_cut(part, view, offsets)
            if cut is None:
                continue
            bands = _ask(question, part, cut, view, offsets, group_of, groups)
            made[names[at]] = MetricBands(names[at], str(x), cut.level, 2.0**cut.level, bands)
    nothing = MetricBands("", str(x), level or 0, 2.0 ** (level or 0), ())
    return tuple(made.get(name) or replace(nothing, metric=name) for name in metrics)


def _runs_of(groups: Mapping[str, Sequence[str]]) -> list[str]:
    runs = [run_id for members in groups.values() for run_id in members]
    if len(set(runs)) < len(runs):
        twice = next(run_id for run_id in runs if runs.count(run_id) > 1)
        raise SeriesRequestError(f"run {twice} is in two groups; a run may be in one group only")
    if len(runs) > RUNS_MAX:
        raise SeriesRequestError(f"{len(runs):,} runs; bands can have at most {RUNS_MAX:,}")
    return runs


def _group_of(groups: Mapping[str, Sequence[str]], runs: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of each run's group, from 1."""
    number = {
        run_id: at for at, members in enumerate(groups.values(), start=1) for run_id in members
    }
    return np.array([number[run_id] for run_id in runs], dtype=np.int64)


def _ask(
    question: Question,
    part: FoundSeries,
    cut: Cut,
    view: SeriesView,
    starts: NDArray[np.int64] | None,
    group_of: NDArray[np.int64],
    groups: Mapping[str, Sequence[str]],
) -> tuple[Band, ...]:
    owners, at = np.unique(part.owner, return_index=True)
    lowest, highest = cut.first >> cut.level, cut.last >> cut.level
    is_carried = view.x.kind != "step" and len(owners) * (highest - lowest + 1) <= _CARRIED_MAX
    if is_carried:
        cut = _with_neighbours(cut, part)
    names = _NON_FINITE if cut.has_non_finite else ()
    by_run = _BY_RUN.format(
        inner=select(cut, view.x.kind, is_joined=part.is_joined),
        finite=" - ".join(("points", *names)),
        non_finite="".join(f", {name}" for name in names),
        bucket="bucket" if cut.rollup == 1 else "cut",
    )
    parameters = parameters_of(part, cut, view.x.kind, starts) | {
        "band_owners": owners.tolist(),
        "band_groups": group_of[part.run[at]].tolist(),
    }
    if is_carried:
        by_run = _CARRIED.format(
            by_run=by_run,
            names="".join(f", {name}" for name in names),
            non_finite="".join(
                f", if(ahead = 0, tupleElement(row, {place}), 0) AS {name}"
                for place, name in enumerate(names, start=7)
            ),
        )
        parameters |= {"lowest": lowest, "highest": highest}
    sums = "".join(f", sum({name}) AS all_{name}" for name in names)
    sql = _BANDS.format(by_run=by_run, sums=sums)
    rows = question.arrays(sql, parameters)
    if not rows:
        return ()
    return _split(rows, part, group_of, groups)


def _with_neighbours(cut: Cut, part: FoundSeries) -> Cut:
    """Return ``cut``, wider by whole buckets, so that most runs have a point on each side of it."""
    gaps = (part.latest - part.earliest) / np.maximum(part.points - 1, 1)
    width = 1 << cut.level
    beside = min(_GAPS_BESIDE * float(np.median(gaps)), 8.0 * (cut.last - cut.first + 1))
    wider = math.ceil(beside / width) * width
    return replace(cut, first=cut.first - wider, last=cut.last + wider)


def _split(
    rows: dict[str, NDArray[Any]],
    part: FoundSeries,
    group_of: NDArray[np.int64],
    groups: Mapping[str, Sequence[str]],
) -> tuple[Band, ...]:
    number = rows["band"].astype(np.int64)
    order = sorted_rows(number.astype(np.intp), rows["bucket"].astype(np.int64))
    rows = {name: values[order] for name, values in rows.items()}
    bounds = np.searchsorted(number[order], np.arange(1, len(groups) + 2)).tolist()
    versions = np.bincount(
        group_of[part.run], weights=part.points, minlength=len(groups) + 1
    ).astype(np.int64)
    bands = []
    for at, (name, members) in enumerate(groups.items(), start=1):
        low, high = bounds[at - 1], bounds[at]
        if low < high:
            own = {key: values[low:high] for key, values in rows.items()}
            bands.append(_band(name, len(members), int(versions[at]), own))
    return tuple(bands)


def _band(name: str, members: int, version: int, rows: dict[str, NDArray[Any]]) -> Band:
    values = rows["with_values"].astype(np.float64)
    has_any = values > 0
    nothing = np.zeros(len(values), dtype=np.int64)
    nans, above, below = (rows.get(f"all_{each}", nothing).astype(np.int64) for each in _NON_FINITE)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(rows["variance"], 0) * values / (values - 1))
    return Band(
        group=name,
        group_runs=members,
        version=version,
        bucket=rows["bucket"].astype(np.int64),
        run_count=rows["with_values"].astype(np.int64),
        count=rows["all_points"].astype(np.int64),
        mean=np.where(has_any, rows["mean"], np.nan),
        std=np.where(values > 1, spread, np.where(has_any, 0.0, np.nan)),
        min=np.where(has_any, rows["low"], np.nan),
        max=np.where(has_any, rows["high"], np.nan),
        nan_count=nans,
        positive_inf_count=above,
        negative_inf_count=below,
        first_x=rows.get("first_x"),
        last_x=rows.get("last_x"),
    )


def _bands_of_series(
    series: Sequence[Series], groups: Mapping[str, Sequence[str]]
) -> tuple[Band, ...]:
    by_run = {each.run_id: each for each in series}
    bands = []
    for name, members in groups.items():
        own = [by_run[run_id] for run_id in members if run_id in by_run]
        if own:
            version = sum(each.version for each in own)
            bands.append(_band(name, len(members), version, _over_runs(own)))
    return tuple(bands)


def _over_runs(own: Sequence[Series]) -> dict[str, NDArray[Any]]:
    bucket, where = np.unique(np.concatenate([each.bucket for each in own]), return_inverse=True)
    mean = np.concatenate([each.mean for each in own])
    has_any = ~np.isnan(mean)
    size = len(bucket)

    def total(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(where, weights=values, minlength=size).astype(np.float64)

    values = total(has_any)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = total(np.where(has_any, mean, 0.0)) / values
        off = np.where(has_any, mean - means[where], 0.0)
        variance = total(off * off) / values
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.fmin.at(low, where, np.concatenate([each.min for each in own]))
    np.fmax.at(high, where, np.concatenate([each.max for each in own]))
    first_x, last_x = np.full(size, np.inf), np.full(size, -np.inf)
    for each in ("first_x", "last_x"):  # A run may log the metric of x in any order.
        x = np.concatenate([getattr(series, each) for series in own])
        np.fmin.at(first_x, where, x)
        np.fmax.at(last_x, where, x)
    return {
        "bucket": bucket,
        "first_x": first_x,
        "last_x": last_x,
        "all_points": total(np.concatenate([each.count for each in own])),
        "all_nans": total(np.concatenate([each.nan_count for each in own])),
        "all_positive_infs": total(np.concatenate([each.positive_inf_count for each in own])),
        "all_negative_infs": total(np.concatenate([each.negative_inf_count for each in own])),
        "with_values": values,
        "mean": means,
        "variance": variance,
        "low": low,
        "high": high,
    }
