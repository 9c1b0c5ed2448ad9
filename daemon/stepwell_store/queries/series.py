"""Series in buckets for drawing, from the coarsest rollup that is exact for their width.

    find the series  →  choose the level of each metric  →  one query per (source, level)  →  arrays

Over steps every bucket is exact, because a rollup's buckets nest in wider ones. Over time a bucket
of a rollup counts at the time of its last point, because rollups are cut by steps. They are used
only if there are too many points to read, and only if they are short compared with a bucket of time
(``_SHORT``). So a point may be drawn a small part of one bucket late, but it is never lost. For
series over another metric see ``metric_axis``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.aggregates import ROLLUP_WIDTHS
from stepwell_store.queries.axis import (
    INTEGER_LEVEL_MAX,
    STEP,
    SeriesRequestError,
    SeriesView,
    XAxis,
    check_level,
    integer_level,
)
from stepwell_store.queries.bucket_series import MetricSeries, Series, columns_of, sorted_rows
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.metric_axis import metric_axis_series
from stepwell_store.queries.rollup_rows import (
    COLUMNS,
    NON_FINITE_COLUMNS,
    ROWS_MAX,
    SHIFT_MAX,
    joined_rows,
)
from stepwell_store.queries.series_names import FoundSeries, find_series
from stepwell_store.store import Store

SERIES_MAX: Final = 20_000
"""Maximum of series (metrics times runs) in one request."""

RAW_POINTS_MAX: Final = 2_000_000
"""Over time: with more points in the range, rollups are read if they are short enough."""

_SHORT: Final = 8  # A rollup's bucket takes at most this part of a bucket of time.
_BUCKETS_DEFAULT: Final = 512

_NON_FINITE: Final = {
    "raw": (
        ", countIf(isNaN(value)) AS nans, countIf(value = inf) AS positive_infs, "
        "countIf(value = -inf) AS negative_infs"
    ),
    "rolled": (
        ", sum(nan_count) AS nans, sum(positive_inf_count) AS positive_infs, "
        "sum(negative_inf_count) AS negative_infs"
    ),
}
_FINITE: Final = {
    "raw": "sum(value) AS total, min(value) AS minimum, max(value) AS maximum",
    "raw non-finite": (
        "sumIf(value, isFinite(value)) AS total, minIf(value, isFinite(value)) AS minimum, "
        "maxIf(value, isFinite(value)) AS maximum"
    ),
    "rolled": "sum(sum) AS total, min(min) AS minimum, max(max) AS maximum",
}

# x and the other one of step and time form one 128-bit number. It compares five times as fast as a
# tuple of them, and the later of two points at one x is the last.
_RAW: Final = """
SELECT {owner} AS owner, bitShiftRight({x}, {{level:UInt8}}) AS bucket, count() AS points, {finite},
       argMin(value, bitShiftLeft(toInt128({moment}), 64) + {other}) AS first_value,
       argMax(value, bitShiftLeft(toInt128({moment}), 64) + {other}) AS last_value,
       min({x}) AS first_x, max({x}) AS last_x{non_finite}
FROM points
WHERE series IN {{series:Array(UInt64)}} AND {x} BETWEEN {{first:Int64}} AND {{last:Int64}}
GROUP BY owner, bucket
"""
_ROLLED: Final = """
SELECT {owner} AS owner, bitShiftRight({place}, {{level:UInt8}}) AS cut, sum(count) AS points,
       {finite},
       argMin(first.value, bitShiftLeft(toInt128({first_x}), 64) + {first_other}) AS first_value,
       argMax(last.value, bitShiftLeft(toInt128({last_x}), 64) + {last_other}) AS last_value,
       min({first_x}) AS earliest_x, max({last_x}) AS latest_x{non_finite}
FROM step_rollups
WHERE width = {{width:UInt32}} AND series IN {{series:Array(UInt64)}}
  AND {place} BETWEEN {{first:Int64}} AND {{last:Int64}}
