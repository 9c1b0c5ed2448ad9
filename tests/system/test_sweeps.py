"""Sweeps from end to end: a real daemon with its hub, real agents and trainers."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from stepwell._hub import Hub, find_hub, new_key
from tests.node import Node, made_node
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

LEASE_SECONDS = 3

_CONFIG = """
program: train.py
method: bayes
metric: {name: val/accuracy, goal: maximize}
parameters:
  learning_rate: {distribution: log_uniform_values, min: 0.0001, max: 0.1}
  optimizer: {values: [adam, sgd]}
"""
_SCRIPT = """
import wandb

def train():
    wandb.init()
    config = wandb.config
    for epoch in range(10):
        loss = 1.0 / (epoch + 1) * (1 / config.learning_rate)
        wandb.log({"val/accuracy": 1 - loss / 100, "train/loss": loss})
    wandb.finish()

sweep_id = wandb.sweep(sweep="sweep.yaml", project="demo")
wandb.agent(sweep_id, function=train, count=3)
"""
_TRAIN = """
import time, stepwell

def train():
    run = stepwell.init(settings={"metadata": False})
    while True:
        run.log({"loss": 1.0})
        time.sleep(0.01)
"""
_ENDLESS = f"""{_TRAIN}
from stepwell._sweeps.link import AgentLink

AgentLink.beat = lambda self: None  # Only the daemon may bring the stop.
stepwell.agent(stepwell.sweep({{"method": "random", "run_cap": 1, "project": "stop",
                               "parameters": {{"x": {{"min": 0.0, "max": 1.0}}}}}}), train)
"""
_READS_ITS_OWN = """
import math
import stepwell

for number in range(3):
    run = stepwell.init("own", id=f"r{number}", settings={"console": False, "metadata": False})
    run.log({"x": float(number)})
    run.finish()
    read = stepwell.Api().run(f"own/r{number}")
    assert (read.state, read.summary["x"]) == ("finished", number), (read.state, read.summary)
    assert len(stepwell.Api().runs("own")) == number + 1

def train():
    run = stepwell.init(settings={"console": False, "metadata": False})
    run.log({"loss": run.config["x"]})
    run.finish()

sweep_id = stepwell.sweep({"method": "grid", "metric": {"name": "loss", "goal": "minimize"},
                           "parameters": {"x": {"values": [3, 1, 2]}}}, project="own")
stepwell.agent(sweep_id, train)
best = stepwell.Api().sweep(f"own/{sweep_id}").best_run()
assert best is not None and best.config["x"] == 1, best

best.delete()
sweep = stepwell.Api().sweep(f"own/{sweep_id}")
assert sweep.best_run().config["x"] == 2
assert sorted((each.params["x"], each.value, each.is_run_deleted) for each in sweep.trials) == [
    (1, None, True), (2, 2.0, False), (3, 3.0, False)]
for run in list(sweep.runs):
    run.delete()
