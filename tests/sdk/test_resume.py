"""Runs that go on: steps, config and summary of before, and which process is the one that logs."""

import fcntl
import json
import os
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import Run
from stepwell._identity import display_name
from stepwell.errors import (
    ResumeError,
)
from stepwell.testing import RecordingDaemon
from stepwell_wire.run_notes import forget_runs, peers_note
from tests.sdk.conftest import Start, python
from tests.sdk.held import read_journal
from tests.waiting import wait_until


def test_a_resumed_run_goes_on_behind_its_last_step(start: Start) -> None:
    with start(mode="offline", id="again", config={"lr": 1}, name="n") as run:
        for i in range(10):
            run.log({"x": float(i)})
        run.summary["best"] = 5
    run = start(mode="offline", id="again", resume="allow", config={"more": 2})
    assert run.resumed
    assert (run.starting_step, run.step, run.name) == (10, 10, "n")
    assert dict(run.config) == {"lr": 1, "more": 2}
    assert run.summary["best"] == 5
    run.log({"x": 10.0})
    held = read_journal(run._journal_dir)
    assert held.series("x") == [(10, 10.0)]
    assert held.bodies("start")[0]["resumed"] is True


def test_a_resumed_run_shows_the_facts_that_it_has(start: Start) -> None:
    facts = {"notes": "n", "tags": ["a"], "group": "g", "job_type": "j", "entity": "e"}
    with start(mode="offline", id="again", name="first", **facts) as run:
        run.name = "second"
        run.tags = (*run.tags, "b")
        run.notes = "better"
    for again in ({}, {"name": "first", **facts}):
        run = start(mode="offline", id="again", resume="allow", **again)
        assert (run.name, run.notes, run.tags) == ("second", "better", ("a", "b"))
        assert (run.group, run.job_type, run.entity) == ("g", "j", "e")
        journal = run._journal_dir
        run.finish()
        assert read_journal(journal).bodies("run") == []
    run = start(mode="offline", id="again", resume="allow", tags=["c"], group="h")
    assert (run.name, run.notes, run.tags, run.group) == ("second", "better", ("c",), "h")
    run.tags = (*run.tags, "d")
    assert read_journal(run._journal_dir).bodies("run") == [
        {"tags": ["c"], "group": "h"},
        {"tags": ["c", "d"]},
    ]
    copy = pickle.loads(pickle.dumps(run.__reduce__()[1]))[0]
    assert copy["shown"]["tags"] == ["c", "d"]


