"""Sweeps by HTTP: the real application over a real catalog and a real store."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stepwell_hub.catalog.asks import Ask, Wanted, ask
from stepwell_hub.config import HubConfig
from stepwell_hub.sweeps.answers import LEASE_SECONDS
from stepwell_store import EmbeddedStore, queries
from tests.hub.conftest import Hub
from tests.hub.made import make_run
from tests.store.made import log, writer
from tests.waiting import wait_for

_numbers = itertools.count(1)
RANDOM = {"method": "random", "parameters": {"lr": {"min": 0.0, "max": 1.0}}, "seed": 1}
PATIENCE_SECONDS = 20.0


def key() -> str:
    return f"key-{next(_numbers)}"


def post(hub: Hub, path: str, status: int = 200, **body: Any) -> Any:
    answer = hub.program.post(f"/api/v1{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def get(hub: Hub, path: str) -> Any:
    answer = hub.program.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


class Clock:
    """The hub's, which a test can set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def hub_running(data: Path, store: EmbeddedStore, clock: Clock) -> Iterator[Hub]:
    made = Hub(HubConfig(data=data), store, data / "static", clock=clock)
    with made.program:
        yield made


@pytest.fixture
def hub(tmp_path: Path, store: EmbeddedStore, clock: Clock) -> Iterator[Hub]:
    with hub_running(tmp_path, store, clock) as made:
        yield made


class Agent:
    """An agent of a sweep."""

    def __init__(self, hub: Hub, sweep: dict[str, Any]) -> None:
        self.hub, self.path = hub, f"/sweeps/{sweep['id']}"
        told = post(hub, f"{self.path}/agents", key=key(), host="node", pid=7, kind="function")
        assert told["lease_seconds"] == LEASE_SECONDS
        self.id = told["agent"]

    def ask(self, its_key: str = "") -> Any:
        return post(self.hub, f"{self.path}/ask", agent=self.id, key=its_key or key())

    def trial(self) -> dict[str, Any]:
        told = self.ask()
        assert told["command"] == "run", told
        return dict(told["trial"])

    def beat(self, *trials: dict[str, Any]) -> Any:
        held = [{"number": each["number"], "fencing": each["fencing"]} for each in trials]
        return post(self.hub, f"{self.path}/beat", agent=self.id, trials=held)

    def end(self, trial: dict[str, Any], state: str = "finished", its_key: str = "") -> bool:
        told = post(
            self.hub,
            f"{self.path}/trials/{trial['number']}/end",
            agent=self.id,
            fencing=trial["fencing"],
            key=its_key or key(),
            state=state,
            exit_code=0,
        )
        return bool(told["counted"])


def make_sweep(hub: Hub, config: dict[str, Any], project: str = "") -> dict[str, Any]:
    project = project or f"sweeps-{next(_numbers)}"
    return dict(post(hub, "/sweeps", 201, project=project, config=config, key=key()))


# ---------------------------------------------------------------------------- sweeps


def test_a_sweep_is_made_once_by_its_key_and_listed(hub: Hub) -> None:
    project, its_key = f"sweeps-{next(_numbers)}", key()
    made = post(hub, "/sweeps", 201, project=project, config=RANDOM, key=its_key)
    again = post(hub, "/sweeps", 201, project=project, config=RANDOM, key=its_key)
    assert made == again
    assert (made["state"], made["method"], made["seed"]) == ("pending", "random", 1)
    assert get(hub, f"/sweeps/{made['id']}") == made
    others = [make_sweep(hub, RANDOM, project)["id"] for _ in range(2)]
    first = get(hub, f"/sweeps?project={project}&limit=2")
    rest = get(hub, f"/sweeps?project={project}&limit=2&cursor={first['next_cursor']}")
    listed = [each["id"] for each in first["sweeps"] + rest["sweeps"]]
    assert listed == [*others[::-1], made["id"]]
    assert rest["next_cursor"] is None
    assert get(hub, f"/sweeps?project={project}&state=paused")["sweeps"] == []


def test_a_wrong_config_is_refused_by_the_path_of_the_field(hub: Hub) -> None:
    config = RANDOM | {"parameters": {"lr": {"min": 2, "max": 1}}}
    told = post(hub, "/sweeps", 400, project="p", config=config, key=key())["error"]
    assert (told["code"], told["field"]) == ("sweep_invalid", "parameters.lr.min")
    nul = RANDOM | {"parameters": {"lr": {"value": "a\0b"}}}
    told = post(hub, "/sweeps", 400, project="p", config=nul, key=key())["error"]
    assert "NUL" in told["message"]
    deep: Any = 1
    for _ in range(400):
        deep = [deep]
    config = RANDOM | {"parameters": {"lr": {"values": [deep, 2]}}}
    told = post(hub, "/sweeps", 400, project="p", config=config, key=key())["error"]
    assert "nested objects or lists" in told["message"]


