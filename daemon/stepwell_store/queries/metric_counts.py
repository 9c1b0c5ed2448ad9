"""The number of metrics of some runs: it shows whether one was added."""

from collections.abc import Sequence

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store


def metric_counts(
    store: Store, project: str, run_ids: Sequence[str], *, limits: Limits = DEFAULT
) -> dict[str, int]:
    """Return the number of metrics of each run with metrics, by run id; histograms count too."""
    if not run_ids:
        return {}
    rows = Question(store, limits).rows(
        "SELECT run_id, sum(held) AS metrics FROM ("
        "SELECT run_id, uniqExact(metric_id) AS held FROM series "
        "WHERE project = {project:String} AND run_id IN {run_ids:Array(String)} GROUP BY run_id "
        "UNION ALL SELECT run_id, uniqExact(metric) AS held FROM histograms "
        "WHERE project = {project:String} AND run_id IN {run_ids:Array(String)} GROUP BY run_id"
        ") GROUP BY run_id",
        {"project": project, "run_ids": list(run_ids)},
    )
    return {row["run_id"]: row["metrics"] for row in rows}
