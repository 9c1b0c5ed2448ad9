"""The segments that the spool holds: the end and the size of each, and which may be freed."""

import time
from collections.abc import Callable, Mapping

from stepwell_daemon.spool.segment import PAGE_BYTES, Location


class HeldSegments:
    """Bookkeeping of segments that are on disk. No I/O."""

    def __init__(
        self,
        ends: Mapping[int, int],
        sizes: Mapping[int, int],
        cursor: Location,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sizes = dict(sizes)
        self._ends = dict(ends)
        self._clock = clock
        self._passed_at = {number: clock() for number in ends if number < cursor.segment}

    @property
    def disk_bytes(self) -> int:
        return sum(self.sizes.values())

    def update(self, ends: Mapping[int, int], sizes: Mapping[int, int]) -> None:
        self._ends.update(ends)
        self.sizes.update(sizes)

    def end_of(self, number: int) -> int:
        """Return the end of closed segment ``number``; the end of its page if unknown."""
        return self._ends.get(number, PAGE_BYTES)

    def after(self, number: int) -> int | None:
        """Return the number of the first segment after ``number``."""
        return min((other for other in self.sizes if other > number), default=None)

    def bytes_between(self, cursor: Location, end: Location) -> int:
        """Return the number of bytes between ``cursor`` and ``end``, the spool's end."""
        return sum(
            max(
                0,
                (end.offset if number == end.segment else self.end_of(number))
                - (cursor.offset if number == cursor.segment else PAGE_BYTES),
            )
            for number in self.sizes
            if number >= cursor.segment
        )

    def note_passed(self, before: Location, cursor: Location) -> None:
        """Note that the forwarder advanced: a segment that it left may be freed after a while."""
        for number in self.sizes:
            if before.segment <= number < cursor.segment:
                self._passed_at[number] = self._clock()

    def freeable(
        self, cursor: Location, *, keep_seconds: float, keep_bytes: int, bytes_max: int
    ) -> list[int]:
        """Return the stored segments that were kept for long enough or take too much space."""
        passed = sorted(number for number in self.sizes if number < cursor.segment)
        kept = sum(self.sizes[number] for number in passed)
        total = self.disk_bytes
        oldest = self._clock() - keep_seconds
        chosen = []
        for number in passed:
            is_old = self._passed_at.get(number, oldest) <= oldest
            if not is_old and kept <= keep_bytes and total <= bytes_max:
                break
            kept -= self.sizes[number]
            total -= self.sizes[number]
            chosen.append(number)
        return chosen

    def forget(self, numbers: list[int]) -> dict[int, tuple[int, int]]:
        """Remove ``numbers``; return the end and the size of each, for ``restore``."""
        held = {number: (self.end_of(number), self.sizes[number]) for number in numbers}
        for number in numbers:
            self.sizes.pop(number, None)
            self._ends.pop(number, None)
            self._passed_at.pop(number, None)
        return held

    def restore(self, held: Mapping[int, tuple[int, int]]) -> None:
        """Add segments back that could not be freed; they may be freed at once."""
        for number, (end, size) in held.items():
            self._ends[number], self.sizes[number] = end, size
