"""Starting a daemon by its name: in the foreground under `up`, on its own under `run`."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stepwell.cli.daemon_client import is_answered
from stepwell.cli.options import Places

START_SECONDS: Final = 60.0
PERSONAL_IDLE_SECONDS: Final = 600
PERSONAL_LOG_FILE: Final = "daemon.log"
_POLL_SECONDS: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1


def command(places: Places, *more: str) -> list[str]:
    """Return the command line of a daemon at ``places``."""
    words = [sys.executable, "-m", "stepwell_daemon"]
    return [*words, "--socket", str(places.socket), "--data", str(places.data), *more]


def start_attached(places: Places, *more: str) -> subprocess.Popen[bytes]:
    """Start a daemon that shares our output and ends when we die.

    It is in a process group of its own: a Ctrl-C in the terminal reaches us alone, and we tell
    it what to do.
    """
    owner = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)

    def end_with_owner() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != owner:  # It died before we had asked.
            os._exit(1)

    return subprocess.Popen(
        command(places, *more),
        env=places.environment(),
        preexec_fn=end_with_owner,
        process_group=0,
    )


def start_personal(places: Places) -> subprocess.Popen[bytes]:
    """Start a daemon that outlives us and ends by itself when nobody has used it for a while."""
    places.data.mkdir(parents=True, exist_ok=True)
    log = places.data / PERSONAL_LOG_FILE
    words = command(places, "--metrics-port", "0", "--idle-exit", str(PERSONAL_IDLE_SECONDS))
    with log.open("ab") as output:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=places.environment(),
            start_new_session=True,
            cwd="/",
        )


def wait_until_answered(
    socket: Path,
    process: subprocess.Popen[bytes],
    *,
    timeout_seconds: float = START_SECONDS,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Return whether ``socket`` is answered, before the process ended or the time was over."""
    deadline = time.monotonic() + timeout_seconds
    while not is_answered(socket):
        if process.poll() is not None or stopped() or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def last_words(log: Path) -> str:
    """Return the last line of a daemon's log."""
    try:
        lines = log.read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""
