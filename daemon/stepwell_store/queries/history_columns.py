"""The histories of many runs as columns: a row for each run, step and label, a column per metric.

A plan divides the points into parts, so that each part needs little memory for any number of runs.
Runs come in the requested order, rows by step and label.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.queries.history import Labels
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.series_names import FoundSeries, find_series
from stepwell_store.store import Store

PART_POINTS: Final = 500_000
"""Points of one part, on average; a part may have more if steps are denser."""
PART_CELLS: Final = 4_000_000
"""Maximum of rows times columns of one part, estimated from the runs' first and last steps."""

_POINTS: Final = """
SELECT series, step, time, value FROM points
WHERE series IN {series:Array(UInt64)} AND step BETWEEN {first:Int64} AND {last:Int64}
ORDER BY series, step
"""

_OTHERS: Final = """
SELECT DISTINCT metric FROM (
    SELECT metric FROM texts WHERE project = {project:String}
        AND run_id IN {runs:Array(String)} AND metric IN {metrics:Array(String)}
    UNION ALL
    SELECT metric FROM histograms WHERE project = {project:String}
        AND run_id IN {runs:Array(String)} AND metric IN {metrics:Array(String)}
)
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Series by their indexes in the plan, and their steps to read, both included."""

    begin: int
    end: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True, eq=False)
class ColumnsPlan:
    """The parts to read.

    Attributes:
        found: the series by run, metric and label; None without any.
        labels: the labels of the rows, in order; empty if rows have none.
        no_numbers: metrics with texts or histograms in these runs, but no number.
    """

    run_ids: tuple[str, ...]
    metrics: tuple[str, ...]
    found: FoundSeries | None
    labels: tuple[str, ...]
    parts: tuple[Part, ...]
    no_numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Rows of several runs.

    Attributes:
        run, label: indexes in the plan's lists. step, time: of each row; time in µs since 1970 UTC,
            the latest of the row.
        values: shape (metrics, rows). ``missing`` has the same shape: True without such a point.
    """

    run: NDArray[np.int32]
    label: NDArray[np.int32]
    step: NDArray[np.int64]
    time: NDArray[np.int64]
    values: NDArray[np.float64]
    missing: NDArray[np.bool_]


def plan_columns(
    store: Store,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    *,
    labels: Labels = "auto",
    first_step: int | None = None,
    last_step: int | None = None,
    limits: Limits = DEFAULT,
) -> ColumnsPlan:
    """Return the plan for reading the numbers of ``metrics`` in ``run_ids``.

    Args:
        metrics, run_ids: each at most once.
        labels: as in `history`; ``auto``: apart if one of the runs has more than one label.
        first_step, last_step: only rows in this range, both included.
    """
    question = Question(store, limits)
    found = find_series(question, project, run_ids, metrics, keeps_labels=labels != "join")
    others = _without_numbers(question, project, run_ids, metrics, found)
    if found is None:
        return ColumnsPlan(tuple(run_ids), tuple(metrics), None, (), (), others)
    found = found.taken(np.lexsort((found.metric, found.run)))
    names = tuple(sorted(set(found.labels))) if labels != "join" else ()
    if labels == "auto" and not _has_several_labels(found):
        names = ()
    low = first_step if first_step is not None else int(found.first_step.min())
    high = last_step if last_step is not None else int(found.last_step.max())
    parts = tuple(_parts(found, len(metrics), max(1, len(names)), low, high))
    return ColumnsPlan(tuple(run_ids), tuple(metrics), found, names, parts, others)


def read_columns(
    store: Store, plan: ColumnsPlan, part: Part, *, limits: Limits = DEFAULT
) -> Columns | None:
    """Return the rows of one part, None without any."""
    found = plan.found
    assert found is not None, "a plan without series has no parts"
    points = Question(store, limits).arrays(
        _POINTS,
        {
            "series": found.series[part.begin : part.end].tolist(),
            "first": part.first_step,
            "last": part.last_step,
        },
    )
    if not points:
        return None
    series, step, time, value = _without_earlier(*(points[name] for name in _NAMES))
    begins = np.flatnonzero(np.diff(series, prepend=series[0] ^ np.uint64(1)))
    ends = np.append(begins[1:], len(series))
    where = {
        number: slice(begin, end)
        for number, begin, end in zip(
            series[begins].tolist(), begins.tolist(), ends.tolist(), strict=True
        )
    }
    rows: dict[tuple[int, int], list[_Curve]] = {}
    for place in range(part.begin, part.end):
        held = where.get(int(found.series[place]))
        if held is None:
            continue
        label = plan.labels.index(found.labels[place]) if plan.labels else 0
        curve = _Curve(int(found.metric[place]), step[held], time[held], value[held])
        rows.setdefault((int(found.run[place]), label), []).append(curve)
    tables = {key: _table(curves, len(plan.metrics)) for key, curves in rows.items()}
    return _joined(tables, several_labels=bool(plan.labels))


_NAMES: Final = ("series", "step", "time", "value")


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    metric: int
    step: NDArray[np.int64]
    time: NDArray[np.int64]
    value: NDArray[np.float64]


_Table = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]


def _table(curves: Sequence[_Curve], metrics: int) -> _Table:
    """Return steps, times, values and missing points of one run and label."""
    steps = curves[0].step
    is_even = len({each.metric for each in curves}) == len(curves) and all(
        len(each.step) == len(steps) and np.array_equal(each.step, steps) for each in curves[1:]
    )
    if not is_even:
        steps = np.unique(np.concatenate([each.step for each in curves]))
    times = np.full(len(steps), np.iinfo(np.int64).min)
    values = np.zeros((metrics, len(steps)))
    missing = np.ones((metrics, len(steps)), dtype=bool)
    # If several writers logged a metric at one step, each metric keeps its own latest time.
    latest: dict[int, NDArray[np.int64]] = {}
    for each in curves:
        at = slice(None) if is_even else np.searchsorted(steps, each.step)
        time, value = each.time, each.value
        if each.metric in latest:
            is_later = time >= latest[each.metric][at]
            assert not isinstance(at, slice)
            at, time, value = at[is_later], time[is_later], value[is_later]
        elif not is_even:
            latest[each.metric] = np.full(len(steps), np.iinfo(np.int64).min)
        if not is_even:
            latest[each.metric][at] = time
        values[each.metric, at] = value
        missing[each.metric, at] = False
        times[at] = np.maximum(times[at], time)
    return steps, times, values, missing


def _joined(tables: dict[tuple[int, int], _Table], *, several_labels: bool) -> Columns:
    """Return the rows of all parts, by run, step and label."""
    keys = sorted(tables)
    lengths = [len(tables[key][0]) for key in keys]
    run = np.repeat(np.array([key[0] for key in keys], dtype=np.int32), lengths)
    label = np.repeat(np.array([key[1] for key in keys], dtype=np.int32), lengths)
    step = np.concatenate([tables[key][0] for key in keys])
    time = np.concatenate([tables[key][1] for key in keys])
    values = np.concatenate([tables[key][2] for key in keys], axis=1)
    missing = np.concatenate([tables[key][3] for key in keys], axis=1)
    if not several_labels:
        return Columns(run, label, step, time, values, missing)
    order = np.lexsort((label, step, run))
    return Columns(
        run[order], label[order], step[order], time[order], values[:, order], missing[:, order]
    )


def _without_earlier(
    series: NDArray[np.uint64],
    step: NDArray[np.int64],
    time: NDArray[np.int64],
    value: NDArray[np.float64],
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the points, with only the later one if a series has several at a step."""
    same = (series[1:] == series[:-1]) & (step[1:] == step[:-1])
    if not same.any():
        return series, step, time, value
    order = np.lexsort((time, step, series))
    kept = order[np.append(~same, True)]  # The order by series and step is unchanged.
    return series[kept], step[kept], time[kept], value[kept]


