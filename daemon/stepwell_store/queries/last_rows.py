"""The latest time and the highest step of rows without a number: texts, media and histograms.

Those of numbers are in `series_stats`. The summary's ``_step``, ``_timestamp`` and ``_runtime``
are of both.
"""

from collections.abc import Mapping
from typing import Final

from stepwell_store.queries.limits import Question
from stepwell_store.queries.signs_of_life import RunKey

TABLES: Final = ("texts", "histograms")


def last_rows(question: Question, where: Mapping[str, object]) -> dict[RunKey, tuple[int, int]]:
    """Return (time in µs, step) of runs that logged such a row.

    Args:
        where: ``projects`` and ``runs``, lists of names.
    """
    condition = "project IN {projects:Array(String)} AND run_id IN {runs:Array(String)}"
    rows = question.rows(last_rows_sql("project, run_id", condition), where)
    return {(row["project"], row["run_id"]): (row["latest"], row["newest"]) for row in rows}


def latest_of(*places: tuple[int, int] | None) -> tuple[int, int]:
    """Return the latest time and the highest step of ``places``; zeros without any."""
    known = [place for place in places if place is not None]
    if not known:
        return (0, 0)
    return max(time for time, _ in known), max(step for _, step in known)


def last_rows_sql(ids: str, condition: str) -> str:
    """Return a query of ``ids``, ``latest`` (time in µs) and ``newest`` (step)."""
    parts = " UNION ALL ".join(
        f"SELECT {ids}, max(time) AS its_latest, max(step) AS its_newest FROM {table} "
        f"WHERE {condition} GROUP BY {ids}"
        for table in TABLES
    )
    return (
        f"SELECT {ids}, max(its_latest) AS latest, max(its_newest) AS newest FROM ({parts}) "
        f"GROUP BY {ids}"
    )
