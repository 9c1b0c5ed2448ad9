"""The metrics that ``define_metric`` sets as x axes of other metrics."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stepwell_store.queries.limits import Question
from stepwell_store.summary import definition_of

AUTOMATIC_AXES: Final = frozenset({"_step", "_timestamp", "_runtime"})
"""Step metrics that are not series: each point has them."""


def read_definitions(
    question: Question, project: str, run_ids: Sequence[str] | None, metrics: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Return the definitions that may apply to ``metrics``, by name; names may end in ``*``.

    This is one read of the project's definitions, which returns only globs and ``metrics``.

    Args:
        run_ids: only of these runs; None for all runs. If runs differ, the newest definition is
            used.
    """
    if not metrics:
        return {}
    parameters: dict[str, object] = {"project": project, "metrics": list(metrics)}
    of_runs = ""
    if run_ids is not None:
        of_runs = "AND run_id IN {runs:Array(String)} "
        parameters["runs"] = list(run_ids)
    rows = question.rows(
        "SELECT path, argMax(text, version) AS body, argMax(deleted, version) AS is_gone "
        "FROM attributes_by_path "
        f"WHERE project = {{project:String}} AND kind = 'define_metric' {of_runs}"
        "AND (path IN {metrics:Array(String)} OR endsWith(path, '*')) GROUP BY path",
        parameters,
    )
    bodies = {row["path"]: json.loads(row["body"] or "null") for row in rows if not row["is_gone"]}
    return {path: body for path, body in bodies.items() if isinstance(body, dict)}


def step_metrics(
    question: Question,
    project: str,
    run_ids: Sequence[str] | None,
    metrics: Sequence[str],
    definitions: Mapping[str, Mapping[str, Any]],
) -> dict[str, str]:
    """Return the step metric of those of ``metrics`` that have one.

    A step metric that none of the runs logged is ignored, because it would give no points. A metric
    is never its own x axis.
    """
    said = {metric: definition_of(metric, definitions).get("step_metric") for metric in metrics}
    found = {
        metric: step
        for metric, step in said.items()
        if isinstance(step, str) and step not in ("", metric)
    }
    logged = _logged(question, project, run_ids, {*found.values()} - AUTOMATIC_AXES)
    return {metric: step for metric, step in found.items() if step in logged | AUTOMATIC_AXES}


def _logged(
    question: Question, project: str, run_ids: Sequence[str] | None, names: set[str]
) -> set[str]:
    """Return the ones of ``names`` that are metrics of the runs."""
    if not names:
        return set()
    parameters: dict[str, object] = {"project": project, "names": sorted(names)}
    of_runs = ""
    if run_ids is not None:
        of_runs = "AND run_id IN {runs:Array(String)} "
        parameters["runs"] = list(run_ids)
    rows = question.rows(
        "SELECT DISTINCT metric FROM series WHERE project = {project:String} "
        f"{of_runs}AND metric IN {{names:Array(String)}}",
        parameters,
    )
    return {row["metric"] for row in rows}
