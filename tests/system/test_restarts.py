"""A job that its launcher restarts continues its run, whose state is that of the last attempt."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.oracle import wait_until_stored
from tests.node import Node
from tests.waiting import wait_until

pytestmark = pytest.mark.processes

SLURM = {
    "SLURM_JOB_ID": "5002",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_NTASKS": "2",
}
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "job-7",
    "WORLD_SIZE": "2",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}
BY_HAND = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "STEPWELL_RUN_ID": "own"}
COUNTS = {"slurm": "SLURM_RESTART_COUNT", "torchrun": "TORCHELASTIC_RESTART_COUNT"}

_TRAINS = """
import os, sys, stepwell
run = stepwell.init("p", **eval(os.environ.get("GIVEN", "{}")))
for _ in range(5):
    run.log({"loss": float(run.step)})
run.flush(30)
print(run.id, run.starting_step, run.resumed, flush=True)
word = sys.stdin.readline().strip()
if word == "raise":
    raise RuntimeError("rank lost")
while word == "log":
    run.log({"loss": float(run.step)})
    run.flush(30)
    word = sys.stdin.readline().strip()
"""


_started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    while _started:
        process = _started.pop()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


class Rank:
    """A process of a job; it has logged five steps when `began` returns."""

    def __init__(self, node: Node, launcher: str, rank: int, count: int, **more: str) -> None:
        names = {"slurm": SLURM, "torchrun": TORCHRUN, "slurm, by hand": {**SLURM, **BY_HAND}}
        variables = dict(names[launcher])
        counts = COUNTS[launcher.partition(",")[0]]
        if count or launcher == "torchrun":  # Slurm sets none in the first attempt.
            variables[counts] = str(count)
        if launcher != "slurm":
            variables |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        if launcher != "torchrun":
            variables["SLURM_PROCID"] = str(rank)
        self.errors = node.folder / f"errors-{time.monotonic_ns()}"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _TRAINS],
                env={**node.environment, **variables, **more},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        _started.append(self.process)

    def began(self) -> tuple[str, int, bool]:
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert len(words) == 3, self.errors.read_text()
        return words[0], int(words[1]), words[2] == "True"

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def end(self, word: str = "") -> int:
        """End by a signal, an exception or regularly, and return the exit code."""
        if word.startswith("SIG"):
            self.process.send_signal(getattr(signal, word))
        else:
            self.tell(word)
        return self.process.wait(60)

    def lines(self) -> list[str]:
        text = self.errors.read_text()
        return [line for line in text.splitlines() if "restart" in line or "exists" in line]


def attempt(node: Node, launcher: str, count: int, **more: str) -> tuple[list[Rank], set[Any]]:
    """Start both ranks, one after the other, and return what they say of their starts."""
    ranks, said = [], set()
    for rank in range(2):
        ranks.append(Rank(node, launcher, rank, count, **more))
        said.add(ranks[-1].began())
    return ranks, said


def runs(node: Node, *, wait: bool = True) -> list[dict[str, Any]]:
    if wait:
        wait_until_stored(node)
    done = node.stepwell("runs", "--project", "p", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def steps(node: Node, run_id: str) -> dict[str, list[int]]:
    wait_until_stored(node)
    done = node.stepwell("export", run_id, "-o", "-")
    assert done.returncode == 0, done.stderr
    found: dict[str, list[int]] = {}
    for row in map(json.loads, done.stdout.splitlines()):
        found.setdefault(row["_label"], []).append(row["_step"])
    return found


@pytest.mark.parametrize("launcher", ["slurm", "torchrun", "slurm, by hand"])
@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL", "raise"])
def test_a_job_that_is_started_again_continues_its_run(node: Node, launcher: str, end: str) -> None:
    node.start_daemon()
    first, said = attempt(node, launcher, 0)
    ((run_id, *_),) = said
    assert said == {(run_id, 0, False)}
    first[1].end(end)  # The launcher ends the others then.
    first[0].end("SIGKILL" if end == "SIGKILL" else "SIGTERM")
    for count in (1, 2):
        again, said = attempt(node, launcher, count)
        assert said == {(run_id, 5 * count, True)}
        codes = [rank.end(end if count == 1 else "") for rank in again]
        (line,) = again[0].lines()
        assert f"restart {count} of the job" in line
        assert f"run {run_id} continues at step {5 * count}" in line
        assert again[1].lines() == []
    assert codes == [0, 0]
    (run,) = runs(node)
    assert (run["run_id"], run["state"], run["exit_code"]) == (run_id, "finished", 0)
    assert steps(node, run_id) == {label: list(range(15)) for label in ("rank0", "rank1")}


@pytest.mark.parametrize("launcher", ["slurm", "torchrun"])
@pytest.mark.parametrize("given", ["{}", "{'id': 'own', 'resume': 'allow'}"])
def test_a_rank_that_outlives_its_attempt_does_not_change_how_the_next_one_ends(
    node: Node, launcher: str, given: str
) -> None:
    node.start_daemon()
    ranks: list[Rank] = []
    for count in range(3):
        ranks += attempt(node, launcher, count, GIVEN=given)[0]
    assert [rank.end() for rank in ranks[4:]] == [0, 0], "of the last attempt"
    wait_until(
        lambda: [run["state"] for run in runs(node, wait=False)] == ["finished"],
        "the state to be that of the last attempt, while the others hang",
    )
    for rank, how in zip(ranks, ("raise", "SIGTERM", "SIGTERM", "raise"), strict=False):
        rank.tell("log")
        time.sleep(0.1)
        rank.end(how)
    (run,) = runs(node)
    assert (run["state"], run["exit_code"]) == ("finished", 0)


def test_the_last_attempt_counts_also_if_it_fails(node: Node) -> None:
    node.start_daemon()
    first, _ = attempt(node, "slurm", 0)
    for rank in first:
        rank.end("SIGTERM")
    again, _ = attempt(node, "slurm", 1)
    again[1].end("raise")
    again[0].end()
    (run,) = runs(node)
    assert (run["state"], run["exit_code"]) == ("failed", 1)


def test_a_script_that_says_how_to_resume_has_its_way(node: Node) -> None:
    node.start_daemon()
    for rank in attempt(node, "slurm", 0)[0]:
        rank.end("SIGTERM")
    again, said = attempt(node, "slurm", 1, GIVEN="{'resume': False}")
    assert {(step, resumed) for _, step, resumed in said} == {(0, False)}
    assert [rank.end() for rank in again] == [0, 0]
    assert [run["state"] for run in runs(node)] == ["finished"], "that of the last attempt"
    assert "exists" in again[0].lines()[0]
    never = Rank(node, "slurm", 0, 2, GIVEN="{'resume': 'never'}")
    assert never.process.wait(60) == 1
    assert 'resume="never"' in never.errors.read_text()


def test_on_a_machine_that_does_not_know_the_run_a_line_says_so(node: Node, tmp_path: Path) -> None:
    """Its state is that of the last attempt all the same."""
    node.start_daemon()
    for rank in attempt(node, "slurm", 0)[0]:
        rank.end("SIGTERM")
    elsewhere = {"STEPWELL_DIR": str(tmp_path / "other")}
    again, said = attempt(node, "slurm", 1, **elsewhere)
    assert {(step, resumed) for _, step, resumed in said} == {(0, False)}
    assert [rank.end() for rank in again] == [0, 0]
    (line,) = again[0].lines()
    assert "this machine does not know run" in line
    assert again[1].lines() == []
    (run,) = runs(node)
    assert (run["state"], run["exit_code"]) == ("finished", 0)


_FROM_CHECKPOINT = """
import os, stepwell
run = stepwell.init("p", id="own")
first = int(os.environ["FIRST"])
for step in range(first, first + 3):
    run.log({"loss": first + step / 10}, step=step)
