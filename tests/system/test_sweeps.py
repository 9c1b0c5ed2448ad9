"""Sweeps from end to end: a real daemon with its hub, real agents and trainers."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from tests.node import Node, made_node
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

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
_ENDLESS = """
import time, stepwell
from stepwell._sweeps.link import AgentLink

AgentLink.beat = lambda self: None  # Only the daemon may bring the stop.

def train():
    run = stepwell.init(settings={"metadata": False})
    while True:
        run.log({"loss": 1.0})
        time.sleep(0.01)

stepwell.agent(stepwell.sweep({"method": "random", "run_cap": 1, "project": "stop",
                               "parameters": {"x": {"min": 0.0, "max": 1.0}}}), train)
"""


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with made_node() as made:
        made.variables = {"STEPWELLD_HUB": "auto", "STEPWELLD_HUB_PORT": "0"}
        made.start_daemon()
        yield made


def sweeps(node: Node, project: str) -> list[dict[str, object]]:
    done = node.stepwell("sweep", "ls", "--json", "--project", project)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


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
    runs = json.loads(node.stepwell("runs", "--project", "demo", "--json").stdout)
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
