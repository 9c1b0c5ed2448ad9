"""Retention: how long rows are kept.

Node series and console lines expire by their own age (the engine's TTL). Runs expire as a whole,
some days after they were last seen, because a series without its beginning would be misleading.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from stepwell_store.deletion import delete_runs
from stepwell_store.errors import RunIsRunningError
from stepwell_store.queries.limits import Limits
from stepwell_store.queries.overview import RunRef
from stepwell_store.queries.runs import list_runs
from stepwell_store.store import Store
from stepwell_store.tables import TABLES

_PAGE_RUNS: Final = 1000
_LIMITS: Final = Limits(timeout_seconds=600, memory_bytes=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """The number of days for which rows are kept; 0 keeps all."""

    run_days: int = 0
    """Ended runs, after they were last seen."""
    node_days: int = 90
    """Points of nodes."""
    console_days: int = 0
    """Console lines."""

    def __post_init__(self) -> None:
        for name in ("run_days", "node_days", "console_days"):
            days = getattr(self, name)
            if not 0 <= days <= 36_500:
                raise ValueError(f"{name} is {days}; expected 0 (never delete) to 36,500 days")


def apply_retention(
    store: Store,
    settings: RetentionSettings,
    *,
    now: float,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[RunRef]:
    """Apply ``settings`` and return the deleted runs.

    To be called at the start and then about daily.

    Args:
        now: seconds since 1970 UTC.
        should_stop: called between deletions; the next call of this function continues from there.
    """
    for table in TABLES:
        if table.kept_days and not should_stop():
            store.expire(table.name, getattr(settings, table.kept_days))
    return _delete_old_runs(store, settings.run_days, now, should_stop) if settings.run_days else []


def _deleted(store: Store, runs: Sequence[RunRef], should_stop: Callable[[], bool]) -> list[RunRef]:
    """Delete ``runs``, those of one project together; return the deleted ones."""
    deleted: list[RunRef] = []
    for project in dict.fromkeys(run.project for run in runs):
        if should_stop():
            break
        of_project = [run for run in runs if run.project == project]
        try:
            delete_runs(store, {project: [run.run_id for run in of_project]})
        except RunIsRunningError:  # One was just resumed; the others are deleted tomorrow.
            continue
        deleted += of_project
    return deleted


def _delete_old_runs(
    store: Store, days: int, now: float, should_stop: Callable[[], bool]
) -> list[RunRef]:
    deleted: list[RunRef] = []
    cursor: str | None = None
    while not should_stop():
        page = list_runs(
            store,
            filter=f"-state:running seen<{days}d",
            sort=("project", "id"),
            archived=True,
            limit=_PAGE_RUNS,
            cursor=cursor,
            now=now,
            limits=_LIMITS,
        )
        deleted += _deleted(store, [run.ref for run in page.items], should_stop)
        cursor = page.next_cursor
        if cursor is None:
            break
    return deleted
