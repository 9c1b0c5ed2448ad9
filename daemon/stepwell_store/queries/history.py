"""A run's history: the logged values, step by step, as dicts.

    {"_step": 3, "_timestamp": 1.7e9, "_label": "0", "loss": 0.3, …}

Several writers that log at one step never replace each other: each has a separate row with the
writer's label, unless the caller joins them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from stepwell_store.histogram_rows import from_row
from stepwell_store.queries.limits import Limits, Question
from stepwell_store.queries.texts import text_value
from stepwell_store.statistics import SeriesStatistics, series_statistics
from stepwell_store.store import Store

WINDOW_POINTS: Final = 400_000
"""Points fetched at once, on average; a window of steps may have more if they are denser."""

LIMITS: Final = Limits(timeout_seconds=86_400, memory_bytes=0)
_OWN: Final = re.compile(r"(_run|_step|_timestamp|_runtime|_label)( \(logged\))*")

Labels = Literal["auto", "apart", "join"]

_OTHERS: Final[dict[str, tuple[str, Callable[[dict[str, Any]], Any]]]] = {
    "texts": (
        "toString(type) AS its_type, text",
        lambda row: text_value(row["its_type"], row["text"]),
    ),
    "histograms": (
        "low, high, edges, counts, nan_count, positive_inf_count, negative_inf_count",
        lambda row: from_row(row).as_value(),
    ),
}
"""Tables of values that are not floats: their columns, and the value of a row."""


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """The part of a run's history that is read, and its windows of steps.

    Attributes:
        metrics: only these; None for all.
        is_apart: a row for each writer at a step, with its label.
        others: the tables with values that are not floats.
        windows: (first step, last step), both included, in order.
        steps: only rows of these; None for all.
    """

    project: str
    run_id: str
    metrics: frozenset[str] | None
    statistics: tuple[SeriesStatistics, ...]
    others: tuple[str, ...]
    is_apart: bool
    windows: tuple[tuple[int, int], ...]
    steps: tuple[int, ...] | None = None

    @property
    def names(self) -> set[str]:
        """The requested metrics of the run that have numbers."""
        return {each.metric for each in self.statistics}


def history(
    store: Store,
    project: str,
    run_id: str,
    *,
    metrics: Sequence[str] | None = None,
    labels: Labels = "auto",
    limits: Limits = LIMITS,
) -> Iterator[dict[str, Any]]:
    """Yield ``{"_step", "_timestamp", metric: value, …}`` by step, then label.

    ``_timestamp`` is the latest of the row, in seconds. If one writer logged a metric more than
    once at a step, the later value is returned. Metrics are in the order of their names (see
    ``column_name``). Values that are not floats have their logged form, histograms the form of
    ``StoredHistogram.as_value``.

    Args:
        metrics: only these; rows without any of them are left out.
        labels: ``apart``: a row for each writer at a step, with its ``_label``. ``join``: one row
            for each step, with the later value of a metric that several writers logged. ``auto``:
            apart if the run has more than one label, else without ``_label``.
    """
    plan = plan_history(store, project, run_id, metrics=metrics, labels=labels, limits=limits)
    for window in plan.windows:
        yield from history_rows(store, plan, window, limits=limits)


def plan_history(
    store: Store,
    project: str,
    run_id: str,
    *,
    metrics: Sequence[str] | None = None,
    labels: Labels = "auto",
    first_step: int | None = None,
    last_step: int | None = None,
    limits: Limits = LIMITS,
) -> HistoryPlan:
    """Return the plan of `history_rows`; both steps are included. The rest is as in `history`."""
    question = Question(store, limits)
    wanted = None if metrics is None else frozenset(metrics)
    statistics = tuple(
        each
        for each in series_statistics(question, project, run_id)
        if wanted is None or each.metric in wanted
    )
    where = {"project": project, "run_id": run_id}
    others = {table: _bounds(question, where, table) for table in _OTHERS}
    others = {table: bounds for table, bounds in others.items() if bounds["rows"]}
    found = {each.label for each in statistics}.union(*(each["labels"] for each in others.values()))
    windows = tuple(_windows(statistics, others.values(), first_step, last_step))
    return HistoryPlan(
        project,
        run_id,
        wanted,
        statistics,
        tuple(others),
        labels == "apart" or (labels == "auto" and len(found) > 1),
        windows,
    )


def history_rows(
    store: Store, plan: HistoryPlan, window: tuple[int, int], *, limits: Limits = LIMITS
) -> list[dict[str, Any]]:
    """Return the rows of one of the plan's windows, in the form of `history`."""
    question = Question(store, limits)
    rows = _float_rows(question, plan, window) if plan.statistics else {}
    for table in plan.others:
        _add_others(question, plan, table, window, rows)
    return [_row(key, rows[key], apart=plan.is_apart) for key in sorted(rows)]


def _row(key: tuple[int, str], held: dict[str, tuple[int, Any]], *, apart: bool) -> dict[str, Any]:
    step, label = key
    values = {column_name(metric): value for metric, (_, value) in sorted(held.items())}
    latest = max(time_us for time_us, _ in held.values())
    whose = {"_label": label} if apart else {}
    return {"_step": step, "_timestamp": latest / 1_000_000, **whose, **values}


def column_name(metric: str) -> str:
    """Return the key of ``metric`` in a row: its name, unless the row itself has this key.

    ``_step`` becomes ``_step (logged)``. If that name was logged too, it gets the suffix again.
    """
    return f"{metric} (logged)" if _OWN.fullmatch(metric) else metric


