"""What is printed is printed as before, and kept line by line."""

import io
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell import _console
from stepwell._console import Capture
from stepwell._console_lines import LINE_CHARACTERS_MAX, ROWS_MAX, LineAssembler
from stepwell.testing import RecordingDaemon
from stepwell_wire.journal_files import find_journals
from tests.sdk.conftest import Start, python
from tests.sdk.held import read_journal
from tests.waiting import wait_until


def shown(*writes: str, at_once: bool = True) -> list[tuple[int, str]]:
    assembler = LineAssembler()
    for write in writes:
        assembler.add(write, 0)
    return [(number, text) for number, _, text in assembler.take(0, at_once=at_once)]


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


class Waked:
    """The writer, as a capture sees it."""

    idle = False

    def __init__(self) -> None:
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1


def texts(capture: Capture, stream: str = "stdout") -> list[str]:
    return [text for _, _, text in capture.take(at_once=True).get(stream, ())]


def test_a_long_line_says_how_much_of_it_is_not_there() -> None:
    ((_, line),) = shown("y" * LINE_CHARACTERS_MAX, "z" * 1000, "z")
    assert line == "y" * LINE_CHARACTERS_MAX + " … 1001 more characters"


def test_a_burst_is_kept_whole() -> None:
    capture = Capture(Waked())
    for number in range(20_000):
        capture.add("stdout", f"sample {number}")
        capture.add("stdout", "\n")
    assert texts(capture) == [f"sample {number}" for number in range(20_000)]


def test_of_a_flood_the_first_and_the_last_lines_are_kept_and_the_rest_counted() -> None:
    waked = Waked()
    capture = Capture(waked)
    lines = 40_000
    for number in range(lines):
        capture.add("stdout", f"{number:>1000}\n")
    capture.add("stderr", "an error\n")
    capture.add("stdout", "RESULT\n")
    assert waked.wakes > 0
    taken = capture.take(at_once=True)
    assert [text for _, _, text in taken["stderr"]] == ["an error"]
    out = [text.strip() for _, _, text in taken["stdout"]]
    (at,) = (at for at, text in enumerate(out) if "left out" in text)
    missing = int(out[at].split()[1])
    assert out[:at] == [str(number) for number in range(at)]
    assert out[at + 1 :] == [str(n) for n in range(at + missing, lines)] + ["RESULT"]
    assert at > 3000
    assert len(out) - at > 3000
    assert f"({missing * 1001} characters)" in out[at]


@pytest.mark.slow
def test_a_flood_that_goes_on_is_kept_in_smaller_parts_and_its_end_is_there() -> None:
    capture = Capture(Waked())
    kept = []
    for look in range(6):
        for number in range(10_000):
            capture.add("stdout", f"{look}-{number:>1000}\n")
        kept.append(texts(capture))
    assert sum(map(len, kept[0])) > 4 * sum(map(len, kept[-1]))
    assert [lines[-1].replace(" ", "") for lines in kept] == [f"{look}-9999" for look in range(6)]


def test_one_enormous_text_is_kept_at_both_ends() -> None:
    capture = Capture(Waked())
    capture.add("stdout", "".join(f"{number:>3999}\n" for number in range(3000)))
    lines = texts(capture)
    (at,) = (at for at, text in enumerate(lines) if "left out" in text)
    assert lines[0].strip() == "0"
    assert lines[-1].strip() == "2999"
    assert 0 < int(lines[at].split()[1]) < 2000


