"""The journal under pressure: many segments, none left, no disk, and no process any more."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from stepwell import Run
from stepwell._journal import Journal
from stepwell._mapped_segment import MappedSegment
from stepwell._spare_segments import SpareSegments
from stepwell._writer import Writer
from stepwell.testing import RecordingDaemon
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import WriterFile, boot_id, find_journals
from stepwell_wire.limits import names_size
from stepwell_wire.records import pack_event
from stepwell_wire.segment import ACKED_WORD, COMMITTED_WORD, PAGE_BYTES
from tests.sdk.conftest import Start, python
from tests.sdk.held import read_journal
from tests.sdk.interrupted import Interrupted
from tests.waiting import wait_until

SEGMENT = 64 * 1024
SMALL = {"journal_segment_bytes": SEGMENT, "journal_bytes_max": 4 * SEGMENT}


def journal_of(run: Run) -> Journal:
    journal = run._writer.journal
    assert journal is not None
    return journal


def test_rows_go_on_in_the_next_segment_and_each_segment_can_be_read_alone(offline: Start) -> None:
    run = offline(settings={"journal_segment_bytes": SEGMENT})
    for i in range(5000):
        run.log({"a": float(i), "b": 0.5})
        if i % 7 == 0:
            run.log({"c": float(i)}, step=i)
    held = read_journal(run._journal_dir)
    assert [value for _, value in held.series("a")] == [float(i) for i in range(5000)]
    assert [value for _, value in held.series("c")] == [float(i) for i in range(0, 5000, 7)]
    segments = sorted(Path(run._journal_dir).glob("*.seg"))
    assert len(segments) > 3
    for each in segments[:-1]:
        each.unlink()
    last = read_journal(run._journal_dir)
    assert last.rows == held.rows[-len(last.rows) :]


@pytest.mark.holds("journal-limit", "bound-journal-bytes")
def test_the_newest_points_are_dropped_counted_and_shown_as_a_gap(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start(settings={**SMALL, "finish_timeout": 0.0})  # Nobody acknowledges.
    for i in range(20_000):
        run.log({"a": float(i), "b": 1.0})
    dropped = run.dropped_points
    assert dropped > 0
    held = read_journal(run._journal_dir)
    kept = [value for _, value in held.series("a")]
    assert kept == [float(i) for i in range(len(kept))]
    assert 2 * len(kept) + dropped == 40_000
    folder = run._journal_dir
    run.finish()
    after = read_journal(folder)
    (gap,) = after.bodies("gap")
    assert gap == {
        "kind": "journal_full",
        "reason": "journal full",
        "rows": dropped // 2,
        "points": dropped,
        "first_step": len(kept),
        "last_step": 19_999,
    }
    assert after.events[-1][0] == "finish"
    told = capfd.readouterr().err
    assert told.count("points and console lines are dropped") == 1
    assert told.endswith(
        f"dropped: {run.dropped_points:,} points; see the gaps and their "
        f"reasons with `stepwell show {run.id}`\n"
    )


def test_a_large_config_fits_into_a_journal_with_a_small_limit(
    start: Start, daemon: RecordingDaemon
) -> None:
    numbers = [float(number) for number in range(70_000)]
    run = start(config={"numbers": numbers}, settings={"journal_bytes_max": 1_000_000})
    assert run.flush(60)
    (event, *_) = daemon.events("config")
    assert event.body["set"]["numbers"] == numbers


@pytest.mark.parametrize("bytes_max", [6_000_000, 12_000_000])
def test_a_journal_stays_within_a_limit_of_less_than_two_usual_segments(
    start: Start, bytes_max: int
) -> None:
    run = start(settings={"journal_bytes_max": bytes_max, "finish_timeout": 0.0})
    while not run.dropped_points:
        run.log({"a": 1.0})
    sizes = [each.stat().st_size for each in Path(run._journal_dir).glob("*.seg")]
    assert bytes_max * 0.9 < sum(sizes) <= bytes_max


def test_after_room_was_made_logging_goes_on_behind_the_gap(
    start: Start, daemon: RecordingDaemon
) -> None:
    daemon.hold_acks = True
    run = start(settings=SMALL)
    steps = 0
    while not run.dropped_points:
        run.log({"a": float(steps)})
        steps += 1
    for _ in range(10):
        run.log({"a": float(steps)})
        steps += 1
    daemon.hold_acks = False
    daemon.stop()  # A new connection gets the acks that were held.
    daemon.start()
    assert run.flush(30)
    dropped = run.dropped_points
    run.log({"a": -1.0})
    run.finish()
    values = [point.value for point in daemon.points("a")]
    assert values == [*map(float, range(steps - dropped)), -1.0]
    (gap,) = daemon.events("gap")
    assert gap.body["points"] == dropped
    assert (gap.body["first_step"], gap.body["last_step"]) == (steps - dropped, steps - 1)


def test_what_is_larger_than_a_segment_is_dropped_and_costs_nothing_else(start: Start) -> None:
    run = start(settings=SMALL)
    for i in range(10):
        run.log({"a": float(i)})
    for _ in range(3):
        run.log({"text": "x" * (2 * SEGMENT)})
    held = journal_of(run).held
    assert len({each.base for each in held}) == len(held)
    for i in range(10, 20):
        run.log({"a": float(i)}, step=i)
    read = read_journal(run._journal_dir)
    assert [value for _, value in read.series("a")] == [float(i) for i in range(20)]
    gaps = read.bodies("gap")
    assert sum(gap["rows"] for gap in gaps) == 3, "each is told"
    assert all(each.path.exists() for each in journal_of(run).held)


@pytest.mark.holds("journal-limit", "bound-journal-bytes")
@pytest.mark.slow
def test_the_policy_block_waits_for_room_instead(start: Start, daemon: RecordingDaemon) -> None:
    run = start(settings={**SMALL, "on_full": "block"})
    for i in range(30_000):
        run.log({"a": float(i)})
    run.finish()
    assert run.dropped_points == 0
    assert [point.value for point in daemon.points("a")] == [float(i) for i in range(30_000)]


@pytest.mark.slow
def test_a_log_that_waits_for_room_does_not_wait_for_metadata_that_wait_for_it(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender collects them, and makes no room meanwhile."""
    run = None

    def collect(*, git: bool) -> dict[str, Any]:
        wait_until(
            lambda: run is not None and len(journal_of(run).held) == 4, "the journal to be full"
        )
        return {"host": "here"}

    monkeypatch.setattr("stepwell._metadata.collect_metadata", collect)
    run = start(settings={**SMALL, "on_full": "block", "metadata": True})
    for i in range(30_000):
        run.log({"a": float(i)})
    run.finish()
    assert len(daemon.points("a")) == 30_000
    assert daemon.merged("metadata") == {"host": "here"}


