"""The main job: a script trains on real data, the command line reads everything back."""

import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.node import Node
from tests.waiting import wait_for

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "train_digits.py"

pytestmark = pytest.mark.slow


def test_a_training_run_is_read_back_whole(node: Node) -> None:
    node.start_daemon("--sample-seconds", "0.5")
    trained = node.command([sys.executable, str(EXAMPLE)])
    assert trained.returncode == 0, trained.stderr
    time.sleep(0.6)

    listed = node.stepwell("runs", "--json")
    assert listed.returncode == 0, listed.stderr
    (run,) = json.loads(listed.stdout)
    assert run["state"] == "finished"

    shown = node.stepwell("show", run["run_id"], "--json")
    assert shown.returncode == 0, shown.stderr
    detail = json.loads(shown.stdout)
    assert detail["config"]["learning_rate"] > 0
    assert detail["summary"]
    metrics = {metric["metric"]: metric for metric in detail["metrics"]}
    loss = metrics["train/loss"]
    assert loss["count"] > 100
    assert loss["last"] < loss["first"], "the network learned nothing from the digits"
    console = node.stepwell(
        "sql", "SELECT text FROM console FINAL ORDER BY number", "--format", "jsonl"
    )
    assert console.returncode == 0, console.stderr
    printed = [json.loads(line)["text"] for line in console.stdout.splitlines()]
    assert [line for line in trained.stdout.splitlines() if line] == [t for t in printed if t]

    pictures = node.stepwell(
        "sql",
        'WITH (SELECT groupArrayArray(extractAll(text, \'"blob":"([0-9a-f]+)"\')) FROM texts '
        "WHERE metric = 'validation/mistakes') AS pictures, "
        '(SELECT groupArrayArray(extractAll(text, \'"blob":"([0-9a-f]+)"\')) FROM texts '
        "WHERE metric = 'validation/confusion') AS tables "
        "SELECT length(pictures) AS named, countIf(has(pictures, blob)) AS kept, "
        "length(tables) AS tables_named, countIf(has(tables, blob)) AS tables_kept, "
        "count() AS in_all FROM blobs FINAL WHERE state = 'ready'",
        "--format",
        "jsonl",
    )
    counts = json.loads(pictures.stdout)
    assert int(counts["named"]) > 10
    assert counts["named"] == counts["kept"]
    assert int(counts["tables_named"]) > 1
    assert counts["tables_named"] == counts["tables_kept"]
    cells = int(counts["in_all"]) - int(counts["kept"]) - int(counts["tables_kept"])
    assert cells >= 10 * int(counts["tables_kept"])  # Each digit is taken for one at least.

    exported = node.folder / "run.jsonl"
    done = node.stepwell("export", run["run_id"], "-o", str(exported))
    assert done.returncode == 0, done.stderr
    history = [json.loads(line) for line in exported.read_text().splitlines()]
    assert sum("train/loss" in row for row in history) == loss["count"]
    assert [row["_step"] for row in history] == sorted({row["_step"] for row in history})
    assert all(abs(row["_timestamp"] - time.time()) < 600 for row in history)

    host = node.stepwell(
        "sql",
        "SELECT DISTINCT metric FROM node_points JOIN node_series USING series",
        "--format",
        "jsonl",
    )
    sampled = {json.loads(line)["metric"] for line in host.stdout.splitlines()}
    assert any(re.match(r"cpu/.*ratio", metric) for metric in sampled), sampled
    assert any(metric.startswith("memory/") for metric in sampled)
    assert any(metric.startswith("network/") for metric in sampled)

    removed = node.stepwell("rm", run["run_id"], "--yes")
    assert removed.returncode == 0, removed.stderr
    left = node.stepwell("sql", "SELECT count() AS n FROM points", "--format", "jsonl")
    assert int(json.loads(left.stdout)["n"]) == 0
    assert node.stepwell("show", run["run_id"]).returncode == 4


@pytest.mark.holds("offline-counts-once")
def test_offline_runs_are_synced_once_however_often_they_are_sent(node: Node) -> None:
    done = node.python(
        "import stepwell\n"
        "run = stepwell.init(project='away', id='offline1', mode='offline', config={'lr': 0.5})\n"
        "for step in range(1000): run.log({'loss': 1.0 / (step + 1)})\n"
        "run.finish()"
    )
    assert done.returncode == 0, done.stderr
    (journal,) = node.journals.glob("offline1-*")
    copy = node.folder / "copy"
    shutil.copytree(journal, copy / journal.name)
    node.start_daemon()
    for words in (("--keep", node.journals), ("--keep", node.journals), (copy,), (node.journals,)):
        sent = node.stepwell("sync", *map(str, words))
        assert sent.returncode == 0, sent.stderr
        assert "away/offline1" in sent.stdout
        assert journal.exists() == ("--keep" in words or copy in words)
    shown = json.loads(node.stepwell("show", "offline1", "--json").stdout)
    assert shown["state"] == "finished"
    assert shown["config"] == {"lr": 0.5}
    (loss,) = shown["metrics"]
    assert (loss["count"], loss["first"], loss["last_step"]) == (1000, 1.0, 999)


def test_a_killed_trainer_loses_nothing_and_is_seen_as_crashed(node: Node) -> None:
    node.start_daemon("--recover-seconds", "0.5")
    done = node.python(
        "import os, signal, stepwell\n"
        "run = stepwell.init(project='killed', id='killed1')\n"
        "for step in range(5000): run.log({'loss': float(step)})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert done.returncode == -9

    def crashed() -> dict[str, Any] | None:
        shown = node.stepwell("show", "killed1", "--json")
        found = json.loads(shown.stdout) if shown.returncode == 0 else {}
        return found if found.get("state") == "crashed" else None

    detail = wait_for(crashed, lambda: f"the run to be seen as crashed\n{node.log()}")
    (loss,) = detail["metrics"]
    assert (loss["count"], loss["last"]) == (5000, 4999.0)
    assert list(node.journals.glob("*/writer.json")) == []


def test_many_writers_of_one_run_keep_their_ranks_apart(node: Node) -> None:
    node.start_daemon()
    code = (
        "import stepwell, os\n"
        "run = stepwell.init(project='ranks')\n"
        "for step in range(100): run.log({'loss': float(os.environ['RANK'])}, step=step)\n"
        "run.finish()"
    )
    for rank in range(3):
        launched = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "3"}
        done = node.python(code, STEPWELL_RUN_ID="together", **launched)
        assert done.returncode == 0, done.stderr
    (run,) = json.loads(node.stepwell("runs", "--json").stdout)
    assert run["run_id"] == "together"
    detail = json.loads(node.stepwell("show", "together", "--json").stdout)
    by_label = {series["label"]: series for series in detail["series"]}
    (joined,) = detail["metrics"]
    assert joined["count"] == 300
    assert set(by_label) == {"rank0", "rank1", "rank2"}
    assert all(metric["count"] == 100 for metric in by_label.values())
    assert by_label["rank2"]["max"] == 2.0
    shown = node.stepwell("show", "together").stdout
    assert all(f"loss [rank{rank}]" in shown for rank in range(3))
