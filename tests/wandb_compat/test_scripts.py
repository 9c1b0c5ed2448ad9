"""Scripts as users have them, word for word, in an environment without wandb."""

import re
from pathlib import Path

import pytest

from tests.wandb_compat.conftest import Desk

pytestmark = pytest.mark.processes

FIRST = Path(__file__).with_name("first_script.txt").read_text()


def test_the_first_script_of_every_tutorial_runs_as_it_is(desk: Desk) -> None:
    done = desk.run(FIRST)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    daemon = desk.daemon
    (run_id,) = daemon.run_ids
    (start,) = daemon.events("start")
    assert start.body["project"] == "my-ml-project"
    assert start.body["name"] == "experiment-1"
    assert daemon.merged("config") == {
        "learning_rate": 0.001,
        "epochs": 50,
        "batch_size": 32,
        "architecture": "resnet50",
        "optimizer": "adam",
    }
    for metric in ("epoch", "train/loss", "val/loss", "val/accuracy"):
        assert [point.step for point in daemon.points(metric)] == list(range(50))
    assert [point.value for point in daemon.points("epoch")] == list(map(float, range(50)))
    assert daemon.merged("summary")["epoch"] == 49.0
    (end,) = daemon.events("finish")
    assert (end.body["state"], end.body["exit_code"]) == ("finished", 0)
    assert re.fullmatch("[0-9a-z]{8}", run_id)
