"""Lines of one stream, as a terminal would show them in the end.

Most of what is printed is text and newlines. Progress bars go back: a carriage return begins the
line anew, a few stacked bars move the cursor up and down between their lines, and erase them. So
the last ``ROWS_MAX`` lines can still change; older lines are final. Each line has a number. A line
that changes after it was taken is taken again under its number, later and not too often.

A carriage return, a backspace, the cursor's moves and erasures mean what they mean on a
terminal. Colours are kept in the text. All other codes are dropped. Text that clears the screen
and draws it anew, again and again, is one page whose lines change.
"""

import re
from collections import deque
from typing import Final

from stepwell._console_cells import COLOR, erase, length, overlay, pen_after

LINE_CHARACTERS_MAX: Final = 65_536
ROWS_MAX: Final = 64
"""Lines that can still change: more than the bars of a nested loop, about a screen's height."""
RETAKE_SECONDS: Final = 2.0
"""A line that changes, such as a progress bar, is taken no more often than this."""

_OVERLAY_CHARACTERS_MAX: Final = 4096  # A longer line begins anew: it is no progress bar.
_CODE_CHARACTERS_MAX: Final = 256
_MOVES_MAX: Final = 4096
_CODE: Final = re.compile(
    r"[\n\r\x07\x08]|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\-~])"
)
_BEGUN_CODE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]*)\Z")

Line = tuple[int, int, str]  # number, µs since 1970 UTC, text


