"""The content for an export: the runs of a project, and the metrics of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store

# Of a run that was deleted while it logged, series stay until its writer ends: see `deletion.py`.
_RUNS: Final = """
SELECT run_id FROM (
    SELECT run_id FROM writers WHERE project = {project:String}
    UNION ALL SELECT run_id FROM series WHERE project = {project:String}
    AND run_id NOT IN (SELECT run_id FROM removed_writers WHERE project = {project:String})
)
GROUP BY run_id ORDER BY run_id
"""

_METRICS: Final = """
SELECT metric, max(is_other) = 1 AS has_others
FROM (
    SELECT metric, 0 AS is_other FROM series
    WHERE project = {project:String} AND run_id IN {runs:Array(String)}
    UNION ALL
    SELECT metric, 1 AS is_other FROM texts
    WHERE project = {project:String} AND run_id IN {runs:Array(String)}
    UNION ALL
    SELECT metric, 1 AS is_other FROM histograms
    WHERE project = {project:String} AND run_id IN {runs:Array(String)}
)
GROUP BY metric ORDER BY metric
"""


@dataclass(frozen=True, slots=True)
class LoggedMetric:
    """A metric of some runs; ``has_others``: not all of its values are numbers."""

    metric: str
    has_others: bool


def logged_runs(store: Store, project: str, *, limits: Limits = DEFAULT) -> list[str]:
    """Return the ids of all runs of ``project``, in order; none if the project does not exist."""
    rows = Question(store, limits).rows(_RUNS, {"project": project})
    return [row["run_id"] for row in rows]


def logged_metrics(
    store: Store, project: str, run_ids: Sequence[str], *, limits: Limits = DEFAULT
) -> list[LoggedMetric]:
    """Return the metrics of numbers, texts and histograms in these runs, by name."""
    rows = Question(store, limits).rows(_METRICS, {"project": project, "runs": list(run_ids)})
    return [LoggedMetric(row["metric"], bool(row["has_others"])) for row in rows]