def test_freed_segments_are_used_again(start: Start, daemon: RecordingDaemon) -> None:
    run = start(settings=SMALL)
    for i in range(40_000):
        run.log({"a": float(i)})
        if i % 1000 == 0:
            assert run.flush(30)
    assert len(list(Path(run._journal_dir).iterdir())) <= 2 + 4 + 1
    folder = run._journal_dir
    run.finish()
    assert [point.value for point in daemon.points("a")] == [float(i) for i in range(40_000)]
    assert not Path(folder).exists()
    assert run.dropped_points == 0


@pytest.mark.holds("journal-disk-full", "bound-journal-disk")
def test_a_full_disk_drops_and_says_so_once_and_recovers(
    offline: Start, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline(settings={"journal_segment_bytes": SEGMENT})
    real = os.posix_fallocate

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    spares = journal_of(run)._spares
    for i in range(5000):
        run.log({"a": float(i)})
        if i == 1500:  # In the spare segment: the next one is tried meanwhile.
            wait_until(lambda: spares._retry_at > 0.0, "a segment that cannot be made")
    assert run.dropped_points > 0
    monkeypatch.setattr(os, "posix_fallocate", real)
    spares._retry_at = 0.0
    run.log({"a": -1.0})
    held = read_journal(run._journal_dir)
    (gap,) = held.bodies("gap")
    assert (gap["reason"], gap["points"]) == ("disk", run.dropped_points)
    assert held.series("a")[-1][1] == -1.0
    assert len(held.series("a")) + run.dropped_points == 5001
    assert capfd.readouterr().err.count("No space left") == 1


@pytest.mark.holds("journal-disk-full")
@pytest.mark.parametrize("room", [100_000, 0], ids=["room for a part", "no room"])
@pytest.mark.slow
def test_the_gap_and_the_end_are_written_on_a_disk_that_is_full_until_the_end(
    offline: Start,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    room: int,
) -> None:
    run = offline(settings={"journal_segment_bytes": 4 * SEGMENT})
    real = os.posix_fallocate

    def full(descriptor: int, offset: int, size: int) -> None:
        if size > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", full)
    for i in range(20_000):
        run.log({"a": float(i)})
    for i in range(2000):
        run._writer.write_console("stdout", [[i, 0, "a line of the console"]])
    run.config.update({"late": 1})
    run.summary["best"] = 7.0
    folder = run._journal_dir
    run.finish()
    held = read_journal(folder)
    rows = [gap for gap in held.bodies("gap") if gap["kind"] == "journal_disk"]
    assert [gap["points"] for gap in rows] == [run.dropped_points]
    assert len(held.series("a")) + run.dropped_points == 20_000
    assert {"set": {"late": 1}} in held.bodies("config")
    assert any(body["set"].get("best") == 7.0 for body in held.bodies("summary"))
    assert held.events[-1][0] == "finish"
    lines = sum(len(body["lines"]) for body in held.bodies("console"))
    lost = sum(gap["rows"] for gap in held.bodies("gap") if gap["kind"] == "console_lines")
    assert lines == 2000 - lost
    assert (lines > 0) == (room > 0)
    assert "dropped: " in capfd.readouterr().err


@pytest.mark.holds("journal-disk-full")
def test_changes_without_room_at_the_end_are_counted(
    offline: Start, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline(settings={"journal_segment_bytes": SEGMENT})

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    for i in range(5000):
        run.log({"a": float(i)})
    for i in range(10):
        run.config.update({f"late{i}": "x" * 1000})
    folder = run._journal_dir
    run.finish()
    held = read_journal(folder)
    assert [gap["rows"] for gap in held.bodies("gap") if gap["kind"] == "events"] == [
        10 - sum("late" in str(body) for body in held.bodies("config"))
    ]
    assert [gap["points"] for gap in held.bodies("gap") if gap["kind"] == "journal_disk"]
    assert held.events[-1][0] == "finish"
    assert " events; see the gaps" in capfd.readouterr().err


@pytest.mark.holds("journal-disk-full")
def test_without_any_place_for_a_journal_training_goes_on(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_text("")
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", "/proc")  # Also root cannot write there.
        run = start(dir=folder / "file" / "below")
    for i in range(10):
        run.log({"a": float(i), "b": "text"})
    run.summary["best"] = 1
    run.config.update({"c": 2})
    assert run.dropped_points >= 10
    assert not run.flush(1.0)
    run.finish()
    assert "creating a journal there failed" in capfd.readouterr().err


def test_an_unwritable_folder_is_replaced_by_a_temporary_one(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    (folder / "tmp").mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", str(folder / "tmp"))
        run = start(dir=folder / "file" / "below")
    run.log({"a": 1.0})
    assert run._journal_dir.startswith(str(folder / "tmp"))
    assert read_journal(run._journal_dir).series("a") == [(0, 1.0)]


@pytest.mark.holds("bound-name-sets")
def test_very_many_sets_of_names_fall_back_to_single_names(
    offline: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepwell import _name_sets

    monkeypatch.setattr(_name_sets, "_SHARED_MAX", 10)
    monkeypatch.setattr(_name_sets, "SCHEMAS_PER_WRITER_MAX", 30)
    run = offline()
    for i in range(40):
        run.log({"always": float(i), f"m{i}": 1.0})
    held = read_journal(run._journal_dir)
    assert held.series("always") == [(i, float(i)) for i in range(40)]
    assert sum(len(row.values) for row in held.rows) + run.dropped_points == 80
    assert run.dropped_points > 0
    folder = run._journal_dir
    run.finish()
    (gap,) = read_journal(folder).bodies("gap")
    assert (gap["reason"], gap["points"]) == ("limit", run.dropped_points)


@pytest.mark.holds("bound-names")
def test_sets_of_very_many_names_in_all_fall_back_to_single_names(
    offline: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon refuses for good what no hello can say."""
    from stepwell import _name_sets

    monkeypatch.setattr(_name_sets, "_SHARED_BYTES_MAX", 500)
    monkeypatch.setattr(_name_sets, "NAMES_BYTES_MAX", 800)
    run = offline()
    for i in range(60):
        run.log({"always": float(i), f"m{i}": 1.0})
    held = read_journal(run._journal_dir)
    assert held.series("always") == [(i, float(i)) for i in range(60)]
    assert sum(len(row.values) for row in held.rows) + run.dropped_points == 120
    assert run.dropped_points > 0
    names = [body["keys"] for body in held.bodies("schema")]
    assert sum(map(names_size, {tuple(keys) for keys in names})) <= 800
    run.finish()


@pytest.mark.holds("kill-trainer")
@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_log_returned_for(folder: Path) -> None:
    code = (
        "import os, sys, stepwell\n"
        "run = stepwell.init('p', id='killed1', settings={'journal_segment_bytes': 65536,\n"
        "    'console': False, 'metadata': False})\n"
        "i = 0\n"
        "while True:\n"
        "    run.log({'a': float(i), 'b': i / 2})\n"
        "    if i % 5 == 0: run.log({'c': 'text'}, step=i)\n"
        "    i += 1\n"
        "    os.write(1, b'%d\\n' % i)\n"
    )
    for rounds in (300, 7000):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(rounds):
            line = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        returned = int(rest[-1]) if rest else int(line)
        process.wait()
        process.stdout.close()
        (path,) = find_journals(folder / "journals")
        reader = JournalReader(path)
        assert not reader.writer_is_alive()
        held = read_journal(path)
        count = len(held.series("a"))
        assert returned <= count <= returned + 1
        assert held.series("b") == [(i, i / 2) for i in range(count)] or [
            value for _, value in held.series("b")
        ] == [i / 2 for i in range(count)]
        assert len(held.texts("c")) in (-(-returned // 5), -(-(returned + 1) // 5))
        reader.mark_acked(reader.committed)
        reader.remove()


def test_an_offline_journal_is_checked_to_its_end_and_cut_to_its_size(offline: Start) -> None:
    run = offline()
    for i in range(100):
        run.log({"a": float(i)})
    path = Path(run._journal_dir)
    run.finish()
    # As after a restart of the machine, or on another one.
    info = json.loads((path / "writer.json").read_text())
    (path / "writer.json").write_text(json.dumps({**info, "boot_id": "another"}))
    reader = JournalReader(path)
    assert reader.unverified_bytes == 0
    assert len(read_journal(path).series("a")) == 100
    (segment,) = path.glob("*.seg")
    assert segment.stat().st_size == reader.committed + PAGE_BYTES
    assert not list(path.glob("spare-*"))


def test_the_sender_checks_what_a_live_writer_has_written(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start()
    for i in range(10):
        run.log({"a": float(i)})
    assert run.flush(30)
    info = json.loads((Path(run._journal_dir) / "writer.json").read_text())
    (Path(run._journal_dir) / "writer.json").write_text(json.dumps({**info, "boot_id": "another"}))
    # Not checked from here: that belongs to the sender's thread, which does it before it rests.
    wait_until(lambda: len(read_journal(run._journal_dir).series("a")) == 10, "the sender to check")


@pytest.mark.holds("signal-handlers")
@pytest.mark.slow
def test_a_signal_handler_may_log_and_finish_in_the_middle_of_log(folder: Path) -> None:
    done = python(
        "import random, signal, stepwell, time\n"
        "from stepwell.errors import RunFinishedError\n"
        "run = stepwell.init('p', mode='offline', settings={'journal_segment_bytes': 65536})\n"
        "outer = inner = 0\n"
        "def handler(*_):\n"
        "    global inner\n"
        "    run.log({'inner': float(inner), 'y': 1.0})\n"
        "    inner += 1\n"
        "    if inner == 400: run.finish()\n"
        "    else: signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.001))\n"
        "signal.signal(signal.SIGALRM, handler)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001)\n"
        "deadline = time.monotonic() + 60\n"
        "try:\n"
        "    while time.monotonic() < deadline:\n"
        "        run.log({'outer': float(outer)})\n"
        "        outer += 1\n"
        "except RunFinishedError: pass\n"
        "print(outer, inner)\n"
    )
    assert done.returncode == 0, done.stderr
    outer, inner = map(int, done.stdout.split())
    assert inner == 400
    (path,) = find_journals(folder / "journals")
    held = read_journal(path)
    assert [value for _, value in held.series("inner")] == [float(i) for i in range(400)]
    count = len(held.series("outer"))
    assert outer <= count <= outer + 1
    assert [value for _, value in held.series("outer")] == [float(i) for i in range(count)]


_PLACES: list[tuple[type, str]] = [
    *((Writer, name) for name in ("_write_event", "_is_special", "_place", "_advance", "_adopt")),
    (Writer, "_capture"),
    *((Journal, name) for name in ("advance", "_let_follow")),
    *((SpareSegments, name) for name in ("take", "discard", "_make")),
    (MappedSegment, "begin_at"),
]


@pytest.mark.holds("signal-handlers")
@pytest.mark.parametrize("many", [1, 3000])
@pytest.mark.parametrize(("owner", "place"), _PLACES)
@pytest.mark.parametrize("after", [0, 1300, 1900])
@pytest.mark.slow
def test_a_handler_that_logs_inside_any_step_of_log_loses_nothing(
    offline: Start,
    owner: type,
    place: str,
    many: int,
    after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = offline(settings={"journal_segment_bytes": 65536})

    def handler() -> None:
        for step in range(many):
            run.log({"inner": float(step), "y": 1.0})

    for step in range(after):
        run.log({"outer": float(step)})
    interrupted = Interrupted(getattr(owner, place), handler)
    monkeypatch.setattr(owner, place, lambda *given, **more: interrupted(*given, **more))
    for step in range(after, 6000):
        run.log({"outer": float(step)})
    path = Path(run._journal_dir)
    monkeypatch.undo()
    run.finish()
    held = read_journal(path)
    assert [value for _, value in held.series("outer")] == [float(step) for step in range(6000)]
    inner = [value for _, value in held.series("inner")]
    assert inner == [float(step) for step in range(len(inner))]
    # Not every step is taken. The sender's thread also makes segments: the end may cut it short.
    assert place == "_make" or len(inner) in (0, many)


@pytest.mark.holds("signal-handlers")
def test_a_handler_that_moves_on_while_another_segment_is_begun_loses_nothing(
    offline: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first handler comes before the segment that is full was looked at, the second after."""
    run = offline(settings={"journal_segment_bytes": 65536})
    folder = Path(run._journal_dir)
    begin_at, told = MappedSegment.begin_at, []

    def interrupted_begin_at(*given: Any, **more: Any) -> None:
        begin_at(*given, **more)
        if not told or told[-1] != "busy":
            told.append("busy")
            run.log({"second": float(len(told))})
            told[-1] = "done"

    def first() -> None:
        for step in range(50):
            run.log({"first": float(step)})

    monkeypatch.setattr(MappedSegment, "begin_at", interrupted_begin_at)
    advance = Journal.advance
    for step in range(8000):
        if step % 1000 == 0:
            interrupted = Interrupted(advance, first)
            monkeypatch.setattr(
                Journal, "advance", lambda *given, _of=interrupted, **more: _of(*given, **more)
            )
        run.log({"outer": float(step)})
    monkeypatch.undo()
    run.finish()
    held = read_journal(folder)
    assert [value for _, value in held.series("outer")] == [float(step) for step in range(8000)]
    assert [value for _, value in held.series("second")] == [
        float(step) for step in range(1, len(told) + 1)
    ]


@pytest.mark.holds("signal-handlers")
@pytest.mark.slow
def test_waking_may_interrupt_itself(folder: Path) -> None:
    done = python(
        "import signal, time\n"
        "from stepwell._wake import Wake\n"
        "wake = Wake()\n"
        "signal.signal(signal.SIGALRM, lambda *_: wake.set())\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)\n"
        "deadline = time.monotonic() + 2\n"
        "while time.monotonic() < deadline: wake.set(); wake.clear()\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "wake.set(); wake.wait()\n"
    )
    assert done.returncode == 0, done.stderr


def test_a_journal_that_cannot_be_made_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "posix_fallocate", full)
    info = WriterFile(project="p", run_id="r", writer_id="w", boot_id=boot_id())
    with pytest.raises(OSError, match="broken"):
        Journal(folder / "j", info, segment_bytes=SEGMENT, bytes_max=SEGMENT, durable=False)
    assert list((folder / "j").iterdir()) == []


def test_reading_and_freeing_run_beside_logging(start: Start, daemon: RecordingDaemon) -> None:
    run = start(settings={**SMALL, "on_full": "block"})

    def work(number: int) -> None:
        for i in range(5000):
            run.log({f"t{number}": float(i)})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    for number in range(3):
        values = [point.value for point in daemon.points(f"t{number}")]
        assert values == [float(i) for i in range(5000)]
    assert daemon.writers[0].duplicate_bytes == 0


def write_records(journal: Journal, count: int) -> None:
    segment = journal.current
    assert segment.words is not None
    assert segment.mapping is not None
    for number in range(count):
        record = pack_event("note", {"n": number}, step=number, time_us=number)
        end = segment.words[COMMITTED_WORD]
        segment.mapping[end : end + len(record)] = record
        segment.words[COMMITTED_WORD] = end + len(record)


def test_an_ack_that_a_relay_wrote_is_never_put_back(tmp_path: Path) -> None:
    """A relay process acknowledges in the file itself, between two looks of ours."""
    info = WriterFile(project="p", run_id="r", writer_id="w", boot_id=boot_id())
    journal = Journal(tmp_path, info, segment_bytes=SEGMENT, bytes_max=4 * SEGMENT, durable=False)
    write_records(journal, 100)
    journal.advance(journal.current)
    write_records(journal, 100)
    journal.note_acked(journal.held[1].base)
    with contextlib.closing(JournalReader(journal.folder)) as relay:
        relay.mark_acked(relay.committed)
        journal.tend()
        assert len(journal.held) == 1, "the first segment is freed"
        assert journal.current.words is not None
        assert int(journal.current.words[ACKED_WORD]) == relay.committed
    journal.remove()
    assert not journal.folder.exists()


@pytest.mark.holds("signal-handlers")
@pytest.mark.parametrize("ending", ["run.finish()", ""])
def test_a_signal_handler_may_begin_a_segment_while_last_values_are_read(
    folder: Path, ending: str
) -> None:
    done = python(
        "import stepwell, stepwell._filled_segment as filled\n"
        "run = stepwell.init('p', mode='offline', settings={'journal_segment_bytes': 65536})\n"
        "for i in range(1000): run.log({'a': float(i)})\n"
        "real = filled.HEADER\n"
        "class Interrupting:\n"
        "    def unpack_from(self, *place):\n"
        "        filled.HEADER, found = real, real.unpack_from(*place)\n"
        "        for i in range(1000): run.log({'b': float(i)})\n"
        f"        {ending}\n"
        "        return found\n"
        "filled.HEADER = Interrupting()\n"
        "print(run.summary['a'], run.summary['b'])\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "999 999\n"
