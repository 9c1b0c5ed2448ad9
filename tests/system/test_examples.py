"""The examples run as their first lines say, and what they log is stored."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node import Node, made_node
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with made_node() as made:
        made.variables = {"STEPWELLD_HUB": "auto", "STEPWELLD_HUB_PORT": "0", "STEPWELL_GIT": "0"}
        # An agent's `python` is the first of the path.
        made.variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        made.start_daemon()
        yield made


def run(node: Node, *words: str, cwd: Path = ROOT) -> str:
    """Run a command, by default in the repository's root; return what it printed."""
    done = subprocess.run(
        words, cwd=cwd, env=node.environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def example(node: Node, name: str) -> None:
    command = (sys.executable, "-m", "stepwell", "run", "--", sys.executable)
    run(node, *command, f"examples/{name}.py")


def runs_of(node: Node, project: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def ended() -> bool:
        nonlocal found
        done = node.stepwell("runs", "--project", project, "--json")
        found = json.loads(done.stdout) if done.returncode == 0 else []
        return bool(found) and all(each["state"] != "running" for each in found)

    wait_until(ended, f"the runs of {project}")
    assert {each["state"] for each in found} == {"finished"}
    return [json.loads(node.stepwell("show", each["run_id"], "--json").stdout) for each in found]


def test_the_smallest_use(node: Node) -> None:
    example(node, "track")
    (shown,) = runs_of(node, "first-steps")
    assert (shown["name"], shown["config"]["epochs"]) == ("curve", 50)
    points = {each["metric"]: each["count"] for each in shown["metrics"]}
    assert points == {"epoch": 50, "train/loss": 50, "train/accuracy": 50}


def test_media(node: Node) -> None:
    example(node, "media")
    (shown,) = runs_of(node, "media")
    assert {each["metric"]: each["histogram_count"] for each in shown["histograms"]} == {
        "noise": 10
    }
    said = json.dumps(shown)
    for metric in ("wave", "both", "waves", "note"):
        assert f'"{metric}"' in said, metric


def test_charts(node: Node) -> None:
    example(node, "charts")
    (shown,) = runs_of(node, "charts")
    said = json.dumps(shown)
    kinds = ("curve", "confusion_matrix", "bar", "histogram", "scatter", "line")
    assert [kind for kind in kinds if f'"kind": "{kind}"' not in said] == []


_READS = """
import json, stepwell
sweep = stepwell.Api().sweep({path!r})
assert [each.id for each in stepwell.Api().project("sweep-demo").sweeps()] == [sweep.id]
print(json.dumps({{
    "state": sweep.state, "count": sweep.run_count, "order": sweep.order,
    "trials": [each._asdict() for each in sweep.trials],
    "runs": [[each.id, each.state] for each in sweep.runs], "best": sweep.best_run().id,
}}))
"""


def test_a_sweep_of_a_file_and_what_the_api_reads_of_it(node: Node) -> None:
    stepwell = (sys.executable, "-m", "stepwell")
    sweep_id = run(node, *stepwell, "sweep", "examples/sweep.yaml").strip()
    run(node, *stepwell, "agent", "--count", "2", sweep_id)
    shown = runs_of(node, "sweep-demo")
    assert len(shown) == 2
    for each in shown:
        assert 0.001 <= each["config"]["learning_rate"] <= 1.0
        assert "loss" in {metric["metric"] for metric in each["metrics"]}
    done = node.python(_READS.format(path=f"somebody/sweep-demo/{sweep_id}"))
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert (read["state"], read["count"], read["order"]) == ("running", 2, "+summary_metrics.loss")
    assert [each["number"] for each in read["trials"]] == [1, 2]
    assert read["runs"] == [[each["run_id"], "finished"] for each in read["trials"]]
    best = min(read["trials"], key=lambda each: each["value"])
    assert read["best"] == best["run_id"]
    found = {each["run_id"]: each for each in shown}[best["run_id"]]
    (loss,) = (each for each in found["metrics"] if each["metric"] == "loss")
    assert best["value"] == loss["min"]
    assert best["params"].items() <= found["config"].items()


def test_artifacts(node: Node) -> None:
    example(node, "artifacts")
    shown = {each["job_type"]: each for each in runs_of(node, "artifacts-demo")}
    assert set(shown) == {"data-prep", "training"}
    code = """
import json, stepwell
line = stepwell.Api().artifact("artifacts-demo/line:latest")
model = stepwell.Api().artifact("artifacts-demo/line-model:candidate")
print(json.dumps([line.logged_by().id, [each.id for each in line.used_by()],
                  model.logged_by().id, model.version, model.get_entry("line.txt").size]))
"""

    def both() -> bool:
        nonlocal done
        done = node.python(code)
        return done.returncode == 0

    done = node.python(code)
    wait_until(both, "the versions of both artifacts")
    logged, used, modelled, version, size = json.loads(done.stdout)
    assert (logged, used) == (shown["data-prep"]["run_id"], [shown["training"]["run_id"]])
    assert (modelled, version) == (shown["training"]["run_id"], "v0")
    assert size > 10
    listed = node.stepwell("artifact", "ls").stdout.splitlines()
    names = ["artifacts-demo/line", "artifacts-demo/line-model"]
    assert [each.split()[0] for each in listed] == names


def test_files_that_a_command_logs(node: Node, tmp_path: Path) -> None:
    stepwell = (sys.executable, "-m", "stepwell")
    put = (*stepwell, "artifact", "put", "--name", "put-demo/points", "--json")
    points = tmp_path / "points.csv"
    points.write_text("x,y\n1,2\n")
    first = json.loads(run(node, *put, str(points), "--metadata", '{"rows": 1}'))
    assert (first["version"], first["metadata"]) == ("v0", {"rows": 1})
    # The same content makes no new version.
    again = json.loads(run(node, *put, str(points), "--alias", "same"))
    assert (again["version"], again["aliases"]) == ("v0", ["latest", "same"])
    points.write_text("x,y\n")
    other = json.loads(run(node, *put, str(points), "--description", "short"))
    assert (other["version"], other["description"]) == ("v1", "short")
    got = run(node, *stepwell, "artifact", "get", "put-demo/points:same", cwd=tmp_path).strip()
    assert (tmp_path / got / "points.csv").read_text() == "x,y\n1,2\n"
    wandb = (*stepwell, "run", "--", "wandb", "artifact")
    assert run(node, *wandb, "ls", "local/put-demo").startswith("put-demo/points")


def test_a_report(node: Node) -> None:
    url = run(node, sys.executable, "examples/report.py", "first-steps").strip()
    listed = json.loads(node.stepwell("report", "ls", "-p", "first-steps", "--json").stdout)
    assert "Results" in json.dumps(listed)
    assert "/p/first-steps/reports/" in url
    page = node.folder / "report.html"
    exported = node.stepwell("report", "export", url.rpartition("/")[2], "-o", str(page))
    assert exported.returncode == 0, exported.stderr
    assert "<script" not in page.read_text()
    assert "train/loss" in page.read_text()