def test_what_is_not_there_is_told(hub: Hub) -> None:
    for path in ("/sweeps/nothere1", "/sweeps/nothere1/trials"):
        assert hub.program.get(f"/api/v1{path}").status_code == 404
    sweep = make_sweep(hub, RANDOM)
    post(hub, f"/sweeps/{sweep['id']}/ask", 404, agent="nobody", key=key())
    for cursor in ("x", "1_\0"):
        answer = hub.program.get("/api/v1/sweeps", params={"cursor": cursor})
        assert answer.json()["error"]["code"] == "cursor_invalid"


def change(hub: Hub, sweep: dict[str, Any], status: int = 200, **body: Any) -> Any:
    answer = hub.program.patch(f"/api/v1/sweeps/{sweep['id']}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_paused_sweep_hands_out_nothing_until_it_runs_again(hub: Hub) -> None:
    sweep = make_sweep(hub, RANDOM)
    agent = Agent(hub, sweep)
    assert get(hub, f"/sweeps/{sweep['id']}")["state"] == "running"
    assert change(hub, sweep, state="paused", name="mine")["name"] == "mine"
    its_key = key()
    assert agent.ask(its_key)["command"] == "wait"
    assert change(hub, sweep, state="running")["state"] == "running"
    assert agent.ask(its_key)["command"] == "run"


def test_a_finished_sweep_lets_running_trials_end_and_stays_finished(hub: Hub) -> None:
    sweep = make_sweep(hub, RANDOM)
    agent = Agent(hub, sweep)
    trial = agent.trial()
    change(hub, sweep, state="finished")
    assert agent.beat(trial) == {"state": "finished", "commands": []}
    assert agent.ask()["command"] == "exit"
    assert agent.end(trial)
    assert change(hub, sweep, 409, state="running")["error"]["code"] == "sweep_ended"
    assert change(hub, sweep, state="finished")["counts"]["finished"] == 1


def test_canceling_stops_running_trials_by_both_ways(hub: Hub) -> None:
    sweep = make_sweep(hub, RANDOM)
    agent = Agent(hub, sweep)
    trial = agent.trial()
    before = get(hub, "/control")["cursor"]
    change(hub, sweep, state="canceled")
    (stop,) = agent.beat(trial)["commands"]
    assert (stop["number"], stop["command"], stop["reason"]) == (1, "stop", "canceled")
    (command,) = get(hub, f"/control?cursor={before}&wait=5")["commands"]
    assert command["run_id"] == trial["run_id"]
    assert command["project"] == sweep["project"]
    assert (command["sweep"], command["reason"]) == (sweep["id"], "canceled")
    assert agent.end(trial, "crashed")  # By the signal that stopped it.
    assert get(hub, f"/sweeps/{sweep['id']}")["counts"]["stopped"] == 1


# ---------------------------------------------------------------------------- trials


def test_a_grid_ends_the_sweep_and_the_cap_too(hub: Hub) -> None:
    grid = {"method": "grid", "parameters": {"a": {"values": [1, 2, 3]}}}
    for config, expected in ((grid, 3), (grid | {"run_cap": 2}, 2), (RANDOM | {"run_cap": 2}, 2)):
        sweep = make_sweep(hub, config)
        assert sweep["expected_trials"] == expected
        agent, other = Agent(hub, sweep), Agent(hub, sweep)
        trials = [agent.trial() for _ in range(expected)]
        assert [each["number"] for each in trials] == list(range(1, expected + 1))
        assert other.ask()["command"] == "wait"  # A trial may still be given again.
        assert all(agent.end(each) for each in trials)
        assert get(hub, f"/sweeps/{sweep['id']}")["state"] == "finished"
        assert other.ask()["command"] == "exit"


def test_the_same_key_gets_the_same_trial(hub: Hub) -> None:
    agent = Agent(hub, make_sweep(hub, RANDOM))
    its_key = key()
    first = agent.ask(its_key)
    assert agent.ask(its_key) == first
    assert agent.trial()["number"] == 2


def test_one_end_of_a_trial_counts(hub: Hub) -> None:
    sweep = make_sweep(hub, RANDOM)
    agent, its_key = Agent(hub, sweep), key()
    trial = agent.trial()
    assert agent.end(trial, its_key=its_key)
    assert agent.end(trial, its_key=its_key)
    assert not agent.end(trial, "failed")
    (told,) = get(hub, f"/sweeps/{sweep['id']}/trials")["trials"]
    assert (told["state"], told["exit_code"]) == ("finished", 0)
    post(
        hub,
        f"/sweeps/{sweep['id']}/trials/99/end",
        404,
        agent=agent.id,
        fencing=1,
        key=key(),
        state="finished",
    )


def test_the_trial_of_a_silent_agent_is_given_again_and_the_old_attempt_is_stopped(
    hub: Hub, clock: Clock
) -> None:
    sweep = make_sweep(hub, RANDOM)
    paused, other = Agent(hub, sweep), Agent(hub, sweep)
    trial = paused.trial()
    cursor = get(hub, "/control")["cursor"]
    clock.ahead += LEASE_SECONDS - 5
    assert paused.beat(trial)["commands"] == []
    clock.ahead += LEASE_SECONDS - 5
    assert other.trial()["number"] == 2  # The lease was renewed.
    clock.ahead += 10
    again = other.trial()
    assert (again["number"], again["fencing"]) == (1, 2)
    assert again["params"] == trial["params"]
    assert again["run_id"] != trial["run_id"]
    (command,) = get(hub, f"/control?cursor={cursor}")["commands"]
    assert (command["run_id"], command["reason"]) == (trial["run_id"], "superseded")
    # The paused agent wakes up.
    (stop,) = paused.beat(trial)["commands"]
    assert (stop["fencing"], stop["reason"]) == (1, "superseded")
    assert not paused.end(trial)
    assert other.end(again)
    told = get(hub, f"/sweeps/{sweep['id']}/trials?limit=1")["trials"][0]
    assert [each["state"] for each in told["attempts"]] == ["superseded", "finished"]
    counts = get(hub, f"/sweeps/{sweep['id']}")["counts"]
    assert (counts["finished"], counts["superseded"]) == (1, 1)


def test_a_run_names_its_trial_and_says_whether_another_run_has_it_now(hub: Hub) -> None:
    sweep = make_sweep(hub, RANDOM | {"name": "rates"})
    agent = Agent(hub, sweep)
    first = agent.trial()
    assert agent.end(first, "preempted")
    second = agent.trial()

    def place(project: str, run_id: str) -> Any:
        return get(hub, f"/projects/{project}/runs/{run_id}/sweep")["sweep"]

    told = {"sweep_id": sweep["id"], "name": "rates", "number": 1}
    assert place(sweep["project"], first["run_id"]) == told | {"fencing": 1, "is_newest": False}
    assert place(sweep["project"], second["run_id"]) == told | {"fencing": 2, "is_newest": True}
    assert place("other", first["run_id"]) is None
    assert place(sweep["project"], "nosuch") is None
    assert place(sweep["project"], "%00") is None


def test_trials_behind_a_number_are_read_alone(hub: Hub) -> None:
    sweep = make_sweep(hub, RANDOM)
    agent = Agent(hub, sweep)
    for _ in range(4):
        agent.trial()
    path = f"/sweeps/{sweep['id']}/trials?after=1&limit=2"
    page = get(hub, path)
    rest = get(hub, f"{path}&cursor={page['next_cursor']}")
    assert [each["number"] for each in page["trials"] + rest["trials"]] == [2, 3, 4]
    assert not any(each["is_settled"] for each in page["trials"])


def test_an_agent_that_wakes_up_in_time_keeps_its_trial(hub: Hub, clock: Clock) -> None:
    agent = Agent(hub, make_sweep(hub, RANDOM))
    trial = agent.trial()
    clock.ahead += 10 * LEASE_SECONDS
    assert agent.beat(trial)["commands"] == []
    assert agent.trial()["number"] == 2


def test_after_a_start_of_the_hub_agents_have_time_to_renew(
    tmp_path: Path, store: EmbeddedStore, clock: Clock
) -> None:
    with hub_running(tmp_path, store, clock) as hub:
        agent = Agent(hub, make_sweep(hub, RANDOM))
        agent.trial()
    clock.ahead += 10 * LEASE_SECONDS
    with hub_running(tmp_path, store, clock) as agent.hub:
        clock.ahead += 1
        assert agent.trial()["number"] == 2
        clock.ahead += LEASE_SECONDS
        again = agent.trial()
        assert (again["number"], again["fencing"]) == (1, 2)


def test_an_agent_that_ends_is_not_alive(hub: Hub, clock: Clock) -> None:
    sweep = make_sweep(hub, RANDOM)
    ending, silent = Agent(hub, sweep), Agent(hub, sweep)
    agents = {each["id"]: each for each in get(hub, f"/sweeps/{sweep['id']}")["agents"]}
    assert [(each["is_alive"], each["ended_at"]) for each in agents.values()] == [(True, None)] * 2
    post(hub, f"{ending.path}/beat", agent=ending.id, is_ending=True)
    agents = {each["id"]: each for each in get(hub, f"/sweeps/{sweep['id']}")["agents"]}
    assert agents[ending.id]["is_alive"] is False
    assert agents[ending.id]["ended_at"] == agents[ending.id]["seen_at"]
    assert (agents[silent.id]["is_alive"], agents[silent.id]["ended_at"]) == (True, None)


def test_a_trial_whose_agents_all_vanish_is_crashed_in_the_end(hub: Hub, clock: Clock) -> None:
    sweep = make_sweep(hub, RANDOM | {"run_cap": 1})
    agent = Agent(hub, sweep)
    for fencing in range(1, 6):
        assert agent.trial()["fencing"] == fencing
        clock.ahead += LEASE_SECONDS + 1
    assert agent.ask()["command"] == "exit"
    assert get(hub, f"/sweeps/{sweep['id']}")["counts"]["crashed"] == 1


def test_a_preempted_trial_is_given_again_at_once(hub: Hub) -> None:
    sweep = make_sweep(hub, RANDOM)
    agent = Agent(hub, sweep)
    trial = agent.trial()
    assert agent.end(trial, "preempted")
    assert get(hub, f"/sweeps/{sweep['id']}")["counts"]["waiting"] == 1
    again = agent.trial()
    assert (again["number"], again["fencing"]) == (1, 2)


def test_many_agents_at_once_get_different_trials(hub: Hub) -> None:
    sweep = make_sweep(hub, RANDOM)
    agents = [Agent(hub, sweep) for _ in range(64)]
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda each=each: found.append(each.trial())) for each in agents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each["number"] for each in found) == list(range(1, 65))
    assert len({each["run_id"] for each in found}) == 64


