"""Fork, spawn, ranks and ends of processes: one writer a process, and nothing hangs."""

import gc
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import Run, _import_gate, _session
from stepwell.testing import RecordingDaemon
from stepwell_wire.journal_files import find_journals
from tests.sdk.conftest import Start, python
from tests.sdk.forks import ALARM_SECONDS, in_fork
from tests.sdk.held import read_journal

pytestmark = pytest.mark.processes


def test_a_forked_child_that_does_not_log_changes_nothing(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start()
    run.log({"x": 0.0})
    assert run.flush(30)
    journals = list(Path(run.settings.journals_dir).iterdir())
    for _ in range(10):
        assert in_fork(lambda: None) == 0
        assert in_fork(run.finish) == 0
        assert in_fork(_session.finish_all) == 0
        run.log({"x": 1.0})
    assert run.flush(30)
    assert list(Path(run.settings.journals_dir).iterdir()) == journals
    run.finish()
    assert len(daemon.writers) == 1
    assert len(daemon.points("x")) == 11


def test_a_forked_child_that_logs_is_a_writer_of_its_own(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start(id="forked")
    run.log({"x": 0.0})
    assert run.flush(30)  # The connection lives, and grpc with it.

    def work() -> None:
        stepwell.log({"child": 1.0})
        run.log({"child": 2.0, "note": "text"})
        assert run.label == f"fork-{os.getpid()}"
        assert run.flush(30)
        run.log({"child": 3.0})
        run.finish()

    assert in_fork(work) == 0
    run.log({"x": 1.0})
    run.finish()
    assert [point.value for point in daemon.points("child")] == [1.0, 2.0, 3.0]
    assert [point.value for point in daemon.points("x")] == [0.0, 1.0]
    assert len({writer.hello.writer_id for writer in daemon.writers}) == 2
    assert {writer.hello.run_id for writer in daemon.writers} == {"forked"}
    assert {point.label.split("-")[0] for point in daemon.points("child")} == {"fork"}
    names = [event.body.get("name") for event in daemon.events("start")]
    assert names[1] is None  # The child does not rename the run.


def test_a_forked_child_that_calls_init_has_a_run_of_its_own(
    start: Start, daemon: RecordingDaemon
) -> None:
    """As with spawned children, such as those of a pool that tries parameters."""
    run = start(id="parent", name="of the parent")
    run.log({"x": 0.0})
    assert run.flush(30)

    def work() -> None:
        own = start(id="own", name="of the child")
        assert own is not run
        assert stepwell.run is own
        own.log({"child": 1.0})
        own.finish()
        second = start()
        second.log({"child": 2.0})
        second.finish()

    assert in_fork(work) == 0
    assert stepwell.run is run
    run.log({"x": 1.0})
    run.finish()
    by_run = {writer.hello.run_id: writer.hello.label for writer in daemon.writers}
    assert len(by_run) == 3
    assert (by_run["parent"], by_run["own"]) == ("", "")
    names = [event.body.get("name") for event in daemon.events("start")]
    assert names[:2] == ["of the parent", "of the child"]
    assert [point.value for point in daemon.points("x")] == [0.0, 1.0]


def test_a_forked_child_does_not_resume_the_run_that_its_parent_is_at_work_on(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start(resume="auto")

    def work() -> None:
        assert start(resume="auto") is run
        run.log({"child": 1.0})
        run.finish()

    assert in_fork(work) == 0
    labels = [writer.hello.label for writer in daemon.writers]
    assert [label[:4] for label in labels if label] == ["fork"]
    assert (
        Path(run._journal_dir).parent.joinpath(".runs", run.project, "auto").read_text() == run.id
    )
    run.finish()


def test_a_run_of_the_parent_that_a_child_logs_into_beside_its_own_ends_with_the_child(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start(id="parent")

    def work() -> None:
        start(id="own").finish()
        run.log({"x": 1.0})
        assert run.flush(30)
        assert run in _session.active  # What is in it is ended at the exit.

    assert in_fork(work) == 0
    run.finish()
    assert [point.value for point in daemon.points("x")] == [1.0]


def test_forked_children_of_a_rank_share_no_run_with_it_or_each_other(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = {"PROCID": "0", "STEP_NUM_TASKS": "2", "STEP_ID": "0", "JOB_ID": "77"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    run = start()

    def work() -> None:
        for _ in range(2):
            with start() as own:
                own.log({"child": 1.0})

    assert [in_fork(work), in_fork(work)] == [0, 0]
    run.finish()
    start().finish()  # The second run of the job, which the other rank starts too.
    labels = {writer.hello.run_id: writer.hello.label for writer in daemon.writers}
    assert sorted(labels.values()) == ["", "", "", "", "rank0", "rank0"]


def test_a_forked_child_that_names_its_parents_run_joins_it(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start(id="parent")

    def work() -> None:
        assert start(id="parent") is run
        assert start(reinit="return_previous") is run
        stepwell.log({"child": 1.0})
        assert start() is run  # It is this process's run now.
        assert run.flush(30)

    assert in_fork(work) == 0
    run.finish()
    assert {writer.hello.run_id for writer in daemon.writers} == {"parent"}


def test_a_forked_child_that_names_its_parents_run_has_the_label_that_it_gives(
    start: Start, daemon: RecordingDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    """As a spawned child: the run has a writer for each, and none takes over the run's facts."""
    labelled = {"label": "rank_0", "primary": True}
    run = start(id="parent", name="of the parent", mode="shared", settings=labelled)
    run.log({"x": 0.0})
    capfd.readouterr()

    def work() -> None:
        settings = {"x_label": "rank_1", "x_primary": False}
        own = start(id="parent", mode="shared", settings=settings, config={"child": 1})
        assert own is not run
        assert stepwell.run is own
        assert (own.label, own.id, own.step) == ("rank_1", "parent", 0)
        assert start(id="parent") is own
        own.log({"child": 1.0})
        own.finish()

    assert in_fork(work) == 0
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "init:" in line]
    assert "is still running, so init() returns it" in line, "that of the second call"
    run.log({"x": 1.0})
    run.finish()
    assert {writer.hello.label for writer in daemon.writers} == {"rank_0", "rank_1"}
    assert {writer.hello.run_id for writer in daemon.writers} == {"parent"}
    assert {point.label for point in daemon.points("child")} == {"rank_1"}
    names = [event.body.get("name") for event in daemon.events("start")]
    assert names == ["of the parent", None]
    assert [event.body["set"] for event in daemon.events("config")] == [{"child": 1}]


@pytest.mark.parametrize(
    ("given", "variables", "expected"),
    [
        ({"settings": {"label": "mine"}}, {}, "mine"),
        ({}, {"STEPWELL_LABEL": "mine"}, "mine"),
        ({}, {"RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "here"}, "rank3"),
        ({"mode": "shared", "settings": {"primary": False}}, {}, "HOST-PID"),
        ({}, {}, "fork-PID"),
    ],
)
def test_the_label_of_a_forked_child_that_names_its_parents_run(
    start: Start,
    daemon: RecordingDaemon,
    given: dict[str, Any],
    variables: dict[str, str],
    expected: str,
) -> None:
    run = start(id="parent")

    def work() -> None:
        os.environ.update(variables)
        with start(id="parent", **given) as own:
            own.log({"child": 1.0})
            pid, host = str(os.getpid()), socket.gethostname()[:64]
            assert own.label.replace(pid, "PID").replace(host, "HOST") == expected

    assert in_fork(work) == 0
    run.finish()
    (point,) = daemon.points("child")
    assert point.label.startswith(expected.replace("HOST", socket.gethostname()).replace("PID", ""))


def test_a_line_names_the_facts_of_the_run_that_a_forked_child_cannot_set(
    start: Start, daemon: RecordingDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start(id="parent", tags=["a"])
    capfd.readouterr()

    def work() -> None:
        own = {"label": "mine"}
        start(id="parent", name="new", tags=["b"], config={"a": 1}, settings=own).finish()

    assert in_fork(work) == 0
    run.finish()
    said = capfd.readouterr().err
    assert "joins run parent of its parent with the label mine" in said
    assert "Ignored in this call: name, tags\n" in said
    assert [event.body for event in daemon.events("run")] == [{"tags": ["a"]}]


def test_init_beside_a_run_names_the_label_and_the_mode_that_it_ignores(
    start: Start, daemon: RecordingDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start(id="one", settings={"label": "a"})
    capfd.readouterr()
    assert start(settings={"label": "a"}, mode="online") is run
    assert "Ignored" not in capfd.readouterr().err
    assert start(mode="offline", settings={"label": "b", "primary": False}) is run
    assert "Ignored in this call: mode, label, primary\n" in capfd.readouterr().err


def test_a_child_forked_before_anything_was_sent_sends_by_itself(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            "import os, stepwell\n"
            "run = stepwell.init('p', mode='online')\n"
            "child = os.fork()\n"
            "run.log({'x': float(child == 0)})\n"
            "run.finish()\n"
            "if child: os.waitpid(child, 0)\n"
            "os._exit(0)\n",
            STEPWELL_SOCKET=daemon.socket,
        )
        assert done.returncode == 0, done.stderr
        assert sorted(point.value for point in daemon.points("x")) == [0.0, 1.0]
        assert find_journals(folder / "journals") == []


@pytest.mark.holds("forks")
def test_a_fork_in_the_middle_of_an_import_waits_for_it(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            "import importlib.abc, os, sys, threading, time\n"
            "begun = threading.Event()\n"
            "class Slow(importlib.abc.MetaPathFinder):\n"
            "    def find_spec(self, name, path, target=None):\n"
            "        if name == 'grpc': begun.set(); time.sleep(1)\n"
            "sys.meta_path.insert(0, Slow())\n"
            "import stepwell\n"
            "run = stepwell.init('p', mode='online')\n"
            "run.log({'x': 0.0})\n"
            "assert begun.wait(30)\n"
            "child = os.fork()\n"
            # They take the place of the thread that imported, whose name would open its locks.
            "for _ in range(8):\n"
            "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
            "run.log({'x': 1.0 + (child == 0)})\n"
            "assert run.flush(20)\n"
            "run.finish()\n"
            "code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 0\n"
            "sys.stderr.flush(); os._exit(code)\n",
            STEPWELL_SOCKET=daemon.socket,
        )
        assert done.returncode == 0, done.stderr
        assert sorted(point.value for point in daemon.points("x")) == [0.0, 1.0, 2.0]


def test_a_fork_does_not_keep_logging_from_an_import_that_it_awaits(folder: Path) -> None:
    """`logging` holds its lock over a fork, and grpc's import asks for it."""
    done = python(
        "import stepwell\n"
        "run = stepwell.init('p', mode='offline')\n"
        "import logging, os, threading, time\n"
        "from stepwell import _import_gate\n"
        "begun, done = threading.Event(), threading.Event()\n"
        "def work():\n"
        "    with _import_gate.importing:\n"
        "        begun.set()\n"
        "        time.sleep(0.2)\n"
        "        logging.getLogger('grpc.x')\n"
        "        done.set()\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "begun.wait()\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(0)\n"
        "assert done.is_set(), 'the fork went on in the middle of an import'\n"
        "os.waitpid(child, 0)\n",
        STEPWELL_METADATA="0",
    )
    assert done.returncode == 0, done.stderr


def test_two_forks_at_a_time_leave_imports_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second gives up waiting for the first one, which takes a while: its memory is large."""
    monkeypatch.setattr(_import_gate, "importing", threading.Lock())
    monkeypatch.setattr(_import_gate, "_IMPORT_SECONDS_MAX", 0.01)
    _import_gate.before_fork()
    other = threading.Thread(target=_import_gate.before_fork)
    other.start()
    other.join()
    _import_gate.after_fork()
    assert not _import_gate.importing.locked()


@pytest.mark.holds("forks")
def test_children_of_multiprocessing_finish_their_part(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start(id="pool")
    run.log({"x": 0.0})
    assert run.flush(30)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=run.log, args=({"child": float(n)},)) for n in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(ALARM_SECONDS)
        assert child.exitcode == 0
    run.finish()
    assert sorted(point.value for point in daemon.points("child")) == [0.0, 1.0]
    assert len(daemon.events("finish")) == 3
    assert find_journals(Path(run.settings.journals_dir)) == []


def test_what_grpc_made_before_a_fork_is_not_collected_in_the_child(offline: Start) -> None:
    """Its lock may be held by a thread that the child does not have."""
    from stepwell import _channel

    offline()

    class Made:
        def __del__(self) -> None:
            collected.append(self)

    collected: list[Made] = []
    made = [Made()]
    _channel._alive.add(made[0])

    def let_go() -> None:
        made.clear()
        gc.collect()
        assert not collected

    assert in_fork(let_go) == 0
    made.clear()
    assert len(collected) == 1, "here it is, as the parent has all its threads"


@pytest.mark.holds("forks")
def test_a_fork_while_another_thread_logs_leaves_no_lock_behind(offline: Start) -> None:
    import threading

    run = offline()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            run.log({"x": 1.0})

    thread = threading.Thread(target=work)
    thread.start()
    codes = [in_fork(lambda: run.log({"child": 1.0})) for _ in range(20)]
    stop.set()
    thread.join()
    assert codes == [0] * 20
    children = [
        path
        for path in find_journals(Path(run._journal_dir).parent)
        if str(path) != run._journal_dir
    ]
    assert len(children) == 20
    assert all(read_journal(path).series("child")[0][1] == 1.0 for path in children)


def _spawned(run: Run, value: float) -> None:
    run.log({"child": value})
    assert stepwell.run is run


def test_a_run_is_pickled_into_a_spawned_process(start: Start, daemon: RecordingDaemon) -> None:
    run = start(id="spawned", config={"lr": 0.5})
    run.log({"x": 0.0})
    assert pickle.loads(pickle.dumps(run)) is run
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_spawned, args=(run, 4.0))
    child.start()
    child.join(ALARM_SECONDS)
    assert child.exitcode == 0
    run.finish()
    assert [point.value for point in daemon.points("child")] == [4.0]
    assert daemon.points("child")[0].label == f"process-{child.pid}"
    assert {writer.hello.run_id for writer in daemon.writers} == {"spawned"}


def test_ranks_share_a_run_and_keep_their_labels(folder: Path) -> None:
    code = (
        "import os, stepwell\n"
        "run = stepwell.init('p', config={'lr': 1})\n"
        "run.log({'x': float(os.environ['RANK'])})\n"
        "print(run.id, run.name, run.label)\n"
        "run.finish()\n"
    )
    with RecordingDaemon(folder / "s.sock") as daemon:
        told = []
        for rank in range(3):
            variables = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "3"}
            done = python(
                code,
                STEPWELL_SOCKET=daemon.socket,
                TORCHELASTIC_RUN_ID="job-7",
                **variables,
            )
            assert done.returncode == 0, done.stderr
            told.append(done.stdout.split())
        assert len({(run_id, name) for run_id, name, _ in told}) == 1
        assert [label for _, _, label in told] == ["rank0", "rank1", "rank2"]
        assert {(p.label, p.value) for p in daemon.points("x")} == {
            (f"rank{rank}", float(rank)) for rank in range(3)
        }
        starts = daemon.events("start")
        assert [event.body["rank"] for event in starts] == [0, 1, 2]
        assert {(event.body["name"], event.body["name_is_made"]) for event in starts} == {
            (told[0][1], True)
        }
        assert len(daemon.events("metadata")) == 1
        assert daemon.events("summary") == []


def test_each_init_of_a_job_is_a_run_of_its_own_and_the_same_on_all_ranks(folder: Path) -> None:
    code = (
        "import stepwell\n"
        "for fold in range(3):\n"
        "    run = stepwell.init('p', name=f'fold{fold}')\n"
        "    run.log({'fold': fold})\n"
        "    run.finish()\n"
    )
    with RecordingDaemon(folder / "s.sock") as daemon:
        for rank in range(2):
            place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
            done = python(code, STEPWELL_SOCKET=daemon.socket, TORCHELASTIC_RUN_ID="job-8", **place)
            assert done.returncode == 0, done.stderr
        assert len(daemon.run_ids) == 3
        folds = {(p.run_id, p.label, p.value) for p in daemon.points("fold")}
        assert folds == {
            (run_id, f"rank{rank}", float(fold))
            for fold, run_id in enumerate(daemon.run_ids)
            for rank in range(2)
        }


@pytest.mark.holds("grpc-lock-at-exit")
def test_a_lock_that_a_thread_of_grpc_keeps_does_not_hold_up_the_end(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        done = python(
            "import atexit, gc, os, threading, time\n"
            "gc.disable()\n"  # What is rubbish is found when the interpreter ends.
            "taken = threading.Event()\n"
            "def keep():\n"
            "    with condition: taken.set(); time.sleep(1000)\n"
            "def at_exit():\n"
            "    threading.Thread(target=keep, daemon=True).start()\n"
            "    assert taken.wait(10)\n"
            "    gc.enable()\n"
            "atexit.register(at_exit)\n"  # Called after those that are registered later.
            "from stepwell import _channel\n"
            "from stepwell_wire.journal_files import WriterFile\n"
            "info = WriterFile(writer_id='w', project='p', run_id='r')\n"
            "hello = _channel.hello_of(info, folder='', position=0, schemas=[], client='c')\n"
            "ignore = lambda _: None\n"
            "made = _channel.Connection(os.environ['STEPWELL_SOCKET'], hello,\n"
            "    on_ack=ignore, on_end=ignore)\n"
            "made.close()\n"
            "for each in threading.enumerate():\n"
            "    if each.daemon: each.join(10)\n"
            "condition = made._call._state.condition\n"
            "del made, each\n",
            STEPWELL_SOCKET=daemon.socket,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_script_without_a_daemon_ends_quickly_and_keeps_its_data(folder: Path) -> None:
    began = time.monotonic()
    done = python("import stepwell\nstepwell.init('p')\nstepwell.log({'x': 1.0})\n")
    assert done.returncode == 0
    assert time.monotonic() - began < 20
    (journal,) = find_journals(folder / "journals")
    assert read_journal(journal).series("x") == [(0, 1.0)]
    assert done.stderr.count("\n") == 2


def test_an_interrupted_finish_keeps_the_data(folder: Path) -> None:
    with RecordingDaemon(folder / "s.sock") as daemon:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import signal, stepwell\n"
                # A job in the background of a script is started with SIGINT ignored.
                "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
                "run = stepwell.init('p')\n"
                "run.log({'x': 1.0}); run.flush()\n"
                "input()\n"
                "run.log({'x': 2.0})\n"
                "run.finish()\n",
            ],
            env={**os.environ, "STEPWELL_SOCKET": daemon.socket},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stderr is not None
        assert daemon.wait_for(lambda: len(daemon.points("x")) == 1)
        daemon.hold_acks = True
        process.stdin.write("\n")
        process.stdin.flush()
        assert "stepwell show" in process.stderr.readline()
        assert "sending" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert "stopped waiting" in process.stderr.read()
        process.stdin.close()
        process.stderr.close()
    (journal,) = find_journals(folder / "journals")
    assert len(read_journal(journal).series("x")) == 2


def test_importing_loads_only_the_standard_library_and_little_of_it() -> None:
    done = python(
        "import sys\n"
        "before = set(sys.modules)\n"
        "import stepwell\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))\n"
        "run = stepwell.init('p', mode='offline')\n"
        "run.log({'x': 1.0})\n"
        "heavy = {'grpc', 'google', 'numpy', 'asyncio', 'yaml', 'subprocess'}\n"
        "if sys.version_info < (3, 14): heavy.add('dataclasses')  # traceback loads it from there\n"
        "print(*sorted(heavy & {name.split('.')[0] for name in sys.modules}))\n"
        "stepwell.errors.StepwellError, stepwell.Run, stepwell.sync\n",
        STEPWELL_METADATA="0",
    )
    assert done.returncode == 0, done.stderr
    imported, heavy = done.stdout.split("\n")[:2]
    assert set(imported.split()) - sys.stdlib_module_names == {"stepwell", "stepwell_wire"}
    assert not set(imported.split()) & {"typing", "threading", "pathlib", "json", "re"}
    assert heavy == ""
