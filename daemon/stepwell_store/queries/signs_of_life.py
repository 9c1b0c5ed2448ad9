"""When running runs and their writers last sent something: a point, or a line of the console.

The table `writers` has only their starts and ends. Moments are in µs since 1970 UTC.
"""

from collections.abc import Collection, Sequence

from stepwell_store.identity import fingerprint
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store

RunKey = tuple[str, str]
"""Project and run id."""


def last_signs(
    store: Store, project: str, run_ids: Sequence[str], *, limits: Limits = DEFAULT
) -> dict[str, int]:
    """Return when each run last sent a point or a line, by run id; none for one that sent none."""
    if not run_ids:
        return {}
    question = Question(store, limits)
    by_key = {fingerprint(project, run_id): run_id for run_id in run_ids}
    rows = question.rows(
        "SELECT run_key, max(s.time_max) AS latest FROM series_stats_by_run AS s "
        "WHERE project_id = {project_id:UInt64} AND run_key IN {keys:Array(UInt64)} "
        "GROUP BY run_key",
        {"project_id": fingerprint(project), "keys": list(by_key)},
    )
    found = {by_key[row["run_key"]]: int(row["latest"]) for row in rows}
    for (_, run_id), latest in last_lines(question, [(project, each) for each in run_ids]).items():
        found[run_id] = max(found.get(run_id, 0), latest)
    return found


def last_lines(question: Question, runs: Collection[RunKey]) -> dict[RunKey, int]:
    """Return when each run last printed a line."""
    if not runs:
        return {}
    rows = question.rows(
        "SELECT project, run_id, max(time) AS latest FROM console "
        "WHERE project IN {projects:Array(String)} AND run_id IN {runs:Array(String)} "
        "GROUP BY project, run_id",
        {
            "projects": sorted({project for project, _ in runs}),
            "runs": sorted({run_id for _, run_id in runs}),
        },
    )
    return {(row["project"], row["run_id"]): int(row["latest"]) for row in rows}


def last_of_writers(
    question: Question, project: str, run_id: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the latest points of a run by label, and its latest lines by writer id."""
    where = {"project": project, "run_id": run_id}
    names = question.rows(
        "SELECT series, max(label) AS its_label FROM series "
        "WHERE project = {project:String} AND run_id = {run_id:String} GROUP BY series",
        where,
    )
    labels = {row["series"]: row["its_label"] for row in names}
    points: dict[str, int] = {}
    for row in question.rows(
        "SELECT series, max(s.time_max) AS latest FROM series_stats_by_run AS s "
        "WHERE project_id = {project_id:UInt64} AND run_key = {run_key:UInt64} GROUP BY series",
        {"project_id": fingerprint(project), "run_key": fingerprint(project, run_id)},
    ):
        label = labels.get(row["series"])
        if label is not None:
            points[label] = max(points.get(label, 0), int(row["latest"]))
    lines = question.rows(
        "SELECT writer_id, max(time) AS latest FROM console "
        "WHERE project = {project:String} AND run_id = {run_id:String} GROUP BY writer_id",
        where,
    )
    return points, {row["writer_id"]: int(row["latest"]) for row in lines}
