"""The owner's side of the engine process: start it, wait until it is ready, stop it, kill it."""

import os
import socket
import subprocess
from pathlib import Path
from typing import IO, Final

from stepwell_store.engine import BUSY, FORBIDDEN, LOCK_FILE, READY
from stepwell_store.errors import StoreBusyError, StoreUnavailableError
from stepwell_wire.interpreter import NoPythonError, helper_command

LOG_FILE: Final = "engine.log"
_LOG_BYTES_MAX: Final = 4 << 20
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0


class EngineProcess:
    """A running engine; it ends with this process, even if this process is killed."""

    def __init__(
        self, data_dir: Path, *, memory_bytes_max: int, lock_wait_seconds: float = 15.0
    ) -> None:
        """Start the engine and wait until it accepts connections.

        Raises:
            StoreBusyError: Another engine kept the directory for ``lock_wait_seconds``.
            StoreUnavailableError: The engine did not start.
        """
        self._data_dir = data_dir
        ours, theirs = socket.socketpair()
        words = [str(data_dir)]
        words += ["--control-fd", str(theirs.fileno()), "--owner-pid", str(os.getpid())]
        words += ["--memory-bytes-max", str(memory_bytes_max)]
        words += ["--lock-wait-seconds", str(lock_wait_seconds)]
        try:
            with theirs, _open_log(data_dir / LOG_FILE) as log:
                self._process = subprocess.Popen(
                    [*helper_command("stepwell_store.engine"), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except NoPythonError as error:
            ours.close()
            raise StoreUnavailableError(
                f"{data_dir}: starting the store engine failed: {error}"
            ) from error
        except OSError as error:
            ours.close()
            raise StoreUnavailableError(
                f"{data_dir}: starting the store engine failed: {error}; make the folder "
                "writable, or choose another one"
            ) from error
        self._control = ours
        self._wait_until_ready(lock_wait_seconds)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout_seconds: float) -> bool:
        """Return whether the engine has ended, waiting at most ``timeout_seconds`` for it."""
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End the engine in order; kill it when that takes too long. Can be called twice."""
        self._control.close()
        if not self.wait(_STOP_SECONDS):
            self.kill()

    def kill(self) -> None:
        """End the engine at once; acknowledged rows are on disk."""
        self._control.close()
        self._process.kill()
        self._process.wait()

    def _wait_until_ready(self, lock_wait_seconds: float) -> None:
        self._control.settimeout(_START_SECONDS + lock_wait_seconds)
        try:
            word = self._control.recv(8192)
        except OSError:
            word = b""
        if word == READY:
            self._control.settimeout(None)
            return
        if not self.wait(_START_SECONDS if word else 5.0):
            self.kill()
        self._control.close()
        if word == BUSY:
            raise StoreBusyError(
                f"{self._data_dir}: another process (pid {_lock_holder(self._data_dir)}) "
                f"uses the store and did not end within {lock_wait_seconds:g} s; stop it, or "
                "choose another data folder"
            )
        if word.startswith(FORBIDDEN):
            raise StoreUnavailableError(_forbidden_text(os.fsdecode(word[len(FORBIDDEN) :])))
        raise StoreUnavailableError(
            f"{self._data_dir}: the store engine ended with code {self._process.returncode} "
            f"while it started: {_last_words(self._data_dir / LOG_FILE)}; see "
            f"{self._data_dir / LOG_FILE}"
        )


def _forbidden_text(path: str) -> str:
    whose = "its owner"
    try:
        found = os.stat(path)
        whose = f"its owner (user {found.st_uid}; the mode is {found.st_mode & 0o777:03o})"
    except OSError:
        pass
    return (
        f"{path}: opening the store failed, because user {os.geteuid()} has no permission to use "
        f"this path; run the command or the daemon as {whose}, or give this user the right with "
        "`chown -R` or `chmod -R u+rwX`"
    )


def _open_log(path: Path) -> IO[bytes]:
    """Open the engine's log for appending; a large one begins again, with one old copy."""
    if path.exists() and path.stat().st_size > _LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _lock_holder(data_dir: Path) -> str:
    try:
        return (data_dir / LOCK_FILE).read_text().strip() or "unknown"
    except OSError:
        return "unknown"


def _last_words(path: Path) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 4096))
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return "none"
    return " ".join(lines[-3:])[-500:] if lines else "none"