def _without_numbers(
    question: Question,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    found: FoundSeries | None,
) -> tuple[str, ...]:
    numeric = set() if found is None else {metrics[place] for place in found.metric.tolist()}
    absent = [metric for metric in metrics if metric not in numeric]
    if not absent or not run_ids:
        return ()
    rows = question.rows(_OTHERS, {"project": project, "runs": list(run_ids), "metrics": absent})
    return tuple(sorted(row["metric"] for row in rows))


def _has_several_labels(found: FoundSeries) -> bool:
    first: dict[int, str] = {}
    return any(
        first.setdefault(run, label) != label
        for run, label in zip(found.run.tolist(), found.labels, strict=True)
    )


def _parts(found: FoundSeries, columns: int, labels: int, low: int, high: int) -> Iterator[Part]:
    """Yield parts with whole runs, or with a range of steps of a long run."""
    begins = np.flatnonzero(np.diff(found.run, prepend=-1))
    ends = np.append(begins[1:], len(found.run))
    start, points, cells = 0, 0, 0
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        its_points = int(found.points[begin:end].sum())
        first = max(low, int(found.first_step[begin:end].min()))
        last = min(high, int(found.last_step[begin:end].max()))
        its_cells = min(its_points, max(0, last - first + 1) * labels) * columns
        if begin > start and (points + its_points > PART_POINTS or cells + its_cells > PART_CELLS):
            yield Part(start, begin, low, high)
            start, points, cells = begin, 0, 0
        count = max(-(-its_points // PART_POINTS), -(-its_cells // PART_CELLS))
        if count > 1 and last >= first:
            width = max(1, -(-(last - first + 1) // count))
            for step in range(first, last + 1, width):
                yield Part(begin, end, step, min(step + width - 1, last))
            start = end
            continue
        points, cells = points + its_points, cells + its_cells
    if start < len(found.run):
        yield Part(start, len(found.run), low, high)
