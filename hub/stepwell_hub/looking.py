"""What a live feed asks the store for: versions of just what is looked at."""

from collections.abc import Mapping
from typing import Final

from stepwell_hub.asking import Asker
from stepwell_hub.live import Interest, Look, LookAt
from stepwell_store import Store, queries

_KEPT_MAX: Final = 256

States = Mapping[str, tuple[str, float | None]]


def store_look(asker: Asker) -> LookAt:
    """Return the function by which feeds look at the store."""
    looking = StoreLook()

    async def look(interest: Interest) -> Look:
        found: Look = await asker.ask(looking, interest)
        return found

    return look


class StoreLook:
    """Looks at the store, and asks for states of runs only when something about runs changed."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[int, frozenset[str], States]] = {}

    def __call__(self, store: Store, interest: Interest, *, limits: queries.Limits) -> Look:
        project = interest.project
        if project is None:
            return Look(version=queries.projects_pulse(store, limits=limits))
        version = queries.project_pulse(store, project, limits=limits).runs_version
        metrics = sorted(interest.metrics)
        series = queries.series_versions(
            store, project, sorted(interest.runs), metrics, limits=limits
        )
        return Look(version, series, self._states_of(store, project, version, interest, limits))

    def _states_of(
        self,
        store: Store,
        project: str,
        version: int,
        interest: Interest,
        limits: queries.Limits,
    ) -> States:
        kept = self._states.get(project)
        if kept is not None and kept[:2] == (version, interest.runs):
            return kept[2]
        found = queries.run_states(store, project, sorted(interest.runs), limits=limits)
        if len(self._states) >= _KEPT_MAX:
            self._states.clear()
        self._states[project] = (version, interest.runs, found)
        return found
