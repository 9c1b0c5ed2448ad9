"""A relay: a process that sends a journal for the process that writes it.

gRPC does not survive a fork: in a child of a process that has used it, a new connection hangs
(measured with grpcio 1.85). With its own fork support on, a parent that forks hangs (measured
likewise), and an interpreter that is ending may have no threads for it. In these cases the process
only writes its journal, and a fresh interpreter reads the journal and sends it. It ends with the
writer; the daemon's recovery then takes the rest.
"""

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from stepwell import _import_gate
from stepwell.errors import RefusedError
from stepwell_wire.interpreter import helper_command, helper_environment

if TYPE_CHECKING:
    import subprocess

REFUSED: Final = 4
"""Exit code of a relay that the daemon refused; its output says why."""

_RESTART_SECONDS: Final = 5.0
_TRUE: Final = frozenset({"1", "true", "yes", "on", "t", "y"})


def forks_are_handled() -> bool:
    """Whether the fork support of grpc is switched on: this process must not use grpc then."""
    return os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "").strip().lower() in _TRUE


_grpc_inherited = False


def note_fork() -> None:
    """In a forked child: remember whether grpc was in use, which a child cannot use any more."""
    global _grpc_inherited
    _grpc_inherited = _grpc_inherited or "grpc" in sys.modules


def must_not_use_grpc() -> bool:
    """Return whether grpc must not be used in this process."""
    return _fork_inherited_grpc() or forks_are_handled()


def _fork_inherited_grpc() -> bool:
    """Return whether this process was forked from one that used grpc, or may have been.

    A parent without a run has no hooks of ours, so a child of multiprocessing may not know.
    """
    process = sys.modules.get("multiprocessing.process")
    is_child = process is not None and process.parent_process() is not None
    return _grpc_inherited or (is_child and "grpc" in sys.modules)


class RelayProcess:
    """Keeps one relay process running for a journal."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    def ensure_started(self, folder: str) -> None:
        """Start the relay of ``folder`` unless it runs; at most once in a while.

        Raises:
            RefusedError: The daemon refused the last one for good.
            OSError: It cannot be started.
        """
        process = self._process
        if process is not None and process.poll() is None:
            return
        if process is not None and process.returncode == REFUSED and process.stdout is not None:
            code, detail, position = json.loads(process.stdout.read())
            raise RefusedError(code, detail, position)
        with _import_gate.importing:
            import subprocess

        now = time.monotonic()
        if self._started_at and now - self._started_at < _RESTART_SECONDS:
            return
        self._started_at = now
        if process is not None and process.stdout is not None:
            process.stdout.close()
        self._process = subprocess.Popen(
            [*helper_command("stepwell._relay"), folder, self.socket],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env=helper_environment(),
        )

    def stop(self) -> None:
        """Release it: it ends by itself when the journal's lock is free or the folder is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(2.0)
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