def test_nothing_is_lost_or_mixed_up_between_threads() -> None:
    capture = Capture(Waked())
    stop = threading.Event()
    kept: list[str] = []

    def take() -> None:
        while not stop.is_set():
            kept.extend(text for _, _, text in capture.take().get("stdout", ()))

    def write(name: int) -> None:
        for number in range(2000):
            capture.add("stdout", f"{name}:{number}\n")

    taker = threading.Thread(target=take)
    writers = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in (taker, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    stop.set()
    taker.join(60)
    kept += texts(capture)
    for name in range(4):
        own = [line for line in kept if line.startswith(f"{name}:")]
        assert own == [f"{name}:{number}" for number in range(2000)]


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


def test_a_flush_sends_the_newest_state_of_a_progress_bar(
    start: Start, daemon: RecordingDaemon
) -> None:
    with start(settings={"console": True}) as run:
        for share in ("10%", "20%", "30%"):
            sys.stdout.write(f"\r{share}")
            assert run.flush()
            assert daemon.console()[-1] == share


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
    folder = run._journal_dir
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
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mistakes = 0

    def broken(*arguments: Any) -> None:
        nonlocal mistakes
        mistakes += 1
        raise RuntimeError

    with start(mode="offline", settings={"console": True, "quiet": True}):
        monkeypatch.setattr(_console.Capture, "add", broken)
        print("still printed")
    assert capsys.readouterr().out == "still printed\n"
    assert mistakes > 0


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_line_of_ours_does_not_go_on_in_a_line_of_the_script(daemon: RecordingDaemon) -> None:
    done = python(
        "import sys, stepwell\n"
        "run = stepwell.init('p', name='two\\nlines\\x1b[2J')\n"
        "run.flush()\n"
        "print('\\r10%', end='', file=sys.stderr)\n"
        "run.log({'a': object()})\n"
        "print('\\r20%', file=sys.stderr)\n"
        "run.unknown = 1\n",
        STEPWELL_SOCKET=daemon.socket,
    )
    lines = done.stderr.split("\n")
    ours = [line for line in lines if "stepwell: " in line]
    assert len(ours) == 3
    assert all(line.startswith("stepwell: ") for line in ours)
    assert ours[0].startswith("stepwell: run two lines [2J (")
    others = [line for line in lines if line and line not in ours]
    assert others == ["10%", "20%"]
    assert daemon.console("stderr") == ["20%"]


@pytest.mark.slow
def test_a_forked_child_that_logs_has_a_console_of_its_own(daemon: RecordingDaemon) -> None:
    done = python(
        "import os, stepwell\n"
        "run = stepwell.init('p')\n"
        "print('parent', flush=True)\n"
        "if os.fork() == 0:\n"
        "    print('before', flush=True)\n"
        "    run.log({'x': 1.0})\n"
        "    print('child', flush=True)\n"
        "    run.finish()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print('parent again')\n",
        STEPWELL_SOCKET=daemon.socket,
    )
    assert done.returncode == 0
    assert sorted(daemon.console()) == ["child", "parent", "parent again"]


@pytest.mark.holds("bound-console")
def test_lines_that_find_no_room_are_counted_and_leave_a_gap(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    small = {"journal_segment_bytes": 65536, "journal_bytes_max": 131072, "finish_timeout": 0.0}
    run = start(settings={"console": True, **small})  # Nobody acknowledges.
    folder = run._journal_dir
    lines = 6000
    for number in range(lines):
        sys.stdout.write(f"line {number:030d}\n")  # At once: no line is seen without its end.
        if number % 500 == 499:
            run.flush(0.0)
    dropped = run.dropped_lines
    assert dropped > 0
    assert run.dropped_points == 0
    run.finish()
    held = read_journal(folder)
    kept = sum(len(body["lines"]) for body in held.bodies("console"))
    (gap,) = held.bodies("gap")
    assert gap == {
        "kind": "console_lines",
        "reason": "console, journal full",
        "rows": dropped,
        "points": 0,
        "first_step": 0,
        "last_step": 0,
    }
    assert kept + dropped == lines
    last = max(line for body in held.bodies("console") for line in body["lines"])
    assert last[2] == f"line {lines - 1:030d}"  # The end is kept.
    assert held.events[-1][0] == "finish"
    assert capfd.readouterr().err.count("console lines are dropped") == 1


def test_a_line_that_grows_while_there_is_no_room_is_lost_once(start: Start) -> None:
    small = {"journal_segment_bytes": 65536, "journal_bytes_max": 131072, "finish_timeout": 0.0}
    run = start(settings=small)
    while not run.dropped_points:
        run.log({"x": 1.0})
    folder, writer = run._journal_dir, run._writer
    room = writer.journal.segment_bytes // 8  # type: ignore[union-attr]
    for text in ("10 %", "20 %", "30 %"):
        writer.write_console("stdout", [[7, 1, text]])
    writer.write_console("stderr", [[7, 1, "another"]])
    writer.write_console("stdout", [[7, 1, "40 %"], [8, 1, "x" * room]])
    assert run.dropped_lines == 3  # The last is too long for those that are kept.
    writer.write_console("stdout", [[9, 1, "50 %"]])
    writer.write_console("stdout", [[9, 1, "RESULT"]])
    run.finish()
    assert read_journal(folder).bodies("console") == [
        {"stream": "stdout", "lines": [[9, 1, "RESULT"]]}
    ]
    assert run.dropped_lines == 3


# ---------------------------------------------------------------------------- how a run ends


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        (
            "with stepwell.init('p'): raise ValueError('the reason')",
            "ValueError: the reason",
        ),
        ("with stepwell.init('p'): sys.exit('the reason')", "the reason"),
        ("run = stepwell.init('p')\nraise ValueError('the reason')", "ValueError: the reason"),
        ("run = stepwell.init('p')\nsys.exit('the reason')", "the reason"),
        (
            "run = stepwell.init('p')\ntry: raise ValueError('the reason')\nfinally: run.finish()",
            "ValueError: the reason",
        ),
        (
            "run = stepwell.init('p')\n"
            "t = threading.Thread(target=int, args=('the reason',)); t.start(); t.join()",
            "'the reason'",
        ),
        ("run = stepwell.init('p')\nwarnings.warn('the reason')", "UserWarning: the reason"),
    ],
)
@pytest.mark.slow
def test_what_went_wrong_is_in_the_console_once(script: str, kept: str, folder: Path) -> None:
    python(
        f"import stepwell, sys, threading, warnings\n{script}\n",
        STEPWELL_MODE="offline",
        STEPWELL_QUIET="1",
    )
    (journal,) = find_journals(folder / "journals")
    bodies = read_journal(journal).bodies("console")
    lines = [line[2] for body in bodies if body["stream"] == "stderr" for line in body["lines"]]
    assert len([line for line in lines if kept in line and not line.startswith(" ")]) == 1, lines


