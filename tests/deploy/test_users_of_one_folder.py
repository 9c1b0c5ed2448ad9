"""Several users share a folder of journals, as deploy/systemd sets it up."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from stepwell.testing import RecordingDaemon
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import find_journals
from stepwell_wire.run_notes import forget_runs, run_note, step_note
from tests.deploy.places import needs
from tests.deploy.service import OUTSIDER_ID, TRAINER_ID, python_of_all, remove, run_as

GROUP = 64_010
USERS = (TRAINER_ID, OUTSIDER_ID)
As = Callable[..., CompletedProcess[str]]

pytestmark = [pytest.mark.processes, needs("setpriv")]

TRAIN = """
import os, signal, stepwell
run = stepwell.init(mode="offline", project="p", id=os.environ.get("ID"), resume=os.environ["HOW"])
print(run.resumed, run.starting_step, run.name, run.id, flush=True)
for step in range(30):
    run.log({"x": 1.0})
if "KILLED" in os.environ:
    run._progress.note(run.step)
    os.kill(os.getpid(), signal.SIGKILL)
if os.environ.get("HOW") == "auto":
    os.kill(os.getpid(), signal.SIGTERM)
run.finish()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: other users may not enter it.
    made = Path(tempfile.mkdtemp(prefix="swf-"))
    made.chmod(0o755)
    yield made
    remove(made)


@pytest.fixture
def journals(folder: Path) -> Path:
    """The folder as stepwell.tmpfiles.conf makes it."""
    made = folder / "journals"
    made.mkdir()
    os.chown(made, 0, GROUP)
    made.chmod(0o1770)
    return made


@pytest.fixture
def trains(folder: Path, journals: Path) -> As:
    """Run the script as a user of the group; return the finished process."""
    python = python_of_all()

    def run(user: int, how: str, **variables: str) -> CompletedProcess[str]:
        environ = {"HOW": how, "STEPWELL_DIR": str(journals), "HOME": str(folder), **variables}
        return run_as(user, [python, "-c", TRAIN], environ, groups=[GROUP])

    return run


def sent(journals: Path) -> None:
    """Remove the journals, as a daemon does that has sent them."""
    for path in find_journals(journals):
        shutil.rmtree(path)


@pytest.mark.parametrize("users", [USERS, USERS[::-1], (0, *USERS)])
def test_every_user_of_the_folder_resumes_own_runs(
    trains: As, journals: Path, users: tuple[int, ...]
) -> None:
    for turn in range(2):
        for user in users:
            done = trains(user, "allow", ID=f"run-{user}")
            assert done.stdout.split()[:2] == [str(bool(turn)), str(30 * turn)], done
            assert "cannot be resumed" not in done.stderr
            sent(journals)


def test_must_never_and_auto_hold_for_every_user(trains: As, journals: Path) -> None:
    for user in USERS:
        assert "ResumeError" in trains(user, "must", ID=f"run-{user}").stderr
        assert trains(user, "never", ID=f"run-{user}").returncode == 0
        sent(journals)
        assert trains(user, "must", ID=f"run-{user}").stdout.startswith("True 30 ")
        assert "ResumeError" in trains(user, "never", ID=f"run-{user}").stderr
        first, second = (trains(user, "auto").stdout.split() for _ in range(2))
        assert second == ["True", "30", *first[2:]]


def test_what_a_daemon_learns_of_a_dead_process_goes_to_the_notes_of_its_user(
    trains: As, journals: Path
) -> None:
    for user in USERS:
        trains(user, "allow", ID="same", KILLED="1")
        note = step_note(journals, "p", "same", user=user)
        assert note.stat().st_uid == user
        note.write_bytes(bytes(8))
    for path in find_journals(journals):
        reader = JournalReader(path)
        reader.note_last_step()
        reader.close()
    for user in USERS:
        note = step_note(journals, "p", "same", user=user)
        assert int.from_bytes(note.read_bytes(), "little") == 30


