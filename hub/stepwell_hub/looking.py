"""The live feeds' questions to the store: versions of the watched runs and metrics only."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stepwell_hub.asking import Asker
from stepwell_hub.live import LookAt
from stepwell_hub.subscription import Interest, Look
from stepwell_store import Store, queries

_KEPT_MAX: Final = 256
_SIGNS_SECONDS: Final = 5.0
"""A page shows a running run as stale after a minute without a sign of life."""

States = Mapping[str, tuple[str, float | None]]


@dataclass(slots=True)
class _Known:
    """Known facts about a project's runs, valid until one of them changes."""

    version: int
    runs: frozenset[str]
    states: dict[str, tuple[str, float | None]]
    metric_counts: dict[str, int]
    signs_at: float = 0.0
    """When the last points and lines of running runs were asked for, on the monotonic clock."""


def store_look(asker: Asker) -> LookAt:
    """Return the function by which feeds ask the store."""
    looking = StoreLook()

    async def look(interest: Interest) -> Look:
        found: Look = await asker.ask(looking, interest)
        return found

    return look


class StoreLook:
    """Asks the store for versions, and for states of runs only when a run changed.

    A run that ended gets no new metric without such a change, so only running runs are asked for
    the number of their metrics each time.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def __call__(self, store: Store, interest: Interest, *, limits: queries.Limits) -> Look:
        project = interest.project
        if project is None:
            return Look(version=queries.projects_pulse(store, limits=limits))
        version = queries.project_pulse(store, project, limits=limits).runs_version
        metrics = sorted(interest.metrics)
        series = queries.series_versions(
            store, project, sorted(interest.runs), metrics, limits=limits
        )
        known = self._known_of(store, project, version, interest.runs, limits)
        running = [run for run, (state, _) in known.states.items() if state == "running"]
        if time.monotonic() >= known.signs_at + _SIGNS_SECONDS:
            known.signs_at = time.monotonic()
            for run, latest in queries.last_signs(store, project, running, limits=limits).items():
                state, last_event = known.states[run]
                known.states[run] = (state, max(last_event or 0.0, latest / 1e6))
        known.metric_counts |= queries.metric_counts(store, project, running, limits=limits)
        media = {}
        if interest.media:
            media = queries.media_versions(store, project, sorted(interest.runs), limits=limits)
        return Look(version, series, dict(known.states), dict(known.metric_counts), media)

    def _known_of(
        self,
        store: Store,
        project: str,
        version: int,
        runs: frozenset[str],
        limits: queries.Limits,
    ) -> _Known:
        kept = self._known.get(project)
        if kept is not None and (kept.version, kept.runs) == (version, runs):
            return kept
        states = queries.run_states(store, project, sorted(runs), limits=limits)
        counts = queries.metric_counts(store, project, sorted(runs), limits=limits)
        if len(self._known) >= _KEPT_MAX:
            self._known.clear()
        self._known[project] = known = _Known(version, runs, states, counts)
        return known
