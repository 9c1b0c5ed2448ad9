"""Scripts as users have them, word for word, in an environment without wandb."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.node import made_node
from tests.waiting import wait_for
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
    (end,) = daemon.events("finish")
    assert (end.body["state"], end.body["exit_code"]) == ("finished", 0)
    assert re.fullmatch("[0-9a-z]{8}", run_id)


def test_the_first_script_is_in_the_store_of_the_daemon() -> None:
    with made_node() as node:
        (node.folder / "track_experiment.py").write_text(FIRST)
        node.start_daemon()
        done = subprocess.run(
            [sys.executable, "-m", "stepwell", "run", sys.executable, "track_experiment.py"],
            env=node.environment,
            cwd=node.folder,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr

        def finished() -> dict[str, Any] | None:
            shown = node.stepwell("show", "my-ml-project/experiment-1", "--json")
            found = json.loads(shown.stdout) if shown.returncode == 0 else {}
            return found if found.get("state") == "finished" else None

        run = wait_for(finished, lambda: f"the run's end\n{node.log()}")
        assert run["config"]["architecture"] == "resnet50"
        assert run["summary"]["epoch"] == 49.0
        counts = {metric["metric"]: metric["count"] for metric in run["metrics"]}
        assert counts == {"epoch": 50, "train/loss": 50, "val/loss": 50, "val/accuracy": 50}
