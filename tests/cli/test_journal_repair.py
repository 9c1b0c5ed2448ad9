"""A damaged journal on a node: reported, repaired by the command, then delivered by the daemon."""

import json
import sys
from pathlib import Path

import pytest

from stepwell.cli.checks import stored
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import find_journals
from stepwell_wire.places import fallback_journals_dir
from stepwell_wire.segment import PAGE_BYTES, segment_name
from tests.cli.conftest import Call
from tests.daemon.journals import make_journal
from tests.daemon.made import finish_event, row, schema_event
from tests.faults.oracle import stored_points, wait_until_stored
from tests.node import Node
from tests.waiting import wait_until

pytestmark = pytest.mark.holds("flipped-bit")

STEPS = 500
LOST = range(200, 210)

_KILLED = f"""
import os, stepwell
run = stepwell.init("repair", id="r", settings={{"console": False}})
for step in range({STEPS}):
    run.log({{"loss": step * 0.5}}, step=step)
os.kill(os.getpid(), 9)
"""


def break_rows(node: Node) -> Path:
    """Overwrite the rows of the steps in LOST; return the journal."""
    (journal,) = find_journals(node.journals)
    path = journal / segment_name(0)
    content = bytearray(path.read_bytes())
    needle = LOST[0].to_bytes(8, "little")
    size = 32  # A header and one value.
    at = next(
        at
        for at in range(PAGE_BYTES, len(content), 8)
        if content[at + 8 : at + 16] == needle and content[at + 4 : at + 8] == b"\x20\0\0\0"
    )
    content[at : at + size * len(LOST)] = b"\xaa" * (size * len(LOST))
    path.write_bytes(content)
    return journal


@pytest.mark.processes
def test_a_damaged_journal_is_mended_and_the_running_daemon_takes_it(node: Node) -> None:
    assert node.python(_KILLED).returncode == -9
    journal = break_rows(node)
    node.start_daemon("--recover-seconds", "0.2")

    def problems() -> str:
        return "\n".join(json.loads(node.stepwell("status", "--json").stdout)["problems"])

    wait_until(lambda: str(journal) in problems(), "the daemon to tell")
    assert "`stepwell journal repair` sends the readable rows" in problems()
    verified = node.stepwell("journal", "verify")
    assert verified.returncode == 1
    assert (
        "1 journal, 1 damaged\n`stepwell journal repair` prints the readable part"
        in verified.stdout
    )
    asked = node.stepwell("journal", "repair")
    assert asked.returncode == 1
    assert f"{32 * len(LOST)} bytes, lost" in asked.stdout
    assert "add --yes to repair 1 journal" in asked.stderr
    assert journal.exists()
    done = node.stepwell("journal", "repair", "--yes")
    assert done.returncode == 0, done.stderr
    kept = node.journals / "damaged" / f"{journal.name}-0"
    assert f"{journal}: repaired; original files: {kept}" in done.stdout
    wait_until_stored(node)
    assert stored_points(node) == {
        ("r", "loss"): [(step, step * 0.5) for step in range(STEPS) if step not in LOST]
    }
    assert not problems()
    shown = json.loads(node.stepwell("show", "r", "--json").stdout)
    (gap,) = shown["gaps"]
    assert gap["reason"] == f"journal damaged, {32 * len(LOST)} bytes"
    assert (gap["first_step"], gap["last_step"]) == (LOST[0] - 1, LOST[-1] + 1)
    assert (kept / segment_name(0)).exists()


def test_nothing_to_repair_is_said(call: Call, tmp_path: Path) -> None:
    journal = make_journal(tmp_path, "w", schema_event() + row(1))
    outcome = call("journal", "repair", journal)
    assert (outcome.code, outcome.out) == (0, f"{journal}: nothing to repair\n")


def test_whose_a_journal_is_must_be_said_whole(call: Call, tmp_path: Path) -> None:
    journal = make_journal(tmp_path, "w", schema_event() + row(1))
    (journal / "writer.json").unlink()
    outcome = call("journal", "repair", journal)
    assert outcome.code == 1
    assert "give --project, --run and --unverified" in outcome.err
    outcome = call("journal", "repair", journal, "--run", "r")
    assert outcome.code == 2
    assert "--project and --run: only one is given" in outcome.err
    words = ("journal", "repair", journal, "--run", "run-w", "--project", "p", "--yes")
    outcome = call(*words)
    assert outcome.code == 1, "it is unknown whether the machine restarted"
    assert "add --unverified to keep the readable part" in outcome.err
    assert not (journal / "writer.json").exists()
    outcome = call(*words, "--unverified")
    assert outcome.code == 0, outcome.err
    assert "1 row, " in call("journal", "verify", journal).out
    told = json.loads((journal / "writer.json").read_text())
    assert (told["project"], told["run_id"], told["writer_id"]) == ("p", "run-w", "w")


