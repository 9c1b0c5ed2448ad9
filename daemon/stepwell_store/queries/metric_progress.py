"""The progress of one metric in some runs: counts, extremes, and its values at given places.

The place of a value is its number among the logged values of the metric in the run, from 1, in the
order of steps, then times, then labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stepwell_store.identity import fingerprint
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store


@dataclass(frozen=True, slots=True)
class MetricProgress:
    """``minimum``, ``maximum`` and ``last`` (by step, then time) are None without a finite value.

    ``last`` is also None if the last value is not finite.
    """

    count: int
    minimum: float | None
    maximum: float | None
    last: float | None


def metric_progress(
    store: Store, project: str, run_ids: Sequence[str], metric: str, *, limits: Limits = DEFAULT
) -> dict[str, MetricProgress]:
    """Return the progress of each run that logged the metric, by run id."""
    keys = {fingerprint(project, run_id): run_id for run_id in run_ids}
    if not keys:
        return {}
    rows = Question(store, limits).rows(
        "SELECT run_key, sum(count) AS points, min(s.min) AS minimum, max(s.max) AS maximum, "
        "sum(count - nan_count - positive_inf_count - negative_inf_count) AS finite, "
        "tupleElement(max(s.last), 3) AS latest FROM series_stats AS s "
        "WHERE project_id = {project_id:UInt64} AND metric_id = {metric_id:UInt64} "
        "AND run_key IN {keys:Array(UInt64)} GROUP BY run_key",
        {
            "project_id": fingerprint(project),
            "metric_id": fingerprint(metric),
            "keys": sorted(keys),
        },
    )
    found = {}
    for row in rows:
        is_finite = row["finite"] > 0
        latest = float(row["latest"])
        found[keys[row["run_key"]]] = MetricProgress(
            count=int(row["points"]),
            minimum=float(row["minimum"]) if is_finite else None,
            maximum=float(row["maximum"]) if is_finite else None,
            last=latest if np.isfinite(latest) else None,
        )
    return found


def metric_values_at(
    store: Store,
    project: str,
    metric: str,
    places: Mapping[str, Sequence[int]],
    *,
    limits: Limits = DEFAULT,
) -> dict[str, dict[int, float]]:
    """Return the values at places (from 1) by run id, without places that a run has not reached.

    Reads the values up to the last place of each run.
    """
    question = Question(store, limits)
    found: dict[str, dict[int, float]] = {}
    wanted = {run_id: sorted(each) for run_id, each in places.items() if each}
    if not wanted:
        return found
    names = question.rows(
        "SELECT run_id, label, series FROM series WHERE project = {project:String} "
        "AND metric = {metric:String} AND run_id IN {runs:Array(String)} "
        "GROUP BY run_id, label, series",
        {"project": project, "metric": metric, "runs": sorted(wanted)},
    )
    of_run: dict[str, list[int]] = {}
    for row in sorted(names, key=lambda each: str(each["label"])):
        of_run.setdefault(row["run_id"], []).append(row["series"])
    for run_id, series in of_run.items():
        columns = question.arrays(
            "SELECT value FROM points WHERE series IN {series:Array(UInt64)} "
            "ORDER BY step, time, indexOf({series:Array(UInt64)}, series) LIMIT {last:UInt64}",
            {"series": series, "last": wanted[run_id][-1]},
        )
        values: list[float] = columns["value"].tolist() if columns else []
        found[run_id] = {
            place: values[place - 1] for place in wanted[run_id] if place <= len(values)
        }
    return found
