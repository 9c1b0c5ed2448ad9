"""A run in a list."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwell_store.queries.writers import RunState, known_exit_code, seconds


@dataclass(frozen=True, slots=True)
class RunRef:
    """The identity of a run: unique in a store."""

    project: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.project}/{self.run_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOverview:
    """A run in a list. Moments are seconds since 1970 UTC, None if unknown.

    Attributes:
        name: the run's id if it has no name.
        state: ``running``, ``finished``, ``failed``, ``killed``, ``crashed`` or ``unknown``.
        ended_at: None while the run is running.
        writers: number of writers.
        sweep: the id of the sweep of its trial, empty for other runs.
        color: empty if the page chooses one.
        columns: the values of the requested paths, by their text; a run without the value has no
            such key.
    """

    project: str
    run_id: str
    name: str
    state: str
    exit_code: int | None
    started_at: float | None
    ended_at: float | None
    last_seen: float | None
    writers: int
    hosts: tuple[str, ...]
    tags: tuple[str, ...]
    group: str
    job_type: str
    sweep: str
    notes: str
    color: str
    archived: bool
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> RunRef:
        return RunRef(self.project, self.run_id)

    def duration_seconds(self, now: float) -> float | None:
        """Return its duration, up to ``now`` if it runs; None without a start.

        ``RunSlots`` has the same rule for filters and sorts.
        """
        until = now if self.state == "running" else self.ended_at or self.last_seen
        if self.started_at is None or until is None:
            return None
        return max(0.0, until - self.started_at)


def overview_of(
    ref: RunRef, state: RunState, described: Mapping[str, Any], last_sign_us: int
) -> RunOverview:
    """Return a run without columns.

    Args:
        described: its `run` attributes.
        last_sign_us: the time of its last point or line, 0 without one.
    """
    tags = described.get("tags")
    return RunOverview(
        project=ref.project,
        run_id=ref.run_id,
        name=str(described.get("name") or ref.run_id),
        state=state.state,
        exit_code=known_exit_code(state.state, state.exit_code),
        started_at=seconds(state.started_us),
        ended_at=seconds(state.ended_us),
        last_seen=seconds(max(state.last_event_us, last_sign_us)),
        writers=state.writers,
        hosts=state.hosts,
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        group=str(described.get("group") or ""),
        job_type=str(described.get("job_type") or ""),
        sweep=str(described.get("sweep") or ""),
        notes=str(described.get("notes") or ""),
        color=str(described.get("color") or ""),
        archived=described.get("archived") is True,
    )