assert sweep.best_run() is None and sweep.run_count == 3
"""


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with made_node() as made:
        made.variables = {
            "STEPWELLD_HUB": "auto",
            "STEPWELLD_HUB_PORT": "0",
            "STEPWELLHUB_SWEEP_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        made.start_daemon()
        yield made


def sweeps(node: Node, project: str) -> list[dict[str, object]]:
    done = node.stepwell("sweep", "ls", "--json", "--project", project)
    if done.returncode == 4:  # Nothing of the project is there yet.
        return []
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_script_reads_what_it_has_just_ended(node: Node) -> None:
    done = node.python(_READS_ITS_OWN)
    assert done.returncode == 0, done.stderr


def test_a_script_that_is_written_for_wandb_sweeps_as_it_is(node: Node) -> None:
    (node.folder / "sweep.yaml").write_text(_CONFIG)
    (node.folder / "script.py").write_text(textwrap.dedent(_SCRIPT))
    words = (sys.executable, "-m", "stepwell", "run", "--", sys.executable, "script.py")
    done = subprocess.run(
        words, cwd=node.folder, env=node.environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (found,) = sweeps(node, "demo")
    assert f"Create sweep with ID: {found['id']}" in done.stdout
    counts = found["counts"]
    assert isinstance(counts, dict)
    assert counts["finished"] == 3
    wait_until(lambda: sweeps(node, "demo")[0]["best"] is not None, "the best trial")
    own = f"sweep:{found['id']}"
    listed = node.stepwell("runs", "--project", "demo", "--filter", own, "--json")
    runs = json.loads(listed.stdout)
    assert {run["state"] for run in runs} == {"finished"}
    assert len(runs) == 3


def test_a_canceled_trial_hears_it_from_its_daemon_and_ends_in_order(node: Node) -> None:
    agent = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS],
        env=node.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(
            lambda: any(each["counts"]["running"] for each in sweeps(node, "stop")),  # type: ignore[index]
            "a running trial",
            timeout_seconds=60,
        )
        (found,) = sweeps(node, "stop")
        assert node.stepwell("sweep", "--cancel", str(found["id"])).returncode == 0
        _, told = agent.communicate(timeout=60)
    finally:
        agent.kill()
        agent.wait()
    assert agent.returncode == 0, told
    assert "was stopped: canceled" in told
    (ended,) = sweeps(node, "stop")
    assert ended["state"] == "canceled"
    assert ended["counts"]["stopped"] == 1  # type: ignore[index]


@pytest.mark.holds("stopped-agent")
@pytest.mark.parametrize("kind", ["function", "command"])
def test_an_agent_that_wakes_up_late_finds_its_trial_stopped_and_its_end_does_not_count(
    node: Node, kind: str
) -> None:
    script = node.folder / "train.py"
    script.write_text(f"{_TRAIN}\nif __name__ == '__main__':\n    train()\n")
    hub = find_hub(node.environment)
    config = {
        "method": "grid",
        "metric": {"name": "loss"},
        "parameters": {"x": {"value": 1}},
        "command": [sys.executable, str(script)],
    }
    sweep = hub.post("/sweeps", {"project": f"late-{kind}", "config": config, "key": new_key()})
    function = "train" if kind == "function" else "None"
    agent = subprocess.Popen(
        [sys.executable, "-c", f"from train import *\nstepwell.agent({sweep['id']!r}, {function})"],
        cwd=node.folder,
        env=node.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        first = _trial(hub, sweep, is_logging=True)
        agent.send_signal(signal.SIGSTOP)
        other, again = _taken_over(hub, sweep)
        assert (again["number"], again["fencing"]) == (1, 2)
        assert again["params"] == first["params"]
        if kind == "command":  # The daemon tells the trainer, whatever its agent does.
            (trainer,) = psutil.Process(agent.pid).children()
            wait_until(lambda: trainer.status() == psutil.STATUS_ZOMBIE, "the trainer's end")
        agent.send_signal(signal.SIGCONT)
        body = {"agent": other, "fencing": 2, "key": new_key(), "state": "finished"}
        assert hub.post(f"/sweeps/{sweep['id']}/trials/1/end", body)["counted"]
        _, told = agent.communicate(timeout=120)
    finally:
        if agent.poll() is None:
            for child in psutil.Process(agent.pid).children():
                child.kill()  # It would train for ever.
        agent.kill()
        agent.wait()
    assert agent.returncode == 0, told
    assert "was stopped: superseded" in told
    assert "does not count" in told
    ended = _trial(hub, sweep)
    assert ended["run_id"] == again["run_id"]
    assert [each["state"] for each in ended["attempts"]] == ["superseded", "finished"]

    def runs() -> list[dict[str, Any]]:
        told = node.stepwell("runs", "--project", str(sweep["project"]), "--json").stdout
        return list(json.loads(told))

    wait_until(lambda: all(each["state"] != "running" for each in runs()), "the run's end")
    assert [each["run_id"] for each in runs()] == [first["run_id"]]


def _trial(hub: Hub, sweep: dict[str, Any], *, is_logging: bool = False) -> dict[str, Any]:
    """Return the sweep's one trial, once it has begun, or even logged."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = hub.get(f"/sweeps/{sweep['id']}/trials")["trials"]
        return bool(found) and (found[0]["steps"] > 0 or not is_logging)

    wait_until(look, "a trial", timeout_seconds=60)
    return found[0]


def _taken_over(hub: Hub, sweep: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Ask as another agent until it gets the trial; return the agent and what it got."""
    path = f"/sweeps/{sweep['id']}"
    about = {"key": new_key(), "host": "other", "pid": 1, "kind": "function"}
    agent = hub.post(f"{path}/agents", about)["agent"]
    found: list[dict[str, Any]] = []

    def ask() -> bool:
        answer = hub.post(f"{path}/ask", {"agent": agent, "key": new_key()})
        if answer["command"] == "run":
            found.append(answer["trial"])
        return bool(found)

    wait_until(ask, "the end of the lease", timeout_seconds=60)
    return agent, found[0]
