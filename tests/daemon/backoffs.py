"""Back-offs with short delays or none, for the parts that retry."""

from typing import Any

from stepwell_daemon.backoff import Backoff


def no_wait(**_: Any) -> Backoff:
    """Retry at once, for fakes."""
    return Backoff(first_seconds=0.0, last_seconds=0.0)


def short_wait(**_: Any) -> Backoff:
    """Retry within 10 ms, for a port that another part opens."""
    return Backoff(first_seconds=0.01, last_seconds=0.01)