def runs_with_several_labels(
    store: Store, project: str, run_ids: Sequence[str], *, limits: Limits = LIMITS
) -> set[str]:
    """Return the runs in which more than one writer logged."""
    rows = Question(store, limits).rows(
        "SELECT run_id FROM (SELECT run_id, label FROM series "
        "WHERE project = {project:String} AND run_id IN {runs:Array(String)} "
        "UNION ALL SELECT run_id, label FROM texts "
        "WHERE project = {project:String} AND run_id IN {runs:Array(String)} "
        "UNION ALL SELECT run_id, label FROM histograms "
        "WHERE project = {project:String} AND run_id IN {runs:Array(String)}) "
        "GROUP BY run_id HAVING uniqExact(label) > 1",
        {"project": project, "runs": list(run_ids)},
    )
    return {row["run_id"] for row in rows}


_Rows = dict[tuple[int, str], dict[str, tuple[int, Any]]]  # (step, label) -> metric -> (µs, value)


def _bounds(question: Question, where: dict[str, Any], table: str) -> dict[str, Any]:
    (bounds,) = question.rows(
        "SELECT count() AS rows, min(step) AS first_step, max(step) AS last_step, "
        f"groupUniqArray(label) AS labels FROM {table} "
        "WHERE project = {project:String} AND run_id = {run_id:String}",
        where,
    )
    return bounds


def _windows(
    statistics: Sequence[SeriesStatistics],
    others: Iterable[dict[str, Any]],
    first_step: int | None,
    last_step: int | None,
) -> Iterator[tuple[int, int]]:
    """Yield (first step, last step), both included, that cover the requested part of the run."""
    firsts = [each.first[0] for each in statistics]
    lasts = [each.last[0] for each in statistics]
    points = sum(each.count for each in statistics)
    for bounds in others:
        firsts.append(bounds["first_step"])
        lasts.append(bounds["last_step"])
        points += bounds["rows"]
    if not firsts:
        return
    first, last = min(firsts), max(lasts)
    count = max(1, -(-points // WINDOW_POINTS))
    width = max(1, -(-(last - first + 1) // count))
    first = first if first_step is None else max(first, first_step)
    last = last if last_step is None else min(last, last_step)
    for start in range(first, last + 1, width):
        yield start, min(start + width - 1, last)


def _float_rows(question: Question, plan: HistoryPlan, window: tuple[int, int]) -> _Rows:
    statistics, apart = plan.statistics, plan.is_apart
    steps, parameters = _steps(plan, window)
    columns = question.arrays(
        "SELECT series, step, time, value FROM points WHERE series IN {series:Array(UInt64)} "
        f"AND {steps}",
        {"series": [each.series for each in statistics], **parameters},
    )
    if not columns:
        return {}
    pairs = [(each.label if apart else "", each.metric) for each in statistics]
    places = sorted(set(pairs))
    number_of = {pair: number for number, pair in enumerate(places)}
    known = np.array([each.series for each in statistics], dtype=np.uint64)
    order = np.argsort(known)
    numbers = np.array([number_of[pairs[at]] for at in order.tolist()])
    place = numbers[np.searchsorted(known[order], columns["series"])]
    kept = _latest(columns["step"], place, columns["time"])
    rows: _Rows = {}
    for step, number, time_us, value in zip(
        columns["step"][kept].tolist(),
        place[kept].tolist(),
        columns["time"][kept].tolist(),
        columns["value"][kept].tolist(),
        strict=True,
    ):
        label, metric = places[number]
        rows.setdefault((step, label), {})[metric] = (time_us, value)
    return rows


def _latest(
    steps: NDArray[np.int64], places: NDArray[Any], times: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return the indices of the latest point of each (step, place), in that order."""
    order = np.lexsort((times, places, steps))
    differs = np.ones(len(order), dtype=bool)
    differs[:-1] = (np.diff(steps[order]) != 0) | (np.diff(places[order]) != 0)
    return order[differs]


def _add_others(
    question: Question, plan: HistoryPlan, table: str, window: tuple[int, int], rows: _Rows
) -> None:
    columns, value_of = _OTHERS[table]
    steps, parameters = _steps(plan, window)
    found = question.rows(
        f"SELECT metric, label, step, time, {columns} FROM {table} "
        "WHERE project = {project:String} AND run_id = {run_id:String} "
        f"AND {steps} ORDER BY time",
        {"project": plan.project, "run_id": plan.run_id, **parameters},
    )
    for row in found:
        metric = row["metric"]
        if plan.metrics is not None and metric not in plan.metrics:
            continue
        of_step = rows.setdefault((row["step"], row["label"] if plan.is_apart else ""), {})
        held = of_step.get(metric)
        if held is None or row["time"] >= held[0]:
            of_step[metric] = (row["time"], value_of(row))


def _steps(plan: HistoryPlan, window: tuple[int, int]) -> tuple[str, dict[str, object]]:
    """Return the condition for rows that are read, and its parameters."""
    held: dict[str, object] = {"first": window[0], "last": window[1]}
    condition = "step BETWEEN {first:Int64} AND {last:Int64}"
    if plan.steps is None:
        return condition, held
    return f"{condition} AND step IN {{steps:Array(Int64)}}", {**held, "steps": list(plan.steps)}