def test_a_traceback_that_stderr_cannot_take_is_in_the_console(folder: Path) -> None:
    """As in `python train.py 2>&1 | head`."""
    read_end, write_end = os.pipe()
    script = """
        import stepwell, sys
        run = stepwell.init("p", mode="offline", settings={"metadata": False})
        sys.stdin.read()
        print("nobody reads this", flush=True)
    """
    words = [sys.executable, "-c", textwrap.dedent(script)]
    environment = {**os.environ, "STEPWELL_DIR": str(folder / "journals")}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=write_end, stderr=write_end, env=environment
    ) as process:
        os.close(write_end)
        os.close(read_end)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) != 0  # 1, or 120 if the interpreter has output left.
    (journal,) = find_journals(folder / "journals")
    bodies = read_journal(journal).bodies("console")
    kept = [text for body in bodies if body["stream"] == "stderr" for _, _, text in body["lines"]]
    assert (kept[0], kept[-1]) == (
        "Traceback (most recent call last):",
        "BrokenPipeError: [Errno 32] Broken pipe",
    )


def test_an_exception_of_another_attempt_is_not_taken_for_this_runs(offline: Start) -> None:
    def attempt() -> Path:
        run = offline(settings={"console": True, "quiet": True})
        folder = Path(run._journal_dir)
        run.finish()
        return folder

    try:
        raise ValueError("the first attempt")
    except ValueError:
        folder = attempt()
    assert read_journal(folder).bodies("console") == []


@pytest.mark.slow
def test_a_line_is_in_the_journal_when_print_returns() -> None:
    done = python(
        "import os, signal, time, stepwell\n"
        "run = stepwell.init('p', settings={'metadata': False, 'flush_seconds': 600.0})\n"
        "for step in range(3):\n"
        "    time.sleep(0.3)\n"
        "    print('step', step)\n"
        "print(run._journal_dir, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n",
        STEPWELL_MODE="offline",
    )
    assert done.returncode == -signal.SIGKILL
    bodies = read_journal(Path(done.stdout.split()[-1])).bodies("console")
    lines = {line[0]: line[2] for body in bodies for line in body["lines"]}
    assert [lines[number] for number in range(3)] == ["step 0", "step 1", "step 2"]


# ---------------------------------------------------------------------------- odd streams


