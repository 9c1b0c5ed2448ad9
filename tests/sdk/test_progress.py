"""Notes of config and summary while the run is at work: of one process, the newest last."""

import json
import threading
import time
from pathlib import Path

import pytest

from stepwell._memory import Memory, Remembered
from stepwell._progress import BUSY_SECONDS, Progress
from tests.sdk.conftest import Start
from tests.sdk.forks import in_fork
from tests.waiting import wait_until


class WatchedMemory(Memory):
    """A memory whose first note goes on only when it is told to, or calls something first."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "test")
        self.began, self.go_on = threading.Event(), threading.Event()
        self.at_first_note = lambda: None
        self.noted: list[float] = []

    def note(self, remembered: Remembered) -> None:
        is_first = not self.began.is_set()
        self.began.set()
        if is_first:
            self.at_first_note()
            assert self.go_on.wait(60)
        super().note(remembered)
        self.noted.append(remembered.summary["x"])


class Noting:
    """A run's progress whose summary is ``x``."""

    def __init__(self, folder: Path) -> None:
        self.x = 1.0
        self.folder, self.memory, self.lock = folder, WatchedMemory(folder), threading.RLock()
        self.progress = Progress(
            self.memory,
            "one",
            lock=lambda: self.lock,
            remembered=lambda: Remembered("one", summary={"x": self.x}),
        )

    def on_disk(self) -> float:
        (note,) = self.folder.rglob("one.json")
        assert [path.name for path in note.parent.iterdir()].count("one.json") == 1
        return float(json.loads(note.read_text())["summary"]["x"])


def test_an_older_note_never_replaces_a_newer_one(tmp_path: Path) -> None:
    noting = Noting(tmp_path)
    sender = threading.Thread(target=noting.progress.look, args=(1,))
    sender.start()
    assert noting.memory.began.wait(60)
    noting.x = 2.0
    flush = threading.Thread(target=noting.progress.note, args=(2,))
    flush.start()
    flush.join(0.1)  # Time enough for a flush that does not wait.
    # Logging goes on meanwhile: who waits for a note in work has no lock of log.
    with noting.lock:
        pass
    noting.memory.go_on.set()
    sender.join(60)
    flush.join(60)
    assert noting.memory.noted == [1.0, 2.0]
    assert noting.on_disk() == 2.0


def test_a_note_in_the_middle_of_another_stands(tmp_path: Path) -> None:
    """What a signal handler does that flushes while the main thread does."""
    noting = Noting(tmp_path)
    noting.memory.go_on.set()

    def signal_comes() -> None:
        noting.x = 2.0
        noting.progress.note(2)

    noting.memory.at_first_note = signal_comes
    noting.progress.note(1)
    assert noting.on_disk() == 2.0
    assert {path.suffix for path in (tmp_path / ".runs" / "test").iterdir()} == {".json", ".step"}


@pytest.mark.slow
def test_a_note_that_was_put_off_is_made_up_for_while_nothing_is_logged(
    offline: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender slept until the next row, and a kill meanwhile cost the last values."""
    looks: list[int] = []
    look = Progress.look

    def put_off(progress: Progress, next_step: int) -> float | None:
        looks.append(next_step)
        return 0.05 if len(looks) < 4 else look(progress, next_step)

    monkeypatch.setattr(Progress, "look", put_off)
    run = offline(id="idle")
    run.log({"x": 1.0})
    note = Path(run._journal_dir).parent / ".runs" / run.project / "idle.json"
    wait_until(lambda: json.loads(note.read_text())["summary"].get("x") == 1.0, "a late note")


def test_what_puts_a_note_off_says_when_to_look_again(tmp_path: Path) -> None:
    noting = Noting(tmp_path)
    noting.memory.go_on.set()
    noting.memory.at_first_note = lambda: time.sleep(0.01)  # A slow note.
    taken, let_go = threading.Event(), threading.Event()

    def log() -> None:
        with noting.lock:
            taken.set()
            assert let_go.wait(60)

    logging = threading.Thread(target=log)
    logging.start()
    assert taken.wait(60)
    assert noting.progress.look(1) == BUSY_SECONDS
    let_go.set()
    logging.join(60)
    assert noting.progress.look(1) is None
    assert noting.on_disk() == 1.0
    assert noting.progress.look(1) is None
    assert (noting.progress.look(2) or 0) > 0, "after a slow note comes a pause"


def test_a_forked_child_leaves_the_notes_of_its_parent(offline: Start) -> None:
    run = offline(id="parent", config={"lr": 1})
    run.log({"x": 1.0})
    run.flush(timeout=0.0)

    def work() -> None:
        run.log({"x": 99.0})
        run.config.update({"of_child": True})
        run.flush(timeout=0.0)
        run.finish()

    assert in_fork(work) == 0
    note = Path(run._journal_dir).parent / ".runs" / run.project / "parent.json"
    held = json.loads(note.read_text())
    assert (held["config"], held["summary"]["x"]) == ({"lr": 1}, 1.0)


def test_notes_that_fail_leave_no_files(tmp_path: Path) -> None:
    """On a full disk each try would need one more file."""
    memory = Memory(tmp_path, "test")
    memory.note(Remembered("one"))
    (note,) = tmp_path.rglob("one.json")
    note.unlink()
    note.mkdir()  # No file can be put in its place.
    for _ in range(3):
        memory.note(Remembered("one"))
    assert [path.name for path in note.parent.iterdir()] == ["one.json"]
