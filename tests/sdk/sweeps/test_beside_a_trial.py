"""Runs that a trial begins beside its own, such as the folds of a cross-validation."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import _session
from stepwell.errors import ResumeError
from stepwell.testing import RecordingDaemon
from tests.sdk.sweeps.fake_hub import FakeHub
from tests.waiting import wait_until

QUIET: dict[str, Any] = {"console": False, "metadata": False}
FOLDS = """
import multiprocessing, os, sys

import wandb

KEPT = ("WANDB_PROJECT", "WANDB_ENTITY") if sys.argv[1] == "WANDB_" else ()


def fold(asked, answers, number):
    name, lr = asked.get()
    reinit = sys.argv[1] if sys.argv[1] == "create_new" else True
    for variable in [each for each in os.environ if each.startswith(sys.argv[1])]:
        if variable not in KEPT:
            del os.environ[variable]
    run = wandb.init(name=f"{name}-{number}", job_type=name, config={"lr": lr}, reinit=reinit)
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


@pytest.mark.parametrize("removed", ["WANDB_", "WANDB", "WANDB_RUN_ID", "create_new"])
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
    assert not [name for name in os.environ if name.startswith("STEPWELL_SWEEP_")]
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
    later = 'after the first init of a trial, init(reinit="create_new") begins a run beside its run'
    assert f"init(id='fold-1') is ignored in a trial of a sweep; {later}" in told
    assert "init: the run of this trial, trial001, exists, new rows are added to it" in told
    assert "stepwell rm" not in told


def test_a_process_without_the_ids_of_the_agent_says_so(
    hub: FakeHub, daemon: RecordingDaemon, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text("import stepwell\nfor _ in range(2): stepwell.init().finish()\n")
    hub.config = {"command": ["env", "-u", "WANDB_RUN_ID", sys.executable, str(script)]}
    hub.add(lr=0.5)
    stepwell.agent("abcd1234")
    assert [event.body.get("sweep") for event in daemon.events("start")] == [None, None]
    told = capfd.readouterr().err
    assert told.count("begins a run beside the run of the sweep's trial, as this process has") == 1
    assert "have no effect" not in told
    assert "has no effect" not in told


def test_a_trial_goes_on_after_folds_in_its_process(hub: FakeHub, daemon: RecordingDaemon) -> None:
    hub.add(lr=0.5)
    ids: list[tuple[str, str | None]] = []

    def train() -> None:
        with stepwell.init(settings=QUIET) as main:
            main.log({"loss": 1.0})
        kept = os.environ.pop("WANDB_RUN_ID")
        for _ in range(2):
            with stepwell.init(settings=QUIET) as fold:
                ids.append((fold.id, fold.sweep_id))
        with stepwell.init(id=main.id, resume="must", settings=QUIET) as again:
            assert (again.id, again.sweep_id, again.starting_step) == (main.id, "abcd1234", 1)
            assert again.config.lr == 0.5
        os.environ["WANDB_RUN_ID"] = kept
        with stepwell.init(resume="must", settings=QUIET) as again:
            assert (again.id, again.sweep_id) == (main.id, "abcd1234")

    stepwell.agent("abcd1234", train)
    assert hub.states() == ["finished"]
    assert len({"trial001", *(run_id for run_id, _ in ids)}) == 3
    assert {sweep for _, sweep in ids} == {None}


def test_an_init_that_failed_began_no_run(hub: FakeHub, daemon: RecordingDaemon) -> None:
    hub.add(lr=0.5)

    def train() -> None:
        with pytest.raises(ResumeError):
            stepwell.init(reinit="create_new", resume="must", settings=QUIET)
        with stepwell.init(reinit="create_new", settings=QUIET) as run:
            assert (run.id, run.sweep_id) == ("trial001", "abcd1234")

    stepwell.agent("abcd1234", train)
    assert hub.states() == ["finished"]


def test_a_rank_that_torchrun_starts_again_begins_the_run_of_the_trial_again(
    hub: FakeHub, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(lr=0.5)
    found: list[tuple[str, str | None]] = []
    rank = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "job"}

    def train() -> None:
        for name, text in rank.items():
            monkeypatch.setenv(name, text)
        for restart in ("0", "1"):
            monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", restart)
            with stepwell.init(reinit="create_new", settings=QUIET) as run:
                found.append((run.id, run.sweep_id))

    stepwell.agent("abcd1234", train)
    assert found == [("trial001", "abcd1234")] * 2


RANKS = """
import os, subprocess, sys
import stepwell
if len(sys.argv) > 1:
    with stepwell.init() as run:
        print("rank", run.id, run.label, flush=True)
    with stepwell.init(reinit="create_new") as fold:
        print("fold", fold.id == run.id, fold.label, flush=True)
else:
    with stepwell.init(name="mine") as run:
        print("main", run.id, run.label, run.settings.primary, flush=True)
    for rank in ("0", "1"):
        launch = {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank, "MASTER_PORT": "1234"}
        environ = {**os.environ, **launch, "TORCHELASTIC_RUN_ID": "job"}
        subprocess.run([sys.executable, sys.argv[0], "rank"], env=environ, check=True)
"""


@pytest.mark.parametrize(
    "launch",
    [
        {
            "SLURM_PROCID": "1",
            "SLURM_STEP_NUM_TASKS": "2",
            "SLURM_STEP_ID": "0",
            "SLURM_JOB_ID": "77",
        },
        {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"},
        {
            "SLURM_PROCID": "1",
            "SLURM_NTASKS": "2",
            "SLURM_STEP_ID": "0",
            "PMI_RANK": "1",
            "PMI_SIZE": "2",
        },
    ],
)
def test_an_agent_that_is_a_rank_makes_no_rank_of_its_trials(
    hub: FakeHub,
    daemon: RecordingDaemon,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    launch: dict[str, str],
) -> None:
    for name, text in launch.items():
        monkeypatch.setenv(name, text)
    script = tmp_path / "train.py"
    script.write_text(RANKS)
    hub.config = {"command": [sys.executable, str(script)]}
    hub.add(lr=0.5)
    stepwell.agent("abcd1234")
    said = [
        line.split()
        for line in capfd.readouterr().out.splitlines()
        if line[:4] in ("main", "rank", "fold")
    ]
    assert said == [
        ["main", "trial001", "None"],
        ["rank", "trial001", "rank0"],
        ["fold", "False", "rank0"],
        ["rank", "trial001", "rank1"],
        ["fold", "False", "rank1"],
    ]
    assert hub.states() == ["finished"]
    (own,) = [event.body for event in daemon.events("run") if event.body.get("name") == "mine"]
    assert own["sweep"] == "abcd1234"
