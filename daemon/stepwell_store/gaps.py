"""What is missing from a run, as its users are told."""

from typing import Any, Final

from stepwell_store.store import Store

REPLAYED: Final = "replayed: "
"""Begins the reason of a row that says that the gap with the rest as its reason is filled."""

_GAPS: Final = """
SELECT run_id, label, time, reason, rows, points, first_step, last_step FROM gaps
WHERE project = {project:String} AND run_id IN {runs:Array(String)}
  AND NOT startsWith(reason, {replayed:String})
  AND (run_id, writer_id, concat({replayed:String}, reason)) NOT IN (
      SELECT run_id, writer_id, reason FROM gaps
      WHERE project = {project:String} AND run_id IN {runs:Array(String)}
        AND startsWith(reason, {replayed:String})
  )
ORDER BY run_id, time
"""


def gaps_of(store: Store, project: str, run_ids: list[str]) -> list[dict[str, Any]]:
    """Return the gaps of the runs that nothing has filled since, oldest first within a run.

    Each has ``run_id, label, time, reason, rows, points, first_step, last_step``; the time in
    seconds since 1970 UTC. Where rows and points are 0, how many are missing is not known.
    """
    found = store.query(
        _GAPS, parameters={"project": project, "runs": run_ids, "replayed": REPLAYED}
    )
    for gap in found:
        gap["time"] /= 1_000_000
    return found
