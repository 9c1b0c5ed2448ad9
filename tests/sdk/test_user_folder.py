"""`run.dir`: the user's files stay in it, in every mode."""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell._user_folder import last_folder_name
from stepwell.cli.wandb_paths import _run_id
from stepwell.testing import RecordingDaemon
from stepwell.wandb_compat._init import init as init_as_wandb
from tests.sdk.conftest import Start
from tests.sdk.forks import in_fork


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    made = tmp_path / "work"
    made.mkdir()
    monkeypatch.chdir(made)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return made


def saved(run: stepwell.Run, name: str = "model.pt") -> Path:
    path = Path(run.dir, name)
    path.write_text("weights")
    return path


def test_files_of_a_run_stay_after_its_end(
    start: Start, daemon: RecordingDaemon, work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start(id="abc")
    os.chdir("/")
    path, journal = saved(run), run._journal_dir
    assert Path(run.dir) == path.parent, "the same at each call"
    run.log({"x": 1.0})
    run.finish()
    assert not Path(journal).exists(), "delivered, so deleted"
    assert path.read_text() == "weights"
    top, name, last = path.parent.relative_to(work).parts
    assert (top, name[:4], name[-4:], last) == ("stepwell-files", "run-", "-abc", "files")
    assert capfd.readouterr().err.count("files in run.dir stay on this machine") == 1


@pytest.mark.parametrize("kept", ["saved", "logged", "empty"])
def test_a_script_that_keeps_its_files_hears_nothing_of_them(
    start: Start, daemon: RecordingDaemon, work: Path, capfd: pytest.CaptureFixture[str], kept: str
) -> None:
    run = start(id="abc")
    if kept == "empty":
        assert run.dir
    elif kept == "saved":
        run.save(str(saved(run)), base_path=run.dir)
    else:
        run.log_artifact(str(saved(run)), name="model", type="model")
    run.finish()
    assert "files in run.dir" not in capfd.readouterr().err


def test_nothing_is_made_in_the_working_folder_unless_the_folder_is_read(
    start: Start, daemon: RecordingDaemon, work: Path
) -> None:
    run = start()
    run.log({"x": 1.0})
    pickle.dumps(run)
    run.finish()
    assert list(work.iterdir()) == []


def test_the_argument_dir_names_the_parent(
    start: Start, daemon: RecordingDaemon, work: Path
) -> None:
    run = start(dir="out", resume="allow", id="abc")
    first = saved(run)
    run.finish()
    again = start(dir="out", resume="allow", id="abc")
    second = saved(again, "later.pt")
    again.finish()
    assert first.exists()
    assert second.exists()
    assert {path.parents[2] for path in (first, second)} == {work / "out" / "stepwell-files"}
    assert not list((work / "out").glob("abc-*")), "the journals are delivered"


def test_files_of_an_offline_run_stay_after_sync(
    start: Start, daemon: RecordingDaemon, work: Path
) -> None:
    run = start(mode="offline", id="abc")
    path, journal = saved(run), Path(run._journal_dir)
    run.finish()
    assert journal.exists()
    assert not stepwell.sync(journal).failed
    assert not journal.exists()
    assert path.exists()
    assert path.parents[1].name.startswith("offline-run-")


def test_a_disabled_run_has_a_temporary_folder(
    start: Start, work: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start(mode="disabled")
    path = saved(run)
    run.finish()
    assert path.exists()
    assert tmp_path / "tmp" in path.parents
    assert list(work.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_folder_that_cannot_be_made_is_replaced_by_a_temporary_one(
    start: Start, daemon: RecordingDaemon, work: Path, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (work / "stepwell-files").write_text("a file")
    run = start()
    path = saved(run)
    run.finish()
    assert path.exists()
    assert tmp_path / "tmp" in path.parents
    assert "the run's files go to a temporary folder" in capfd.readouterr().err


def test_a_forked_child_and_a_copy_in_another_process_have_the_same_folder(
    start: Start, daemon: RecordingDaemon, work: Path
) -> None:
    run = start()

    def child() -> None:
        saved(run, "of-fork.pt")
        run.log({"x": 1.0})
        run.finish()

    assert in_fork(child) == 0
    made = pickle.dumps(run)

    def copied() -> None:
        stepwell._session.active.clear()
        saved(pickle.loads(made), "of-copy.pt")

    assert in_fork(copied) == 0
    assert sorted(os.listdir(run.dir)) == ["of-copy.pt", "of-fork.pt"]
    run.finish()
    assert sorted(os.listdir(run.dir)) == ["of-copy.pt", "of-fork.pt"]


TORCHRUN = {"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3", "MASTER_ADDR": "n0"}


@pytest.mark.parametrize("init", [stepwell.init, init_as_wandb])
def test_each_rank_has_a_folder_of_its_own(
    init: Any, daemon: RecordingDaemon, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if all ranks start in one second."""
    monkeypatch.setattr("stepwell._run.folder_name", lambda *_, **__: "run")
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    names = []
    for rank, label in (
        *((0, None), (1, None), (2, "worker/ü 2"), (0, "main"), (1, "")),
        *((1, "worker"), (2, "worker")),
    ):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        settings = {"console": False, "metadata": False, "label": label}
        run = init(project="p", id="abc", reinit="create_new", settings=settings)
        names.append(saved(run).parent.name)
        run.finish()
    assert names == [
        *("files", "files-rank1", "files-worker_ü_2-rank2", "files", "files-rank1"),
        *("files-worker-rank1", "files-worker-rank2"),
    ]


def test_a_writer_with_a_label_has_a_folder_of_its_own(
    start: Start, daemon: RecordingDaemon, work: Path
) -> None:
    first = start(mode="shared", id="abc", settings={"primary": True})
    second = start(mode="shared", id="abc", reinit="create_new", settings={"label": "eval"})
    names = [saved(run).parent.name for run in (first, second)]
    second.finish()
    first.finish()
    assert names == ["files", f"files-eval-{os.getpid()}"]


@pytest.mark.parametrize(
    ("rank", "label", "name"),
    [
        (-1, "node-77", "files-node-77"),
        (-1, "process-77.fork-78", "files-process-77.fork-78-77"),
        (-1, "node-177", "files-node-177-77"),
        (-1, "77", "files-77"),
        (1, "rank1", "files-rank1"),
        (1, "rank11", "files-rank11-rank1"),
        (2, "rank1", "files-rank1-rank2"),
    ],
)
def test_the_name_of_a_folder_has_the_rank_or_the_process_once(
    rank: int, label: str, name: str
) -> None:
    assert last_folder_name(rank, label, 77) == name


def test_processes_with_one_label_have_folders_of_their_own(folder: Path, work: Path) -> None:
    code = (
        "import stepwell, stepwell._run as r\n"
        "r.folder_name = lambda *_, **__: 'run'\n"
        "settings = {'console': False, 'metadata': False, 'label': 'eval'}\n"
        "run = stepwell.init('p', id='abc', mode='offline', settings=settings)\n"
        "print(run.dir)\n"
        "run.finish()\n"
    )
    told = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert len({each.stdout for each in told}) == 2


@pytest.mark.parametrize("last", ["", "files", "files-rank1"])
def test_sync_finds_the_run_of_a_folder(work: Path, last: str) -> None:
    path = work / "offline-run-20260105_101530-abc" / last
    path.mkdir(parents=True)
    assert _run_id(path) == "abc"
