"""Retention: how long what is kept.

Node series and console lines go by their own age (the engine's TTL). Runs go as a whole, some
days after they were last seen: a curve without its beginning would lie.
"""

from dataclasses import dataclass
from typing import Final

from stepwell_store.deletion import delete_run
from stepwell_store.event_rows import RUNNING
from stepwell_store.runs import RunRef, list_runs
from stepwell_store.store import Store
from stepwell_store.tables import TABLES

DAY_SECONDS: Final = 86_400
_RUNS_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """Days that things are kept; 0 keeps them for ever."""

    run_days: int = 0
    """Runs that do not run, after they were last seen."""
    node_days: int = 90
    """Points of nodes."""
    console_days: int = 0
    """Console lines."""

    def __post_init__(self) -> None:
        for name in ("run_days", "node_days", "console_days"):
            days = getattr(self, name)
            if not 0 <= days <= 36_500:
                raise ValueError(f"{name} is {days}; it must be 0 (for ever) to 36,500 days")


def apply_retention(store: Store, settings: RetentionSettings, *, now: float) -> list[RunRef]:
    """Make ``settings`` hold and return the runs that were deleted.

    To be called at start and then about daily. ``now`` is in seconds since 1970 UTC.
    """
    for table in TABLES:
        if table.kept_days:
            store.expire(table.name, getattr(settings, table.kept_days))
    deleted = []
    if settings.run_days:
        before = now - settings.run_days * DAY_SECONDS
        for run in list_runs(store, limit=_RUNS_MAX):
            if run["state"] != RUNNING and run["last_seen"] and run["last_seen"] < before:
                delete_run(store, run["project"], run["run_id"])
                deleted.append(RunRef(run["project"], run["run_id"]))
    return deleted
