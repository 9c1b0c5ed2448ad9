"""What a live feed watches: states of runs, and whether the list of projects changed."""

from stepwell_store import Store
from stepwell_store.queries import projects_pulse, run_states
from tests.store.made import START_US, event, fresh_project, tell, writer


def started(store: Store, project: str, run_id: str) -> None:
    start = {"started_at": START_US, "host": "a", "pid": 1, "client": "t", "resumed": False}
    tell(store, writer(project, run_id), event("start", start))


def finished(store: Store, project: str, run_id: str) -> None:
    end = event("finish", {"state": "finished", "exit_code": 0}, time_us=START_US + 5_000_000)
    tell(store, writer(project, run_id), end)


def test_states_of_the_runs_that_are_asked_for(store: Store) -> None:
    project = fresh_project()
    for run_id in ("a", "b", "c"):
        started(store, project, run_id)
    finished(store, project, "b")
    found = run_states(store, project, ["a", "b", "none"])
    assert set(found) == {"a", "b"}
    assert found["a"][0] == "running"
    assert found["b"] == ("finished", (START_US + 5_000_000) / 1e6)
    assert run_states(store, project, []) == {}


def test_the_pulse_of_the_projects_beats_with_runs_and_states_alone(store: Store) -> None:
    project = fresh_project()
    started(store, project, "a")
    first = projects_pulse(store)
    assert 0 < first < 1 << 53
    assert projects_pulse(store) == first
    tell(store, writer(project, "a"), event("config", {"set": {"x": 1}, "delete": []}))
    assert projects_pulse(store) == first
    finished(store, project, "a")
    second = projects_pulse(store)
    assert second != first
    started(store, project, "b")
    assert projects_pulse(store) not in (first, second)
