"""What is missing from a run, as its users are told."""

from typing import Any, Final

from stepwell_store.store import Store

REPLAYED: Final = "replayed: "
"""Begins the reason of a row that says that the gap with the rest as its reason is filled."""

_GAPS: Final = """
SELECT DISTINCT run_id, writer_id, label, time, reason, rows, points, first_step, last_step
FROM gaps
WHERE project = {project:String} AND run_id IN {runs:Array(String)}
ORDER BY run_id, time
"""


def gaps_of(store: Store, project: str, run_ids: list[str]) -> list[dict[str, Any]]:
    """Return the gaps of the runs that nothing has filled since, oldest first within a run.

    A node that sends a gap to its gateway again may have it stored again: rows that are equal in
    everything are one. Each has ``run_id, label, time, reason, rows, points, first_step,
    last_step``; the time in seconds since 1970 UTC. Where rows and points are 0, how many are
    missing is not known.
    """
    told = store.query(_GAPS, parameters={"project": project, "runs": run_ids})
    filled = {
        (each["run_id"], each["writer_id"], each["reason"].removeprefix(REPLAYED))
        for each in told
        if each["reason"].startswith(REPLAYED)
    }
    found = []
    for gap in told:
        place = (gap["run_id"], gap.pop("writer_id"), gap["reason"])
        if gap["reason"].startswith(REPLAYED) or place in filled:
            continue
        gap["time"] /= 1_000_000
        found.append(gap)
    return found
