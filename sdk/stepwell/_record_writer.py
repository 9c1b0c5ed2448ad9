"""Records on their way into the journal: events, and the handling of a full journal.

An event that does not fit waits, up to a bound; lines of the console wait in a separate tail;
rows are dropped and counted. Losses are written as gaps as soon as there is room.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from stepwell._console_tail import ConsoleTail
from stepwell._filled_segment import WAKE_BYTES, FilledSegment
from stepwell._journal import Journal
from stepwell._losses import DISK, FULL, Losses
from stepwell._name_sets import NameSets
from stepwell._names import Warn
from stepwell._rows import Schema, cut_into_parts
from stepwell.errors import RunFinishedError
from stepwell_wire.gaps import GapKind
from stepwell_wire.records import CONSOLE, FINISH, GAP, pack_event
from stepwell_wire.segment import COMMITTED_WORD

_GAPS_BYTES: Final = 1024  # More than the events of gaps take.
_LAST_BYTES: Final = 2048  # More than the last gaps and the end of the run take.
_QUEUE_SHARE: Final = 4
"""Events that wait for room take at most this part of a segment, so that one holds all."""
_BLOCK_SECONDS: Final = 0.05
_committed = COMMITTED_WORD
_time_ns = time.time_ns


class RecordWriter(FilledSegment):
    """Writes events, and continues in a fresh segment when one is full.

    Attributes:
        losses: data that did not fit into the journal; counted, and stored as gaps.
        idle: set by the sender while it sleeps without a time limit; `log` then wakes it.
    """

    def __init__(
        self,
        make_journal: Callable[[], Journal | None],
        *,
        run_id: str,
        wake: Callable[[], None],
        warn: Warn,
        starting_step: int = 0,
        disabled: bool = False,
        block_when_full: bool = False,
        may_block: Callable[[], bool] = lambda: True,
        in_child: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(starting_step=starting_step)
        self._last_us = 0
        self.idle = False
        self.wake = wake
        self.warn = warn
        self.run_id = run_id
        self.losses = Losses()
        self.name_sets = NameSets()
        self._queued_events: deque[bytes] = deque()  # events that wait for room, oldest first
        self._is_writing_queued = False
        self._console_tail = ConsoleTail(0)
        self._disabled = disabled
        self._warned_full = False
        self._block = block_when_full
        self._may_block = may_block
        self._in_child = in_child
        self._make_journal = make_journal
        self._pid = os.getpid()
        self.open()

    def open(self) -> None:
        """Begin a journal; without one (a full or read-only disk) everything is dropped."""
        self.journal = self._make_journal()
        self._console_tail = ConsoleTail(0 if self.journal is None else self.journal.segment_bytes)
        self._adopt()

    def _now(self) -> int:
        time_us = _time_ns() // 1000
        if time_us <= self._last_us < time_us + 1_000_000:
            time_us = self._last_us + 1
        self._last_us = time_us
        return time_us

    # ------------------------------------------------------------------ events

    def write_event(self, kind: str, body: Mapping[str, Any]) -> bool:
        """Write one event at the current step; False if there was no room.

        Events that describe the run wait for room, up to a bound; console lines do not.
        """
        with self._lock:
            self.check_open(kind)
            if self._disabled:
                return True
            record = self._packed(kind, body, self._step, self._now())
            if record is None:
                return False
            has_turn = self._write_queued() or kind == FINISH
            position = self._place_or_advance(record) if has_turn else None
            written = position is not None
            captured = self._captured
            if position == self._base + captured and self._offset == captured + len(record):
                self._captured = self._offset  # An event holds no row.
            if not written and kind != CONSOLE:
                self._queue_event(record)
            if self.idle:
                self.wake()
            return written

    def write_console(self, stream: str, lines: list[list[Any]]) -> None:
        """Write numbered lines of ``stream``; without room the last are kept, others are lost."""
        with self._lock:
            has_turn = self._write_console_tail()
            if has_turn and self.write_event(CONSOLE, {"stream": stream, "lines": lines}):
                return
            for its_stream, lost in self._console_tail.add(stream, lines):
                self.losses.add_lines(self._why_no_room(), its_stream, lost, self._step)

    def _write_console_tail(self) -> bool:
        """Write the lines that wait for room; False if they still wait."""
        tail = self._console_tail
        if not tail:
            return True
        waiting = tail.take()
        for stream, lines in waiting.items():
            if not self.write_event(CONSOLE, {"stream": stream, "lines": lines}):
                for its_stream, lost in tail.add(stream, lines):
                    self.losses.add_lines(self._why_no_room(), its_stream, lost, self._step)
        return not tail

    def _write_last_console_tail(self) -> None:
        """Write the lines that wait for room beyond the limit, or count them as lost."""
        if self._write_console_tail():
            return
        if self._advance(beyond_limit=True) and self._write_console_tail():
            return
        for stream, lines in self._console_tail.take().items():
            self.losses.add_lines(self._why_no_room(), stream, lines, self._step)

    def write_set(self, kind: str, values: Mapping[str, Any], delete: Iterable[str] = ()) -> None:
        """Write a config, summary or metadata event, in parts where it is large."""
        with self._lock:
            removed = list(delete)
            # By name: `wd` is set before `wd.bias`, also if they are in different parts.
            for part in cut_into_parts(dict(sorted(values.items()))) or [{}]:
                body: dict[str, Any] = {"set": part}
                if removed:
                    body["delete"], removed = removed, []
                self.write_event(kind, body)

    def _packed(self, kind: str, body: Mapping[str, Any], at: int, time_us: int) -> bytes | None:
        try:
            return pack_event(kind, body, step=at, time_us=time_us)
        except (ValueError, TypeError, OverflowError) as error:
            self.warn(f"event {kind}", f"an event {kind!r} was not recorded: {error}")
            return None

    def _write_event(self, kind: str, body: Mapping[str, Any], at: int, time_us: int) -> int | None:
        """Return the position at which the event was written, None when it was not."""
        record = self._packed(kind, body, at, time_us)
        return None if record is None else self._place_or_advance(record)

    def _place_or_advance(self, record: bytes) -> int | None:
        position = None if self.losses.has_rows else self._place(record)
        if position is None and self._advance():
            position = self._place(record)
        return position

    def _queue_event(self, record: bytes) -> None:
        """Keep an event until there is room for it."""
        bytes_max = 0 if self.journal is None else self.journal.segment_bytes // _QUEUE_SHARE
        if sum(map(len, self._queued_events)) + len(record) <= bytes_max:
            self._queued_events.append(record)
        else:
            self.losses.add_event(self._why_no_room(), self._step)

    def _write_queued(self) -> bool:
        """Write the events that wait for room; False if some still wait."""
        if not self._queued_events:
            return True
        if self._is_writing_queued:
            return False  # An inner call or a signal handler: the outer call continues.
        self._is_writing_queued = True
        try:
            while self._queued_events:
                if self._place_or_advance(self._queued_events[0]) is None:
                    return False
                self._queued_events.popleft()
        finally:
            self._is_writing_queued = False
        return True

    def _place(self, record: bytes, schema: Schema | None = None) -> int | None:
        """Publish ``record`` and return its position; None without room in this segment.

        A row of ``schema`` is only written after the definition, in the same segment.
        """
        size = len(record)
        # As in `log`, no call from here to the publishing.
        offset = self._offset
        end = offset + size
        if end > self._end or (schema is not None and schema.home is not self._buffer):
            return None
        position = self._base + offset
        self._offset = end
        self._buffer[offset:end] = record
        if schema is not None:
            schema.last = offset
        self._words[_committed] = self._offset
        if end > self._limit:
            # Without a call: a handler that finishes the run sets both to 0.
            limit = end + WAKE_BYTES
            self._limit = limit if limit < self._end else self._end
            self.wake()
        return position

    # ------------------------------------------------------------------ room

    def _advance(self, *, beyond_limit: bool = False) -> bool:
        """Continue in a fresh segment; write the gaps and events that waited for it."""
        journal = self.journal
        if journal is None or self._finished:
            self._warn_full(None)
            return False
        self._capture()
        current = journal.held[-1]
        old, end = self._buffer, self._end
        # A record that does not fit into an empty segment does not fit into the next one.
        if old is current.mapping and not current.is_empty:
            # No more writes here: the next segment's name says where this one ends.
            self._limit = self._end = 0
            while not journal.advance(current, beyond_limit=beyond_limit):
                self.wake()
                if not (self._block and journal.problem is None and self._may_block()):
                    if self._buffer is old and not self._finished:
                        self._end = end
                    self._warn_full(journal.problem)
                    return False
                time.sleep(_BLOCK_SECONDS)
        self._adopt()
        self.wake()
        self._write_gaps()
        self._write_queued()
        return True

    def _write_gaps(self) -> None:
        for gap in self.losses.take():
            self._warned_full = False
            self._write_event(GAP, gap, int(gap["first_step"]), self._now())

    def _drop(self, point_count: int, at: int) -> None:
        self.losses.add_row(self._why_no_room(), point_count, at)
        # Rows that would fit into the rest of the segment must not come before the gap.
        self._limit = 0

    def _why_no_room(self) -> GapKind:
        full = self.journal is not None and self.journal.problem is None
        return FULL if full else DISK

    def _warn_full(self, problem: OSError | None) -> None:
        if self._warned_full or self._finished:
            return
        self._warned_full = True
        why = "the journal is full" if problem is None else f"{problem.strerror or problem}"
        if self.journal is None:
            why = "no journal could be created"
        self.warn(
            f"full {self.losses.points}",
            "points and console lines are dropped and counted until the journal has room "
            f"again: {why}; training continues. Check with `stepwell doctor` that the daemon "
            "runs",
        )

    @property
    def may_wait_for_room(self) -> bool:
        """Whether a write may wait until the daemon has made room."""
        return self._block

    # ------------------------------------------------------------------ state

    def check_open(self, call: str) -> None:
        """Raise RunFinishedError after the end; a forked child becomes a separate writer."""
        if self._pid != os.getpid():
            self._in_child()
        if self._finished:
            raise RunFinishedError(self.run_id, call)

    def make_room_for_the_end(self) -> None:
        """Begin a segment beyond the limit when rows or lines are dropped or wait for room."""
        with self._lock:
            self._write_last_console_tail()
            has_room = self._end - self._offset >= _GAPS_BYTES
            others = self.losses.has_others and not has_room
            if self.losses.has_rows or self._queued_events or others:
                self._advance(beyond_limit=True)
            elif self.losses.has_others:
                self._write_gaps()

    def open_reserve(self) -> None:
        """Write what still waits for room into the reserve of the segment: no other one came."""
        with self._lock:
            if self.losses.has_rows or self.losses.has_others or self._queued_events:
                self._open_reserve(_LAST_BYTES)
                self._write_gaps()
                self._write_queued()

    def write_end(self, body: Mapping[str, Any]) -> None:
        """Write the end of the run; count the events that still wait for room as lost."""
        with self._lock:
            self.check_open(FINISH)
            if self._disabled:
                return
            self._write_queued()
            while self._queued_events:
                self._queued_events.popleft()
                self.losses.add_event(self._why_no_room(), self._step)
            if self.losses.has_others:
                self._open_reserve(0)
                self._write_gaps()
            if not self.write_event(FINISH, body):
                self._open_reserve(0)
                self._write_queued()

    def _open_reserve(self, kept_bytes: int) -> None:
        """Let records use the reserve of the segment, but for the last ``kept_bytes``."""
        if self._buffer is not None:
            self._end = max(self._end, len(self._buffer) - kept_bytes)

    def finish(self) -> None:
        """Accept no more records; the journal stays open until it is closed."""
        with self._lock:
            self._capture()
            self._finished = True
            self._schemas = {}
            # A `log` of this thread that a signal handler interrupted finds no room.
            self._limit = self._end = 0

    def reset_in_child(self) -> None:
        """Forget the parent's state; called right after a fork, touches no file."""
        self._lock = threading.RLock()
        self._note_last_row()
        self._schemas = {}
        self.idle = False

    def begin_in_child(self, make_journal: Callable[[], Journal | None]) -> None:
        """Become a separate writer, in a forked child that logs."""
        self._pid = os.getpid()
        self._make_journal = make_journal
        self.name_sets, self.losses = NameSets(), Losses()
        self._queued_events, self._is_writing_queued = deque(), False
        self._other_end = 0
        self._latest = {name: (0, value) for name, (_, value) in self._latest.items()}
        self.open()