# ---------------------------------------------------------------------------- values


def logged(hub: Hub, sweep: dict[str, Any], trial: dict[str, Any], values: list[float]) -> None:
    project, run_id = sweep["project"], trial["run_id"]
    make_run(hub.context.store, project, run_id, state="", steps=0)
    more_logged(hub, sweep, trial, values)


def more_logged(
    hub: Hub, sweep: dict[str, Any], trial: dict[str, Any], values: list[float], first: int = 0
) -> None:
    steps = range(first * 10, (first + len(values)) * 10, 10)
    log(hub.context.store, writer(sweep["project"], trial["run_id"]), steps, loss=values)


def test_values_come_from_the_store_and_the_best_is_told(hub: Hub) -> None:
    config = RANDOM | {"metric": {"name": "loss", "goal": "maximize"}}
    sweep = make_sweep(hub, config)
    agent = Agent(hub, sweep)
    first, second = agent.trial(), agent.trial()
    logged(hub, sweep, first, [1.0, 3.0, 2.0])
    logged(hub, sweep, second, [float("nan"), 2.5])

    def best() -> Any:
        told = get(hub, f"/sweeps/{sweep['id']}/trials")["trials"]
        return [each["steps"] for each in told] == [3, 2] and get(hub, f"/sweeps/{sweep['id']}")

    assert wait_for(best, "values of both trials")["best"] == {
        "number": 1,
        "run_id": first["run_id"],
        "value": 3.0,
    }
    assert get(hub, f"/sweeps/{sweep['id']}/trials")["trials"][0]["last"] == 2.0
    # A value that comes after the end of the trial counts, until the trial is settled.
    assert agent.end(second)
    more_logged(hub, sweep, second, [9.0], first=2)

    def late() -> Any:
        return get(hub, f"/sweeps/{sweep['id']}")["best"]["number"] == 2

    wait_for(late, "the late value")


