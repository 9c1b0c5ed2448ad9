"""The console output of the training, captured line by line while it is still printed.

A write costs an append to a queue (`_console_streams.py` sees the writes); lines are put together
later (`_console_lines.py`), as a rule by the sender's thread. Where little is printed the printing
thread does it itself at once, so that a line is in the journal when `print` returns and survives
a SIGKILL.

The queue is bounded. A burst of `BURST_CHARACTERS` is kept whole, and so is all that comes at
`CHARACTERS_PER_SECOND` or slower. Of more the first and the last part is kept, and a line says
how much is missing between them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from stepwell._console_lines import Line, LineAssembler

BURST_CHARACTERS: Final = 8 * 1024 * 1024
CHARACTERS_PER_SECOND: Final = 1024 * 1024

_PART_CHARACTERS_MIN: Final = 32 * 1024  # Of the first and of the last part, at least.
_PIECE_CHARACTERS: Final = 64 * 1024
_WRITE_CHARACTERS: Final = 32  # What a write, and a line, counts beside its text.
_HURRY_CHARACTERS: Final = 512 * 1024
_AT_ONCE_WRITES_MAX: Final = 32
_AT_ONCE_SHARE: Final = 400
"""The largest part of the time in which the printing thread puts lines together."""
_AT_ONCE_REST_US_MAX: Final = 1_000_000

_time_ns = time.time_ns
_Write = tuple[str, str, int]  # stream, text, µs since 1970 UTC


class Waked(Protocol):
    """The receiver of the printed text: the writer, for its sender."""

    idle: bool
    wake: Callable[[], None]


class _Missing:
    """How much of one stream was dropped."""

    def __init__(self) -> None:
        self.lines = self.characters = 0

    def count(self, text: str, start: int = 0, end: int | None = None) -> None:
        end = len(text) if end is None else end
        self.lines += text.count("\n", start, end)
        self.characters += end - start

    def __str__(self) -> str:
        return (
            f"… {self.lines} lines ({self.characters} characters) left out: more lines at "
            "once than the limit"
        )


class Capture:
    """One run's share of stdout and stderr.

    Args:
        waked: is woken for `take` if it is idle, or if much text waits.
        take_now: tries to take the text on the calling thread; False if it cannot now.
    """

    def __init__(self, waked: Waked, take_now: Callable[[], bool] = lambda: False) -> None:
        self._waked, self._take_now = waked, take_now
        self._lock = threading.RLock()  # A signal handler may print in the middle of `add`.
        self._first: deque[_Write] = deque()
        self._last: deque[_Write] = deque()
        self._first_size = self._last_size = 0
        self._part_max = BURST_CHARACTERS // 2
        self._allowance = float(BURST_CHARACTERS)
        self._allowed_at_us = 0
        self._missing: dict[str, _Missing] = {}
        self._assemblers = {"stdout": LineAssembler(), "stderr": LineAssembler()}
        self._at_once_from_us = 0

    def add(self, stream: str, text: str) -> None:
        """Called at every write, on the writing thread."""
        if type(text) is not str:
            text = str.__str__(text)
        time_us = _time_ns() // 1000
        lines = text.count("\n")
        size = len(text) + _WRITE_CHARACTERS * (1 + lines)
        if self._last or size + self._first_size > self._part_max or size > _PIECE_CHARACTERS:
            self._add_slowly(stream, text, time_us)
        else:
            self._first.append((stream, text, time_us))
            # No lock: nothing is called in between, so no other thread and no signal handler runs.
            self._first_size += size
        if (
            lines
            # This must also happen after the clock was set back.
            and not 0 < self._at_once_from_us - time_us < _AT_ONCE_REST_US_MAX
            and self._add_at_once(time_us)
        ):
            return
        if self._waked.idle or self._first_size > _HURRY_CHARACTERS:
            self._waked.wake()

    @property
    def waits(self) -> bool:
        """Whether text waits to be taken, now or soon."""
        return bool(self._first) or any(each.has_untaken for each in self._assemblers.values())

    def take(self, *, at_once: bool = False) -> dict[str, list[Line]]:
        """Return each stream's lines that are due, or all new ones; on one thread at a time."""
        now_us = _time_ns() // 1000
        with self._lock:
            first = [self._first.popleft() for _ in range(len(self._first))]
            first_size = sum(map(_size, first))
            self._first_size -= first_size
            last, self._last = self._last, deque()
            missing, self._missing = self._missing, {}
            self._allow(first_size + self._last_size, now_us)
            self._last_size = 0
        for stream, text, time_us in first:
            self._assemblers[stream].add(text, time_us)
        for stream, amount in missing.items():
            self._assemblers[stream].add_note(str(amount), first[-1][2] if first else now_us)
        for stream, text, time_us in last:
            self._assemblers[stream].add(text, time_us)
        taken = {
            name: each.take(now_us, at_once=at_once) for name, each in self._assemblers.items()
        }
        return {name: lines for name, lines in taken.items() if lines}

    def _add_at_once(self, time_us: int) -> bool:
        if len(self._first) > _AT_ONCE_WRITES_MAX or not self._take_now():
            return False
        after_us = _time_ns() // 1000
        self._at_once_from_us = after_us + _AT_ONCE_SHARE * max(0, after_us - time_us)
        return True

    # ------------------------------------------------------------------ the bound

    def _allow(self, size: int, now_us: int) -> None:
        """Set how much may wait until the next `take`: a burst, or the rate times the interval."""
        passed = max(0, now_us - self._allowed_at_us) / 1e6
        grown = self._allowance - size + CHARACTERS_PER_SECOND * passed
        self._allowance = min(float(BURST_CHARACTERS), max(0.0, grown))
        self._allowed_at_us = now_us
        self._part_max = max(_PART_CHARACTERS_MIN, int(self._allowance) // 2)

    def _add_slowly(self, stream: str, text: str, time_us: int) -> None:
        """Add a long text, or one that does not fit: in pieces, as far as there is room."""
        end, start = len(text), len(text)
        if len(text) > BURST_CHARACTERS:
            end, start = BURST_CHARACTERS // 2, len(text) - BURST_CHARACTERS // 2
        with self._lock:
            self._add_pieces(stream, text, time_us, range(0, end, _PIECE_CHARACTERS), end)
            if start < len(text):
                # Older text of the last part is dropped for the end of this text.
                self._missing_of(stream).count(text, end, start)
                pieces = range(start, len(text), _PIECE_CHARACTERS)
                self._add_pieces(stream, text, time_us, pieces, len(text))

    def _add_pieces(self, stream: str, text: str, time_us: int, pieces: range, end: int) -> None:
        for at in pieces:
            write = (stream, text[at : min(end, at + _PIECE_CHARACTERS)], time_us)
            size = _size(write)
            if not self._last and self._first_size + size <= self._part_max:
                self._first.append(write)
                self._first_size += size
                continue
            self._last.append(write)
            self._last_size += size
            while self._last_size > self._part_max and len(self._last) > 1:
                dropped = self._last.popleft()
                self._last_size -= _size(dropped)
                self._missing_of(dropped[0]).count(dropped[1])

    def _missing_of(self, stream: str) -> _Missing:
        return self._missing.setdefault(stream, _Missing())


def _size(write: _Write) -> int:
    return len(write[1]) + _WRITE_CHARACTERS * (1 + write[1].count("\n"))
