"""The writer: `log` and everything else that puts records into the journal.

`log` finds the schema of the dict's keys, packs one row and publishes it by storing the new
end of the journal. Everything unusual (new keys, a value that is no number, a full segment, a
finished run, a forked child) makes the fast path fall through to `_log_slowly`, which begins
again from the start: the fast path changes nothing before the row is certain.

Between taking the offset and publishing it no Python function is called. CPython runs signal
handlers only at calls, function entries and backward jumps (3.11 on), so a handler that logs in
the middle of a `log` of the same thread finds the journal whole. The lock keeps other threads
out; it is re-entrant for that very case.
"""

import contextlib
import operator
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from stepwell._console_tail import ConsoleTail
from stepwell._definitions import Definitions
from stepwell._fields import fields_of
from stepwell._journal import Journal
from stepwell._losses import DISK, FULL, Losses
from stepwell._name_sets import NameSets
from stepwell._names import Warn, kind_of, metric_name, silent
from stepwell._rows import Schema, cut_into_parts
from stepwell._staging import Stager, blobs_in
from stepwell._values import SplitValues, split_values
from stepwell.errors import RunFinishedError
from stepwell_wire.gaps import GapKind
from stepwell_wire.limits import SCHEMA_KEYS_MAX, SCHEMAS_PER_WRITER_MAX
from stepwell_wire.records import (
    CONSOLE,
    FINISH,
    GAP,
    HEADER,
    HEADER_BYTES,
    HISTOGRAMS,
    SCHEMA,
    VALUES,
    pack_event,
)
from stepwell_wire.segment import COMMITTED_WORD

WAKE_BYTES: Final = 512 * 1024
"""The sender is woken each time that this much was written, before its interval is over."""

_STEP_MAX = 2**63 - 1
_GAPS_BYTES = 1024  # More than the events that tell of gaps take.
_OWED_SHARE = 4  # Events that wait for room take such a part of a segment, so that one holds all.
_BLOCK_SECONDS = 0.05
_ATTEMPTS_MAX = 8  # Two moves to a fresh segment are the most without a handler in between.
_committed = COMMITTED_WORD
_time_ns = time.time_ns


