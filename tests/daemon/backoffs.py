"""Back-offs that wait hardly or not at all, to give to what retries."""

from typing import Any

from stepwell_daemon.backoff import Backoff


def no_wait(**_: Any) -> Backoff:
    """Retry at once; for a fake that fails so many times."""
    return Backoff(first_seconds=0.0, last_seconds=0.0)


def short_wait(**_: Any) -> Backoff:
    """Retry in 10 ms at most; for another process or a port that comes back."""
    return Backoff(first_seconds=0.01, last_seconds=0.01)
