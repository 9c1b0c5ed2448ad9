"""Ages: the time since which records wait, to about a second. No I/O."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from stepwell_daemon.spool.segment import Location

_AGES_MAX: Final = 4096


class Ages:
    """The times at which the spool reached its ends, about once a second."""

    def __init__(self, end: Location, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reached: deque[tuple[Location, float]] = deque([(end, clock())])

    def waiting_since(self, cursor: Location, end: Location) -> float | None:
        """Return when the oldest record between ``cursor`` and ``end`` came; None without one."""
        if cursor >= end:
            return None
        return next((at for reached, at in self._reached if reached > cursor), self._clock())

    def note(self, cursor: Location, end: Location) -> None:
        """Note that the spool reaches up to ``end`` now."""
        now, reached = self._clock(), self._reached
        while reached and reached[0][0] <= cursor:
            reached.popleft()
        if reached and now - reached[-1][1] < 1.0:
            # Merged with the ones just before: the time of the oldest, the end of the newest.
            reached[-1] = (end, reached[-1][1])
            return
        if len(reached) >= _AGES_MAX:
            self._reached = reached = deque(list(reached)[::2])
        reached.append((end, now))
