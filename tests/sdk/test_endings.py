"""How a process ends is how its runs end, whichever way it takes."""

import ctypes
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType

import pytest

import stepwell
from stepwell import _ending
from stepwell.testing import RecordingDaemon
from stepwell_wire.exit_note import Ending, ending_of_signal, read_ending, signal_of
from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal_files import find_journals
from tests.sdk.conftest import Start, python

pytestmark = pytest.mark.processes

ALARM_SECONDS = 60
THREAD = "import threading\nt = threading.Thread(target={})\nt.start(); t.join()"
BEGIN = "import os, sys, stepwell\nrun = stepwell.init('p')\nrun.log({'x': 1.0})\n"
has_on_exit = hasattr(ctypes.CDLL(None), "on_exit")


def ending_of(folder: Path, daemon: RecordingDaemon) -> Ending:
    """Return how the only run ended, as it said or as the note in its journal says."""
    said = [Ending(**event.body) for event in daemon.events("finish")]
    for journal in find_journals(folder / "journals"):
        opened = JournalFolder(journal)
        noted = read_ending(opened)
        opened.close()
        said += [noted] if noted else []
    (ending,) = said
    assert len(daemon.points("x")) == 1
    return ending


@pytest.mark.parametrize(
    ("script", "state", "code"),
    [
        ("", "finished", 0),
        ("sys.modules['opcode'] = None", "finished", 0),  # As without a free descriptor.
        ("raise ValueError('x')", "failed", 1),
        ("sys.exit(3)", "failed", 3),
        ("sys.exit(-1)", "failed", 255),
        ("sys.exit()", "finished", 0),
        ("sys.exit('message')", "failed", 1),
        ("raise KeyboardInterrupt", "killed", 130),
        ("try: sys.exit(2)\nexcept SystemExit as error: assert error.code == 2", "finished", 0),
        ("try: sys.exit(2)\nexcept SystemExit as error: sys.exit(error.code + 1)", "failed", 3),
        ("try: sys.exit(2)\nexcept SystemExit as error: kept = error", "finished", 0),
        ("try: sys.exit(5)\nfinally: run.log({})", "failed", 5),
        (THREAD.format("lambda: sys.exit(2)"), "finished", 0),
        (THREAD.format("lambda: 1 / 0"), "finished", 0),
        ("sys.excepthook = lambda *_: None\nraise ValueError('x')", "failed", 1),
        ("sys.excepthook = lambda *_: None\nraise KeyboardInterrupt", "killed", 130),
        ("sys.modules['IPython'] = sys\nraise ValueError('imported is not used')", "failed", 1),
        ("import pickle\ntry: sys.exit(2)\nexcept SystemExit as e: pickle.dumps(e)", "finished", 0),
        ("run.finish(exit_code=4)", "failed", 4),
        ("run.finish(exit_code=143)", "failed", 143),
        ("run.finish(exit_code=255)", "failed", 255),
        ("run.__exit__(SystemExit, SystemExit(0), None)", "finished", 0),
        ("os._exit(0)", "finished", 0),
        ("os._exit(7)", "failed", 7),
        ("os.kill(os.getpid(), 15)", "killed", 143),
        (
            "import ctypes\nctypes.CDLL(None)['raise'](10)",
            "killed",
            138,
        ),  # SIGHUP would be ignored under nohup.
    ],
)
def test_the_end_of_a_script_ends_its_run(folder: Path, script: str, state: str, code: int) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        python(f"{BEGIN}run.flush()\n{script}\n", STEPWELL_SOCKET=daemon.socket)
        assert ending_of(folder, daemon) == Ending(state, code)


_DAEMON_THREAD = """
import atexit
import threading
import time

import stepwell

def after():
    time.sleep(0.3)  # Its run has ended, and the thread goes on.

atexit.register(after)
run = stepwell.init(mode="offline")

def work():
    number = 0
    while True:
        number += 1
        to = run if number % 2 else stepwell
        to.log({"a": number} if number % 3 else {"b": "text"})
        time.sleep(0.001)

threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
"""


def test_a_daemon_thread_that_logs_at_the_end_is_left_alone(folder: Path) -> None:
    done = python(_DAEMON_THREAD)
    assert done.returncode == 0
    assert "Exception" not in done.stderr, done.stderr


def test_a_log_of_an_exit_handler_after_the_end_raises(folder: Path) -> None:
    done = python(_DAEMON_THREAD.replace("    time.sleep(0.3)", '    run.log({"late": 1})'))
    assert "RunFinishedError" in done.stderr


