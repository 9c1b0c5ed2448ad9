"""Runs that the store has as running, but whose processes here have ended."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stepwell_store import EmbeddedStore
from tests.cli.conftest import Call
from tests.daemon.journals import hold_lock, make_journal
from tests.daemon.made import row, schema_event
from tests.fake_daemon import FakeDaemon
from tests.store.made import START_US, WriterInfo, event, fresh_project, tell, writer

RECORDS = schema_event() + row(1)


def running(store: EmbeddedStore, project: str, run_id: str) -> None:
    """Store the begin of a run."""
    who = writer(project, run_id, host="node-a")
    start = {"project": project, "run_id": run_id, "label": "", "name": f"the {run_id}"}
    tell(store, who, event("start", {**start, "started_at": START_US, "world_size": 1}))


def journal(place: Path, project: str, run_id: str, name: str, *, acked: bool = True) -> Path:
    """Write the journal of a process that was killed, in the folder that commands search."""
    sent = len(RECORDS) if acked else 0
    return make_journal(
        place / "journals", name, RECORDS, acked=sent, project=project, run_id=run_id
    )


@pytest.fixture
def project(store: EmbeddedStore) -> str:
    made = fresh_project()
    for run_id in ("r1", "r2", "r3", "r4", "r5"):
        running(store, made, run_id)
    return made


def test_a_run_whose_process_was_killed_with_the_daemon_is_reported(
    call: Call, place: Path, project: str
) -> None:
    journal(place, project, "r1", "w")
    line = f"{project}/r1 is shown as running, but its process has ended"
    for words in (("runs", "--project", project), ("show", f"{project}/r1"), ("show", "--json")):
        asked = (*words, f"{project}/r1") if words == ("show", "--json") else words
        told = call(*asked)
        assert told.code == 0
        assert told.err == f"stepwell: {line}; the next daemon corrects it\n"
        assert "has ended" not in told.out
    for words in (("runs", "--project", "digits"), ("show", f"{project}/r2"), ("show", "run-a")):
        assert "has ended" not in call(*words).err, words
    said = call("doctor").out
    assert f"warn  journals   {line}" in said
    assert "→ the next daemon corrects it: `stepwell up`" in said


def test_of_many_runs_three_are_named(call: Call, place: Path, project: str) -> None:
    for number in (1, 2, 3, 4, 5):
        journal(place, project, f"r{number}", f"w{number}")
    assert call("runs", "--project", project).err == (
        "stepwell: 5 runs are shown as running, but their processes have ended: "
        f"{project}/r1, {project}/r2, {project}/r3 and 2 more; the next daemon corrects them\n"
    )


def test_a_process_that_ended_while_no_daemon_ran_is_reported_beside_its_data(
    call: Call, place: Path, project: str
) -> None:
    journal(place, project, "r1", "w1", acked=False)
    told = call("show", f"{project}/r1").err
    assert "1 journal of it waits on this machine: `stepwell sync` sends it" in told
    assert f"{project}/r1 is shown as running, but its process has ended" in told
    assert "has ended" not in call("doctor").out  # It has a line on the data.


def test_a_running_process_and_an_end_in_the_store_need_no_line(
    call: Call, place: Path, project: str
) -> None:
    journal(place, project, "r2", "w2")
    held = hold_lock(journal(place, project, "r2", "w3"))
    journal(place, "digits", "run-a", "w4")
    try:
        for words in (("runs",), ("show", f"{project}/r2"), ("doctor",)):
            told = call(*words)
            assert "has ended" not in told.err + told.out, words
    finally:
        os.close(held)


def test_a_running_daemon_corrects_it_itself(
    call: Call, place: Path, project: str, daemon: FakeDaemon
) -> None:
    journal(place, project, "r1", "w")
    for words in (("runs", "--project", project), ("show", f"{project}/r1"), ("doctor",)):
        told = call(*words)
        assert "has ended" not in told.err + told.out, words


@pytest.mark.parametrize(
    ("host", "alive", "is_named"),
    [("here", False, True), ("here", True, False), ("far", False, False)],
)
def test_a_run_of_a_restored_back_up_has_no_journal(
    call: Call, store: EmbeddedStore, host: str, alive: bool, is_named: bool
) -> None:
    project = fresh_project()
    name = socket.gethostname() if host == "here" else "far-away"
    pid = os.getpid() if alive else dead_pid()
    who = replace(writer(project, "r1", host=name), pid=pid)
    start = {"project": project, "run_id": "r1", "label": "", "name": "the r1"}
    tell(store, who, event("start", {**start, "started_at": START_US, "world_size": 1}))
    line = f"{project}/r1 is shown as running, but its process has ended"
    for words in (("runs", "--project", project), ("show", f"{project}/r1"), ("doctor",)):
        told = call(*words)
        assert (line in told.err + told.out) == is_named, words
    ended(store, who)


def test_the_daemon_of_another_folder_does_not_correct_a_back_up(
    call: Call, store: EmbeddedStore, daemon: FakeDaemon
) -> None:
    project = fresh_project()
    who = replace(writer(project, "r1", host=socket.gethostname()), pid=dead_pid())
    start = {"project": project, "run_id": "r1", "label": "", "name": "the r1"}
    tell(store, who, event("start", {**start, "started_at": START_US, "world_size": 1}))
    named = ("--data", str(store.data_dir))
    for words in (("runs", "--project", project), ("show", f"{project}/r1")):
        assert "its process has ended" in call(*words, *named).err, words
    ended(store, who)


def ended(store: EmbeddedStore, who: WriterInfo) -> None:
    """Store the end: other tests share the store."""
    tell(store, who, event("finish", {"state": "finished", "exit_code": 0}, time_us=START_US + 1))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
