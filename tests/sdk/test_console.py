"""What is printed is printed as before, and kept line by line."""

import logging
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import _console
from stepwell._console import LINE_CHARACTERS_MAX, Capture, LineAssembler
from stepwell.testing import RecordingDaemon
from tests.sdk.conftest import Start, python
from tests.sdk.held import read_journal


def shown(*writes: str, final: bool = True) -> list[tuple[int, str]]:
    assembler = LineAssembler()
    for write in writes:
        assembler.add(write, 0)
    return [(number, text) for number, _, text in assembler.take(0, final=final)]


@pytest.mark.parametrize(
    ("writes", "lines"),
    [
        (["a\n", "b\n"], ["a", "b"]),
        (["a", "b", "\n"], ["ab"]),
        (["a\nb"], ["a", "b"]),
        (["\n\n"], ["", ""]),
        (["10%\r20%\r30%\n"], ["30%"]),
        (["10%", "\r20%", "\r30%", "\n", "done\n"], ["30%", "done"]),
        (["10%\r", "20%\r", "\n"], ["20%"]),
        (["windows\r\n"], ["windows"]),
        (["\rbar"], ["bar"]),
        (["x\r\rbar\n"], ["bar"]),
    ],
)
def test_writes_become_lines_as_a_terminal_shows_them(writes: list[str], lines: list[str]) -> None:
    assert [text for _, text in shown(*writes)] == lines


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab\n", max_size=6)))
def test_without_carriage_returns_nothing_is_lost_or_reordered(writes: list[str]) -> None:
    whole = "".join(writes)
    expected = whole.split("\n")
    if expected[-1] == "":
        expected.pop()
    lines = shown(*writes)
    assert [text for _, text in lines] == expected
    assert [number for number, _ in lines] == list(range(len(lines)))


def test_an_open_line_is_sent_again_under_its_number_when_it_changed() -> None:
    assembler = LineAssembler()
    assembler.add("10%", 1_000_000)
    assert assembler.take(10_000_000) == [(0, 1_000_000, "10%")]
    assert assembler.take(20_000_000) == []
    assembler.add("\r20%", 20_500_000)
    assert assembler.take(11_000_000) == []  # Too soon after the last time.
    assert assembler.take(21_000_000) == [(0, 20_500_000, "20%")]
    assembler.add("\r30%\nnext\n", 22_000_000)
    assert assembler.take(22_000_000) == [(0, 22_000_000, "30%"), (1, 22_000_000, "next")]


def test_a_flood_is_bounded_and_says_how_much_was_left_out() -> None:
    assembler = LineAssembler(lines_max=10)
    assembler.add("x\n" * 100, 0)
    assembler.add("y" * (LINE_CHARACTERS_MAX * 2), 0)
    lines = [text for _, _, text in assembler.take(10**9)]
    assert lines[:10] == ["x"] * 10
    assert "90 lines left out" in lines[10]
    assert lines[11] == "y" * LINE_CHARACTERS_MAX


def test_a_flood_of_writes_is_bounded_before_it_is_looked_at() -> None:
    capture = Capture(lambda: None)
    for _ in range(100):
        capture.add("stdout", "x" * 100_000)
    lines = capture.take(final=True)["stdout"]
    assert any("writes left out" in text for _, _, text in lines)


def test_stdout_and_stderr_of_a_run_are_kept(start: Start, daemon: RecordingDaemon) -> None:
    before = sys.stdout.write
    with start(settings={"console": True}):
        print("hello", 1)
        print("to stderr", file=sys.stderr)
        print("a", "b", sep="\n", end="")
    print("after the run")
    assert daemon.console() == ["hello 1", "a", "b"]
    assert daemon.console("stderr") == ["to stderr"]
    assert sys.stdout.write == before


