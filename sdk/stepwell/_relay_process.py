"""A relay: a process that sends a forked child's journal for it.

gRPC does not survive a fork: in a child of a process that has used it, a new connection hangs
(measured with grpcio 1.85). So the child only writes its journal, and a fresh interpreter reads
along and sends. It ends with the child, whose rest the daemon's recovery then takes.
"""

import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import subprocess

_RESTART_SECONDS: Final = 5.0


class Relay:
    """Keeps one relay process running for a journal."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    def see_to(self, folder: str) -> None:
        """Start the relay of ``folder`` unless it runs; at most once in a while."""
        if self._process is not None and self._process.poll() is None:
            return
        import subprocess

        now = time.monotonic()
        if self._process is not None and now - self._started_at < _RESTART_SECONDS:
            return
        self._started_at = now
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stepwell._relay", folder, self.socket],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Let it go: it ends by itself when the journal's lock is free or the folder gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(2.0)