@pytest.mark.parametrize("name", ["SIGALRM", "SIGVTALRM", "SIGIO", "SIGPWR", "SIGSYS"])
def test_a_signal_that_ends_a_process_by_default_is_named(folder: Path, name: str) -> None:
    number = signal.Signals[name]
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            f"{BEGIN}run.flush()\nos.kill(os.getpid(), {number:d})\nimport time; time.sleep(10)\n",
            STEPWELL_SOCKET=daemon.socket,
        )
        assert done.returncode == -number
        assert ending_of(folder, daemon) == Ending("killed", 128 + number)


def test_an_alarm_of_the_script_stays_its_own(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            f"import signal, time\n{BEGIN}assert signal.getsignal(14) is signal.SIG_DFL\n"
            "def ring(*_): raise TimeoutError('rang')\n"
            "assert signal.signal(14, ring) is signal.SIG_DFL\n"
            "signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
            "try: time.sleep(10)\nexcept TimeoutError as error: print(error)\n",
            STEPWELL_SOCKET=daemon.socket,
        )
        assert (done.returncode, done.stdout) == (0, "rang\n")
        assert ending_of(folder, daemon) == Ending("finished", 0)


@pytest.mark.skipif(not has_on_exit, reason="the C library has no on_exit")
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("raise SystemExit(3)", 3),
        ("raise SystemExit", 0),
        ("raise SystemExit('message')", 1),
        ("exit(5)", 5),
        ("def work(): raise SystemExit(6)\nwork()", 6),
        ("try: sys.exit(2)\nexcept SystemExit: raise SystemExit(4)", 4),
    ],
)
def test_a_system_exit_of_any_kind_ends_its_run(folder: Path, script: str, code: int) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(BEGIN + script, STEPWELL_SOCKET=daemon.socket)
        assert done.returncode == code
        assert ending_of(folder, daemon) == Ending("failed" if code else "finished", code)


@pytest.mark.skipif(not has_on_exit, reason="the C library has no on_exit")
@pytest.mark.parametrize(
    ("script", "state", "code"),
    [
        ("", "finished", 0),
        ("sys.exit(4)", "failed", 4),
        ("raise SystemExit(3)", "failed", 3),
        ("raise ValueError", "failed", 1),
    ],
)
def test_a_module_that_is_run_ends_its_run(
    folder: Path, script: str, state: str, code: int
) -> None:
    (folder / "trainer.py").write_text(BEGIN + script)
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = subprocess.run(
            [sys.executable, "-m", "trainer"],
            cwd=folder,
            env={**os.environ, "STEPWELL_SOCKET": daemon.socket},
            capture_output=True,
            timeout=ALARM_SECONDS,
            check=False,
        )
        assert done.returncode == code
        assert ending_of(folder, daemon) == Ending(state, code)


@pytest.mark.skipif(not has_on_exit, reason="the C library has no on_exit")
def test_a_run_that_is_resumed_by_itself_ends_with_a_status_of_0_alone(folder: Path) -> None:
    said = []
    for status in (3, 0, 0):
        done = python(
            f"import stepwell\nrun = stepwell.init('p', mode='offline', resume='auto')\n"
            f"print(run.id, flush=True)\nraise SystemExit({status})\n"
        )
        said.append(done.stdout)
    assert said[0] == said[1] != said[2], "after a failure it goes on, after a good end it does not"


def test_ctrl_c_keeps_its_exit_status_whatever_is_done_at_exit(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            BEGIN + "end = run._recording.finish\n"
            "def finish(*a, **k): exec('import collections'); return end(*a, **k)\n"
            "run._recording.finish = finish\nraise KeyboardInterrupt\n",
            STEPWELL_SOCKET=daemon.socket,
        )
        assert done.returncode == -signal.SIGINT


def test_a_signal_ends_a_process_at_once_and_is_named(folder: Path) -> None:
    """Also in the middle of a call into C, where no handler in Python would be called."""
    with RecordingDaemon(folder / "s.sock") as daemon:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                BEGIN + "import ctypes, signal\nassert signal.getsignal(15) == signal.SIG_DFL\n"
                "run.flush(); print(1, flush=True); ctypes.CDLL(None).sleep(1000)",
            ],
            env={**os.environ, "STEPWELL_SOCKET": daemon.socket},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        process.terminate()
        assert process.wait(ALARM_SECONDS) == -signal.SIGTERM
        process.stdout.close()
        ending = ending_of(folder, daemon)
        assert (ending.state, signal_of(ending.exit_code)) == ("killed", "SIGTERM")


def test_a_signal_that_somebody_handles_or_ignores_stays_theirs(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            "import signal, sys\nsignal.signal(1, signal.SIG_IGN)\n"
            "signal.signal(10, lambda *_: print('mine', flush=True))\n"
            f"{BEGIN}"
            "signal.signal(15, lambda *_: sys.exit(9))\n"
            "for number in (1, 10, 15): os.kill(os.getpid(), number)\n"
            "import time; time.sleep(10)\n",
            STEPWELL_SOCKET=daemon.socket,
        )
        assert (done.returncode, done.stdout) == (9, "mine\n")
        assert ending_of(folder, daemon) == Ending("failed", 9)


