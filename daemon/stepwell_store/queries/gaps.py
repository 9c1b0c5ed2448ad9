"""The missing parts of a run, in the form for its users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store
from stepwell_wire.gaps import GapKind

_GAPS: Final = """
SELECT DISTINCT run_id, writer_id, label, time, kind, reason, rows, points, first_step, last_step,
       file
FROM gaps
WHERE project = {project:String} AND run_id IN {runs:Array(String)}
ORDER BY run_id, time
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that are missing; ``rows`` and ``points`` are 0 where their number is unknown.

    ``time`` is in seconds since 1970 UTC, ``kind`` is a GapKind, ``reason`` its text for people.
    """

    run_id: str
    label: str
    time: float
    kind: str
    reason: str
    rows: int
    points: int
    first_step: int
    last_step: int


def list_gaps(
    store: Store, project: str, run_ids: Sequence[str], *, limits: Limits = DEFAULT
) -> tuple[Gap, ...]:
    """Return the gaps of the runs that were not filled later, oldest first within a run.

    A node may send a gap to its gateway twice, so equal rows are merged into one.
    """
    return gaps_of(Question(store, limits), project, run_ids)


def gaps_of(question: Question, project: str, run_ids: Sequence[str]) -> tuple[Gap, ...]:
    rows = question.rows(_GAPS, {"project": project, "runs": list(run_ids)})
    filled = {
        (each["run_id"], each["writer_id"], each["file"])
        for each in rows
        if each["kind"] == GapKind.REPLAYED
    }
    return tuple(
        Gap(
            row["run_id"],
            row["label"],
            row["time"] / 1_000_000,
            row["kind"],
            row["reason"],
            row["rows"],
            row["points"],
            row["first_step"],
            row["last_step"],
        )
        for row in rows
        if row["kind"] != GapKind.REPLAYED
        and not (row["file"] and (row["run_id"], row["writer_id"], row["file"]) in filled)
    )