def test_a_stream_that_stands_for_both_is_taken_once(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    with start(settings={"console": True}):
        print("once")
    assert (daemon.console(), daemon.console("stderr")) == (["once"], [])


def test_a_tee_and_the_stream_below_it_are_taken_once(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tee:
        def __init__(self, below: Any) -> None:
            self.below = below

        def write(self, text: str) -> int:
            return int(self.below.write(text))

        def flush(self) -> None:
            self.below.flush()

    below = sys.stdout
    monkeypatch.setattr(sys, "__stdout__", below)
    monkeypatch.setattr(sys, "stdout", Tee(below))
    with start(settings={"console": True}):
        print("through the tee")
        below.write("past the tee\n")
    assert daemon.console() == ["through the tee", "past the tee"]
    assert "write" not in vars(sys.stdout)


def test_a_write_that_was_there_before_the_run_is_put_back(offline: Start) -> None:
    stream = sys.stdout
    original = stream.write
    mine = lambda text: original(text)  # noqa: E731
    stream.write = mine  # type: ignore[method-assign]
    try:
        offline(settings={"console": True, "quiet": True}).finish()
        assert stream.write is mine
    finally:
        del stream.write


class Shell:
    """IPython, as far as a run meets it: each cell has the streams' `write` wrapped."""

    def __init__(self) -> None:
        self.callbacks: dict[str, list[Any]] = {"pre_run_cell": [], "post_run_cell": []}
        self.events = self
        self.kernel = object()

    def get_ipython(self) -> "Shell":
        return self

    def register(self, event: str, callback: Any) -> None:
        self.callbacks[event].append(callback)

    def run_cell(self, cell: Callable[[], Any]) -> Any:
        stream = sys.stdout
        original = stream.write

        def write(text: str, *more: Any) -> Any:
            return original(text, *more)

        result = SimpleNamespace(error_in_exec=None, value=None)
        stream.write = write  # type: ignore[method-assign]
        try:
            for callback in self.callbacks["pre_run_cell"]:
                callback(SimpleNamespace())
            try:
                result.value = cell()
            except Exception as error:
                result.error_in_exec = error
            for callback in self.callbacks["post_run_cell"]:
                callback(result)
        finally:
            stream.write = original  # type: ignore[method-assign]
        return result.value


def test_every_cell_of_a_notebook_is_captured(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", shell)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    def fail() -> None:
        raise ValueError("in a cell")

    for number in range(2):
        run = shell.run_cell(lambda: start(settings={"console": True}))
        for cell in range(3):
            shell.run_cell(lambda cell=cell: print("cell", cell, end="\n" * (cell != 1)))  # type: ignore[misc]
        wait_until(
            lambda: hasattr(sys.stdout.write, "_stepwell_before"), "the wrapping after a cell"
        )
        print("between cells")
        shell.run_cell(fail)
        shell.run_cell(run.finish)
        shell.run_cell(lambda: print("after the run"))
        expected = ["cell 0", "cell 1", "cell 2", "between cells"]
        assert daemon.console() == expected * (number + 1)
    assert daemon.console("stderr").count("ValueError: in a cell") == 2
    assert len(shell.callbacks["pre_run_cell"]) == 1


# ---------------------------------------------------------------------------- progress bars

UP, ERASE, RED, RESET = "\x1b[A", "\x1b[2K", "\x1b[31m", "\x1b[0m"
ODD = [*"ab\n\r\b", UP, ERASE, "\x1b[K", "\x1b[1K", "\x1b[J", "\x1b[H", "\x1b[2J", RED, RESET]
ODD += ["\x1b[3C", "\x1b[2D", "\x1b[B", "\x1b", "\x1b]", "\x1b["]


@pytest.mark.parametrize(
    ("writes", "lines"),
    [
        (
            ["outer 0", "\n", "inner 0", UP, "\router 1", "\n", "\rinner 9", UP, "\n\ndone\n"],
            ["outer 1", "inner 9", "done"],
        ),
        (["abcdef\rxy\n"], ["xycdef"]),
        (["a\ab\n\a", "c\rd\a\n"], ["ab", "d"]),
        (["12%\b\b\b34%\n"], ["34%"]),
        (["long text\r\x1b[Kshort\n"], ["short"]),
        (["a\nb\nc\n", UP * 3, ERASE, "A\n", ERASE, "B\n"], ["A", "B", "c"]),
        (["a\nb\nc\n", "\x1b[3F\x1b[J", "d\n"], ["d"]),
        ([f"{RED}red{RESET} plain\rb\n"], [f"b{RED}ed{RESET} plain"]),
        ([f"{RED}red\nstill\n"], [f"{RED}red", f"{RED}still"]),
        (["\x1b[?25la\x1b]8;;http://x\x1b\\b\x1b]8;;\x07\n"], ["ab"]),
        (["x\x1b", "[", "A", "y\n"], ["xy"]),
        (["\x1b[9", "99999A\x1b[999999999999DA\n"], ["A"]),
        (["before\n", "\x1b[2J\x1b[Hpage 1\n", "\x1b[H\x1b[2Jpage 2\n"], ["before", "page 2"]),
        (["above\n", "\x1b[2J", UP, "\x1b[J", "\x1b[H", "page\n"], ["page"]),
        (["nul\0 and \ud800\n"], ["nul\0 and \ud800"]),
    ],
)
def test_codes_of_progress_bars_do_what_they_do_on_a_terminal(
    writes: list[str], lines: list[str]
) -> None:
    assert [text for _, text in shown(*writes)] == lines
    assert [text for _, text in shown(*"".join(writes))] == lines


def test_stacked_bars_are_taken_seldom_and_stay_in_their_order() -> None:
    assembler = LineAssembler()
    assembler.add("first\n", 0)
    taken = []
    for step in range(1000):  # Ten seconds.
        now = step * 10_000
        assembler.add(f"\router {step}\n\rinner {step}\n\rleast {step}{UP}{UP}", now)
        taken += assembler.take(now)
    taken += assembler.take(10_000_000, at_once=True)
    assert len(taken) <= 1 + 3 * 8
    latest = {number: (time_us, number, text) for number, time_us, text in taken}
    shown_last = [text for _, _, text in sorted(latest.values())]
    assert shown_last == ["first", "outer 999", "inner 999", "least 999"]


def test_a_line_that_changes_gets_a_time_after_all_that_was_taken_before() -> None:
    """Who follows a console asks for what is later than what it has."""
    assembler = LineAssembler()
    assembler.add("bar 1\n", 1_000_000)
    assembler.take(1_000_000)
    assembler.add("next\n", 1_500_000)
    assert assembler.take(1_600_000) == [(1, 1_500_000, "next")]
    assembler.add(f"{UP}{UP}\rbar 2\n\n", 2_000_000)
    assert assembler.take(2_600_000) == []
    first, second = assembler.take(4_000_000)
    assert (first[0], first[2], second[0], second[2]) == (0, "bar 2", 1, "next")
    assert first[1] == second[1] == 2_000_000


def test_lines_after_bars_keep_their_times() -> None:
    """The last state of a bar is taken with the next line, not later: it would move that line."""
    assembler = LineAssembler()
    assembler.add("outer 1\n\rinner 1" + UP, 1_000_000)
    assert len(assembler.take(1_000_000)) == 2
    # As tqdm ends two bars; the inner one leaves its line.
    assembler.add("\n\r       \r" + UP + "\router 2\n", 1_300_000)
    assembler.add("first line\n", 1_400_000)
    taken = assembler.take(1_400_100)
    assert [(number, text.rstrip()) for number, _, text in taken] == [
        (0, "outer 2"),
        (1, "first line"),
    ]
    assert [time_us for _, time_us, _ in taken] == [1_300_000, 1_400_000]
    assembler.add("second line\n", 2_400_000)
    assert assembler.take(2_400_100) == [(2, 2_400_000, "second line")]
    assert assembler.take(9_000_000) == []


def test_only_so_many_lines_can_change() -> None:
    assembler = LineAssembler()
    assembler.add("x\n" * 1000 + "\x1b[4000A\rchanged", 0)
    lines = assembler.take(0, at_once=True)
    assert [number for number, _, text in lines if text == "changed"] == [1001 - ROWS_MAX]


@settings(deadline=None)
@given(st.lists(st.sampled_from(ODD)))
def test_no_text_is_too_odd(writes: list[str]) -> None:
    assembler = LineAssembler()
    for at, write in enumerate(writes):
        assembler.add(write, at)
        for _, _, text in assembler.take(at):
            assert "\n" not in text
    assembler.take(10**9, at_once=True)
    assert not assembler.has_untaken


def test_bars_of_rich_become_a_line_each() -> None:
    progress = pytest.importorskip("rich.progress")
    console = pytest.importorskip("rich.console")
    stream = io.StringIO()
    bars = progress.Progress(
        console=console.Console(file=stream, force_terminal=True, width=80), auto_refresh=False
    )
    with bars:
        tasks = [bars.add_task(f"task {number}", total=10) for number in range(3)]
        for _ in range(10):
            for task in tasks:
                bars.advance(task)
            bars.refresh()
        bars.console.print("a line between")
    plain = [re.sub("\x1b[^m]*m", "", text) for _, text in shown(stream.getvalue())]
    assert plain[0] == "a line between"
    assert [line.split()[:2] for line in plain[1:]] == [["task", str(n)] for n in range(3)]
    assert all("100%" in line for line in plain[1:])
