"""What a writer could not keep: counted, and told as gaps as soon as something finds room."""

from typing import Any, Final

from stepwell_wire.gaps import GapKind

FULL: Final = GapKind.JOURNAL_FULL
DISK: Final = GapKind.JOURNAL_DISK
_REASONS: Final = {FULL: "journal full", DISK: "disk"}

_Gap = dict[str, Any]


class Losses:
    """Counts and gaps of one writer.

    Attributes:
        points: values of rows, of all reasons.
        lines: lines of the console.
        events: config, summary and the like, where even what waits for room has none.
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
        """Rows found no room and no gap tells of it yet: a later row must not jump it."""
        return self._rows is not None

    @property
    def has_others(self) -> bool:
        """Something else is not told yet; it has no place among the rows."""
        return any(gap is not None for gap in (self._beyond_limits, self._console, self._events))

    def add_row(self, why: GapKind, point_count: int, at: int) -> None:
        """Count a row of step ``at`` that found no room."""
        self.points += point_count
        self._rows = _added(self._rows, why, _REASONS[why], point_count, at)

    def add_beyond_limits(self, at: int) -> None:
        """Count a value whose name is one too many."""
        self.points += 1
        self._beyond_limits = _added(self._beyond_limits, GapKind.WRITER_LIMIT, "limit", 1, at)

    def add_lines(self, why: GapKind, stream: str, lines: list[list[Any]], at: int) -> None:
        """Count numbered lines; one that has no end yet is sent, and lost, more than once."""
        for number, _, _ in lines:
            if number > self._last_line.get(stream, -1):
                self._last_line[stream] = number
                self.lines += 1
                reason = f"console, {_REASONS[why]}"
                self._console = _added(self._console, GapKind.CONSOLE_LINES, reason, 0, at)

    def add_event(self, why: GapKind, at: int) -> None:
        """Count an event that found no room, not even to wait for some."""
        self.events += 1
        self._events = _added(self._events, GapKind.EVENTS, f"events, {_REASONS[why]}", 0, at)

    def text(self) -> str:
        """Return what was dropped, for a line to the user; "" where nothing was."""
        counts = (
            (self.points, "point"),
            (self.lines, "console line"),
            (self.events, "event"),
        )
        return ", ".join(f"{n:,} {one}{'' if n == 1 else 's'}" for n, one in counts if n)

    def take(self) -> list[_Gap]:
        """Return the gaps that nobody was told of; from now on somebody was."""
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