GROUP BY owner, cut
"""
# Several series of a run (its ranks') as one. The first and the last value are the means of the
# values of the series at that step: of the finite ones, if there are any.
_RANKS: Final = """
SELECT {owner} AS joined, {bucket} AS joined_bucket, sum(points) AS joined_points,
       sum(total) AS joined_total, {extremes},
       {first_value} AS joined_first, {last_value} AS joined_last,
       min({first_x}) AS joined_first_x, max({last_x}) AS joined_last_x{non_finite}
FROM ({inner})
GROUP BY joined, joined_bucket
"""
_JOINED_NAMES: Final = {
    "joined": "owner",
    "joined_bucket": "bucket",
    "joined_points": "points",
    "joined_total": "total",
    "joined_minimum": "minimum",
    "joined_maximum": "maximum",
    "joined_first": "first_value",
    "joined_last": "last_value",
    "joined_first_x": "first_x",
    "joined_last_x": "last_x",
    "joined_nans": "nans",
    "joined_positive_infs": "positive_infs",
    "joined_negative_infs": "negative_infs",
}
_AT_EDGE: Final = "arrayFilter((each, x) -> x = {edge}, groupArray({value}), groupArray({x}))"
_STORED: Final = f"""
SELECT series AS owner, bucket, {COLUMNS}{{non_finite}}
FROM step_rollups
WHERE width = {{{{width:UInt32}}}} AND series IN {{{{series:Array(UInt64)}}}}
  AND bucket BETWEEN {{{{first:Int64}}}} AND {{{{last:Int64}}}}