def test_facts_that_were_changed_before_a_kill_are_shown(start: Start) -> None:
    done = python(
        "import os, stepwell\n"
        "run = stepwell.init('test', id='again', mode='offline', settings={'console': False})\n"
        "run.tags = ['a']\n"
        "run.flush(0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert done.returncode == -9
    assert start(mode="offline", id="again", resume="must").tags == ("a",)


def test_a_run_that_was_begun_again_from_step_0_is_resumed_after_its_last_step(
    start: Start,
) -> None:
    for steps in (9, 3):
        with start(mode="offline", id="again") as run:
            for _ in range(steps):
                run.log({"x": 1.0})
            folder = run._journal_dir
        shutil.rmtree(folder)  # As after it was sent.
    assert start(mode="offline", id="again", resume="auto").step == 9


_JOINS = """
import stepwell
run = stepwell.init("test", id="again", mode="offline", settings={"console": False})
print(run.label)
"""


@pytest.mark.slow
def test_a_process_that_joins_a_run_at_work_has_a_label(start: Start) -> None:
    """Else rows of one step would be of two processes, and a table would show one of them."""
    with start(mode="offline", id="again") as run:
        assert run.label == ""
        done = python(_JOINS)
        assert done.stdout.startswith("process-")
        assert "another process of this machine is logging into run again" in done.stderr
        beside = start(mode="offline", id="again", reinit="create_new")
        assert beside.label == f"process-{os.getpid()}"
        beside.finish()
    assert python(_JOINS).stdout == "\n"
    with start(mode="offline", id="again") as run:
        assert run.label == ""


@pytest.mark.parametrize("settings", [{}, {"label": "child"}, {"mode": "shared"}])
def test_a_process_that_joins_a_run_has_its_name_and_leaves_its_command(
    start: Start, daemon: RecordingDaemon, settings: dict[str, str]
) -> None:
    code = f"""
import stepwell
with stepwell.init("test", id="again", settings={settings}) as run:
    print(run.name)
"""
    with start(id="again", name="parent", settings={"metadata": True}) as run:
        run.log({"x": 1.0})
        done = python(code, STEPWELL_SOCKET=daemon.socket)
    assert done.stdout == "parent\n", done.stderr
    assert "run parent (again)" in done.stderr
    told = [event.body["set"] for event in daemon.events("metadata")]
    assert {each["command"]["pid"] for each in told if "command" in each} == {os.getpid()}


def test_a_child_that_outlives_its_parents_run_does_not_hold_it(start: Start) -> None:
    run = start(mode="offline", id="again")
    ends, goes_on = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(goes_on)
        os.read(ends, 1)
        os._exit(0)
    try:
        run.finish()
        with start(mode="offline", id="again", resume="allow") as run:
            assert run.label == ""
    finally:
        os.close(goes_on)
        os.waitpid(child, 0)


_AUTO = """
import os, subprocess, sys, stepwell
run = stepwell.init("test", mode="offline", resume="auto", settings={"console": False})
print(run.id, flush=True)
run.log({"x": 1.0})
if "FIRST" in os.environ:
    inner = {name: value for name, value in os.environ.items() if name != "FIRST"}
    subprocess.run([sys.executable, *sys.orig_argv[1:]], env=inner, check=True)
    os.kill(os.getpid(), 9)
run.finish()
"""


@pytest.mark.slow
def test_a_run_that_is_still_at_work_is_not_resumed_by_itself(start: Start) -> None:
    done = python(_AUTO, FIRST="1")
    first, beside = done.stdout.split()
    assert first != beside
    assert f"run {first} is still running in another process" in done.stderr
    resumed = python(_AUTO)  # The other one's good end left the note of the killed one.
    assert resumed.stdout.split() == [first]


def test_a_run_that_was_deleted_while_it_logged_is_not_remembered(
    start: Start, folder: Path
) -> None:
    run = start(mode="offline", id="again", config={"lr": 1})
    run.log({"x": 1.0})
    run.flush(timeout=0.0)
    forget_runs([folder / "journals"], run.project, ["again"], removed_at=time.time())
    run.log({"x": 2.0})
    run.flush(timeout=0.0)
    journal = run._journal_dir
    run.finish()
    shutil.rmtree(journal)
    run = start(mode="offline", id="again", resume="allow")
    assert (run.resumed, run.step, run.summary.as_dict(), dict(run.config)) == (False, 0, {}, {})


def test_a_deleted_run_that_goes_on_leaves_the_notes_of_the_new_one(
    start: Start, folder: Path
) -> None:
    deleted = start(mode="offline", id="again", config={"lr": 1})
    deleted.log({"x": 1.0})
    deleted.flush(timeout=0.0)
    forget_runs([folder / "journals"], deleted.project, ["again"], removed_at=time.time())
    new = python(
        "import stepwell\n"
        "run = stepwell.init('test', id='again', mode='offline', config={'wd': 2})\n"
        "for _ in range(5): run.log({'x': 2.0})\n"
        "run.finish()\n"
        "print(repr(run.label))\n"
    )
    assert new.stdout.split() == ["''"], new.stderr
    journal = deleted._journal_dir
    deleted.finish()
    shutil.rmtree(journal)
    run = start(mode="offline", id="again", resume="allow")
    assert (run.resumed, run.step, dict(run.config)) == (True, 5, {"wd": 2})


@pytest.mark.parametrize("last", ["image", "row", "late row"])
def test_a_step_with_an_image_alone_is_a_step(start: Start, last: str) -> None:
    with start(mode="offline", id="again") as run:
        for _ in range(4):
            run.log({"x": 1.0})
        run.log({"image": stepwell.Image([[0, 255], [255, 0]])})
        assert run.summary["x"] == 1.0  # Reads the last rows.
        if last == "row":
            run.log({"x": 2.0})
        elif last == "late row":
            run.log({"x": 2.0}, step=1)
    expected = 6 if last == "row" else 5
    assert start(mode="offline", id="again", resume="must").step == expected


def test_to_resume_a_run_for_sure_needs_its_id(start: Start) -> None:
    with pytest.raises(ResumeError, match=r'resume="must": no run id; pass init\(id='):
        start(mode="offline", resume="must")
    with start(mode="disabled", resume="must") as run:
        run.log({"x": 1.0})


@pytest.mark.parametrize(
    ("given", "is_made"), [({}, True), ({"name": "n"}, None), ({"name": ""}, True)]
)
def test_a_start_says_that_nobody_gave_the_name(
    start: Start, given: dict[str, str], is_made: bool | None
) -> None:
    run = start(mode="offline", id="again", **given)
    (body,) = read_journal(run._journal_dir).bodies("start")
    assert (body["name"], body.get("name_is_made")) == (run.name, is_made)
    bodies = read_journal(run._journal_dir).bodies("run")
    assert [each.get("name", run.name) for each in bodies] in ([], [run.name])


@pytest.mark.parametrize(
    ("steps", "resumed_at"),
    [([0, 1, 4], 5), ([None, None], 2), ([None, 1], 2), ([10, 3], 11), ([], 0)],
)
def test_a_resumed_run_logs_no_step_again_whose_journal_was_sent(
    start: Start, steps: list[int | None], resumed_at: int
) -> None:
    with start(mode="offline", id="again") as run:
        for step in steps:
            run.log({"x": 1.0}, step=step)
    shutil.rmtree(run._journal_dir)  # As after the daemon took it: the note alone knows the step.
    assert start(mode="offline", id="again", resume="allow").starting_step == resumed_at


def test_must_and_never_are_held_by_what_this_machine_knows(start: Start) -> None:
    with pytest.raises(ResumeError, match="run r1 of project test is unknown"):
        start(mode="offline", id="r1", resume="must")
    start(mode="offline", id="r1", resume="never").finish()
    with pytest.raises(ResumeError, match="exists"):
        start(mode="offline", id="r1", resume="never")
    assert start(mode="offline", id="r1", resume="must").resumed
    assert not start(mode="offline", id="r2", resume="allow", reinit=True).resumed


def test_only_the_primary_writer_says_what_a_run_is(start: Start, folder: Path) -> None:
    about: dict[str, Any] = {
        "id": "ranks",
        "name": "n",
        "notes": "of the script",
        "tags": ["a"],
        "group": "g",
        "job_type": "train",
    }
    start(mode="offline", **about).finish()
    again = start(
        mode="offline", resume="allow", settings={"primary": False, "label": "rank1"}, **about
    )
    again.finish()
    assert not read_journal(again._journal_dir).bodies("run")
    # On another node nothing is known of what was said before.
    elsewhere = {"journals_dir": folder / "elsewhere", "label": "rank2", "primary": False}
    other = start(mode="offline", resume="allow", settings=elsewhere, **about)
    other.finish()
    assert not read_journal(other._journal_dir).bodies("run")


def test_an_id_that_exists_is_named_unless_the_script_said_what_it_wants(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start("p", mode="offline", id="twice").finish()
    assert "exists" not in capsys.readouterr().err
    start("p", mode="offline", id="twice").finish()
    told = capsys.readouterr().err
    assert "init: run twice of project p exists" in told
    assert 'resume="allow"' in told
    assert "stepwell rm p/twice" in told
    for words in ({"resume": "allow"}, {"mode": "shared"}, {"mode": "disabled"}):
        arguments: dict[str, Any] = {"mode": "offline", **words}
        start("p", id="twice", **arguments).finish()
    assert "exists" not in capsys.readouterr().err


def test_a_run_whose_notes_were_forgotten_begins_anew(start: Start, folder: Path) -> None:
    with start("p", mode="offline", id="r1", config={"lr": 1}) as run:
        run.log({"x": 1.0})
    shutil.rmtree(run._journal_dir)  # As after it was sent.
    forget_runs(
        [folder / "journals", folder / "nothing"], "p", ["r1", "../r1", ""], removed_at=time.time()
    )
    run = start("p", mode="offline", id="r1", resume="allow")
    assert (run.resumed, run.step, dict(run.config)) == (False, 0, {})


def test_the_runtime_begins_with_the_first_start(start: Start) -> None:
    """As in the store: the time between an end and a resumption is included."""
    run = start(mode="offline", id="again")
    began = read_journal(run._journal_dir).bodies("start")[0]["started_at"] / 1e6
    run.finish()
    for _ in range(2):
        run = start(mode="offline", id="again", resume="must")
        run.log({"x": 1.0})
        assert run.summary["_runtime"] == pytest.approx(run.summary["_timestamp"] - began, abs=1e-5)
        run.finish()


def test_auto_goes_on_with_the_run_that_was_not_finished(start: Start) -> None:
    run = start(mode="offline", resume=True)
    run.log({"x": 1.0})
    first = run.id
    run.finish(exit_code=1)
    run = start(mode="offline", resume="auto")
    assert (run.id, run.resumed, run.step) == (first, True, 1)
    run.finish()
    assert start(mode="offline", resume="auto").id != first


def test_auto_says_how_to_continue_a_run_that_was_started_without_it(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start(mode="offline", id="plain").finish(exit_code=1)
    assert 'resume="auto"' not in capsys.readouterr().err
    start(mode="offline", resume="auto").finish()
    assert 'pass id="plain", resume="allow"' in capsys.readouterr().err
    # From now on the project has runs with it: one that ended well, then one to continue.
    for code in (1, 0, 0):
        start(mode="offline", resume="auto").finish(exit_code=code)
        assert "init(resume" not in capsys.readouterr().err


def test_the_steps_of_a_killed_run_are_read_from_its_journal(folder: Path, start: Start) -> None:
    python(
        "import os, signal, stepwell\n"
        "run = stepwell.init('test', id='killed', mode='offline')\n"
        "for i in range(5000): run.log({'x': 1.0})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = start(mode="offline", id="killed", resume="must")
    assert run.step == 5000


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGTERM"])
def test_a_run_that_was_killed_goes_on_with_its_config_and_summary(
    folder: Path, start: Start, signal_name: str
) -> None:
    python(
        "import os, signal, stepwell\n"
        "run = stepwell.init('test', id='killed', mode='offline', config={'lr': 1})\n"
        "run.define_metric('acc', summary='max')\n"
        "run.log({'acc': 0.9})\n"
        "run.summary['best'] = 0.9\n"
        "run.config.update({'late': 2})\n"
        "run.flush(timeout=0.0)\n"
        f"os.kill(os.getpid(), signal.{signal_name})\n"
    )
    run = start(mode="offline", id="killed", resume="must")
    assert dict(run.config) == {"lr": 1, "late": 2}
    assert (run.summary["acc"], run.summary["best"]) == ({"max": 0.9}, 0.9)
    run.define_metric("acc", summary="max")
    run.log({"acc": 0.5})
    assert run.summary["acc"] == {"max": 0.9}


def test_a_run_at_work_notes_its_config_and_summary(offline: Start) -> None:
    run = offline(id="noted", config={"lr": 1})
    note = Path(run._journal_dir).parent / ".runs" / run.project / "noted.json"
    run.log({"acc": 0.9})
    run.config.update({"late": 2})

    def is_noted() -> bool:
        held = json.loads(note.read_text())
        return held["config"] == {"lr": 1, "late": 2} and held["summary"].get("acc") == 0.9

    wait_until(is_noted, "config and summary to be noted")


def test_others_read_no_notes_of_runs(offline: Start) -> None:
    mask = os.umask(0o022)
    try:
        run = offline(id="noted", config={"api_key": "sk-1"})
        run.log({"acc": 0.9})
        run.flush(timeout=0.0)
        run.finish()
    finally:
        os.umask(mask)
    for path in Path(run._journal_dir).iterdir():
        assert path.stat().st_mode & 0o777 == 0o640, path  # As docs/threat-model.md says.
    folder = Path(run._journal_dir).parent / ".runs" / run.project
    assert {path.name for path in folder.iterdir()} == {"noted.json", "noted.step"}
    for path in (folder, *folder.iterdir()):
        assert not path.stat().st_mode & 0o077, path


def rank(start: Start, number: int, **arguments: Any) -> Run:
    settings = {"label": f"rank{number}", "primary": number == 0}
    words = {"mode": "offline", "id": "ranks", "resume": "allow", "reinit": "create_new"}
    return start(settings=settings, **{**words, **arguments})


def facts_of_starts(runs: list[Run]) -> list[tuple[bool, int]]:
    return [(run.resumed, run.starting_step) for run in runs]


def test_ranks_that_begin_one_after_another_go_on_from_one_step(start: Start) -> None:
    runs = []
    for number in range(3):
        runs.append(rank(start, number))
        runs[0].log({"x": 1.0})
        assert runs[0].flush(0.0) is not None  # It notes the step.
    assert facts_of_starts(runs) == [(False, 0)] * 3
    runs[2].log({"x": 1.0}, step=7)
    for run in runs:
        run.finish()
        shutil.rmtree(run._journal_dir)  # As after the daemon took it.
    runs = []
    for number in range(3):
        runs.append(rank(start, number))
        runs[-1].log({"x": 1.0})
    assert facts_of_starts(runs) == [(True, 8)] * 3, "after the last step of any of them"


def test_a_launch_while_a_rank_of_the_last_one_hangs_goes_on_after_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = rank(start, 1)
    hung.log({"x": 1.0}, step=4)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    runs = [rank(start, 0)]
    runs[0].log({"x": 1.0})
    runs.append(rank(start, 2))
    assert facts_of_starts(runs) == [(True, 5)] * 2


def test_a_rank_that_begins_while_another_one_is_stopped_at_its_start_waits_for_a_moment_only(
    start: Start, folder: Path
) -> None:
    path = peers_note(folder / "journals", "test", "ranks")
    path.parent.mkdir(parents=True)
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert facts_of_starts([rank(start, 0)]) == [(False, 0)]


def test_a_label_that_begins_again_goes_on_after_its_last_rows(start: Start) -> None:
    """The others are still at work: a trainer, or a rank that hangs."""
    rank(start, 1).log({"x": 1.0})
    for number, resume in enumerate(("allow", "allow", "must")):
        with rank(start, 0, resume=resume) as run:
            assert facts_of_starts([run]) == [(number > 0, 5 * number)]
            for _ in range(5):
                run.log({"x": 1.0})
    assert facts_of_starts([rank(start, 2)]) == [(True, 10)], "as the last start of a peer"


def test_a_rank_that_must_resume_takes_a_run_that_its_peers_have_just_begun(start: Start) -> None:
    rank(start, 0).log({"x": 1.0})
    assert facts_of_starts([rank(start, 1, resume="must")]) == [(True, 0)]


def test_a_rank_whose_start_is_refused_is_not_at_work(start: Start) -> None:
    with pytest.raises(ResumeError):
        rank(start, 0, resume="must")
    with rank(start, 0) as run:
        run.log({"x": 1.0})
    assert facts_of_starts([rank(start, 0)]) == [(True, 1)]


def test_processes_that_share_a_run_go_on_from_one_step(start: Start) -> None:
    first = start(mode="shared", id="ranks", resume="allow", settings={"primary": True})
    first.log({"x": 1.0})
    first.flush(0.0)
    words = {"mode": "shared", "id": "ranks", "resume": "allow", "reinit": "create_new"}
    second = start(settings={"primary": False}, **words)
    assert facts_of_starts([first, second]) == [(False, 0)] * 2


def test_a_run_that_begins_while_its_id_is_deleted_keeps_its_notes(
    start: Start, folder: Path
) -> None:
    removed_at = time.time()
    run = start("p", mode="offline", id="r1", config={"lr": 1})
    run.log({"x": 1.0})
    run.finish()
    forget_runs([folder / "journals"], "p", ["r1"], removed_at=removed_at)
    again = start("p", mode="offline", id="r1", resume="allow")
    assert (again.resumed, again.step, dict(again.config)) == (True, 1, {"lr": 1})


def test_a_run_whose_id_begins_like_a_deleted_one_is_not_forgotten(
    start: Start, folder: Path
) -> None:
    for run_id in ("exp", "exp-2"):
        start("p", mode="offline", id=run_id).log({"x": 1.0})
    forget_runs([folder / "journals"], "p", ["exp"], removed_at=time.time())
    again = start("p", mode="offline", id="exp-2", resume="allow", reinit="create_new")
    assert facts_of_starts([again]) == [(True, 1)]


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_deleted_run_whose_journal_is_still_there_begins_anew(
    start: Start, folder: Path, is_alive: bool
) -> None:
    """Its process goes on, or was killed just now."""
    run = start("p", mode="offline", id="r1", config={"lr": 1})
    run.log({"x": 1.0})
    if not is_alive:
        run.finish()
    forget_runs([folder / "journals"], "other", ["r1"], removed_at=time.time())
    again = start("p", mode="offline", id="r1", resume="allow", reinit="create_new")
    assert again.resumed
    again.finish()
    forget_runs([folder / "journals"], "p", ["r1"], removed_at=time.time())
    again = start("p", mode="offline", id="r1", resume="allow", reinit="create_new")
    assert (again.resumed, again.step, dict(again.config)) == (False, 0, {})
    assert again.name == display_name("r1")


def test_a_resumed_run_keeps_the_definitions_of_its_metrics(start: Start) -> None:
    with start(mode="offline", id="again") as run:
        run.define_metric("loss", summary="min")
        run.define_metric("g/*", summary="mean", step_metric="epoch", step_sync=False)
        run.log({"loss": 1.0, "g/a": 1.0})
    run = start(mode="offline", id="again", resume="allow")
    run.log({"loss": 6.0, "g/a": 3.0, "g/b": 5.0})
    assert run.summary["loss"] == {"min": 1.0}
    assert (run.summary["g/a"], run.summary["g/b"]) == ({"mean": 2.0}, {"mean": 5.0})
    assert "epoch" not in run.summary
    run.define_metric("loss", summary="max")
    run.log({"loss": 2.0})
    assert run.summary["loss"] == {"max": 6.0}
