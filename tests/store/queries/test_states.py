"""What a live feed watches: states of runs, and whether the list of projects changed."""

import random
from dataclasses import replace
from typing import Any

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
    for number in range(90):
        for rank in range(dice.randint(1, 6)):
            who = replace(
                writer(project, f"run-{number}"),
                writer_id=f"{number}-{rank}",
                host=dice.choice(["a", "b", ""]),
                label=dice.choice(["", "rank0.fork-7", "process-12", "eval"]),
            )
            said: list[Event] = []
            if dice.random() < 0.9:
                at = dice.randrange(20)
                mark = dice.choice([0, 0, 1, 2, 127])
                resumed, by_launcher = dice.random() < 0.3, dice.random() < 0.5
                how: dict[str, Any] = {
                    "restart": mark,
                    "resumed": resumed,
                    "by_launcher": by_launcher,
                }
                said.append(start(at=at, rank=rank - 1, **how))
            if dice.random() < 0.7 or not said:
                code = dice.choice([0, 0, 1, -9])
                said.append(finish(dice.choice(states), at=dice.randrange(30), exit_code=code))
            tell(store, who, *said)
    listed = list_runs(store, project, limit=100).items
    assert len(listed) == 90
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


@pytest.mark.parametrize(
    ("starts", "state"),
    [
        # Rank, start, mark of the restart, end and its moment; None: it is at work.
        (((0, 0, 0, "killed", 5), (0, 10, 1, "finished", 20)), "finished"),
        (((0, 0, 0, "killed", 15), (0, 10, 1, "finished", 20)), "finished"),
        (((0, 0, 0, None, 0), (0, 10, 1, "finished", 20)), "finished"),
        (((1, 0, 0, "failed", 25), (0, 10, 1, None, 0)), "running"),
        (((0, 0, 0, "finished", 5), (0, 10, 1, "failed", 20)), "failed"),
        # A rank that ends before the next one of its attempt begins.
        (((0, 10, 1, "failed", 11), (1, 12, 1, "finished", 20)), "failed"),
        (
            ((0, 10, 1, "failed", 30), (0, 20, 2, "finished", 30), (1, 21, 2, "finished", 30)),
            "finished",
        ),
        # The same mark in an earlier job.
        (
            ((0, 0, 1, "failed", 30), (0, 10, 2, "failed", 30), (0, 20, 1, "finished", 30)),
            "finished",
        ),
        # A child of the last attempt, and a process that the launcher does not know.
        (((0, 10, 1, "finished", 20), (1, 15, 0, "failed", 20)), "failed"),
        (((-1, 0, 0, None, 0), (0, 10, 1, "finished", 20)), "running"),
        (((-1, 0, 0, "failed", 5), (0, 10, 1, "finished", 20)), "finished"),
    ],
)
def test_a_restart_of_the_job_ends_the_attempt_before(
    store: Store, starts: tuple[tuple[int, int, int, str | None, int], ...], state: str
) -> None:
    project = fresh_project()
    for number, (rank, at, mark, end, ended_at) in enumerate(starts):
        label = "eval" if rank < 0 else f"rank{rank}"
        who = replace(writer(project, "r"), writer_id=f"w{number}", label=label)
        said = [start(at=at, rank=rank, resumed=mark > 0, restart=mark, by_launcher=True)]
        if end is not None:
            said.append(finish(end, at=ended_at, exit_code=0 if end == "finished" else 1))
        tell(store, who, *said)
    for run in (get_run(store, project, "r"), *list_runs(store, project).items):
        assert run.state == state


def test_a_script_that_resumes_its_run_within_an_attempt_is_judged_by_its_last_start(
    store: Store,
) -> None:
    project = fresh_project()
    for number, (at, end) in enumerate(((10, "failed"), (20, "finished"))):
        who = replace(writer(project, "r"), writer_id=f"w{number}")
        tell(store, who, start(at=at, resumed=True, restart=1), finish(end, at=at + 5))
    for run in (get_run(store, project, "r"), *list_runs(store, project).items):
        assert run.state == "finished"