def test_what_ends_a_forked_child_says_nothing_of_its_parent(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        python(
            BEGIN + "for leave in (lambda: os._exit(3), lambda: os.kill(os.getpid(), 15)):\n"
            "    if (child := os.fork()) == 0: leave()\n"
            "    os.waitpid(child, 0)\n"
            "run.flush(); os.kill(os.getpid(), 9)\n",
            STEPWELL_SOCKET=daemon.socket,
        )
        (journal,) = find_journals(folder / "journals")
        assert read_ending(JournalFolder(journal)) is None


def test_runs_beside_each_other_have_one_note(tmp_path: Path) -> None:
    """Its file is one, since a signal has one place to write to."""
    folders = [tmp_path / name for name in "abc"]
    for each in folders:
        each.mkdir()
    done = python(
        "import os, sys\nfrom pathlib import Path\nfrom stepwell import _exit_note as note\n"
        f"a, b, c = map(Path, {[str(each) for each in folders]})\n"
        "note.watch(a); note.watch(b); note.unwatch(a); note.unwatch(b); note.watch(c)\n"
        "os.kill(os.getpid(), 15)\n"
    )
    assert done.returncode == -signal.SIGTERM
    found = [read_ending(JournalFolder(each)) for each in folders]
    assert found == [None, None, ending_of_signal(signal.SIGTERM)]


# ---------------------------------------------------------------------------- children


def _environment() -> dict[str, str]:
    """The server of forks outlives a test, and its children have the variables of its start."""
    return {name: value for name, value in os.environ.items() if name.startswith("STEPWELL_")}


def _train(environment: dict[str, str], how: str) -> None:
    os.environ.update(environment)
    run = stepwell.init("p", settings={"console": False, "metadata": False})
    run.log({"x": 1.0})
    exec(how)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ("", Ending("finished", 0)),
        ("raise ValueError('x')", Ending("failed", 1)),
        ("raise SystemExit(3)", Ending("failed", 3)),
    ],
)
def test_a_run_of_a_child_of_multiprocessing_ends_with_it(
    daemon: RecordingDaemon, folder: Path, method: str, how: str, ending: Ending
) -> None:
    child = multiprocessing.get_context(method).Process(target=_train, args=(_environment(), how))
    child.start()
    child.join(ALARM_SECONDS)
    assert child.exitcode == ending.exit_code
    assert ending_of(folder, daemon) == ending


def test_a_run_of_a_worker_of_a_pool_ends_with_the_pool(
    daemon: RecordingDaemon, folder: Path
) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        pool.submit(_train, _environment(), "").result(ALARM_SECONDS)
    assert ending_of(folder, daemon) == Ending("finished", 0)


def test_a_child_forked_from_a_run_ends_its_own_part_alone(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start(id="whole")
    child = multiprocessing.get_context("fork").Process(target=run.log, args=({"x": 1.0},))
    child.start()
    child.join(ALARM_SECONDS)
    assert [event.body["state"] for event in daemon.events("finish")] == ["finished"]
    assert not run.finished
    run.finish()


def test_sync_hands_on_how_an_offline_run_ended(folder: Path) -> None:
    python(BEGIN + "os.kill(os.getpid(), 15)\n", STEPWELL_MODE="offline")
    with RecordingDaemon(folder / "s.sock") as daemon:
        report = stepwell.sync(folder / "journals", socket=daemon.socket)
        assert len(report.sent) == 1
        (writer,) = daemon.writers
        hello = writer.hello
        assert (hello.recovered, hello.end_state, hello.exit_code) == (True, "killed", 143)


@pytest.mark.parametrize("is_enabled", [True, False])
def test_frames_are_looked_for_without_a_garbage_collection(
    monkeypatch: pytest.MonkeyPatch, is_enabled: bool
) -> None:
    # It would deadlock with a thread that begins or ends, on Python 3.11.
    were_enabled = []

    def frames() -> dict[int, FrameType]:
        were_enabled.append(gc.isenabled())
        return {}

    monkeypatch.setattr(sys, "_current_frames", frames)
    monkeypatch.setattr(_ending, "_main_frame", None)  # Put back in the end.
    if not is_enabled:
        gc.disable()
    try:
        _ending.watch_main()  # On the main thread nobody else's frames are needed.
        assert were_enabled == []
        thread = threading.Thread(target=_ending.watch_main)
        thread.start()
        thread.join()
        assert were_enabled == [False]
        assert gc.isenabled() == is_enabled
    finally:
        gc.enable()
