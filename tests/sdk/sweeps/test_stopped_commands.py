"""How the run of a command ends when its trial is stopped: real children, a fake hub."""

import sys
from pathlib import Path

import pytest

import stepwell
from stepwell.testing import RecordingDaemon
from stepwell_wire.exit_note import Ending, read_ending
from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal_files import find_journals
from tests.sdk.sweeps.fake_hub import FakeHub

TRAIN = """
import ctypes, os, signal, sys, time, stepwell
stepwell.init(settings={"metadata": False}).log({"x": 1.0})
open(sys.argv[1], "w").close()
"""


def ends_of(
    hub: FakeHub, folder: Path, ending: str, *, stop: bool = True, kill_seconds: float = 30.0
) -> tuple[list[Ending], list[tuple[str, int]]]:
    """Run a trial whose script ends as ``ending``; return how its run and the trial ended."""
    script, ready = folder / "train.py", folder / "ready"
    script.write_text(f"{TRAIN}{ending}\n")
    hub.config = {"command": [sys.executable, str(script), str(ready)]}
    hub.add(x=1)
    answer = hub._first

    def stop_when_ready(method: str, path: str, body: dict[str, object]) -> tuple[int, object]:
        if stop and ready.exists():
            hub.stop_at_beat = "early_terminate"
        return answer(method, path, body)

    hub._first = stop_when_ready  # type: ignore[method-assign]
    with RecordingDaemon(folder / "no-daemon.sock") as daemon:
        stepwell.agent("abcd1234", term_timeout=kill_seconds)
    said = [Ending(**event.body) for event in daemon.events("finish")]
    for journal in find_journals(folder / "journals"):
        opened = JournalFolder(journal)
        noted = read_ending(opened)
        opened.close()
        said += [noted] if noted else []
    return said, [(end["state"], end["exit_code"]) for end in hub.ends]


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("ctypes.CDLL(None).sleep(60)", 143),
        ("signal.signal(15, signal.SIG_IGN); time.sleep(60)", 137),
    ],
)
def test_a_signal_that_ends_a_stopped_trial_finishes_its_run(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch, ending: str, code: int
) -> None:
    monkeypatch.setattr("stepwell._sweeps.command_mode._GRACE_SECONDS", 0.2)
    run, trial = ends_of(hub, folder, ending, kill_seconds=0.3)
    assert (run, trial) == ([Ending("finished", 0)], [("stopped", code)])


def test_a_run_that_begins_after_the_stop_is_finished_too(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepwell._sweeps.command_mode._GRACE_SECONDS", 0.0)
    again = (
        "def begin(*_):\n"
        "    stepwell.finish(); signal.signal(15, signal.SIG_DFL)\n"
        "    stepwell.init('q', id='later'); os.kill(os.getpid(), 15)\n"
        "signal.signal(15, begin); time.sleep(60)"
    )
    run, trial = ends_of(hub, folder, again)
    assert (run, trial) == ([Ending("finished", 0)] * 2, [("stopped", 143)])


def test_a_stopped_trial_has_time_to_end_by_itself(hub: FakeHub, folder: Path) -> None:
    run, trial = ends_of(hub, folder, "time.sleep(1.5); sys.exit(3)")
    assert (run, trial) == ([Ending("failed", 3)], [("stopped", 3)])


def test_a_trial_that_ends_just_after_the_stop_is_finished(
    hub: FakeHub, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, trial = ends_of(hub, folder, "time.sleep(1.5)")
    assert (run, trial) == ([Ending("finished", 0)], [("finished", 0)])
    assert "was stopped" not in capsys.readouterr().err


def test_a_trial_that_removes_temporary_files_is_reported_all_the_same(
    hub: FakeHub, folder: Path
) -> None:
    remove = (
        "import pathlib, shutil\n"
        "shutil.rmtree(pathlib.Path(os.environ['STEPWELL_SWEEP_STOP_PATH']).parent)"
    )
    _, trial = ends_of(hub, folder, remove, stop=False)
    assert trial == [("finished", 0)]


def test_a_trial_that_meets_the_stop_is_stopped(
    hub: FakeHub, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    met = (
        "from stepwell._sweeps import stopping\n"
        "run = stepwell.init('q', settings={'metadata': False})\n"
        "stopping.of_trial().add(run); stopping.of_trial().stop('early_terminate')\n"
        "time.sleep(0.7); run.log({'x': 2.0})"
    )
    _, trial = ends_of(hub, folder, met)
    assert trial == [("stopped", 0)]
    assert "was stopped: early_terminate" in capsys.readouterr().err


def test_a_signal_without_a_stop_kills_the_run(hub: FakeHub, folder: Path) -> None:
    run, trial = ends_of(hub, folder, "os.kill(os.getpid(), 15)", stop=False)
    assert (run, trial) == ([Ending("killed", 143)], [("crashed", 143)])
