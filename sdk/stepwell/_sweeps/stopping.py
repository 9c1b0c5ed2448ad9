"""Ends the trial of this process from another thread: it was stopped early, or is not needed.

The next ``log`` raises `TrialStopped`. In a function that does not log it is raised at any place,
one second later; but never inside a ``log`` or while a run is being finished, because the state
would be incomplete.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from stepwell._stop_notes import note_met
from stepwell.errors import TrialStopped

if TYPE_CHECKING:
    from stepwell._active_run import ActiveRun

_WAIT_FOR_LOG_SECONDS: Final = 1.0


class Stopper:
    """Ends the trial in one thread. `stop` may be called from any thread, and more than once.

    Attributes:
        reason: why the trial is stopped, "" while it is not.
    """

    def __init__(self, *, wait_seconds: float = _WAIT_FOR_LOG_SECONDS) -> None:
        self.reason = ""
        self._lock = threading.RLock()
        self._thread_id = threading.get_ident()
        self._wait_seconds = wait_seconds
        self._timer: threading.Timer | None = None
        self._shields = 0
        self._closed = False
        self._is_raised = False  # Once is enough: after it is caught, no other follows.
        self._runs: list[ActiveRun] = []

    def add(self, run: "ActiveRun") -> None:
        """Let the ``log`` of ``run`` stop the trial."""
        with self._lock:
            self._runs.append(run)
            if self.reason:
                _trap(run, self.reason)

    def stop(self, reason: str) -> None:
        with self._lock:
            if self._closed or self.reason:
                return
            self.reason = reason
            for run in self._runs:
                _trap(run, reason)
            self._raise_later()

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Raise nothing in the thread while a run is being finished."""
        with self._lock:
            self._shields += 1
            self._cancel()
        try:
            yield
        finally:
            with self._lock:
                self._shields -= 1
                if self.reason and not self._shields:
                    self._raise_later()

    def close(self) -> None:
        """End the stopping; an exception that is not raised yet is withdrawn."""
        while True:
            try:
                with self._lock:
                    self._closed = True
                    self._cancel()
                return
            except TrialStopped:  # Raised just now.
                continue

    def _raise_later(self) -> None:
        if self._closed or self._is_raised or self._shields or self._timer is not None:
            return
        self._timer = threading.Timer(self._wait_seconds, self._raise)
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:  # No thread can be started: the next `log` has to do.
            self._timer = None

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.reason and threading.get_ident() == self._thread_id:
            _set_error(self._thread_id, None)

    def _raise(self) -> None:
        with self._lock:
            runs = list(self._runs)
        locks = [run._writer.lock for run in runs if not run.finished]
        held = []
        for lock in locks:
            if lock.acquire(timeout=self._wait_seconds):
                held.append(lock)
        try:
            with self._lock:
                if not self._closed and not self._shields:
                    self._is_raised = True
                    note_met()
                    _set_error(self._thread_id, TrialStopped)
        finally:
            for lock in reversed(held):
                lock.release()


def _trap(run: "ActiveRun", reason: str) -> None:
    def log(*arguments: Any, **named: Any) -> None:
        note_met()
        raise TrialStopped(reason)

    object.__setattr__(run, "log", log)


def _set_error(thread_id: int, error: type[BaseException] | None) -> None:
    """Raise ``error`` in a thread at its next step; None withdraws one not yet raised."""
    value = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), value)


_current: Stopper | None = None


def begin() -> Stopper:
    """Return a stopper for a trial that begins in this thread."""
    global _current
    _current = Stopper()
    return _current


def end() -> None:
    global _current
    if _current is not None:
        _current.close()
    _current = None


def of_trial() -> Stopper:
    """Return the stopper of the current trial; a process that an agent started has one."""
    return _current or begin()
