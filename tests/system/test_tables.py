"""Tables from `log` to Parquet in the blob store, through real processes, some of them killed."""

import json
import subprocess
import sys
from typing import Any

import pyarrow.parquet as pq
import pytest

from stepwell_store.blob_store import FolderBlobStore, default_blob_store
from tests.node import Node
from tests.processes import kill
from tests.waiting import wait_for

pytestmark = pytest.mark.processes

COUNT = 5
LOG = """
import numpy as np, stepwell
run = stepwell.init(project="p", id="a", settings=dict(console=False, metadata=False))
for step in range(5):
    table = stepwell.Table(columns=["n", "text", "image"])
    for row in range(100 * step):
        table.add_data(row, f"row {row} of {step}", None)
    table.add_data(-1, "last", stepwell.Image(np.full((4, 5, 3), step, dtype=np.uint8)))
    run.log({"table": table}, step=step)
"""
END = "run.finish()\n"
WAIT = "print('logged', flush=True)\nimport time; time.sleep(600)\n"


def check(node: Node) -> None:
    """Raise an AssertionError unless each step has its table whole, and the image of its cell."""

    def all_blobs() -> list[dict[str, Any]] | None:
        rows = node.query("SELECT * FROM blobs FINAL")
        return rows if len(rows) >= 2 * COUNT else None

    found = wait_for(all_blobs, lambda: f"the blobs of {COUNT} tables\n{node.log()}")
    blobs = {row["blob"]: row for row in found}
    assert {(row["state"], row["reason"]) for row in found} == {("ready", "")}
    kept = FolderBlobStore(default_blob_store(node.data))
    named = node.query("SELECT step, text FROM texts ORDER BY step")
    assert [int(row["step"]) for row in named] == list(range(COUNT))
    for step, row in enumerate(named):
        told = json.loads(row["text"])
        with kept.open(blobs[told["blob"]]["digest"]) as file:
            rows = pq.read_table(file).to_pylist()
        count = 100 * step
        assert [each["c0"] for each in rows] == [*range(count), -1]
        assert [each["c1"] for each in rows[:-1]] == [f"row {n} of {step}" for n in range(count)]
        cell = json.loads(rows[-1]["c2"])
        image = blobs[cell["blob"]]
        assert (image["media_type"], int(image["width"])) == ("image/png", 5)


def start(node: Node) -> "subprocess.Popen[bytes]":
    """Start a trainer that logs and then waits; return it when it has logged."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOG + WAIT], env=node.environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"logged\n"
    return process


def test_every_table_is_stored_whole(node: Node) -> None:
    node.start_daemon()
    done = node.python(LOG + END, STEPWELL_QUIET="1")
    assert (done.returncode, done.stderr) == (0, "")
    check(node)


def test_tables_of_a_killed_trainer_and_a_killed_daemon_are_stored_whole(node: Node) -> None:
    node.start_daemon()
    trainer = start(node)
    node.stop_daemon(how=9)
    kill(trainer)
    node.start_daemon("--recover-seconds", "0.2")
    check(node)
