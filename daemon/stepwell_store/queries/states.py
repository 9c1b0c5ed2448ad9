"""The inputs of a live feed besides points: the states of some runs, and the list of projects."""

from collections.abc import Sequence
from typing import Final

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.writers import run_state, runs_sql, seconds
from stepwell_store.store import Store

_VERSION_BITS: Final = (1 << 53) - 1  # The number must be exact in JSON.

# A sum of hashes: the order of rows, or a merge of them, does not change it.
_PROJECTS: Final = """
SELECT sum(cityHash64(project, run_id, writer_id, ended_at, its_state)) AS writers
FROM (
    SELECT project, run_id, writer_id,
           tupleElement(max(w.state), 1) AS ended_at, tupleElement(max(w.state), 2) AS its_state
    FROM writers AS w GROUP BY project, run_id, writer_id
)
"""


def run_states(
    store: Store, project: str, run_ids: Sequence[str], *, limits: Limits = DEFAULT
) -> dict[str, tuple[str, float | None]]:
    """Return state and latest event (seconds since 1970 UTC) of each existing run."""
    if not run_ids:
        return {}
    where = "project = {project:String} AND run_id IN {run_ids:Array(String)}"
    rows = Question(store, limits).rows(
        f"SELECT run_id, held FROM ({runs_sql('run_id', where, resumed=True)})",
        {"project": project, "run_ids": list(run_ids)},
    )
    states = {row["run_id"]: run_state(row["held"]) for row in rows}
    return {run_id: (each.state, seconds(each.last_event_us)) for run_id, each in states.items()}


def existing_runs(
    store: Store, project: str, run_ids: Sequence[str], *, limits: Limits = DEFAULT
) -> set[str]:
    """Return those of ``run_ids`` that the store has: less work than `run_states`."""
    if not run_ids:
        return set()
    rows = Question(store, limits).rows(
        "SELECT DISTINCT run_id FROM writers "
        "WHERE project = {project:String} AND run_id IN {run_ids:Array(String)}",
        {"project": project, "run_ids": list(run_ids)},
    )
    return {row["run_id"] for row in rows}


def projects_pulse(store: Store, *, limits: Limits = DEFAULT) -> int:
    """Return a number that changes when a project, a run or a run's state changes."""
    rows = Question(store, limits).rows(_PROJECTS)
    return (int(rows[0]["writers"]) if rows else 0) & _VERSION_BITS
