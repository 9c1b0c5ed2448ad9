"""What a live feed asks the store for: versions of just what is looked at."""

from stepwell_hub.asking import Asker
from stepwell_hub.live import Interest, Look, LookAt
from stepwell_store import Store, queries


def store_look(asker: Asker) -> LookAt:
    """Return the function by which feeds look at the store."""

    async def look(interest: Interest) -> Look:
        found: Look = await asker.ask(_look, interest)
        return found

    return look


def _look(store: Store, interest: Interest, *, limits: queries.Limits) -> Look:
    if interest.project is None:
        return Look(version=queries.projects_pulse(store, limits=limits))
    project, runs = interest.project, sorted(interest.runs)
    pulse = queries.project_pulse(store, project, limits=limits)
    series = queries.series_versions(store, project, runs, sorted(interest.metrics), limits=limits)
    states = queries.run_states(store, project, runs, limits=limits) if runs else {}
    return Look(pulse.runs_version, series, states)