"""
_OWNER: Final = "transform({}, {{series:Array(UInt64)}}, {{owners:Array(UInt64)}}, {})"
_JOINED: Final = _OWNER.format("series", "series")
_SINCE_START: Final = "transform(series, {series:Array(UInt64)}, {starts:Array(Int64)}, 0)"

_STARTS: Final = """
SELECT run_id, minIf(started_at, started_at > 0) AS started FROM writers
WHERE project = {project:String} AND run_id IN {runs:Array(String)} GROUP BY run_id
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """The buckets of the series of one or several metrics: the input of a query.

    Attributes:
        rollup: steps in a bucket of the rollup to read, 1 for points.
        first, last: the range of x, at borders of buckets, both included.
    """

    level: int
    rollup: int
    first: int
    last: int
    has_non_finite: bool

    @property
    def shift(self) -> int:
        """``2**shift`` buckets of the rollup are one of the answer, over steps."""
        return self.level - (self.rollup.bit_length() - 1)

    def is_read_as_stored(self, part: FoundSeries, kind: str) -> bool:
        """Whether rows come as they are stored, and ``rollup_rows`` merges them."""
        if self.rollup == 1 or kind != "step" or part.is_joined or self.shift > SHIFT_MAX:
            return False
        return len(part.series) * ((self.last - self.first + 1) // self.rollup) <= ROWS_MAX


def series_buckets(
    store: Store,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    *,
    x: XAxis = STEP,
    first: float | None = None,
    last: float | None = None,
    buckets: int = _BUCKETS_DEFAULT,
    level: int | None = None,
    labels: str = "join",
    limits: Limits = DEFAULT,
) -> tuple[MetricSeries, ...]:
    """Return each of ``metrics`` in each of ``run_ids`` in buckets, in the order of ``metrics``.

    Args:
        first, last: the range of x, both included, in its unit (steps, µs, or the unit of the
            metric on x); None for the whole series. Buckets at the ends are complete.
        buckets: maximum number; it determines the width, for each metric.
        level: widths are ``2**level`` instead.
        labels: ``join`` the writers' (ranks') series of a run, or keep them ``apart``.

    A bucket without points is left out, as is a series without points in the range.

    Raises:
        SeriesRequestError: The request is invalid.
        QueryTimeoutError, QueryTooLargeError, StoreUnavailableError: See ``Limits``.
    """
    if labels not in ("join", "apart"):
        raise SeriesRequestError(f"labels is {labels!r}; expected join or apart")
    runs, names = list(dict.fromkeys(run_ids)), list(dict.fromkeys(metrics))
    if len(runs) * len(names) > SERIES_MAX:
        raise SeriesRequestError(
            f"{len(names):,} metrics in {len(runs):,} runs are more than {SERIES_MAX:,} "
            "series; request fewer at once, or request bands over groups of runs"
        )
    view = SeriesView(x, first, last, buckets, level)
    question = Question(store, limits)
    found = find_series(question, project, runs, names, keeps_labels=labels == "apart")
    if found is None:
        made = {name: _nothing(name, view) for name in names}
    elif x.kind == "metric":
        made = metric_axis_series(question, project, runs, names, found, view)
    else:
        starts = run_starts(question, project, runs, found) if x.kind == "relative" else None
        made = _integer_axis_series(question, runs, names, found, view, starts)
    return tuple(made.get(name) or _nothing(name, view) for name in metrics)


def _nothing(metric: str, view: SeriesView) -> MetricSeries:
    level = view.level or 0
    return MetricSeries(metric, str(view.x), level, 2.0**level, ())


def run_starts(
    question: Question, project: str, runs: Sequence[str], found: FoundSeries
) -> NDArray[np.int64]:
    """Return the start of each of ``runs``, in µs: from its writers, else from its first point."""
    rows = question.rows(_STARTS, {"project": project, "runs": list(runs)})
    told = {row["run_id"]: row["started"] for row in rows if row["started"]}
    starts = np.zeros(len(runs), dtype=np.int64)
    for at, run_id in enumerate(runs):
        own = found.earliest[found.run == at]
        starts[at] = told.get(run_id) or (int(own.min()) if len(own) else 0)
    return starts


def _integer_axis_series(
    question: Question,
    runs: list[str],
    names: list[str],
    found: FoundSeries,
    view: SeriesView,
    starts: NDArray[np.int64] | None,
) -> dict[str, MetricSeries]:
    cuts: dict[Cut, list[int]] = {}
    for at in np.unique(found.metric).tolist():
        part = found.taken(found.metric == at)
        cut = choose_cut(part, view, None if starts is None else starts[part.run])
        if cut is not None:
            cuts.setdefault(cut, []).append(at)
    made: dict[str, MetricSeries] = {}
    for cut, places in cuts.items():
        part = found.taken(np.isin(found.metric, places))
        offsets = None if starts is None else starts[part.run]
        columns = _ask(question, part, cut, view.x.kind, offsets)
        series = split(columns, part, runs, names) if columns else {}
        for at in places:
            made[names[at]] = MetricSeries(
                names[at], str(view.x), cut.level, 2.0**cut.level, tuple(series.get(at, ()))
            )
    return made


def choose_cut(part: FoundSeries, view: SeriesView, starts: NDArray[np.int64] | None) -> Cut | None:
    """Return the cut for the series of one metric, None if the range has no point of them."""
    if view.x.kind == "step":
        low, high = int(part.first_step.min()), int(part.last_step.max())
    else:
        offsets = 0 if starts is None else starts
        low = int((part.earliest - offsets).min())
        high = int((part.latest - offsets).max())
    first = low if view.first is None else int(np.floor(view.first))
    last = high if view.last is None else int(np.floor(view.last))
    if first > last and view.level is None:  # One end is of the view, and all points are beyond it.
        return None
    level = integer_level(first, last, view.buckets) if view.level is None else view.level
    if level > INTEGER_LEVEL_MAX:
        raise SeriesRequestError(
            f"the range {first:g} to {last:g} is wider than {view.x} supports; request a "
            "shorter one"
        )
    # Cut by buckets, not by x, because all points of a bucket may be just outside of the range.
    lowest, highest = max(first >> level, low >> level), min(last >> level, high >> level)
    if lowest > highest:
        return None
    check_level(level, highest - lowest + 1)
    first, last = lowest << level, ((highest + 1) << level) - 1
    has_non_finite = bool(part.non_finite.any())
    if view.x.kind == "step":
        rollup = max((width for width in ROLLUP_WIDTHS if width <= 1 << level), default=1)
    else:
        rollup = _time_rollup(part, level, share=(last - first + 1) / max(1, high - low + 1))
    return Cut(level, rollup, first, last, has_non_finite)


def _time_rollup(part: FoundSeries, level: int, *, share: float) -> int:
    """Return the rollup to read over time: the finest that keeps the rows few, 1 for points."""
    points = int(part.points.sum()) * min(1.0, share)
    if points <= RAW_POINTS_MAX:
        return 1
    steps = np.maximum(part.last_step - part.first_step, 1)
    seconds_a_step = (part.latest - part.earliest) / steps
    chosen = 1
    for width in ROLLUP_WIDTHS:
        if float(np.median(seconds_a_step)) * width > (1 << level) / _SHORT:
            break
        chosen = width
        if points / width <= RAW_POINTS_MAX:
            break
    return chosen


def select(cut: Cut, kind: str, *, is_joined: bool) -> str:
    """Return the query of one cut, its parameters named by ``parameters_of``."""
    owner = _JOINED if is_joined else "series"
    since = f" - {_SINCE_START}" if kind == "relative" else ""
    moment, other = ("step", "time") if kind == "step" else ("time", "step")
    if cut.rollup == 1:
        return _RAW.format(
            owner=owner,
            x=f"({moment}{since})" if since else moment,
            moment=moment,
            other=other,
            finite=_FINITE["raw non-finite" if cut.has_non_finite else "raw"],
            non_finite=_NON_FINITE["raw"] if cut.has_non_finite else "",
        )
    return _ROLLED.format(
        owner=owner,
        place="bucket" if kind == "step" else f"(last.time{since})",
        first_x=f"first.{moment}",
        first_other=f"first.{other}",
        last_x=f"last.{moment}",
        last_other=f"last.{other}",
        finite=_FINITE["rolled"],
        non_finite=_NON_FINITE["rolled"] if cut.has_non_finite else "",
    )


def _select_ranks(cut: Cut) -> str:
    """Return the query of one cut over steps that joins the series of each owner.

    Over time the ranks have different x, so ``select`` is right: the newest point is of one rank.
    """
    is_rolled = cut.rollup > 1
    first_x, last_x = ("earliest_x", "latest_x") if is_rolled else ("first_x", "last_x")
    low, high, where = "min(minimum)", "max(maximum)", ""
    if cut.has_non_finite:
        where = "points > nans + positive_infs + negative_infs"
        low, high = f"minIf(minimum, {where})", f"maxIf(maximum, {where})"
    return _RANKS.format(
        owner=_OWNER.format("owner", "owner"),
        bucket="cut" if is_rolled else "bucket",
        extremes=f"{low} AS joined_minimum, {high} AS joined_maximum",
        first_value=_mean_at("first_value", first_x, f"min({first_x})", cut),
        last_value=_mean_at("last_value", last_x, f"max({last_x})", cut),
        first_x=first_x,
        last_x=last_x,
        non_finite="".join(
            f", sum({name}) AS joined_{name}"
            for name in ("nans", "positive_infs", "negative_infs")
            if cut.has_non_finite
        ),
        inner=select(cut, "step", is_joined=False),
    )


def _mean_at(value: str, x: str, edge: str, cut: Cut) -> str:
    """Return the mean of ``value`` in the rows of a group whose ``x`` is ``edge``."""
    values = _AT_EDGE.format(edge=edge, value=value, x=x)
    if not cut.has_non_finite:
        return f"arraySum({values}) / length({values})"
    finite = f"arrayFilter(each -> isFinite(each), {values})"
    chosen = f"if(empty({finite}), {values}, {finite})"
    return f"arraySum({chosen}) / length({chosen})"


def parameters_of(
    part: FoundSeries, cut: Cut, kind: str, starts: NDArray[np.int64] | None
) -> dict[str, object]:
    """Return the columns of ``select``."""
    parameters: dict[str, object] = {
        "series": part.series.tolist(),
        "owners": part.owner.tolist(),
        "level": cut.level,
        "first": cut.first,
        "last": cut.last,
    }
    if cut.rollup > 1:
        parameters["width"] = cut.rollup
        if kind == "step":  # The rollup's own buckets are cut.
            shift = cut.rollup.bit_length() - 1
            parameters |= {
                "level": cut.shift,
                "first": cut.first >> shift,
                "last": cut.last >> shift,
            }
    if starts is not None:
        parameters["starts"] = starts.tolist()
    return parameters


def _ask(
    question: Question,
    part: FoundSeries,
    cut: Cut,
    kind: str,
    starts: NDArray[np.int64] | None,
) -> dict[str, NDArray[Any]]:
    if cut.is_read_as_stored(part, kind):
        sql = _STORED.format(non_finite=NON_FINITE_COLUMNS if cut.has_non_finite else "")
        parameters = parameters_of(part, cut, kind, starts)
        for unused in ("owners", "level"):
            del parameters[unused]
        columns = question.arrays(sql, parameters)
        return joined_rows(columns, cut.shift) if columns else {}
    if part.is_joined and kind == "step":
        columns = question.arrays(_select_ranks(cut), parameters_of(part, cut, kind, starts))
        return {_JOINED_NAMES[name]: values for name, values in columns.items()}
    columns = question.arrays(
        select(cut, kind, is_joined=part.is_joined), parameters_of(part, cut, kind, starts)
    )
    if not columns or cut.rollup == 1:
        return columns
    named = {"cut": "bucket", "earliest_x": "first_x", "latest_x": "last_x"}
    columns = {named.get(name, name): values for name, values in columns.items()}
    if kind == "relative":
        by_owner = dict(
            zip(part.owner.tolist(), (starts if starts is not None else ()), strict=True)
        )
        offset = np.array([by_owner[number] for number in columns["owner"].tolist()])
        columns["first_x"] = columns["first_x"] - offset
        columns["last_x"] = columns["last_x"] - offset
    return columns


def split(
    columns: dict[str, NDArray[Any]],
    part: FoundSeries,
    runs: Sequence[str],
    names: Sequence[str],
) -> dict[int, list[Series]]:
    """Return the rows of a query as series, by the index of their metric."""
    owners, at, shared = np.unique(part.owner, return_index=True, return_inverse=True)
    # Numbered in the order of the answer: by metric, then run, then label.
    rank = np.empty(len(at), dtype=np.intp)
    rank[np.argsort(at)] = np.arange(len(at))
    versions = np.bincount(rank[shared], weights=part.points).astype(np.int64)
    number = rank[np.searchsorted(owners, columns["owner"])]
    order = sorted_rows(number, columns["bucket"].astype(np.int64))
    number = number[order]
    arrays = columns_of({name: values[order] for name, values in columns.items()})
    bounds = np.searchsorted(number, np.arange(len(at) + 1)).tolist()
    made: dict[int, list[Series]] = {}
    for place, where in enumerate(np.sort(at).tolist()):
        low, high = bounds[place], bounds[place + 1]
        if low == high:
            continue
        metric = int(part.metric[where])
        made.setdefault(metric, []).append(
            Series(
                run_id=runs[int(part.run[where])],
                metric=names[metric],
                label=part.labels[where],
                host="",
                version=int(versions[place]),
                is_tail=False,
                **{name: values[low:high] for name, values in arrays.items()},
            )
        )
    return made
