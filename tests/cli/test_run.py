"""`stepwell run -- CMD`: becomes the command, with everything pointed at the daemon."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PRINT_ENVIRONMENT = (
    "import json, os; "
    "print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('STEPWELL')}))"
)


def stepwell_run(place: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environ = {k: v for k, v in os.environ.items() if not k.startswith("STEPWELL")}
    return subprocess.run(
        [sys.executable, "-m", "stepwell", "run", *options(place), *words],
        env={**environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def options(place: Path) -> list[str]:
    return ["--no-daemon", "--socket", str(place / "s.sock"), "--data", str(place / "data")]


@pytest.mark.parametrize("separator", [["--"], []])
def test_the_command_finds_socket_data_and_journals(place: Path, separator: list[str]) -> None:
    done = stepwell_run(
        place, "--project", "p", "--offline", *separator, sys.executable, "-c", PRINT_ENVIRONMENT
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert found == {
        "STEPWELL_SOCKET": str(place / "s.sock"),
        "STEPWELL_DATA": str(place / "data"),
        "STEPWELL_DIR": str(place / "data" / "journals"),
        "STEPWELL_PROJECT": "p",
        "STEPWELL_MODE": "offline",
        "STEPWELL_NO_DAEMON": "1",
        "STEPWELL_PYTHON": sys.executable,
    }


def test_the_commands_own_options_are_its_own(place: Path) -> None:
    code = "import sys; print(sys.argv[1:])"
    done = stepwell_run(place, "--", sys.executable, "-c", code, "--data", "x", "--", "-h")
    assert done.stdout == "['--data', 'x', '--', '-h']\n"


def test_the_exit_code_passes_through(place: Path) -> None:
    assert stepwell_run(place, "--", sys.executable, "-c", "raise SystemExit(42)").returncode == 42


def test_signals_reach_the_command(place: Path) -> None:
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "signal.pause()"
    )
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "stepwell",
            "run",
            *options(place),
            "--",
            sys.executable,
            "-c",
            code,
        ],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.wait(30) == 7
    process.stdout.close()


def test_a_command_that_is_not_there_is_127_as_in_a_shell(place: Path) -> None:
    done = stepwell_run(place, "--", "no-such-command-anywhere")
    assert done.returncode == 127
    assert done.stderr == "stepwell: no-such-command-anywhere: no such command\n"
    (place / "train.py").touch()
    done = stepwell_run(place, "--", str(place / "train.py"), "--lr", "1")
    assert f"`stepwell run -- python {place / 'train.py'} --lr 1`" in done.stderr


def test_nothing_to_run_is_wrong_usage(place: Path) -> None:
    assert stepwell_run(place).returncode == 2
    assert stepwell_run(place, "--").returncode == 2


def test_a_data_folder_that_a_running_daemon_does_not_have_is_said(place: Path) -> None:
    path = place / "stepwell" / "stepwell.sock"
    path.parent.mkdir(mode=0o700)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("STEPWELL")}
    environ |= {"XDG_RUNTIME_DIR": str(place), "STEPWELL_DATA": str(place / "data")}

    def call(*more: str) -> str:
        words = [sys.executable, "-m", "stepwell", "run", *more, "--", "true"]
        done = subprocess.run(
            words, env=environ, capture_output=True, text=True, timeout=300, check=True
        )
        return done.stderr

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.with_name(f"{path.name}.lock").write_text("77\npersonal\n")
        assert f"the data folder {place / 'data'} has no effect" in call()
        assert call("--socket", str(path)) == ""
        assert call("--offline") == ""