class _Row:
    """One line that can still change."""

    __slots__ = (
        "cut",
        "is_changed",
        "is_ended",
        "number",
        "taken_at_us",
        "taken_time",
        "text",
        "time",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.text = ""
        self.cut = 0  # Characters that were too many.
        self.time = 0
        self.is_changed = False
        self.is_ended = False  # A newline came, and was not taken yet.
        self.taken_at_us: int | None = None
        self.taken_time = 0

    @property
    def shown(self) -> str:
        return f"{self.text} … {self.cut} more characters" if self.cut else self.text

    def is_due(self, now_us: int) -> bool:
        if not self.is_changed:
            return False
        at_us = self.taken_at_us
        return at_us is None or self.is_ended or not 0 <= now_us - at_us < RETAKE_SECONDS * 1e6


class LineAssembler:
    """Puts writes together into numbered lines. Pure: no clock, no thread."""

    def __init__(self) -> None:
        self._rows: deque[_Row] = deque([_Row(0)])
        self._gone: list[_Row] = []  # Out of the rows that can change, not taken yet.
        self._at = 0  # The cursor's row.
        self._column: int | None = None  # Its column; None: at the end of the row's text.
        self._page: int | None = None  # Number of the first row of a page that is drawn anew.
        self._pen = ""
        self._begun_code = ""
        self._time = 0
        self._taken_number = -1
        self._taken_time = 0

    @property
    def has_untaken(self) -> bool:
        """Whether a line waits to be taken, now or soon."""
        return bool(self._gone) or any(row.is_changed for row in self._rows)

    def add(self, text: str, time_us: int) -> None:
        self._time = max(self._time, time_us)
        if self._begun_code:
            text, self._begun_code = self._begun_code + text, ""
        if "\x1b" not in text and "\r" not in text and "\b" not in text:
            *ended, rest = text.replace("\a", "").split("\n")
            for part in ended:
                self._put(part)
                self._newline()
            self._put(rest)
            return
        if (begun := _BEGUN_CODE.search(text)) and len(begun[0]) < _CODE_CHARACTERS_MAX:
            self._begun_code, text = begun[0], text[: begun.start()]
        self._add_coded(text)

    def add_note(self, text: str, time_us: int) -> None:
        """Add a line of stepwell, below all others."""
        self._time = max(self._time, time_us)
        self._go_below()
        self._put(text)
        self._newline()

    def take(self, now_us: int, *, at_once: bool = False) -> list[Line]:
        """Return the lines that are due, in order; with ``at_once`` all that changed.

        Lines are shown by time and then by number. So a changed line above others gets the time of
        its change, or one after that of all taken lines, and the lines below it are taken again
        with it. So that ended lines keep their times, all changes above one are due with it.
        """
        gone, self._gone = self._gone, []
        late = self._taken_time + 1
        floor = 0
        taken: list[Line] = []
        last = len(self._rows) - 1
        ended = [at for at, row in enumerate(self._rows) if row.is_changed and row.is_ended]
        last_ended = max(ended, default=-1)  # Those that are gone are before all.
        for at, row in enumerate([*gone, *self._rows], -len(gone)):
            if at == last and not row.text and row.taken_at_us is None:
                row.is_changed = False  # Nothing yet.
            due = row.is_changed and (at_once or at <= last_ended or row.is_due(now_us))
            if not due and (row.taken_at_us is None or row.taken_time >= floor):
                continue
            if row.number < self._taken_number:
                floor = max(floor, late)
            time = floor = max(row.time, floor)
            row.taken_at_us, row.taken_time = now_us, time
            row.is_changed = row.is_ended = False
            taken.append((row.number, time, row.shown))
        if taken:
            self._taken_number = max(self._taken_number, taken[-1][0])
            self._taken_time = max(self._taken_time, floor)
        return taken

    # ------------------------------------------------------------------ codes

    def _add_coded(self, text: str) -> None:
        at = 0
        for code in _CODE.finditer(text):
            name = code[0]
            if name[-1] == "m" and COLOR.fullmatch(name):
                continue  # A part of the text.
            self._put(text[at : code.start()])
            at = code.end()
            if name == "\n":
                self._newline()
            elif name == "\r":
                self._go_to_column(0)
            elif name == "\b":
                self._go_to_column(self._where() - 1)
            elif name.startswith("\x1b["):
                self._control(name[2:-1], name[-1])
        self._put(text[at:])

    def _control(self, parameters: str, name: str) -> None:
        if parameters[:1] in ("?", ">", "<", "="):
            return
        first = parameters.split(";", 1)[0]
        given = int(first[:6]) if first.isdecimal() else 0
        count = min(max(given, 1), _MOVES_MAX)
        if name in "AF":
            self._go_to_row(self._at - count, from_column=name == "A")
        elif name in "BE":
            self._go_to_row(self._at + count, from_column=name == "B")
        elif name in "CD":
            self._go_to_column(self._where() + (count if name == "C" else -count))
        elif name in "G`":
            self._go_to_column(count - 1)
        elif name == "K":
            self._erase_in_row(given)
        elif name == "J":
            self._erase_rows(given)
        elif name in "Hf":
            self._go_home()

    def _erase_in_row(self, which: int) -> None:
        row, column = self._rows[self._at], self._where()
        if which == 2:
            erased = ""
        elif which == 1:
            erased = erase(row.text, 0, column + 1)
        else:
            erased = erase(row.text, column, None)
        self._set(row, erased)
        self._column = None if column == length(erased) else column

    def _erase_rows(self, which: int) -> None:
        if which in (2, 3):
            if self._top_of_page() is None:
                self._begin_page()
            for row in list(self._rows)[self._top_of_page() or 0 :]:
                self._set(row, "")
            return
        if which == 0:
            self._erase_in_row(0)
            while len(self._rows) > self._at + 1 and self._rows[-1].taken_at_us is None:
                self._rows.pop()
            for row in list(self._rows)[self._at + 1 :]:
                self._set(row, "")

    def _go_home(self) -> None:
        top = self._top_of_page()
        if top is None:
            self._begin_page()
            return
        self._at, self._column = top, 0

    def _begin_page(self) -> None:
        """Keep the earlier output above the page."""
        self._go_below()
        self._page = self._rows[self._at].number

    def _top_of_page(self) -> int | None:
        first, last = self._rows[0].number, self._rows[-1].number
        if self._page is None or not first <= self._page <= last:
            return None  # No such row, or it was scrolled out or erased.
        return self._page - first

    # ------------------------------------------------------------------ the cursor

    def _where(self) -> int:
        column = self._column
        return length(self._rows[self._at].text) if column is None else column

    def _go_to_column(self, column: int) -> None:
        self._column = min(max(0, column), _OVERLAY_CHARACTERS_MAX)

    def _go_to_row(self, at: int, *, from_column: bool) -> None:
        column = self._where() if from_column else 0
        self._at = min(max(0, at), len(self._rows) - 1)
        self._go_to_column(column)

    def _go_below(self) -> None:
        self._at, self._column = len(self._rows) - 1, None
        if self._rows[-1].text:
            self._newline()

    def _newline(self) -> None:
        row = self._rows[self._at]
        if not row.text and row.taken_at_us is None:
            row.time, row.is_changed = self._time, True  # An empty line.
        self._at += 1
        self._column = 0
        if self._at < len(self._rows):
            return
        row.is_ended = True
        if len(self._rows) == ROWS_MAX:
            self._at -= 1
            gone = self._rows.popleft()
            if gone.is_changed:
                self._gone.append(gone)
        self._rows.append(_Row(self._rows[-1].number + 1))
        self._column = None

    # ------------------------------------------------------------------ the text

    def _put(self, text: str) -> None:
        if not text:
            return
        row, pen = self._rows[self._at], self._pen
        if "\x1b" in text:
            self._pen = pen_after(pen, text)
        column = self._column
        if column is None or (column == 0 and not row.text):
            self._append(row, (pen + text) if pen and not row.text else text)
            return
        if len(row.text) > _OVERLAY_CHARACTERS_MAX or len(text) > _OVERLAY_CHARACTERS_MAX:
            self._set(row, "")
            self._append(row, pen + text)
            return
        end = column + length(text)
        self._set(row, overlay(row.text, column, text, pen))
        self._column = None if end >= length(row.text) else end

    def _append(self, row: _Row, text: str) -> None:
        room = LINE_CHARACTERS_MAX - len(row.text)
        if len(text) > room:
            row.cut += len(text) - max(0, room)
            text = text[: max(0, room)]
        row.text += text
        row.time, row.is_changed = self._time, True
        self._column = None

    def _set(self, row: _Row, text: str) -> None:
        if text != row.text or row.cut:
            row.text, row.cut = text[:LINE_CHARACTERS_MAX], 0
            row.time, row.is_changed = self._time, True
