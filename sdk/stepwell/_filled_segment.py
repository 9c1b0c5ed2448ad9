"""The segment that a writer fills, and the last values that its rows hold.

Nothing is noted per row: a row's schema knows the offset of its last row. When a caller asks, or
the segment is full, the values are read back from there.
"""

import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stepwell._definitions import Definitions
from stepwell._journal import Journal
from stepwell._rows import Schema
from stepwell_wire.records import HEADER, HEADER_BYTES

WAKE_BYTES = 512 * 1024
"""The sender is woken after so many bytes, also before its interval is over."""
_RESERVE_SHARE = 16
_RESERVE_BYTES_MAX = 64 * 1024
"""The end of each segment is kept free for the end of the run: the disk may refuse another one."""


def reserve_of(size: int) -> int:
    """Return how many bytes a segment of ``size`` bytes keeps free for the end of the run."""
    return min(_RESERVE_BYTES_MAX, size // _RESERVE_SHARE & ~7)


class FilledSegment:
    """The place of the next record, and the values of the last rows.

    Signal handlers may log in the middle of any method: see `_writer.py`.
    """

    def __init__(self, *, starting_step: int) -> None:
        self._lock = threading.RLock()
        self._finished = False
        self.journal: Journal | None = None
        self.definitions = Definitions()
        self._schemas: dict[tuple[str, ...], Schema] = {}
        self._step = starting_step
        self._buffer: Any = None  # the mapping of the segment that is being filled
        self._words: Any = None  # its page, as words
        self._base = 0  # the journal's position at offset 0 of the buffer
        self._offset = 0  # where the next record goes
        self._limit = 0  # where `log` leaves its fast path: to wake the sender, or no room
        self._end = 0  # where the segment ends, without its reserve
        self._latest: dict[str, tuple[int, Any]] = {}  # by name: its position, and the value
        # By name, of summary values that were set by hand: its entry of `_latest` (None: deleted),
        # and the value that was logged before it.
        self._by_hand: dict[str, tuple[tuple[int, Any] | None, Any]] = {}
        self._indexed = 0  # So many names of `_latest` have their parts in `_parents`.
        self._parents: set[str] = set()  # "a" and "a.b" of "a.b.c", also after its deletion
        self._captured = -1  # Up to here, in this segment, all rows are in `_latest`.
        self._row_step, self._row_us = starting_step - 1, 0
        self._highest_step = starting_step - 1  # of the rows that were read, and of other values
        self._other_end = 0  # the position after the last values that are no numbers
        self._sequence = 0  # Used as position if there is no journal.

    @property
    def lock(self) -> threading.RLock:
        return self._lock

    def _adopt(self) -> None:
        """Continue in the journal's current segment."""
        journal = self.journal
        if journal is None:
            self._buffer = self._words = None
            self._offset = self._limit = self._end = 0
            return
        while True:
            current = journal.held[-1]
            mapping, words, base = current.mapping, current.words, current.base
            offset, end = current.committed_end, current.size - reserve_of(current.size)
            limit = min(offset + WAKE_BYTES, end)
            # No call from here on: the values read stay valid, and all changes at once.
            if journal.held[-1] is not current:
                continue
            if self._buffer is not mapping and not self._finished:
                self._schemas = {}  # A fresh segment knows no schema.
                self._buffer, self._words = mapping, words
                self._base, self._offset, self._end, self._limit = base, offset, end, limit
                self._captured = -1
            return

    # ------------------------------------------------------------------ the last values

    @property
    def has_logged(self) -> bool:
        rows = any(schema.last for schema in self._schemas.values())
        return rows or bool(self._latest) or self._other_end > 0

    @property
    def last_us(self) -> int:
        """When the last row was logged, in microseconds since 1970 UTC; 0 before the first."""
        return self._row_us

    @property
    def last_step(self) -> int:
        """The step of the last row, as of the last look at the latest values."""
        return self._row_step

    @property
    def next_step(self) -> int:
        """The step from which a resumed run continues: after every row, also an open one.

        After a late row it is unknown whether the current step has a row: a step without a row is
        better than a step that is logged twice.
        """
        with self._lock:
            return self._next_step()

    def look_for_next_step(self) -> int | None:
        """Return ``next_step``, None while another thread logs.

        For the sender: a ``log`` that waits for room holds the lock, and the sender makes room.
        """
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._next_step()
        finally:
            self._lock.release()

    def _next_step(self) -> int:
        last = max((schema.last for schema in self._schemas.values()), default=0)
        highest = self._highest_step
        if last and self._buffer is not None:
            highest = max(highest, HEADER.unpack_from(self._buffer, last)[2])
        return self._step if highest == self._step - 1 else max(self._step, highest) + 1

    def latest(self, metric: str) -> Any:
        """Return the last value of ``metric``, None before the first."""
        return self.latest_values((metric,)).get(metric)

    def latest_values(self, metrics: Iterable[str]) -> dict[str, Any]:
        """Return the last value of each of ``metrics``, read back from the journal."""
        with self._lock:
            self._capture()
            return {name: self._latest[name][1] for name in metrics if name in self._latest}

    def copy_latest(self) -> dict[str, tuple[int, Any]]:
        """Return the last value of every metric, after its position."""
        with self._lock:
            self._capture()
            return self._latest.copy()

    def logged(self, metric: str) -> Any:
        """Return the last value that was logged, also after one was set by hand; else None."""
        with self._lock:
            self._capture()
            return self._logged(metric)

    def _logged(self, metric: str) -> Any:
        held = self._latest.get(metric)
        entry, before = self._by_hand.get(metric, (None, None))
        if held is entry:
            return before
        return None if held is None else held[1]

    def by_hand(self, metric: str, default: Any = None) -> Any:
        """Return the last value that was set by hand, also after later rows; else ``default``."""
        with self._lock:
            entry, _ = self._by_hand.get(metric, (None, None))
            return default if entry is None else entry[1]

    def resume_after(self, time_us: int) -> None:
        """Note when an earlier process logged the last row, the one before the starting step."""
        with self._lock:
            self._row_us = time_us

    def set_latest(self, values: Mapping[str, Any], *, are_logged: bool = False) -> None:
        """Keep ``values`` as the last ones until the next row of their metrics.

        Args:
            are_logged: an earlier process logged them, or set them by hand; else set by hand.
        """
        with self._lock:
            self._capture()
            self._sequence += 1
            position = self._sequence if self.journal is None else self._base + self._offset
            for name, value in values.items():
                before = value if are_logged else self._logged(name)
                entry = self._latest[name] = (position, value)
                self._by_hand[name] = entry, before

    def forget_latest(self, name: str) -> None:
        with self._lock:
            self._capture()
            self._by_hand[name] = None, self._logged(name)
            if self._latest.pop(name, None) is not None:
                # The names after it move by one. Its parts stay in `_parents`: with no value below
                # them, `names_below` finds none.
                self._indexed = max(0, self._indexed - 1)

    def names_below(self, name: str) -> list[str]:
        """Return the names of the values below ``name``: "a.b" is below "a"."""
        with self._lock:
            self._capture()
            names = list(self._latest)
            for each in names[self._indexed :]:
                self._parents.update(_parents_of(each))
            self._indexed = len(names)
            if name not in self._parents:
                return []
            return [each for each in names if each.startswith(f"{name}.")]

    def _capture(self) -> None:
        """Read the last row of each schema from the current segment."""
        if self.journal is None or self._buffer is None or self._captured == self._offset:
            return
        self._look_for_rows()

    def _note_last_row(self) -> None:
        """Note step and time of the last row, without its values."""
        buffer, base = self._buffer, self._base
        ends = [schema.last for schema in self._schemas.values() if schema.home is buffer]
        last = max(ends, default=0)
        if last:
            _, _, step, time_us = HEADER.unpack_from(buffer, last)
            self._highest_step = max(self._highest_step, step)
            if base + last >= self._other_end:
                self._row_step, self._row_us = step, time_us

    def _look_for_rows(self) -> None:
        # A handler may log, even begin another segment: its offsets are not those of this one.
        buffer, captured, base = self._buffer, self._offset, self._base
        rows = sorted(
            (
                (schema.last, schema)
                for schema in set(self._schemas.values())
                if schema.last and schema.home is buffer
            ),
            key=lambda row: row[0],
        )
        if rows:
            last = rows[-1][0]
            _, _, step, time_us = HEADER.unpack_from(buffer, last)
            if self._buffer is buffer and base + last >= self._other_end:
                self._row_step, self._row_us = step, time_us
        for last, schema in rows:
            position = base + last
            self._highest_step = max(self._highest_step, HEADER.unpack_from(buffer, last)[2])
            values = struct.unpack_from(f"<{len(schema.keys)}d", buffer, last + HEADER_BYTES)
            for name, value in zip(schema.keys, values, strict=True):
                held = self._latest.get(name)
                if held is None or held[0] <= position:
                    self._latest[name] = (position, value)
            if schema.last == last:  # No signal handler has logged meanwhile.
                schema.last = 0
        if self._buffer is buffer:
            self._captured = captured


def _parents_of(name: str) -> Iterator[str]:
    end = name.find(".")
    while end >= 0:
        yield name[:end]
        end = name.find(".", end + 1)