def test_several_journals_are_never_given_to_one_run(call: Call, tmp_path: Path) -> None:
    lost = [make_journal(tmp_path, name, schema_event() + row(1)) for name in ("a", "b")]
    for folder in lost:
        (folder / "writer.json").unlink()
    words = ("--project", "p", "--run", "run-a", "--unverified")
    outcome = call("journal", "repair", tmp_path, *words, "--yes")
    assert outcome.code == 2
    assert "2 have an unreadable writer.json" in outcome.err
    outcome = call("journal", "repair", lost[1], *words)
    assert outcome.code == 2, "the folder's name says another run"
    assert "does not begin with run-a-; correct --run" in outcome.err
    outcome = call("journal", "repair", lost[0], "--project", "p", "--run", "r" * 200, *words[4:])
    assert outcome.code == 2
    outcome = call("journal", "repair", lost[0], *words)
    assert f"{lost[0]}: assigned to p/run-a, writer a\n" in outcome.out
    assert not (lost[0] / "writer.json").exists()


def test_what_is_in_doubt_is_named(call: Call, tmp_path: Path) -> None:
    journal = make_journal(tmp_path, "w", schema_event() + row(1), boot_id="another start")
    outcome = call("journal", "repair", journal)
    assert outcome.code == 0
    assert "cannot be verified, as the machine restarted; --unverified keeps" in outcome.out
    outcome = call("journal", "repair", journal, "--unverified", "--yes")
    assert outcome.code == 0, outcome.err
    assert call("journal", "verify", journal).code == 0


def test_what_was_quarantined_is_named_until_it_is_taken(call: Call, tmp_path: Path) -> None:
    kept = make_journal(tmp_path, "b", schema_event() + row(1), boot_id="another start")
    JournalReader(kept).remove()
    verified = call("journal", "verify", tmp_path)
    assert verified.code == 1
    assert f"{kept}: contains only bytes that cannot be verified after a restart" in verified.out
    asked = call("journal", "repair", tmp_path)
    assert (asked.code, asked.out.startswith(f"{kept}: contains only bytes that")) == (0, True)
    taken = call("journal", "repair", tmp_path, "--unverified", "--yes")
    assert taken.code == 0, taken.err
    assert "kept without a valid checksum" in taken.out
    whole = call("journal", "verify", tmp_path)
    assert whole.code == 0, whole.out
    assert "1 row, " in whole.out


def test_verify_tells_a_killed_writer_from_one_that_ended(call: Call, tmp_path: Path) -> None:
    records = schema_event() + row(1)
    make_journal(tmp_path, "a", records)
    make_journal(tmp_path, "b", records + finish_event())
    killed, ended = call("journal", "verify", tmp_path).out.splitlines()[:2]
    assert killed.endswith("ended without `finish`")
    assert ended.endswith(", ended")


def test_doctor_names_what_nobody_would_ever_send(tmp_path: Path) -> None:
    lost = make_journal(tmp_path, "a", schema_event() + row(1))
    (lost / "writer.json").unlink()
    kept = make_journal(tmp_path, "b", schema_event() + row(1), boot_id="another start")
    JournalReader(kept).remove()
    make_journal(tmp_path, "c", schema_event() + row(1))
    (tmp_path / "damaged").mkdir()
    first, second, third = stored.journals(tmp_path)
    assert str(lost) in first.message
    assert f"`stepwell journal repair {lost} --unverified --project" in first.remedy
    assert str(kept) in second.message
    assert f"`stepwell journal repair --unverified {kept}`" in second.remedy
    assert "1 ended writer" in third.message


def test_verify_names_a_journal_that_nobody_owns(call: Call, tmp_path: Path) -> None:
    lost = make_journal(tmp_path, "a", schema_event() + row(1))
    (lost / "writer.json").unlink()
    make_journal(tmp_path, "b", schema_event() + row(1))
    outcome = call("journal", "verify", tmp_path)
    assert outcome.code == 1
    assert f"\n{lost}: contains records but no writer.json" in outcome.out
    assert "2 journals, 1 damaged" in outcome.out


@pytest.mark.parametrize("numpy", ["there", "missing"])
def test_verify_counts_the_same_without_numpy(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numpy: str
) -> None:
    make_journal(tmp_path, "w1", schema_event() + row(0) + row(1))
    if numpy == "missing":
        monkeypatch.setattr("stepwell.cli.journal.missing_modules", lambda names: list(names))
        monkeypatch.setitem(sys.modules, "stepwell_wire.rows", None)  # It imports numpy.
    verified = call("journal", "verify", tmp_path)
    assert "2 rows, 4 points, 0 events" in verified.out, verified


def test_the_folder_of_a_read_only_home_is_found(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    own = fallback_journals_dir().parent
    own.mkdir(mode=0o700)
    kept = make_journal(fallback_journals_dir(), "w", schema_event() + row(1))
    assert f"in {fallback_journals_dir()}" in call("doctor").out
    asked = call("sync", "--no-daemon")
    assert asked.code == 3, "there is something to send, and no daemon"
    own.chmod(0o777)  # Anybody may have put something there.
    assert str(own) not in call("doctor").out
    assert "nothing to send" in call("sync", "--no-daemon").out
    assert kept.exists()
