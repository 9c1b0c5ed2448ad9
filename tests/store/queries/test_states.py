"""What a live feed watches: states of runs, and whether the list of projects changed."""

import random
from dataclasses import replace

import pytest

from stepwell_store import Store
from stepwell_store.queries import existing_runs, get_run, list_runs, projects_pulse, run_states
from stepwell_wire.rows import Event
from tests.store.made import START_US, event, fresh_project, tell, writer
from tests.store.queries.made import finish, start


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
    assert existing_runs(store, project, ["a", "b", "none"]) == {"a", "b"}
    assert existing_runs(store, project, []) == set()


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


def test_a_run_alone_has_the_state_that_it_has_in_a_list(store: Store) -> None:
    """One is computed in Python, the other in SQL."""
    project = fresh_project()
    dice = random.Random(4)
    states = ("finished", "failed", "crashed", "killed", "running", "odd")
    for number in range(40):
        for rank in range(dice.randint(1, 3)):
            who = replace(
                writer(project, f"run-{number}"),
                writer_id=f"{number}-{rank}",
                host=dice.choice(["a", "b", ""]),
                label=dice.choice(["", "rank0.fork-7", "process-12"]),
            )
            said: list[Event] = []
            if dice.random() < 0.9:
                at = dice.randrange(20)
                said.append(start(at=at, resumed=dice.random() < 0.3, rank=rank))
            if dice.random() < 0.7 or not said:
                code = dice.choice([0, 0, 1, -9])
                said.append(finish(dice.choice(states), at=dice.randrange(30), exit_code=code))
            tell(store, who, *said)
    listed = list_runs(store, project, limit=100).items
    assert len(listed) == 40
    assert len({run.state for run in listed}) >= 4
    for run in listed:
        alone = get_run(store, project, run.run_id)
        for name in run.__dataclass_fields__:
            assert getattr(alone, name) == getattr(run, name), (run.run_id, name)


MAIN, RANK, CHILD = ("", 0), ("rank1", 1), ("rank0.fork-7", 0)


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize(
    ("ends", "state", "exit_code"),
    [
        ([(MAIN, "finished", 0), (RANK, "crashed", -1)], "finished", 0),
        ([(MAIN, "finished", 0), (CHILD, "killed", 143)], "finished", 0),
        ([(MAIN, "finished", 0), (CHILD, "crashed", -1), (RANK, "finished", 0)], "finished", 0),
        ([(MAIN, "finished", 0), (RANK, "failed", 1)], "failed", 1),
        ([(MAIN, "finished", 0), (RANK, "killed", 143)], "killed", 143),
        ([(MAIN, "crashed", -1), (RANK, "finished", 0)], "crashed", None),
        ([(MAIN, "killed", 143), (RANK, "crashed", -1)], "crashed", None),
        ([(CHILD, "crashed", -1)], "crashed", None),
        ([(MAIN, "running", 0), (CHILD, "crashed", -1)], "running", None),
    ],
)
def test_a_writer_beside_the_main_one_that_disappears_fails_no_run_that_finished(
    store: Store,
    ends: list[tuple[tuple[str, int], str, int]],
    state: str,
    exit_code: int | None,
    resumed: bool,
) -> None:
    project = fresh_project()
    for number, ((label, rank), end, code) in enumerate(ends):
        who = replace(writer(project, "r"), writer_id=f"w{number}", label=label)
        said = [start(rank=rank, resumed=resumed)]
        if end != "running":
            said.append(finish(end, exit_code=code))
        tell(store, who, *said)
    for run in (get_run(store, project, "r"), *list_runs(store, project).items):
        assert (run.state, run.exit_code) == (state, exit_code)