def test_importance_counts_the_trials_that_ended_with_a_value(hub: Hub) -> None:
    values = [round(0.1 * number, 1) for number in range(1, 6)]
    parameters = {"x": {"values": values}, "y": {"values": ["a", "b"]}}
    config = {"method": "grid", "parameters": parameters, "metric": {"name": "loss"}}
    sweep = make_sweep(hub, config)
    path = f"/sweeps/{sweep['id']}"
    agent = Agent(hub, sweep)
    trials = [agent.trial() for _ in range(10)]
    for trial in trials:
        loss = (trial["params"]["x"] - 0.5) ** 2
        log(hub.context.store, writer(sweep["project"], trial["run_id"]), [0], loss=[loss])
    for trial in trials[1:]:
        assert agent.end(trial)

    def used(count: int) -> Callable[[], Any]:
        def found() -> Any:
            told = get(hub, f"{path}/importance")
            return told if told["trials"] == count else None

        return found

    too_few = wait_for(used(9), "values of nine trials")
    assert (too_few["metric"], too_few["trials_min"], too_few["parameters"]) == ("loss", 10, [])
    assert agent.end(trials[0])
    told = wait_for(used(10), "the tenth trial")
    first, second = told["parameters"]
    assert (first["name"], second["name"]) == ("x", "y")
    assert first["share"] > told["chance"] > second["share"]
    assert first["direction"] < -0.9
    assert second["direction"] is None


