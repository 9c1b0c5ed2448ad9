"""Runs that a trial begins beside its own, such as the folds of a cross-validation."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import _session
from stepwell.testing import RecordingDaemon
from tests.sdk.sweeps.fake_hub import FakeHub
from tests.waiting import wait_until

QUIET: dict[str, Any] = {"console": False, "metadata": False}
FOLDS = """
import multiprocessing, os, sys

import wandb

KEPT = ("WANDB_PROJECT", "WANDB_ENTITY", "WANDB_API_KEY")


def fold(asked, answers, number):
    name, lr = asked.get()
    for variable in [each for each in os.environ if each.startswith(sys.argv[1])]:
        if variable not in KEPT:
            del os.environ[variable]
    run = wandb.init(name=f"{name}-{number}", job_type=name, config={"lr": lr}, reinit=True)
    run.log({"accuracy": lr + number})
    run.finish()
    answers.put(run.id)


if __name__ == "__main__":
    spawning = multiprocessing.get_context(sys.argv[2])
    asked, answers = spawning.Queue(), spawning.Queue()
    folds = [spawning.Process(target=fold, args=(asked, answers, n)) for n in range(2)]
    for each in folds:
        each.start()
    main = wandb.init(name="all", job_type="trial")
    for each in folds:
        asked.put(("fold", main.config.lr))
    ids = {answers.get() for each in folds}
    for each in folds:
        each.join()
    main.log({"accuracy": main.config.lr})
    main.finish()
    assert len(ids | {main.id}) == 3, ids
"""


def starts(daemon: RecordingDaemon) -> dict[str, dict[str, Any]]:
    """The first `run` event of each run, by the run's name."""
    found: dict[str, dict[str, Any]] = {}
    for event in daemon.events("run"):
        if event.body.get("name"):
            found.setdefault(str(event.body["name"]), event.body)
    return found


@pytest.mark.parametrize("removed", ["WANDB_", "WANDB_RUN_ID"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_that_removes_the_variables_of_the_trial_has_a_run_of_its_own(
    hub: FakeHub, daemon: RecordingDaemon, tmp_path: Path, removed: str, method: str
) -> None:
    script = tmp_path / "train.py"
    script.write_text(FOLDS)
    hub.config = {"command": [sys.executable, str(script), removed, method]}
    hub.add(lr=0.5)
    stepwell.agent("abcd1234")
    assert hub.states() == ["finished"]
    wait_until(lambda: len(daemon.events("finish")) == 3, "the end of three runs")
    found = starts(daemon)
    assert sorted(found) == ["all", "fold-0", "fold-1"]
    assert {name: body.get("sweep") for name, body in found.items()} == {
        "all": "abcd1234",
        "fold-0": None,
        "fold-1": None,
    }
    assert [found[name]["job_type"] for name in sorted(found)] == ["trial", "fold", "fold"]


def test_create_new_begins_a_run_beside_the_trials_run(
    hub: FakeHub, daemon: RecordingDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add(lr=0.5)
    hub.add(lr=0.25)
    seen: list[tuple[str | None, ...]] = []

    def train() -> None:
        # The first run is the trial's, also with create_new.
        main = stepwell.init(reinit="create_new", settings=QUIET)
        fold = stepwell.init(reinit="create_new", name="fold", config={"k": 1}, settings=QUIET)
        named = stepwell.init(
            reinit="create_new", id=f"k{os.environ['STEPWELL_SWEEP_NUMBER']}", settings=QUIET
        )
        assert (fold.config.as_dict(), fold.sweep_id, named.sweep_id) == ({"k": 1}, None, None)
        assert "k" not in main.config
        seen.append((main.id, named.id, main.project, fold.project))
        main.log({"loss": 1.0})
        main.finish()  # The others are ended with the trial.

    stepwell.agent("abcd1234", train)
    assert seen == [("trial001", "k1", "p", "p"), ("trial002", "k2", "p", "p")]
    assert hub.states() == ["finished", "finished"]
    assert [event.body["state"] for event in daemon.events("finish")] == ["finished"] * 6
    assert not _session.active
    assert "STEPWELL_SWEEP_BEGUN" not in os.environ
    assert "is ignored" not in capsys.readouterr().err


def test_another_init_of_a_trial_says_how_it_becomes_another_run(
    hub: FakeHub, daemon: RecordingDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add(lr=0.5)

    def train() -> None:
        stepwell.init(settings=QUIET).finish()
        again = stepwell.init(id="fold-1", settings=QUIET)
        assert again.id == "trial001"

    stepwell.agent("abcd1234", train)
    told = capsys.readouterr().err
    beside = 'for a run beside the run of the trial, pass reinit="create_new"'
    assert f"init(id='fold-1') is ignored in a trial of a sweep; {beside}" in told
    assert "init: the run of this trial, trial001, exists, new rows are added to it" in told
    assert "stepwell rm" not in told


def test_a_container_with_the_variables_of_stepwell_alone_runs_the_trial(
    hub: FakeHub, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text("import stepwell; stepwell.init().finish()\n")
    removed = [
        word
        for name in ("SWEEP_ID", "RUN_ID", "PROJECT", "SWEEP_PARAM_PATH")
        for word in ("-u", f"WANDB_{name}")
    ]
    hub.config = {"command": ["env", *removed, sys.executable, str(script)]}
    hub.add(lr=0.5)
    stepwell.agent("abcd1234")
    assert [event.body["sweep"] for event in daemon.events("run")] == ["abcd1234"]
