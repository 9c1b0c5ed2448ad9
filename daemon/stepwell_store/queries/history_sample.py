"""A sample of a run's history: rows at evenly spaced steps among all steps with the values."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.queries.history import HistoryPlan
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store

SAMPLES_MAX: Final = 10_000


def sampled(
    store: Store, plan: HistoryPlan, samples: int, *, limits: Limits = DEFAULT
) -> HistoryPlan:
    """Return ``plan`` for at most ``samples`` steps, including the first and the last of all.

    If the plan names metrics, only steps count at which each of them has a value.
    """
    steps = _steps(Question(store, limits), plan)
    if len(steps) > samples:
        chosen = np.linspace(0, len(steps) - 1, samples).round().astype(np.int64)
        steps = steps[np.unique(chosen)]
    if not len(steps):
        return replace(plan, windows=(), steps=())
    held = tuple(steps.tolist())
    return replace(plan, windows=((held[0], held[-1]),), steps=held)


def _steps(question: Question, plan: HistoryPlan) -> NDArray[np.int64]:
    """Return the candidate steps, in order."""
    if not plan.windows:
        return np.zeros(0, dtype=np.int64)
    parts = []
    parameters: dict[str, object] = {
        "first": plan.windows[0][0],
        "last": plan.windows[-1][1],
        "project": plan.project,
        "run_id": plan.run_id,
    }
    if plan.statistics:
        # The number of the metric, because several writers may have a series of it.
        names = sorted(plan.names)
        parameters["series"] = [each.series for each in plan.statistics]
        parameters["names"] = [names.index(each.metric) for each in plan.statistics]
        name = "transform(series, {series:Array(UInt64)}, {names:Array(UInt64)}, toUInt64(0))"
        parts.append(
            f"SELECT step, {name if plan.metrics else 'toUInt64(0)'} AS name FROM points "
            "WHERE series IN {series:Array(UInt64)} AND step BETWEEN {first:Int64} AND {last:Int64}"
        )
    only = "1"
    if plan.metrics is not None:
        parameters["metrics"] = sorted(plan.metrics)
        only = "metric IN {metrics:Array(String)}"
    parts += [
        f"SELECT step, cityHash64(metric) AS name FROM {table} WHERE project = {{project:String}} "
        f"AND run_id = {{run_id:String}} AND {only} "
        "AND step BETWEEN {first:Int64} AND {last:Int64}"
        for table in plan.others
    ]
    if not parts:
        return np.zeros(0, dtype=np.int64)
    complete = ""
    if plan.metrics:
        # A metric with numbers and texts counts once for each kind, so the comparison is "at
        # least".
        complete = f" HAVING uniqExact(name) >= {len(plan.metrics)}"
    rows = question.arrays(
        f"SELECT step FROM ({' UNION ALL '.join(parts)}) GROUP BY step{complete} ORDER BY step",
        parameters,
    )
    return rows["step"] if rows else np.zeros(0, dtype=np.int64)