def best_number(hub: Hub, sweep: dict[str, Any]) -> int | None:
    best = get(hub, f"/sweeps/{sweep['id']}")["best"]
    return None if best is None else int(best["number"])


def delete(hub: Hub, sweep: dict[str, Any], trial: dict[str, Any]) -> None:
    """Delete the run as `stepwell rm` does: without the hub."""
    queries.delete_run(hub.context.store, sweep["project"], trial["run_id"], force=True)


def test_a_trial_whose_run_was_deleted_has_no_value_and_is_not_the_best(hub: Hub) -> None:
    config = {"method": "grid", "parameters": {"x": {"values": [1, 2, 3, 4]}}}
    sweep = make_sweep(hub, config | {"metric": {"name": "loss"}})
    path = f"/sweeps/{sweep['id']}"
    agent = Agent(hub, sweep)
    bogus, good, bad, runless = (agent.trial() for _ in range(4))
    for trial, loss in ((bogus, 0.0), (good, 1.0), (bad, 2.0)):
        logged(hub, sweep, trial, [loss])
    wait_for(lambda: best_number(hub, sweep) == bogus["number"], "the values")
    assert all(map(agent.end, (bogus, good, bad, runless)))

    def settled() -> bool:
        told = get(hub, f"{path}/trials")["trials"]
        return [each["steps"] for each in told] == [1, 1, 1, 0]

    wait_for(settled, "the values of all")
    delete(hub, sweep, bogus)
    (listed,) = get(hub, f"/sweeps?project={sweep['project']}")["sweeps"]
    read = get(hub, path)
    for each in (listed, read):
        assert (each["best"]["number"], each["best"]["value"]) == (good["number"], 1.0)
    assert read["deleted_runs"] == 1
    told = get(hub, f"{path}/trials")["trials"]
    # A trial that never had a run in the store is not marked.
    assert [each["is_run_deleted"] for each in told] == [True, False, False, False]
    assert [each["value"] for each in told] == [None, 1.0, 2.0, None]
    assert get(hub, f"{path}/importance")["trials"] == 2
    for trial in (good, bad):
        delete(hub, sweep, trial)
    assert get(hub, path)["best"] is None

    # A run that is there again, as after the restore of a backup, has its values again.
    logged(hub, sweep, good, [1.0])
    wait_for(lambda: best_number(hub, sweep) == good["number"], "the value again")
    assert get(hub, path)["deleted_runs"] == 2


def test_the_model_and_early_stopping_leave_out_deleted_runs(hub: Hub) -> None:
    early = {"type": "hyperband", "min_iter": 1}
    config = RANDOM | {"method": "bayes", "metric": {"name": "loss"}, "early_terminate": early}
    sweep = make_sweep(hub, config)
    agent = Agent(hub, sweep)
    bogus, good = agent.trial(), agent.trial()
    logged(hub, sweep, bogus, [0.0])
    wait_for(lambda: best_number(hub, sweep) == bogus["number"], "the bogus value")
    delete(hub, sweep, bogus)
    cursor = get(hub, "/control")["cursor"]
    logged(hub, sweep, good, [1.0])
    wait_for(lambda: best_number(hub, sweep) == good["number"], "the good value")
    # It would be stopped beside the bogus value.
    assert get(hub, f"/control?cursor={cursor}")["commands"] == []

    def seen(number: int) -> list[int]:
        who = Ask(agent.id, key())
        now = time.time()
        asking = {"now": now, "expired_at": 0.0, "lease_seconds": LEASE_SECONDS}
        wanted = hub.program.portal.call(  # type: ignore[union-attr]
            hub.context.catalog.do, lambda catalog: ask(catalog, sweep["id"], [who], **asking)
        )[0]
        assert isinstance(wanted, Wanted)
        assert wanted.number == number
        return [each.number for each in wanted.seen]

    assert seen(3) == [good["number"]]