def test_what_is_printed_still_comes_out(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    with start(mode="offline", settings={"console": True, "quiet": True}):
        assert sys.stdout.write("five\n") == 5
        sys.stderr.write("six\n")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("five\n", "six\n")


def test_a_logger_from_before_the_run_is_captured_too(
    start: Start, daemon: RecordingDaemon
) -> None:
    logger = logging.getLogger("test")
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    try:
        with start(settings={"console": True}):
            logger.warning("from a logger")
    finally:
        logger.removeHandler(handler)
    assert daemon.console("stderr") == ["from a logger"]


def test_two_runs_at_once_both_get_the_lines(start: Start, daemon: RecordingDaemon) -> None:
    first = start(settings={"console": True})
    second = start(settings={"console": True}, reinit="create_new")
    print("both")
    first.finish()
    print("second only")
    second.finish()
    # An unfinished line is sent again, under its number, when the rest of it has come.
    lines = [
        list(
            {
                number: text
                for event in daemon.events("console", run_id=run.id)
                for number, _, text in event.body["lines"]
            }.values()
        )
        for run in (first, second)
    ]
    assert lines == [["both"], ["both", "second only"]]


def test_our_own_lines_are_not_captured(offline: Start) -> None:
    run = offline(settings={"console": True})
    run.log({"x": object()})
    folder = run.dir
    run.finish()
    assert read_journal(folder).bodies("console") == []


def test_a_stream_that_cannot_be_wrapped_prints_as_before(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bare:
        __slots__ = ("lines",)

        def __init__(self) -> None:
            self.lines: list[str] = []

        def write(self, text: str) -> int:
            self.lines.append(text)
            return len(text)

        def flush(self) -> None:
            pass

    bare = Bare()
    monkeypatch.setattr(sys, "stdout", bare)
    with start(mode="offline", settings={"console": True}):
        print("text")
    assert bare.lines == ["text", "\n"]


def test_a_mistake_while_capturing_never_reaches_print(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError

    with start(mode="offline", settings={"console": True}):
        monkeypatch.setattr(_console.Capture, "add", broken)
        print("still printed")


def test_a_forked_childs_prints_are_not_taken_twice(daemon: RecordingDaemon) -> None:
    done = python(
        "import os, stepwell\n"
        "run = stepwell.init('p')\n"
        "print('parent', flush=True)\n"
        "run.flush()\n"
        "if os.fork() == 0:\n"
        "    print('child', flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n",
        STEPWELL_SOCKET=daemon.socket,
    )
    assert done.stdout.split() == ["parent", "child"]
    assert daemon.console() == ["parent"]


def test_lines_that_find_no_room_are_counted_and_leave_a_gap(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    small = {"journal_segment_bytes": 65536, "journal_bytes_max": 131072, "finish_timeout": 0.0}
    run = start(settings={"console": True, **small})  # Nobody acknowledges.
    folder, recording = run.dir, run._recording
    lines = 6000
    for number in range(lines):
        sys.stdout.write(f"line {number:030d}\n")  # At once: no line is seen without its end.
        if number % 500 == 499:
            with run._writer.lock:
                recording._write_console(final=False)
    dropped = run.dropped_lines
    assert dropped > 0
    assert run.dropped_points == 0
    run.finish()
    held = read_journal(folder)
    kept = sum(len(body["lines"]) for body in held.bodies("console"))
    (gap,) = held.bodies("gap")
    assert gap == {
        "reason": "console, journal full",
        "rows": dropped,
        "points": 0,
        "first_step": 0,
        "last_step": 0,
    }
    assert kept + dropped == lines
    assert held.events[-1][0] == "finish"
    assert capfd.readouterr().err.count("lines of the console") == 1


def test_a_line_that_grows_while_there_is_no_room_is_lost_once(start: Start) -> None:
    small = {"journal_segment_bytes": 65536, "journal_bytes_max": 131072, "finish_timeout": 0.0}
    run = start(settings=small)
    while not run.dropped_points:
        run.log({"x": 1.0})
    writer = run._writer
    for text in ("10 %", "20 %", "30 %"):
        writer.write_console("stdout", [[7, 1, text]])
    writer.write_console("stderr", [[7, 1, "another"]])
    writer.write_console("stdout", [[7, 1, "40 %"], [8, 1, "next"]])
    assert run.dropped_lines == 3
