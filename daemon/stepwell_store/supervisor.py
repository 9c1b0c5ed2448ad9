"""Keeps the engine process alive: heartbeat, SIGKILL when it hangs, restart with back-off.

An engine counts as hung when it does not answer a ping for 30 s. A ping is a separate query on a
separate connection, so a long insert, merge or migration does not delay it. Only two things do: a
deadlock, and the crash handler, which can keep a dead engine for minutes.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stepwell_store.channel import receive_message, send_message, socket_address
from stepwell_store.engine_process import EngineProcess
from stepwell_store.errors import StoreError, StoreUnavailableError

logger = logging.getLogger("stepwell_store")

PING_PERIOD_SECONDS: Final = 5.0
PING_TIMEOUT_SECONDS: Final = 30.0
RESTART_DELAY_SECONDS_MAX: Final = 10.0
_RESTART_DELAY_SECONDS_MIN: Final = 0.1
_HEALTHY_SECONDS: Final = 60.0
_UP_WAIT_SECONDS_MAX: Final = 10.0


def restart_delay(failures: int) -> float:
    """Return the delay in seconds before start number ``failures`` + 1."""
    return min(RESTART_DELAY_SECONDS_MAX, _RESTART_DELAY_SECONDS_MIN * 2.0 ** min(failures, 16))


class Supervisor:
    """Owns one engine process at a time and a thread that watches it."""

    def __init__(
        self,
        engine: EngineProcess,
        start: Callable[[], EngineProcess],
        socket_path: Path,
        *,
        ping_period_seconds: float = PING_PERIOD_SECONDS,
        ping_timeout_seconds: float = PING_TIMEOUT_SECONDS,
    ) -> None:
        self._engine: EngineProcess | None = engine
        self._start = start
        self._socket_path = socket_path
        self._ping_period_seconds = ping_period_seconds
        self._ping_timeout_seconds = ping_timeout_seconds
        self._up = threading.Event()
        self._up.set()
        self._stop = threading.Event()
        self._problem = ""
        self.restarts = 0
        self._thread = threading.Thread(target=self._watch, name="store-engine", daemon=True)
        self._thread.start()

    @property
    def engine_pid(self) -> int | None:
        return self._engine.pid if self._engine else None

    def wait_until_up(self, timeout_seconds: float) -> None:
        """Return when the engine runs.

        Raises:
            StoreUnavailableError: It does not within ``timeout_seconds`` (10 s at most).
        """
        if not self._up.wait(min(timeout_seconds, _UP_WAIT_SECONDS_MAX)):
            reason = f" ({self._problem})" if self._problem else ""
            raise StoreUnavailableError(
                f"{self._socket_path}: the store engine is down and is being started "
                f"again{reason}; try again later"
            )

    def close(self) -> None:
        """Stop the engine in order. Can be called twice."""
        self._stop.set()
        engine = self._engine
        if engine:
            engine.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        if self._engine and self._engine is not engine:
            self._engine.stop()  # The engine that was just being started.

    def _watch(self) -> None:
        failures = 0
        while not self._stop.is_set():
            engine = self._engine
            if engine is None:
                if self._stop.wait(restart_delay(failures)):
                    return
                failures += 1
                self._restart()
                continue
            started = time.monotonic()
            self._keep(engine)
            if self._stop.is_set():
                return
            if time.monotonic() - started > _HEALTHY_SECONDS:
                failures = 0
            self._up.clear()
            self._engine = None

    def _keep(self, engine: EngineProcess) -> None:
        """Return when ``engine`` has ended, by itself or because it hung."""
        while not engine.wait(self._ping_period_seconds):
            if self._stop.is_set():
                return
            if not self._answers(engine):
                logger.error("store engine does not respond, killing it pid=%d", engine.pid)
                engine.kill()
                return
        if not self._stop.is_set():
            logger.warning("store engine ended unexpectedly, restarting pid=%d", engine.pid)

    def _answers(self, engine: EngineProcess) -> bool:
        """Return False only if the engine exists and does not answer in time."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                peer.settimeout(self._ping_timeout_seconds)
                with socket_address(self._socket_path) as address:
                    peer.connect(address)
                send_message(peer, {"op": "ping"})
                receive_message(peer)
        except TimeoutError:
            return not engine.is_alive
        except OSError:
            return True  # It is ending: the next wait detects that.
        return True

    def _restart(self) -> None:
        try:
            engine = self._start()
        except StoreError as error:
            self._problem = str(error)
            logger.error("starting the store engine failed: %s", error)
            return
        self._engine = engine
        self._problem = ""
        self.restarts += 1
        if self._stop.is_set():
            engine.stop()
            return
        self._up.set()
        logger.info("store engine runs again pid=%d restarts=%d", engine.pid, self.restarts)