def test_hyperband_stops_the_worse_trial_at_its_band(hub: Hub) -> None:
    config = RANDOM | {
        "metric": {"name": "loss"},
        "early_terminate": {"type": "hyperband", "min_iter": 3},
    }
    sweep = make_sweep(hub, config)
    agent = Agent(hub, sweep)
    good, bad = agent.trial(), agent.trial()
    cursor = get(hub, "/control")["cursor"]
    logged(hub, sweep, good, [1.0, 1.0, 1.0])
    logged(hub, sweep, bad, [2.0, 0.5])  # Better before its band, and not there yet.
    more_logged(hub, sweep, bad, [2.0], first=2)
    (command,) = wait_for(
        lambda: get(hub, f"/control?cursor={cursor}&wait=2")["commands"], "a stop"
    )
    assert (command["run_id"], command["reason"]) == (bad["run_id"], "early_terminate")
    (stop,) = agent.beat(good, bad)["commands"]
    assert (stop["number"], stop["reason"]) == (bad["number"], "early_terminate")
    assert agent.end(bad, "failed")
    told = get(hub, f"/sweeps/{sweep['id']}/trials")["trials"]
    assert [each["state"] for each in told] == ["running", "stopped"]


def test_a_reached_target_finishes_the_sweep(hub: Hub) -> None:
    sweep = make_sweep(hub, RANDOM | {"metric": {"name": "loss", "target": 0.1}})
    agent = Agent(hub, sweep)
    trial = agent.trial()
    logged(hub, sweep, trial, [0.2, 0.1])
    wait_for(lambda: get(hub, f"/sweeps/{sweep['id']}")["state"] == "finished", "the end")
    assert agent.beat(trial)["commands"] == []  # What runs may end.


def test_the_model_waits_for_the_values_of_the_trial_that_just_ended(hub: Hub) -> None:
    config = RANDOM | {"method": "bayes", "metric": {"name": "loss"}}
    sweep = make_sweep(hub, config)
    agent = Agent(hub, sweep)
    trial = agent.trial()
    make_run(hub.context.store, sweep["project"], trial["run_id"], state="", steps=1)
    assert agent.end(trial)
    told = agent.ask()
    assert (told["command"], told["seconds"]) == ("wait", 1)
    make_run(hub.context.store, sweep["project"], trial["run_id"], steps=0)  # Its end is stored.
    assert agent.trial()["number"] == 2


def test_trials_of_an_ended_sweep_that_nobody_holds_are_ended(hub: Hub, clock: Clock) -> None:
    sweep = make_sweep(hub, RANDOM)
    agent = Agent(hub, sweep)
    agent.trial()
    change(hub, sweep, state="finished")
    clock.ahead += 2 * LEASE_SECONDS + 1

    def counts() -> Any:
        return get(hub, f"/sweeps/{sweep['id']}")["counts"]["crashed"] == 1

    wait_for(counts, "the trial to be crashed")


def test_a_poll_without_commands_ends_with_the_same_cursor(hub: Hub) -> None:
    cursor = get(hub, "/control")["cursor"]
    assert get(hub, f"/control?cursor={cursor}&wait=0.1") == {"cursor": cursor, "commands": []}
    answer = hub.program.get("/api/v1/control?cursor=x")
    assert answer.json()["error"]["code"] == "cursor_invalid"


def test_the_end_of_the_hub_answers_those_who_wait(hub: Hub) -> None:
    cursor = get(hub, "/control")["cursor"]
    waiting = threading.Thread(target=lambda: get(hub, f"/control?cursor={cursor}&wait=30"))
    waiting.start()
    assert hub.program.portal is not None
    hub.program.portal.call(hub.context.sweeps.stop)
    waiting.join(PATIENCE_SECONDS)
    assert not waiting.is_alive()