class Writer:
    """One process's records of one run.

    Attributes:
        losses: what found no room in the journal; counted, and stored as gaps.
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
        self._lock = threading.RLock()
        self._schemas: dict[tuple[str, ...], Schema] = {}
        self._step = starting_step
        self._last_us = 0
        self._buffer: Any = None  # the mapping of the segment that is being filled
        self._words: Any = None  # its page, as words
        self._base = 0  # the journal's position at offset 0 of the buffer
        self._offset = 0  # where the next record goes
        self._limit = (
            0  # where the fast path ends: the sender is to be woken, or the segment is full
        )
        self._end = 0  # where the segment ends
        self.idle = False
        self.wake = wake
        self.warn = warn
        self.run_id = run_id
        self.stager: Stager | None = None  # Where the bytes of media go; None: nowhere.
        self.definitions = Definitions()
        self.losses = Losses()
        self.name_sets = NameSets()
        self._owed: deque[bytes] = deque()  # events that wait for room, oldest first
        self._is_paying = False
        self._console_tail = ConsoleTail(0)
        self._latest: dict[str, tuple[int, Any]] = {}
        self._captured = -1  # Up to here, in this segment, all rows are in `_latest`.
        self._disabled = disabled
        self._row_step, self._row_us = starting_step - 1, 0
        self._sequence = 0  # Stands for a position where there is no journal.
        self._warned_full = False
        self._finished = False
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

    def _adopt(self) -> None:
        """Write on in the journal's current segment."""
        journal = self.journal
        if journal is None:
            self._buffer = self._words = None
            self._offset = self._limit = self._end = 0
            return
        while True:
            current = journal.held[-1]
            mapping, words, base = current.mapping, current.words, current.base
            offset, end = current.committed_end, current.size
            limit = min(offset + WAKE_BYTES, end)
            # No call from here on: what was read is still so, and all is changed at once.
            if journal.held[-1] is not current:
                continue
            if self._buffer is not mapping and not self._finished:
                self._schemas = {}  # A fresh segment knows no schema.
                self._buffer, self._words = mapping, words
                self._base, self._offset, self._end, self._limit = base, offset, end, limit
                self._captured = -1
            return

    # ------------------------------------------------------------------ rows

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None
    ) -> None:
        """See `Run.log`."""
        with self._lock:
            try:
                schema = self._schemas.get(tuple(data))
                if schema is not None and not schema.special:
                    time_us = _time_ns() // 1000
                    if time_us <= self._last_us < time_us + 1_000_000:
                        time_us = self._last_us + 1  # So that a later row has a later time.
                    if step is None:
                        at = self._step
                        following = at if commit is False else at + 1
                    else:
                        at = following = operator.index(step)
                        if commit:
                            following += 1
                        if following < self._step:
                            following = self._step  # A late row moves nothing back.
                    row = schema.pack(schema.id, schema.size, at, time_us, *data.values())
                    offset = self._offset
                    end = offset + schema.size
                    if end <= self._limit and schema.home is self._buffer:
                        # No call from here to the end: see the top of the file.
                        self._step = following
                        self._last_us = time_us
                        self._offset = end
                        self._buffer[offset:end] = row
                        schema.last = offset
                        self._words[_committed] = self._offset
                        if self.idle:
                            self.wake()
                        return
            except Exception:
                # Whatever a value's __float__ raises, and our own surprises (no dict, no
                # number, no integer step): all are looked at in peace below.
                pass
            self.check_open("log()")
        # Without the lock: media are written to a file here.
        if not isinstance(data, Mapping):
            raise TypeError(f"log: expected a dict of metrics, not {type(data).__name__}")
        self._steps(step, commit)  # What cannot be raises before anything is staged.
        found = fields_of(data)
        if found is None:
            self.warn(
                "unreadable", f"log: the names of a {kind_of(data)} cannot be read, it is lost"
            )
            found = {}
        values = split_values(found, self.warn, self.stager)
        with self._lock:
            self._log_slowly(found, values, step, commit)

    def _log_slowly(
        self,
        data: Mapping[Any, Any],
        values: SplitValues,
        step: Any,
        commit: bool | None,
    ) -> None:
        self.check_open("log()")
        points, others, histograms = values
        at, following = self._steps(step, commit)
        for axis in self.definitions.missing_axes((*points, *others, *histograms)):
            value = self.latest(axis)
            points[axis] = value if isinstance(value, float) else 0.0
        time_us = self._now()
        self._step = following
        names = tuple(points)
        for first in range(0, len(names), SCHEMA_KEYS_MAX):
            part = names[first : first + SCHEMA_KEYS_MAX]
            schema = self._write_row(part, [points[name] for name in part], at, time_us)
            raw = tuple(data)
            is_plain = not others and not histograms
            if schema is not None and len(raw) == len(part) == len(data) and is_plain:
                self._remember_raw(raw, schema, data)
        for name, value in points.items():
            tracker = self.definitions.tracker_of(name)
            if tracker is not None:
                tracker.add(value)
        if others:
            self._write_values(others, at, time_us)
        if histograms:
            self._write_histograms(histograms, at, time_us)
        if others or histograms or self._disabled:
            self._row_step, self._row_us = at, time_us
        if self.idle:
            self.wake()

    def _remember_raw(self, raw: tuple[Any, ...], schema: Schema, data: Mapping[Any, Any]) -> None:
        """Let the fast path find ``schema`` by keys that had to be made names first."""
        plain = not any(isinstance(value, Mapping) for value in data.values())
        if not plain or len(self._schemas) >= SCHEMAS_PER_WRITER_MAX:
            return
        if tuple(metric_name("", key, silent) for key in raw) == schema.keys:
            with contextlib.suppress(Exception):  # Anybody's __hash__ and __eq__.
                self._schemas.setdefault(raw, schema)

    def _steps(self, step: Any, commit: bool | None) -> tuple[int, int]:
        """Return the row's step and the current step after it."""
        if step is None:
            at = self._step
            return at, at if commit is False else at + 1
        try:
            at = operator.index(step)
        except TypeError:
            raise TypeError(f"log: step must be an integer, not {type(step).__name__}") from None
        if not -_STEP_MAX <= at < _STEP_MAX:
            raise ValueError(f"log: step {at} does not fit 64 bits")
        return at, max(self._step, at + 1 if commit else at)

    def _now(self) -> int:
        time_us = _time_ns() // 1000
        if time_us <= self._last_us < time_us + 1_000_000:
            time_us = self._last_us + 1
        self._last_us = time_us
        return time_us

    def _write_row(
        self, keys: tuple[str, ...], values: list[float], at: int, time_us: int
    ) -> Schema | None:
        if self._disabled:
            self._sequence += 1
            self._latest.update(
                (key, (self._sequence, value)) for key, value in zip(keys, values, strict=True)
            )
            return None
        for _ in range(_ATTEMPTS_MAX):
            if self.losses.has_rows and not self._advance():
                break
            schema = self._schemas.get(keys)
            if schema is None or schema.home is not self._buffer:
                number = self.name_sets.number_of(keys)
                if number is None:
                    self.warn("schemas", str(self.name_sets))
                    self._split_row(keys, values, at, time_us)
                    return None
                schema = self._define(number, keys, at)
                if schema is None:
                    break
            row = schema.pack(schema.id, schema.size, at, time_us, *values)
            if self._place(row, schema) is not None:
                return schema
            if schema.home is self._buffer and not self._advance():
                break
        self.check_open("log()")  # A signal handler may have finished the run meanwhile.
        self._drop(len(values), at)
        return None

    def _split_row(self, keys: tuple[str, ...], values: list[float], at: int, time_us: int) -> None:
        """Write a row whose set of names is one too many: each value apart, or counted as lost."""
        if len(keys) > 1:
            for key, value in zip(keys, values, strict=True):
                self._write_row((key,), [value], at, time_us)
            return
        self.losses.add_beyond_limits(at)

    def _write_values(self, others: dict[str, Any], at: int, time_us: int) -> None:
        if self._disabled:
            self._sequence += 1
            self._latest.update((name, (self._sequence, value)) for name, value in others.items())
            return
        for part in cut_into_parts(others):
            position = self._write_event(VALUES, {"values": part}, at, time_us)
            if position is None:
                self._drop(len(part), at)
                if self.stager is not None and (named := blobs_in(part)):
                    self.stager.withdraw(named)
                continue
            for name, value in part.items():
                self._latest[name] = (position, value)

    def write_histograms(self, histograms: dict[str, dict[str, Any]]) -> None:
        """Write histograms, as their event has them, into the row that the next `log` closes."""
        with self._lock:
            self.check_open("histograms")
            self._write_histograms(histograms, self._step, self._now())
            if self.idle:
                self.wake()

    def _write_histograms(
        self, histograms: dict[str, dict[str, Any]], at: int, time_us: int
    ) -> None:
        if self._disabled:
            return
        for part in cut_into_parts(histograms):
            if self._write_event(HISTOGRAMS, {"values": part}, at, time_us) is None:
                self._drop(len(part), at)

    def _define(self, number: int, keys: tuple[str, ...], at: int) -> Schema | None:
        """Write the definition of ``keys`` into the current segment; None without room."""
        home = None
        body = {"id": number, "keys": list(keys)}
        while home is not self._buffer:  # A handler in between may have moved on.
            home = self._buffer
            if self._write_event(SCHEMA, body, at, self._last_us) is None:
                return None
        self.name_sets.define(keys)
        schema = Schema(number, keys, home, special=self._is_special(keys))
        self._schemas[keys] = schema
        return schema

    def _is_special(self, keys: tuple[str, ...]) -> bool:
        definitions = self.definitions
        if not definitions.by_name:
            return False
        return bool(definitions.missing_axes(keys)) or any(
            definitions.tracker_of(key) is not None for key in keys
        )

    # ------------------------------------------------------------------ events

    def write_event(self, kind: str, body: Mapping[str, Any]) -> bool:
        """Write one event at the current step; False when it found no room.

        What a run needs to be understood waits for room, up to a bound; the console does not.
        """
        with self._lock:
            self.check_open(kind)
            if self._disabled:
                return True
            record = self._packed(kind, body, self._step, self._now())
            if record is None:
                return False
            has_turn = self._pay_owed() or kind == FINISH
            position = self._place_somewhere(record) if has_turn else None
            written = position is not None
            captured = self._captured
            if position == self._base + captured and self._offset == captured + len(record):
                self._captured = self._offset  # An event holds no row.
            if not written and kind != CONSOLE:
                self._owe(record)
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
        """Write the lines that wait for room; False where they go on waiting."""
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
            # In the order of names: `wd` is set before `wd.bias`, whichever part they are in.
            for part in cut_into_parts(dict(sorted(values.items()))) or [{}]:
                body: dict[str, Any] = {"set": part}
                if removed:
                    body["delete"], removed = removed, []
                self.write_event(kind, body)

    def _packed(self, kind: str, body: Mapping[str, Any], at: int, time_us: int) -> bytes | None:
        try:
            return pack_event(kind, body, step=at, time_us=time_us)
        except (ValueError, TypeError, OverflowError) as error:
            self.warn(f"event {kind}", f"{kind} was not kept: {error}")
            return None

    def _write_event(self, kind: str, body: Mapping[str, Any], at: int, time_us: int) -> int | None:
        """Return the position at which the event was written, None when it was not."""
        record = self._packed(kind, body, at, time_us)
        return None if record is None else self._place_somewhere(record)

    def _place_somewhere(self, record: bytes) -> int | None:
        position = None if self.losses.has_rows else self._place(record)
        if position is None and self._advance():
            position = self._place(record)
        return position

    def _owe(self, record: bytes) -> None:
        """Keep an event until there is room for it."""
        bytes_max = 0 if self.journal is None else self.journal.segment_bytes // _OWED_SHARE
        if sum(map(len, self._owed)) + len(record) <= bytes_max:
            self._owed.append(record)
        else:
            self.losses.add_event(self._why_no_room(), self._step)

    def _pay_owed(self) -> bool:
        """Write the events that wait for room; False where some go on waiting."""
        if not self._owed:
            return True
        if self._is_paying:
            return False  # On the way to room, or a signal handler: the outer call goes on.
        self._is_paying = True
        try:
            while self._owed:
                if self._place_somewhere(self._owed[0]) is None:
                    return False
                self._owed.popleft()
        finally:
            self._is_paying = False
        return True

    def _place(self, record: bytes, schema: Schema | None = None) -> int | None:
        """Publish ``record`` and return its position; None without room in this segment.

        A row of ``schema`` is written behind the definition only, in the same segment.
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
        """Go on in a fresh segment; write the gap that was left when there was none before."""
        journal = self.journal
        if journal is None or self._finished:
            self._warn_full(None)
            return False
        self._capture()
        current = journal.held[-1]
        old, end = self._buffer, self._end
        # Behind an empty one nothing fits that does not fit into it.
        if old is current.mapping and not current.is_empty:
            # Nothing may be written here any more: the next segment's name says where this ends.
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
        self._pay_owed()
        return True

    def _write_gaps(self) -> None:
        for gap in self.losses.take():
            self._warned_full = False
            self._write_event(GAP, gap, int(gap["first_step"]), self._now())

    def _drop(self, point_count: int, at: int) -> None:
        self.losses.add_row(self._why_no_room(), point_count, at)
        # Rows that would fit into the rest of the segment must not jump the gap.
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
            why = "no journal could be made"
        self.warn(
            f"full {self.losses.points}",
            "points are dropped and counted, and lines of the console, until there is room again: "
            f"{why}; training goes on. Is the daemon running? See `stepwell doctor`",
        )

    # ------------------------------------------------------------------ state

    @property
    def step(self) -> int:
        return self._step

    @step.setter
    def step(self, value: int) -> None:
        self._step = value

    @property
    def has_logged(self) -> bool:
        return bool(self._latest) or any(schema.last for schema in self._schemas.values())

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
        """The step with which a resumed run goes on: behind every row, also an open one.

        A late row hides whether the current step has a row: a step without one is better than
        a step that is logged twice.
        """
        with self._lock:
            return self._next_step()

    def look_for_next_step(self) -> int | None:
        """Return ``next_step``, None while somebody logs.

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
        row_step = self._row_step
        if last and self._buffer is not None:
            row_step = max(row_step, HEADER.unpack_from(self._buffer, last)[2])
        return self._step if row_step == self._step - 1 else max(self._step, row_step) + 1

    @property
    def may_wait_for_room(self) -> bool:
        """Whether what is written may wait until the daemon made room."""
        return self._block

    @property
    def lock(self) -> threading.RLock:
        return self._lock

    def redefine(self) -> None:
        """Look anew at which schemas are special, after a definition."""
        with self._lock:
            self._capture()
            for schema in self._schemas.values():
                schema.special = self._is_special(schema.keys)

    def latest(self, metric: str) -> Any:
        """Return the last value of ``metric``, None before the first."""
        return self.latest_values((metric,)).get(metric)

    def latest_values(self, metrics: Iterable[str] | None = None) -> dict[str, Any]:
        """Return the last value of each metric, read back from the journal."""
        with self._lock:
            self._capture()
            if metrics is None:
                return {name: value for name, (_, value) in self._latest.items()}
            return {name: self._latest[name][1] for name in metrics if name in self._latest}

    def set_latest(self, values: Mapping[str, Any]) -> None:
        """Let ``values`` stand until the next row of their metrics."""
        with self._lock:
            self._capture()
            self._sequence += 1
            position = self._sequence if self.journal is None else self._base + self._offset
            for name, value in values.items():
                self._latest[name] = (position, value)
                self.definitions.trackers.pop(name, None)

    def forget_latest(self, name: str) -> None:
        with self._lock:
            self._capture()
            self._latest.pop(name, None)

    def _capture(self) -> None:
        """Take the last row of each schema out of the current segment."""
        if self.journal is None or self._buffer is None or self._captured == self._offset:
            return
        self._look_for_rows()

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
            _, _, step, time_us = HEADER.unpack_from(buffer, rows[-1][0])
            if self._buffer is buffer:
                self._row_step, self._row_us = step, time_us
        for last, schema in rows:
            position = base + last
            values = struct.unpack_from(f"<{len(schema.keys)}d", buffer, last + HEADER_BYTES)
            for name, value in zip(schema.keys, values, strict=True):
                held = self._latest.get(name)
                if held is None or held[0] <= position:
                    self._latest[name] = (position, value)
            if schema.last == last:  # No signal handler has logged meanwhile.
                schema.last = 0
        if self._buffer is buffer:
            self._captured = captured

    def check_open(self, call: str) -> None:
        """Raise RunFinishedError after the end; a forked child becomes a writer of its own."""
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
            if self.losses.has_rows or self._owed or others:
                self._advance(beyond_limit=True)
            elif self.losses.has_others:
                self._write_gaps()

    def finish(self) -> None:
        """Take no more; the journal stays open until it is closed."""
        with self._lock:
            self._capture()
            self._finished = True
            self._schemas = {}
            # A `log` of this very thread that a signal handler interrupted finds no room.
            self._limit = self._end = 0

    def reset_in_child(self) -> None:
        """Forget what belongs to the parent; called right after a fork, touches no file."""
        self._lock = threading.RLock()
        self._schemas = {}
        self.idle = False

    def begin_in_child(self, make_journal: Callable[[], Journal | None]) -> None:
        """Become a writer of its own, in a forked child that logs."""
        self._pid = os.getpid()
        self._make_journal = make_journal
        self.name_sets, self.losses = NameSets(), Losses()
        self._owed, self._is_paying = deque(), False
        self._latest = {name: (0, value) for name, (_, value) in self._latest.items()}
        self.open()
