"""Version numbers for changes: cheap numbers that a page compares with its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stepwell_store.identity import fingerprint
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store

_VERSION_BITS: Final = (1 << 53) - 1  # The number must be exact in JSON.

# Sums of hashes: the order of rows, or a merge of them, does not change them.
_PULSE: Final = """
SELECT writers, attributes, configs FROM (SELECT * FROM (
    SELECT 1 AS one, sum(cityHash64(run_id, writer_id, seen, ended_at, its_state,
                                   resumes)) AS writers
    FROM (
        SELECT run_id, writer_id, max(w.last_seen) AS seen, max(w.resumed) AS resumes,
               tupleElement(max(w.state), 1) AS ended_at, tupleElement(max(w.state), 2) AS its_state
        FROM writers AS w WHERE project = {project:String} GROUP BY run_id, writer_id
    )
) AS a ANY LEFT JOIN (
    SELECT 1 AS one, sum(cityHash64(run_id, path, newest)) AS attributes
    FROM (
        SELECT run_id, path, max(version) AS newest FROM attributes_by_path
        WHERE project = {project:String} AND kind IN ('run', 'summary') GROUP BY run_id, path
    )
) AS b USING (one)) AS c ANY LEFT JOIN (
    SELECT 1 AS one, max(version) AS configs FROM attributes_by_path
    WHERE project = {project:String} AND kind = 'config'
) AS d USING (one)
"""


@dataclass(frozen=True, slots=True)
class ProjectPulse:
    """Numbers that change with a project.

    Attributes:
        runs_version: a different number when the list of runs, a state, a name, a config or a
            summary that was set by hand has changed. New points do not change it.
    """

    runs_version: int


def series_versions(
    store: Store,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    *,
    limits: Limits = DEFAULT,
) -> dict[tuple[str, str], int]:
    """Return the points of each metric in each run, by (run id, metric); 0 for none.

    Points never change, so a series with the same number of points is unchanged. For a metric
    without points it is the number of histograms.
    """
    keys = {fingerprint(project, run_id): run_id for run_id in run_ids}
    ids = {fingerprint(metric): metric for metric in metrics}
    found = {(run_id, metric): 0 for run_id in run_ids for metric in metrics}
    if not keys or not ids:
        return found
    rows = Question(store, limits).rows(
        "SELECT run_key, metric_id, sum(count) AS points FROM series_stats "
        "WHERE project_id = {project_id:UInt64} AND metric_id IN {ids:Array(UInt64)} "
        "AND run_key IN {keys:Array(UInt64)} GROUP BY run_key, metric_id",
        {"project_id": fingerprint(project), "ids": sorted(ids), "keys": sorted(keys)},
    )
    for row in rows:
        found[keys[row["run_key"]], ids[row["metric_id"]]] = row["points"]
    _add_histograms(Question(store, limits), project, found)
    return found


def _add_histograms(question: Question, project: str, found: dict[tuple[str, str], int]) -> None:
    bare = [key for key, points in found.items() if not points]
    if not bare:
        return
    rows = question.rows(
        "SELECT run_id, metric, count() AS histograms FROM histograms "
        "WHERE project = {project:String} AND run_id IN {runs:Array(String)} "
        "AND metric IN {metrics:Array(String)} GROUP BY run_id, metric",
        {
            "project": project,
            "runs": sorted({run_id for run_id, _ in bare}),
            "metrics": sorted({metric for _, metric in bare}),
        },
    )
    for row in rows:
        key = (row["run_id"], row["metric"])
        found[key] = found[key] or row["histograms"]


def project_pulse(store: Store, project: str, *, limits: Limits = DEFAULT) -> ProjectPulse:
    """Return a value that changes when the runs of a project change."""
    rows = Question(store, limits).rows(_PULSE, {"project": project})
    return ProjectPulse(fingerprint(repr([list(row.values()) for row in rows])) & _VERSION_BITS)
