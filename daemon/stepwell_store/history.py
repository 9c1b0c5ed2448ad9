"""A run's history: what was logged, step by step, as dicts; and its console."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.runs import text_value
from stepwell_store.statistics import SeriesStatistics, series_statistics
from stepwell_store.store import Store

WINDOW_POINTS: Final = 400_000
"""Points fetched at once, on average; a window of steps may hold more where they lie denser."""

_TIMEOUT_SECONDS: Final = 300.0


def history(
    store: Store, project: str, run_id: str, *, metrics: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield ``{"_step", "_timestamp", metric: value, …}`` for each step, in the order of steps.

    ``_timestamp`` is the latest of the step, in seconds. Of a metric logged more than once at a
    step (again, or by several writers) the later value is given. Metrics stand in the order of
    their names. Values that are no floats are given as they were logged.

    Args:
        metrics: only these; steps that have none of them are left out.
    """
    wanted = None if metrics is None else set(metrics)
    statistics = [
        each
        for each in series_statistics(store, project, run_id)
        if wanted is None or each.metric in wanted
    ]
    where = {"project": project, "run_id": run_id}
    bounds = store.query(
        "SELECT count() AS texts, min(step) AS first_step, max(step) AS last_step FROM texts "
        "WHERE project = {project:String} AND run_id = {run_id:String}",
        parameters=where,
    )[0]
    for first, last in _windows(statistics, bounds):
        rows = _float_rows(store, statistics, first, last) if statistics else {}
        if bounds["texts"]:
            _add_texts(store, where, wanted, (first, last), rows)
        for step in sorted(rows):
            values = {metric: value for metric, (_, value) in sorted(rows[step].items())}
            latest = max(time_us for time_us, _ in rows[step].values())
            yield {"_step": step, "_timestamp": latest / 1_000_000, **values}


_Rows = dict[int, dict[str, tuple[int, Any]]]  # step -> metric -> (time in µs, value)


def _windows(
    statistics: Sequence[SeriesStatistics], texts: dict[str, Any]
) -> Iterator[tuple[int, int]]:
    """Yield (first step, last step), both inside, that together cover the run."""
    firsts = [each.first[0] for each in statistics]
    lasts = [each.last[0] for each in statistics]
    if texts["texts"]:
        firsts.append(texts["first_step"])
        lasts.append(texts["last_step"])
    if not firsts:
        return
    first, last = min(firsts), max(lasts)
    points = sum(each.count for each in statistics)
    count = max(1, -(-points // WINDOW_POINTS))
    width = max(1, -(-(last - first + 1) // count))
    for start in range(first, last + 1, width):
        yield start, min(start + width - 1, last)


def _float_rows(
    store: Store, statistics: Sequence[SeriesStatistics], first: int, last: int
) -> _Rows:
    columns = store.arrays(
        "SELECT series, step, time, value FROM points WHERE series IN {series:Array(UInt64)} "
        "AND step BETWEEN {first:Int64} AND {last:Int64}",
        parameters={"series": [each.series for each in statistics], "first": first, "last": last},
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    if not columns:
        return {}
    names = sorted({each.metric for each in statistics})
    number_of = {name: number for number, name in enumerate(names)}
    known = np.array([each.series for each in statistics], dtype=np.uint64)
    order = np.argsort(known)
    numbers = np.array([number_of[statistics[at].metric] for at in order.tolist()])
    metric = numbers[np.searchsorted(known[order], columns["series"])]
    kept = _latest(columns["step"], metric, columns["time"])
    rows: _Rows = {}
    for step, number, time_us, value in zip(
        columns["step"][kept].tolist(),
        metric[kept].tolist(),
        columns["time"][kept].tolist(),
        columns["value"][kept].tolist(),
        strict=True,
    ):
        rows.setdefault(step, {})[names[number]] = (time_us, value)
    return rows


def _latest(
    steps: NDArray[np.int64], metrics: NDArray[Any], times: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return where the latest point of each (step, metric) stands, in that order."""
    order = np.lexsort((times, metrics, steps))
    differs = np.ones(len(order), dtype=bool)
    differs[:-1] = (np.diff(steps[order]) != 0) | (np.diff(metrics[order]) != 0)
    return order[differs]


def _add_texts(
    store: Store,
    where: dict[str, Any],
    wanted: set[str] | None,
    window: tuple[int, int],
    rows: _Rows,
) -> None:
    found = store.query(
        "SELECT metric, step, time, type, text FROM texts "
        "WHERE project = {project:String} AND run_id = {run_id:String} "
        "AND step BETWEEN {first:Int64} AND {last:Int64} ORDER BY time",
        parameters={**where, "first": window[0], "last": window[1]},
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    for row in found:
        metric = row["metric"]
        if wanted is not None and metric not in wanted:
            continue
        of_step = rows.setdefault(row["step"], {})
        held = of_step.get(metric)
        if held is None or row["time"] >= held[0]:
            of_step[metric] = (row["time"], text_value(row["type"], row["text"]))


def console_lines(
    store: Store, project: str, run_id: str, tail: int | None = None
) -> list[dict[str, Any]]:
    """Return ``{"stream", "label", "number", "time", "text"}`` per line, oldest first.

    Args:
        tail: only so many of the last lines. ``time`` is in seconds.
    """
    lines = store.query(
        "SELECT stream, label, number, time, text FROM console FINAL "
        "WHERE project = {project:String} AND run_id = {run_id:String} "
        "ORDER BY time DESC, number DESC, writer_id DESC, stream DESC "
        + ("LIMIT {tail:UInt64}" if tail is not None else ""),
        parameters={"project": project, "run_id": run_id}
        | ({"tail": tail} if tail is not None else {}),
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    for line in lines:
        line["time"] /= 1_000_000
    return lines[::-1]
