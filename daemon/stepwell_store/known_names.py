"""Names of series that the store is known to have, so that they need not be sent again.

Every extent has the names of all its series, and nearly all of them were sent before. Sending a
name again has no effect, so forgetting one is harmless. Names are remembered for a limited time,
because another process may delete a run while its writers continue.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Final

AGE_SECONDS_MAX: Final = 60.0
NAMES_MAX: Final = 16_384


class KnownNames:
    """A bounded memory of recently stored names. Safe from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stored_at: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def has_all(self, names: Iterable[Hashable]) -> bool:
        """Return whether each of ``names`` was stored within ``AGE_SECONDS_MAX``."""
        oldest = self._clock() - AGE_SECONDS_MAX
        with self._lock:
            return all(self._stored_at.get(name, oldest) > oldest for name in names)

    def clear(self) -> None:
        """Forget all: another process may have deleted them."""
        with self._lock:
            self._stored_at.clear()

    def add(self, names: Iterable[Hashable]) -> None:
        now = self._clock()
        with self._lock:
            for name in names:
                self._stored_at[name] = now
            if len(self._stored_at) > NAMES_MAX:
                self._stored_at.clear()
