"""The commands with a real daemon and a real engine."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stepwell_wire.lock_notes import socket_lock
from tests.cli.up import ENVIRONMENT, Up
from tests.daemon.journals import make_journal
from tests.daemon.made import row, schema_event
from tests.processes import is_alive
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


@pytest.fixture
def up(place: Path) -> Iterator[Up]:
    made = Up(place)
    yield made
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGTERM)
        made.process.communicate(timeout=300)


def test_up_says_where_things_are_and_stops_in_order(up: Up, place: Path) -> None:
    assert f"socket   {place / 's.sock'}\n" in up.said
    assert re.search(r"^metrics  http://127\.0\.0\.1:\d+", up.said, re.MULTILINE)
    status = up.json("status")
    assert status["data_dir"] == str(place / "data")
    assert up.call("doctor").returncode == 0
    assert "ready" in up.call("top", "--once").stdout
    up.process.send_signal(signal.SIGINT)
    up.process.communicate(timeout=300)
    assert up.process.returncode == 0
    assert not is_alive(status["pid"])
    assert up.call("status").returncode == 3


def test_down_stops_the_daemon_and_says_when_there_is_none(up: Up, place: Path) -> None:
    pid = up.json("status")["pid"]
    assert "?" not in up.said.partition("page ")[2].splitlines()[0]  # No link that logs in.
    done = up.call("down")
    assert (done.returncode, done.stdout) == (0, f"the daemon on {place / 's.sock'} has ended\n")
    assert f"pid {pid}" in done.stderr
    assert not is_alive(pid)
    up.process.communicate(timeout=300)
    assert up.process.returncode == 0
    again = up.call("down")
    assert again.returncode == 3
    assert "no daemon answers" in again.stderr


def test_down_says_what_waits_and_leaves_a_slow_daemon_to_its_end(up: Up, place: Path) -> None:
    script = (
        "import sys, stepwell\n"
        "run = stepwell.init('p', settings={'console': False})\n"
        "run.log({'x': 1.0}); run.flush()\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    trainer = subprocess.Popen(
        [sys.executable, "-c", script],
        env=up.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert trainer.stdout is not None
        assert trainer.stdout.readline() == b"ready\n"
        pid = up.json("status")["pid"]
        done = up.call("down", "--timeout", "0")
        assert done.returncode == 1
        assert "1 writer is connected: its next rows stay in a journal until" in done.stderr
        assert f"pid {pid} is still stopping after 0 s" in done.stderr
        wait_until(lambda: not is_alive(pid), "the end of the process")
    finally:
        trainer.kill()
        trainer.communicate()


def test_a_second_up_ends_with_3_and_leaves_the_first_alone(up: Up) -> None:
    pid = up.json("status")["pid"]
    second = up.start()
    _, err = second.communicate(timeout=300)
    assert second.returncode == 3
    assert "Traceback" not in err
    assert up.json("status")["pid"] == pid


def test_the_daemon_ends_when_up_is_killed(up: Up) -> None:
    pid = up.json("status")["pid"]
    up.process.kill()
    up.process.communicate()
    wait_until(lambda: not is_alive(pid), "the end of the process")


def test_stopping_twice_stops_at_once(up: Up) -> None:
    pid = up.json("status")["pid"]
    for number in (signal.SIGTERM, signal.SIGINT):
        up.process.send_signal(number)
    up.process.communicate(timeout=300)
    assert up.process.returncode == 0
    assert not is_alive(pid)


def test_daemon_becomes_the_daemon(place: Path) -> None:
    words = ["daemon", "--check-config", "--socket", str(place / "x.sock")]
    done = subprocess.run(
        [sys.executable, "-m", "stepwell", *words],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(place / "x.sock") in done.stdout


def test_run_starts_a_personal_daemon_that_outlives_the_command(place: Path) -> None:
    places = ["--socket", str(place / "s.sock"), "--data", str(place / "data")]

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stepwell", *words],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    for _ in range(2):  # The second finds the first one's.
        done = call("run", *places, "--", sys.executable, "-c", "print('trained')")
        assert (done.returncode, done.stdout, done.stderr) == (0, "trained\n", "")
    status = json.loads(call("status", "--json", *places[:2]).stdout)
    try:
        assert status["data_dir"] == str(place / "data")
        assert status["ready"]
    finally:
        os.kill(status["pid"], signal.SIGTERM)
        wait_until(lambda: not is_alive(status["pid"]), "the end of the process")


LOG = (
    "import stepwell\n"
    "with stepwell.init(project='p', id='one', name='the one', config={'lr': 0.5}) as run:\n"
    "    print('hello from the run', flush=True)\n"
    "    for step in range(1000): run.log({'loss': 1 / (step + 1), 'odd': float('nan')})\n"
)


def logged(up: Up, **variables: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOG],
        env={**up.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_run_is_read_back_as_soon_as_it_has_finished(up: Up, place: Path) -> None:
    logged(up)
    (listed,) = up.json("runs")
    assert (listed["run_id"], listed["name"], listed["state"]) == ("one", "the one", "finished")
    detail = up.json("show", "one")
    assert detail["config"] == {"lr": 0.5}
    loss, odd = detail["metrics"]
    assert (loss["count"], loss["last"], odd["nan_count"]) == (1000, 0.001, 1000)
    assert "hello from the run" in [line["text"] for line in detail["console"]]
    shown = up.call("show", "p/the one")
    assert shown.returncode == 0, shown.stderr
    assert "hello from the run" in shown.stdout
    done = up.call("export", "p", "-o", str(place / "all.jsonl"))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (place / "all.jsonl").read_text().splitlines()]
    assert [(row["_step"], row["_run"], row["loss"]) for row in rows] == [
        (step, "one", 1 / (step + 1)) for step in range(1000)
    ]
    up.process.send_signal(signal.SIGTERM)
    up.process.communicate(timeout=300)
    assert up.json("runs") == [listed], "without a daemon the store is read all the same"
    assert up.call("rm", "one", "--yes").returncode == 0
    assert up.json("runs") == []


def test_an_offline_run_is_sent_once_however_often_it_is_synced(up: Up, place: Path) -> None:
    logged(up, STEPWELL_MODE="offline")
    assert up.json("runs") == []
    sent = up.json("sync", "--keep")
    assert (sent["sent"], sent["failed"], sent["live"]) == (["p/one"], [], [])
    assert sent["sent_bytes"] > 0
    again = up.call("sync")
    assert again.returncode == 0, again.stderr
    (loss, _) = up.json("show", "one")["metrics"]
    assert loss["count"] == 1000
    assert list((place / "journals").glob("*/writer.json")) == []
    assert up.call("sync").stdout.startswith(f"nothing to send in {place / 'journals'}")


def test_a_journal_that_was_sent_before_its_run_was_deleted_is_kept(up: Up, place: Path) -> None:
    logged(up, STEPWELL_MODE="offline")
    assert up.json("sync", "--keep")["sent"] == ["p/one"]
    assert up.call("rm", "one", "--yes").returncode == 0
    again = up.call("sync", str(place / "journals"))
    assert again.returncode == 1
    assert "run p/one was deleted after this journal was sent" in again.stdout
    assert "sent 0 B" not in again.stdout
    assert len(list((place / "journals").glob("*/writer.json"))) == 1
    assert up.json("runs") == []


def test_sync_leaves_the_journals_of_a_daemon_with_data_of_its_own_unless_they_are_named(
    up: Up, place: Path
) -> None:
    other = place / "other"
    (other / "data").mkdir(parents=True)
    socket_lock(other / "s").write_text(f"1\nservice\n{other / 'data'}\n")
    logged(up, STEPWELL_MODE="offline", STEPWELL_SOCKET=str(other / "s"))
    left = up.json("sync")
    (journal,) = left["elsewhere"]
    assert (left["sent"], up.json("runs")) == ([], [])
    said = up.call("sync").stdout
    assert f"1 journal left to the daemon on {other / 's'}, which has data of its own" in said
    assert up.json("sync", journal)["sent"] == ["p/one"]
    assert [each["run_id"] for each in up.json("runs")] == ["one"]


def test_a_run_that_was_killed_before_its_first_connection_is_listed_at_once(
    up: Up, place: Path
) -> None:
    make_journal(place / "journals", "w", schema_event() + row(1), project="p", run_id="killed")
    done = up.call("runs", "--json")
    assert [each["run_id"] for each in json.loads(done.stdout)] == ["killed"]
    assert done.stderr == ""


def test_the_end_of_a_killed_run_is_known_right_after_sync(up: Up, place: Path) -> None:
    records = schema_event() + row(1)
    make_journal(
        place / "elsewhere",
        "w",
        records,
        project="p",
        run_id="killed",
        mode="offline",
        host="another-host",
    )
    done = up.call("sync", str(place / "elsewhere"))
    assert done.returncode == 0, done.stderr
    assert [each["state"] for each in up.json("runs")] == ["crashed"]


def test_sync_that_starts_a_daemon_says_that_a_killed_run_was_sent(place: Path) -> None:
    environ = {
        **ENVIRONMENT,
        "STEPWELL_DATA": str(place / "data"),
        "STEPWELL_SOCKET": str(place / "s.sock"),
    }
    script = "import os, stepwell; stepwell.init(project='p', id='killed').log({'x': 1}); "
    subprocess.run(
        [sys.executable, "-c", f"{script}os.kill(os.getpid(), 9)"],
        env={**environ, "STEPWELL_NO_DAEMON": "1"},
        check=False,
        timeout=300,
    )
    words = [sys.executable, "-m", "stepwell"]
    try:
        done = subprocess.check_output([*words, "sync", "--json"], env=environ, timeout=300)
    finally:
        subprocess.run([*words, "down"], env=environ, check=False, timeout=300)
    report = json.loads(done)
    assert (report["sent"], report["live"], report["failed"]) == (["p/killed"], [], [])


def test_a_personal_daemon_its_engine_and_its_hub_have_no_credentials(place: Path) -> None:
    environ = {
        **ENVIRONMENT,
        "STEPWELL_DATA": str(place / "data"),
        "STEPWELL_SOCKET": str(place / "s.sock"),
        "STEPWELL_DIR": str(place / "journals"),
        "OPENAI_API_KEY": "sk-of-the-script",
    }
    words = [sys.executable, "-m", "stepwell"]
    try:
        subprocess.check_call([*words, "run", "--", "true"], env=environ, timeout=300)
        said = subprocess.check_output([*words, "status", "--json"], env=environ, timeout=300)
        daemon = psutil.Process(json.loads(said)["pid"])
        wait_until(lambda: len(daemon.children(recursive=True)) >= 2, "engine and hub")
        for process in [daemon, *daemon.children(recursive=True)]:
            assert "STEPWELL_DATA" in process.environ()
            assert "OPENAI_API_KEY" not in process.environ(), process.cmdline()
    finally:
        subprocess.run([*words, "down"], env=environ, check=False, timeout=300)


def test_a_named_socket_whose_daemon_stored_elsewhere_gets_no_personal_daemon(place: Path) -> None:
    """It would take the journals of that daemon's runs, so a run would be in two stores."""
    environ = {
        **ENVIRONMENT,
        "XDG_DATA_HOME": str(place / "home"),
        "STEPWELL_DIR": str(place / "journals"),
        "STEPWELL_SOCKET": str(place / "s.sock"),
    }
    (place / "site").mkdir()
    socket_lock(place / "s.sock").write_text(f"1\nservice\n{place / 'site'}\n")
    why = (
        f"the last daemon on {place / 's.sock'} stored in {place / 'site'}, and a personal daemon "
        "would store elsewhere; start that daemon, or choose a folder with STEPWELL_DATA"
    )

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    logged = call("-c", LOG)
    assert logged.returncode == 0, logged.stderr
    assert why in logged.stderr
    stepwell = ("-m", "stepwell")
    run = call(*stepwell, "run", "--", sys.executable, "-c", "print('ran')")
    assert (run.returncode, run.stdout) == (0, "ran\n")
    assert f"stepwell: no daemon: {why}" in run.stderr
    sent = call(*stepwell, "sync")
    assert sent.returncode == 3
    assert f"{why}; nothing was sent, all journals are kept" in sent.stderr
    assert not (place / "s.sock").exists()
    assert not (place / "home" / "stepwell" / "store").exists()
    assert len(list((place / "journals").glob("*/writer.json"))) == 1
    environ["STEPWELL_DATA"] = str(place / "chosen")
    try:
        sent = call(*stepwell, "sync")
        assert (sent.returncode, "of 1 run: p/one" in sent.stdout) == (0, True), sent
        assert f"a personal daemon was started; it stores in {place / 'chosen'}" in sent.stderr
    finally:
        call(*stepwell, "down")


def test_sync_without_a_daemon_sends_nothing_and_keeps_everything(place: Path) -> None:
    environ = {**ENVIRONMENT, "STEPWELL_DIR": str(place), "STEPWELL_SOCKET": str(place / "s.sock")}
    script = [sys.executable, "-c", LOG]
    subprocess.run(script, env={**environ, "STEPWELL_MODE": "offline"}, check=True, timeout=300)

    def sync(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stepwell", "sync", *words],
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    done = sync("--no-daemon")
    assert done.returncode == 3
    assert "no daemon answers" in done.stderr
    environ["STEPWELL_NO_DAEMON"] = "1"
    assert sync().stderr == done.stderr
    assert not (place / "s.sock").exists()
    assert len(list(place.glob("*/writer.json"))) == 1
    missing = sync(str(place / "missing"))
    assert missing.returncode == 4
    assert "missing: no such folder" in missing.stderr
