"""The writer: `log`, and rows that are not plain; both are built on `_record_writer.py`.

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
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from stepwell import _interpreter
from stepwell._fields import fields_of
from stepwell._names import kind_of, metric_name, silent
from stepwell._record_writer import RecordWriter
from stepwell._rows import Schema, cut_into_parts
from stepwell._staging import Stager, blobs_in
from stepwell._values import SplitValues, split_values
from stepwell.errors import RunFinishedError
from stepwell_wire.limits import (
    SCHEMA_KEYS_MAX,
    SCHEMAS_PER_WRITER_MAX,
    STEP_MAX,
    STEP_MIN,
)
from stepwell_wire.records import HISTOGRAMS, SCHEMA, VALUES
from stepwell_wire.segment import COMMITTED_WORD

_ATTEMPTS_MAX: Final = 8  # Two moves to a fresh segment are the most without a handler in between.
_MEDIA_US: Final = 1000
"""Media of the summary are at most so much older than the last row: each has a time of its own."""
_committed = COMMITTED_WORD
_step_max = STEP_MAX
_time_ns = time.time_ns


class Writer(RecordWriter):
    """One process's records of one run.

    Attributes:
        stager: takes the bytes of media; without one they are not kept.
    """

    stager: Stager | None = None
    _media_us = 0  # the time of the last media of the summary
    _others_step, _others_us = STEP_MIN, 0  # of the first values of a step that are no numbers

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
                        time_us = self._last_us + 1  # A later row must have a later time.
                    if step is None:
                        at = self._step
                        following = at if commit is False else at + 1
                    else:
                        at = following = operator.index(step)
                        if at > _step_max:
                            raise ValueError  # The slow path names it.
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
                # Any error of a value's __float__, and unexpected arguments (no dict, no
                # number, no integer step): the slow path below handles all of them.
                pass
        try:
            self._log_converted(data, step, commit)
        except RunFinishedError:
            if not _is_left_behind():
                raise

    def _log_converted(self, data: Any, step: Any, commit: bool | None) -> None:
        with self._lock:
            self.check_open("log()")
        # Without the lock: media are written to a file here.
        if not isinstance(data, Mapping):
            raise TypeError(f"log: expected a dict of metrics, not {type(data).__name__}")
        self._steps(step, commit)  # Invalid steps raise before anything is staged.
        found = fields_of(data)
        if found is None:
            self.warn(
                "unreadable",
                f"log: the names of a {kind_of(data)} cannot be read, its values are lost",
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
            value = self.logged(axis)
            is_number = isinstance(value, float) or (type(value) is int and abs(value) < 1 << 63)
            points[axis] = float(value) if is_number else 0.0
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
            if self._others_step != at:
                self._others_step, self._others_us = at, time_us
        if histograms:
            self._write_histograms(histograms, at, time_us)
        if others or histograms or self._disabled:
            self._row_step, self._row_us = at, time_us
            self._highest_step = max(self._highest_step, at)
            self._other_end = self._base + self._offset
        if self.idle:
            self.wake()

    def _remember_raw(self, raw: tuple[Any, ...], schema: Schema, data: Mapping[Any, Any]) -> None:
        """Let the fast path find ``schema`` by keys that had to be converted to names."""
        plain = not any(isinstance(value, Mapping) for value in data.values())
        if not plain or len(self._schemas) >= SCHEMAS_PER_WRITER_MAX:
            return
        if tuple(metric_name("", key, silent) for key in raw) == schema.keys:
            with contextlib.suppress(Exception):  # Any __hash__ or __eq__ may raise.
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
        if at > STEP_MAX:
            raise ValueError(f"log: step {at} is too large; the largest step is 2**62")
        if at < STEP_MIN:
            raise ValueError(f"log: step {at} is too small; the smallest step is -2**63")
        return at, max(self._step, at + 1 if commit else at)

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
        """Write a row with one set of names too many: each value alone, or count it as lost."""
        if len(keys) > 1:
            for key, value in zip(keys, values, strict=True):
                self._write_row((key,), [value], at, time_us)
            return
        self.losses.add_beyond_limits(at)

    def _write_values(self, others: dict[str, Any], at: int, time_us: int) -> None:
        if self._disabled:
            self._sequence += 1
            self._remember_values(others, self._sequence)
            return
        for part in cut_into_parts(others):
            position = self._write_event(VALUES, {"values": part}, at, time_us)
            if position is None:
                self._drop(len(part), at)
                if self.stager is not None and (named := blobs_in(part)):
                    self.stager.withdraw(named)
                continue
            self._remember_values(part, position)

    def _remember_values(self, values: dict[str, Any], position: int) -> None:
        """Note the last values. None is not one: the value before it stays."""
        for name, value in values.items():
            if value is None:
                continue
            self._latest[name] = (position, value)
            tracker = self.definitions.tracker_of(name)
            if tracker is not None:
                tracker.overridden = False

    def write_media(self, media: dict[str, Any]) -> None:
        """Write media of the summary as values of the last row's step, 0 before the first row.

        They are older than the row: its time stays, and so do media that it has under their names.
        The summary remembers them, and names their bytes also if there is no room here.
        """
        with self._lock:
            self.check_open("summary")
            if self._disabled:
                return
            self._capture()
            at = self._row_step if self._row_us else max(self._row_step, 0)
            time_us = self._media_us = self._time_of_media(at)
            for part in cut_into_parts(media):
                if self._write_event(VALUES, {"values": part}, at, time_us) is None:
                    self._drop(len(part), at)
            if self.idle:
                self.wake()

    def _time_of_media(self, at: int) -> int:
        """Return a time before the last row, and after earlier media of the summary."""
        if not self._row_us:
            return self._now()
        end = self._row_us
        if self._others_step == at:  # An open row may have media of an earlier call.
            end = min(end, self._others_us)
        return min(max(end - _MEDIA_US, self._media_us + 1), end - 1)

    def write_histograms(self, histograms: dict[str, dict[str, Any]]) -> None:
        """Write histograms, in their event's form, into the row that the next `log` closes."""
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

    # ------------------------------------------------------------------ state

    @property
    def step(self) -> int:
        return self._step

    def redefine(self) -> None:
        """Determine again which schemas are special, after a definition."""
        with self._lock:
            self._capture()
            for schema in self._schemas.values():
                schema.special = self._is_special(schema.keys)


def _is_left_behind() -> bool:
    """Whether this is a daemon thread, which goes on while the interpreter ends."""
    return _interpreter.is_over and threading.current_thread().daemon