def test_a_deleted_run_is_forgotten_for_every_user(trains: As, journals: Path) -> None:
    for user in USERS:
        trains(user, "allow", ID="same")
    notes = [run_note(journals, "p", "same", user=user) for user in USERS]
    assert all(note.exists() for note in notes)
    forget_runs([journals], "p", ["same"], removed_at=4e9)
    assert not any(note.exists() for note in notes)
    for user in USERS:
        assert trains(user, "allow", ID="same").stdout.startswith("False 0 ")


def test_notes_are_not_taken_from_a_folder_that_another_user_made(
    trains: As, journals: Path
) -> None:
    trains(TRAINER_ID, "allow", ID="r")
    planted = journals / f".runs-{OUTSIDER_ID}" / "p"
    planted.mkdir(parents=True)
    planted.chmod(0o777)
    (planted / "r.json").write_text('{"name": "planted"}')
    (planted / "r.json").chmod(0o666)
    done = trains(OUTSIDER_ID, "allow", ID="r")
    assert done.returncode == 0
    assert done.stdout.startswith("False 0 ")
    assert "planted" not in done.stdout
    assert f"{planted.parent}: it belongs to user 0" in done.stderr
    assert "this run cannot be resumed on this machine" in done.stderr
    assert list(planted.iterdir()) == [planted / "r.json"]


def test_journals_of_other_users_are_counted_and_are_no_failure(
    trains: As, folder: Path, journals: Path
) -> None:
    for user in (*USERS, *USERS, TRAINER_ID):
        trains(user, "allow", ID=f"run-{user}")
    for name in (f"run-{'0f' * 16}", "no-journal", "damaged"):
        (journals / name).mkdir(mode=0o700)
    theirs = find_journals(journals)
    theirs = [each for each in theirs if each.stat().st_uid == TRAINER_ID]
    environ = {"STEPWELL_DIR": str(journals), "STEPWELL_SOCKET": str(folder / "s.sock")}
    stepwell = [python_of_all(), "-m", "stepwell"]

    def call(*words: object) -> CompletedProcess[str]:
        return run_as(OUTSIDER_ID, [*stepwell, *map(str, words)], environ, groups=[GROUP])

    told = call("doctor", "--data", folder / "data").stdout
    assert f"4 journals of other users are not checked in {journals}" in told
    assert "Permission denied" not in told
    assert "2 offline writers left" in told
    verified = call("journal", "verify")
    assert (verified.returncode, verified.stdout.splitlines()[-1]) == (0, "2 journals, 0 damaged")
    assert f"4 journals of other users are not read in {journals}" in verified.stderr
    with RecordingDaemon(folder / "s.sock") as daemon:
        (folder / "s.sock").chmod(0o666)
        for count, text in ((60, "sent "), (60, "nothing to send")):
            done = call("sync")
            assert done.returncode == 0, done
            assert done.stdout.startswith(text)
            others = "4 journals of other users are not sent; they or root send them"
            assert done.stdout.splitlines()[-1] == others
            assert len(daemon.points("x")) == count
        named = call("sync", theirs[0])
        assert named.returncode == 1, "it was named, so it is no journal to pass over"
        assert "Permission denied" in named.stdout
    assert set(find_journals(journals)) == set(theirs)
    assert call("sync", "/etc").returncode == 4, "it has folders that this user may not enter"


def test_a_user_who_cannot_write_notes_gets_a_line(trains: As, journals: Path) -> None:
    for how, variables in (("allow", {"ID": "r"}), ("auto", {})):
        trains(TRAINER_ID, how, **variables)
    notes = journals / ".runs" / "p"
    os.chown(notes, 0, 0)
    done = trains(TRAINER_ID, "allow", ID="r")
    (line,) = [each for each in done.stderr.splitlines() if "cannot be resumed" in each]
    assert str(notes) in line
    assert "Permission denied" in line
    words = [python_of_all(), "-m", "stepwell", "doctor", "--socket", str(journals.parent / "s")]
    environ = {"STEPWELL_DIR": str(journals), "STEPWELL_DATA": str(journals.parent / "data")}
    told = run_as(TRAINER_ID, words, environ, groups=[GROUP]).stdout
    assert f"{notes}: no permission to write, so your runs cannot be resumed" in told
