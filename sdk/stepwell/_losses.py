"""Losses of a writer: counted, and written as gaps as soon as there is room."""

from typing import Any, Final

from stepwell_wire.gaps import GapKind

FULL: Final = GapKind.JOURNAL_FULL
DISK: Final = GapKind.JOURNAL_DISK
_REASONS: Final = {FULL: "journal full", DISK: "disk"}

_Gap = dict[str, Any]


class Losses:
    """Counts and gaps of one writer.

    Attributes:
        points: values of rows, for all reasons.
        lines: lines of the console.
        events: config, summary and the like, if also the queue for waiting events is full.
    """

    def __init__(self) -> None:
        self.points = self.lines = self.events = 0
        self._rows: _Gap | None = None
        self._beyond_limits: _Gap | None = None
        self._console: _Gap | None = None
        self._events: _Gap | None = None
        self._last_line: dict[str, int] = {}  # the number of the last lost one, by stream

    @property
    def has_rows(self) -> bool:
        """Rows were dropped and their gap is not written: no later row may come before it."""
        return self._rows is not None

    @property
    def has_others(self) -> bool:
        """Another loss is not written yet; it has no place among the rows."""
        return any(gap is not None for gap in (self._beyond_limits, self._console, self._events))

    def add_row(self, why: GapKind, point_count: int, at: int) -> None:
        """Count a row of step ``at`` that did not fit."""
        self.points += point_count
        self._rows = _added(self._rows, why, _REASONS[why], point_count, at)

    def add_beyond_limits(self, at: int) -> None:
        """Count a value whose name exceeds the limit of names."""
        self.points += 1
        self._beyond_limits = _added(self._beyond_limits, GapKind.WRITER_LIMIT, "limit", 1, at)

    def add_lines(self, why: GapKind, stream: str, lines: list[list[Any]], at: int) -> None:
        """Count numbered lines; an unfinished line is sent, and lost, more than once."""
        for number, _, _ in lines:
            if number > self._last_line.get(stream, -1):
                self._last_line[stream] = number
                self.lines += 1
                reason = f"console, {_REASONS[why]}"
                self._console = _added(self._console, GapKind.CONSOLE_LINES, reason, 0, at)

    def add_event(self, why: GapKind, at: int) -> None:
        """Count an event that fit neither into the journal nor into the queue."""
        self.events += 1
        self._events = _added(self._events, GapKind.EVENTS, f"events, {_REASONS[why]}", 0, at)

    def text(self) -> str:
        """Return the losses as text for a line to the user; "" without any."""
        counts = (
            (self.points, "point"),
            (self.lines, "console line"),
            (self.events, "event"),
        )
        return ", ".join(f"{n:,} {one}{'' if n == 1 else 's'}" for n, one in counts if n)

    def take(self) -> list[_Gap]:
        """Return the gaps that were not reported, and mark them as reported."""
        gaps = (self._rows, self._beyond_limits, self._console, self._events)
        self._rows = self._beyond_limits = self._console = self._events = None
        return [gap for gap in gaps if gap is not None]


def _added(gap: _Gap | None, kind: GapKind, reason: str, point_count: int, at: int) -> _Gap:
    """Return ``gap``, or a new one, with one more row in it."""
    if gap is None:
        steps = {"first_step": at, "last_step": at}
        gap = {"kind": kind.value, "reason": reason, "rows": 0, "points": 0, **steps}
    gap["rows"] += 1
    gap["points"] += point_count
    gap["first_step"] = min(gap["first_step"], at)
    gap["last_step"] = max(gap["last_step"], at)
    return gap
