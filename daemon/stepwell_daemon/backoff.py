"""Retry delays: pure."""

import random
from typing import Final

DELAY_SECONDS_MIN: Final = 0.1
DELAY_SECONDS_MAX: Final = 10.0


def retry_delay(
    failures: int,
    *,
    jitter: float,
    first_seconds: float = DELAY_SECONDS_MIN,
    last_seconds: float = DELAY_SECONDS_MAX,
) -> float:
    """Return the seconds to wait after ``failures`` (1, 2, …) failures in a row.

    The delay doubles up to ``last_seconds``. ``jitter`` (0 to 1) subtracts up to half of it, so
    that many daemons do not retry at the same time.
    """
    whole = min(last_seconds, first_seconds * 2.0 ** min(max(failures, 1) - 1, 32))
    return whole * (1.0 - 0.5 * jitter)


class Backoff:
    """Counts failures in a row and returns the delay after each."""

    def __init__(
        self,
        *,
        first_seconds: float = DELAY_SECONDS_MIN,
        last_seconds: float = DELAY_SECONDS_MAX,
        source: random.Random | None = None,
    ) -> None:
        self.failures = 0
        self._first_seconds = first_seconds
        self._last_seconds = last_seconds
        self._random = source or random.Random()

    def next_delay(self) -> float:
        self.failures += 1
        return retry_delay(
            self.failures,
            jitter=self._random.random(),
            first_seconds=self._first_seconds,
            last_seconds=self._last_seconds,
        )

    def reset(self) -> None:
        self.failures = 0
