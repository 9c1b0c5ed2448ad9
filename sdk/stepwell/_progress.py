"""What a run that goes on after a kill needs to know, noted while the run is at work."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from stepwell._memory import Memory, Remembered

_PAUSES_PER_NOTE: Final = 200
"""A note that took a while is followed by a pause of so many times its duration."""

BUSY_SECONDS: Final = 0.5
"""Look again after so long where another thread logged."""


class Progress:
    """Notes the step, config and summary of a run; the sender calls it every two seconds.

    A forked child and a rank other than 0 note their step only: the config and the summary are
    those of the process that began the run.

    Args:
        lock: returns the lock that ``log`` takes. A note is put off while it is taken.
        remembered: returns what is to be noted; called with that lock.
    """

    def __init__(
        self,
        memory: Memory,
        run_id: str,
        *,
        lock: Callable[[], Any],
        remembered: Callable[[], Remembered],
        is_primary: bool = True,
    ) -> None:
        self._memory, self._run_id = memory, run_id
        self._lock, self._remembered = lock, remembered
        self._process = os.getpid() if is_primary else -1
        """The process that notes more than the step."""
        self._changes = 0
        self._noted: tuple[int, int] | None = None
        self._again_at = 0.0
        # Its holder never waits for the lock of ``log``, whose holder may be waiting for this one.
        self._writing = threading.RLock()
        self._newest: tuple[int, Remembered] | None = None
        self._number = self._written = 0

    def changed(self) -> None:
        """Know that config or summary were set."""
        self._changes += 1

    def look(self, next_step: int) -> float | None:
        """Note changes, unless another thread logs at the moment or the last note took long.

        Return after how many seconds to look again, None where all is noted.
        """
        now, state = time.monotonic(), (next_step, self._changes)
        if state == self._noted:
            return None
        self._memory.note_step(self._run_id, next_step)
        if os.getpid() != self._process:
            self._noted = state
            return None
        if now < self._again_at:
            return self._again_at - now
        lock = self._lock()
        if not lock.acquire(blocking=False):
            return BUSY_SECONDS
        try:
            number, remembered = self._gathered()
        finally:
            lock.release()
        self._write(number, remembered)
        self._noted = state
        self._again_at = now + _PAUSES_PER_NOTE * (time.monotonic() - now)
        return None

    def note(self, next_step: int) -> None:
        """Note everything now."""
        self._memory.note_step(self._run_id, next_step)
        if os.getpid() != self._process:
            return
        with self._lock():
            number, remembered = self._gathered()
        self._write(number, remembered)

    def _gathered(self) -> tuple[int, Remembered]:
        """Return what is to be noted, with a number that grows. The lock of ``log`` is held."""
        self._number += 1
        return self._number, self._remembered()

    def _write(self, number: int, remembered: Remembered) -> None:
        """Write a note, unless one that was gathered later is written already."""
        with self._writing:
            if self._newest is None or number > self._newest[0]:
                self._newest = (number, remembered)
            # More than once where a signal handler came in between and noted something newer.
            while self._written < self._newest[0]:
                number, remembered = self._newest
                self._memory.note(remembered)
                self._written = number
