"""The daemon's counters. The event loop owns them."""

import bisect
import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from stepwell_daemon.bounds import BOUNDS, DROPS, Dropped

SYNC_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
INSERT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Histogram:
    """Counts of observations by upper bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.largest = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def observe(self, value: float) -> None:
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value
        self.largest = max(self.largest, value)

    def cumulative(self) -> list[tuple[str, float]]:
        """Return ``(upper bound, observations up to it)`` in the form that Prometheus expects."""
        total = 0
        rows = []
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            total += count
            rows.append(("+Inf" if bound == math.inf else repr(bound), float(total)))
        return rows


class Rate:
    """Events per second, weighted so that the last seconds count most.

    Costs one multiplication for each event, and no work without events.
    """

    _SECONDS: Final = 3.0

    def __init__(self) -> None:
        self._weight = 0.0
        self._at = self._since = time.monotonic()

    def add(self, count: int) -> None:
        now = time.monotonic()
        if not self._weight:
            self._since = now
        self._weight = self._weight * math.exp((self._at - now) / self._SECONDS) + count
        self._at = now

    def per_second(self) -> float:
        now = time.monotonic()
        weight = self._weight * math.exp((self._at - now) / self._SECONDS)
        if weight < 1e-3:
            return 0.0
        # Exact from the first second on: an empty start has no average age of three seconds.
        span = self._SECONDS * (1.0 - math.exp(-max(now - self._since, 0.05) / self._SECONDS))
        return weight / span


@dataclass(slots=True)
class Counters:
    """Counts since the start of the daemon."""

    points_received: int = 0
    points_stored: int = 0
    frames_received: int = 0
    bytes_received: int = 0
    duplicate_bytes: int = 0
    skipped_bytes: int = 0
    """Skipped bytes of writers: acknowledged by another spool, or lost with this daemon's spool."""
    filled_bytes: int = 0
    """Skipped bytes that came later, from another relay."""
    refused: Counter[str] = field(default_factory=Counter)
    bounds_reached: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(BOUNDS, 0)))
    """How often each bound refused a sender or made it wait."""
    dropped_rows: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(DROPS, 0)))
    dropped_points: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(DROPS, 0)))
    dead_letter_records: int = 0
    recovered_journals: int = 0
    quarantined_records: int = 0
    torn_bytes: int = 0
    commits: int = 0
    commit_failures: int = 0
    inserts: int = 0
    insert_failures: int = 0
    upstream_changes: int = 0
    """How often the gateway had another spool than before."""
    handler_errors: int = 0
    blobs_stored: int = 0
    blobs_known: int = 0
    """The number of these that the store had already."""
    blobs_failed: int = 0
    sync_seconds: Histogram = field(default_factory=lambda: Histogram(SYNC_BUCKETS))
    insert_seconds: Histogram = field(default_factory=lambda: Histogram(INSERT_BUCKETS))
    points_received_rate: Rate = field(default_factory=Rate)
    points_stored_rate: Rate = field(default_factory=Rate)
    bytes_received_rate: Rate = field(default_factory=Rate)

    def drop(self, dropped: Iterable[Dropped]) -> None:
        """Count dropped rows and points."""
        for each in dropped:
            self.dropped_rows[each.reason] += each.rows
            self.dropped_points[each.reason] += each.points

    def refuse(self, reason: str, bound: str = "") -> None:
        """Count a refusal, and its bound if it has one."""
        self.refused[reason] += 1
        if bound:
            self.bounds_reached[bound] += 1
