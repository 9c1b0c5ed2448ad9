"""Find the daemon on the socket, or start a personal one."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import subprocess

ANOTHER_RUNS: Final = 3
"""Exit code of a daemon that found another one on its socket or data: as good as started."""

_started: list["subprocess.Popen[bytes]"] = []


def daemon_answers(socket: str) -> bool:
    """Return whether somebody listens on ``socket``; waits for nobody."""
    import socket as sockets

    try:
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM | sockets.SOCK_CLOEXEC) as probe:
            probe.setblocking(False)
            probe.connect(socket)
    except BlockingIOError:
        return True  # Its backlog is full, so it lives.
    except (OSError, ValueError):
        return False
    return True


def can_start_daemon() -> bool:
    """Return whether the daemon and the embedded engine are installed."""
    names = ("stepwell_daemon", "stepwell_store", "chdb", "numpy", "lz4")
    try:
        return all(importlib.util.find_spec(name) is not None for name in names)
    except (ImportError, ValueError):
        return False


def start_daemon(socket: str, data_dir: Path, *, idle_exit_seconds: int = 900) -> None:
    """Start a personal daemon that outlives this process and ends when nobody needs it.

    Raises:
        OSError: It could not be started.
    """
    import subprocess

    data_dir.mkdir(parents=True, exist_ok=True)
    Path(socket).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-m", "stepwell_daemon", "--socket", socket]
    command += ["--data", str(data_dir), "--idle-exit", str(idle_exit_seconds)]
    command += ["--metrics-port", "0"]
    environment = {
        name: value
        for name, value in os.environ.items()
        # A training job's limits on threads and devices are not the daemon's.
        if name not in ("CUDA_VISIBLE_DEVICES", "LD_PRELOAD", "PYTHONINSPECT")
    }
    with (data_dir / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=environment,
        )
    # Kept, so that its end leaves no warning about a process that still runs.
    _started.append(process)


def started_daemon_code() -> int | None:
    """Return the exit code of the daemon that this process started last, None while it runs."""
    return _started[-1].poll() if _started else None


def started_daemon_failed() -> int | None:
    """Return the exit code of the started daemon when nobody can be expected on the socket."""
    code = started_daemon_code()
    return None if code in (None, ANOTHER_RUNS) else code