run.log({"loss": 0.0})
"""


def test_steps_of_an_older_checkpoint_stand_beside_those_of_the_attempt_before(node: Node) -> None:
    node.start_daemon()
    for count, first in enumerate(("5", "3")):
        done = node.python(_FROM_CHECKPOINT, FIRST=first, SLURM_RESTART_COUNT=str(count))
        assert done.returncode == 0, done.stderr
    wait_until_stored(node)
    done = node.stepwell("export", "own", "-o", "-")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["_step"], row["loss"]) for row in rows] == [
        (3, 3.3),
        (4, 3.4),
        (5, 3.5),  # The later one.
        (6, 5.6),
        (7, 0.0),
        (8, 0.0),  # Without a step: after the last one of all attempts.
    ]
    held = node.query("SELECT value FROM points WHERE step = 5")
    assert sorted(row["value"] for row in held) == [3.5, 5.5]


_FOLDS = """
import os, stepwell
for fold in range(int(os.environ["FOLDS"])):
    with stepwell.init("p", name=f"fold{fold}") as run:
        run.log({"loss": 1.0})
        print(run.step - 1, end=" ")
"""


def test_the_runs_of_a_job_that_the_first_attempt_did_not_begin_are_new(node: Node) -> None:
    node.start_daemon()
    place = {**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0"}
    for count, steps_said, lines in ((0, "0", 0), (1, "1 0", 1)):
        more = {"FOLDS": str(count + 1), COUNTS["torchrun"]: str(count)}
        done = node.python(_FOLDS, **place, **more)
        assert done.stdout.split() == steps_said.split(), done.stderr
        assert done.stderr.count("init:") == lines, done.stderr
