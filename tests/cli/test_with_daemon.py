"""The commands with a real daemon and a real engine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = {name: value for name, value in os.environ.items() if "STEPWELL" not in name}


class Up:
    """`stepwell up` on a folder of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.environ = {
            **ENVIRONMENT,
            "STEPWELL_SOCKET": str(place / "s.sock"),
            "STEPWELL_DATA": str(place / "data"),
            "STEPWELL_DIR": str(place / "journals"),
        }
        self.process = self.start()
        self.said = self.process.stdout.readline() if self.process.stdout else ""

    def start(self, *more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "stepwell", "up", "--port", "0", *more],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *words: str, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stepwell", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def json(self, *words: str) -> Any:
        done = self.call(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def up(place: Path) -> Iterator[Up]:
    made = Up(place)
    yield made
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGTERM)
        made.process.communicate(timeout=60)


def is_alive(pid: int) -> bool:
    """Return whether ``pid`` runs; one that has ended and is not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 60
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_up_says_where_things_are_and_stops_in_order(up: Up, place: Path) -> None:
    assert up.said == f"socket   {place / 's.sock'}\n"
    status = up.json("status")
    assert status["data_dir"] == str(place / "data")
    assert up.call("doctor").returncode == 0
    assert "ready" in up.call("top", "--once").stdout
    up.process.send_signal(signal.SIGINT)
    out, _ = up.process.communicate(timeout=60)
    assert up.process.returncode == 0
    assert re.search(r"metrics  http://127\.0\.0\.1:\d+", out)
    assert not is_alive(status["pid"])
    assert up.call("status").returncode == 3


def test_a_second_up_ends_with_3_and_leaves_the_first_alone(up: Up) -> None:
    pid = up.json("status")["pid"]
    second = up.start()
    _, err = second.communicate(timeout=60)
    assert second.returncode == 3
    assert "Traceback" not in err
    assert up.json("status")["pid"] == pid


def test_the_daemon_ends_when_up_is_killed(up: Up) -> None:
    pid = up.json("status")["pid"]
    up.process.kill()
    up.process.communicate()
    wait_for_end(pid)


def test_stopping_twice_stops_at_once(up: Up) -> None:
    pid = up.json("status")["pid"]
    for number in (signal.SIGTERM, signal.SIGINT):
        up.process.send_signal(number)
    up.process.communicate(timeout=60)
    assert up.process.returncode == 0
    assert not is_alive(pid)


def test_daemon_becomes_the_daemon(place: Path) -> None:
    words = ["daemon", "--check-config", "--socket", str(place / "x.sock")]
    done = subprocess.run(
        [sys.executable, "-m", "stepwell", *words],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
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
            timeout=120,
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
        wait_for_end(status["pid"])
