"""Starting a daemon: in the foreground for `up`, independent for `run`."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stepwell.cli.daemon_client import UnusableSocketError, is_answered
from stepwell.cli.extras import missing_for_daemon, module_command
from stepwell.cli.options import Places
from stepwell_wire.former_store import service_store_before, service_store_text
from stepwell_wire.installation import install_command
from stepwell_wire.places import SOCKET_VARIABLE
from stepwell_wire.trusted_socket import folder_problem

START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1


def start_attached(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a daemon that shares our output and ends when this process dies.

    It has its own process group: a Ctrl-C in the terminal reaches only this process, which then
    signals the daemon.
    """
    owner = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)

    def end_with_owner() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != owner:  # The parent died before this call.
            os._exit(1)

    return subprocess.Popen(
        [*module_command("stepwell_daemon"), *arguments],
        preexec_fn=end_with_owner,
        process_group=0,
    )


def wait_until_answered(
    socket: Path,
    has_ended: Callable[[], bool],
    *,
    timeout_seconds: float = START_SECONDS,
) -> bool:
    """Return whether ``socket`` answers before the daemon ends or the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while not is_answered(socket):
        if has_ended() or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def ensure_personal(places: Places) -> str:
    """Start a personal daemon unless one answers, and wait until it does.

    Returns:
        Why there is no daemon, "" if there is one.
    """
    try:
        return _ensure_personal(places)
    except UnusableSocketError as error:
        return str(error)


def _ensure_personal(places: Places) -> str:
    if is_answered(places.socket):
        return ""
    if missing_for_daemon():
        return f"starting one needs more packages: {install_command('all')}"
    from stepwell._spawn import ANOTHER_RUNS, start_daemon, why_ended

    if problem := folder_problem(places.socket.parent):
        return (
            f"a daemon cannot be started in {problem}; name another socket with {SOCKET_VARIABLE}"
        )
    if not (places.data_named or places.data_variable) and (
        other := service_store_before(places.socket, places.data)
    ):
        return service_store_text(places.socket, other)
    os.environ.update(places.environment())  # A daemon finds the journals by it.
    try:
        process = start_daemon(str(places.socket), places.data)
    except OSError as error:
        return (
            f"{error.filename or places.data}: {error.strerror}; name another folder with "
            "STEPWELL_DATA"
        )

    def has_failed() -> bool:
        return process.poll() not in (None, ANOTHER_RUNS)

    if wait_until_answered(places.socket, has_failed):
        return ""
    reason = why_ended(places.data)
    return f"it ended or does not answer: {reason}" if reason else "it does not answer"
