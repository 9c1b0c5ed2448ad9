"""What the training prints, taken along line by line while it is still printed.

The write method of the stream object is wrapped, not the stream: loggers and progress bars hold
the object since before `init`. A write costs an append to a queue; lines are put together by the
sender's thread. A carriage return begins the line anew, as on a terminal, so a progress bar is one
line that is sent again when it has changed, and not a thousand.
"""

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

LINE_CHARACTERS_MAX: Final = 8192
WAITING_CHARACTERS_MAX: Final = 4 * 1024 * 1024
LINES_PER_LOOK_MAX: Final = 2000
OPEN_LINE_SECONDS: Final = 2.0
"""A line without its end, such as a progress bar, is sent no more often than this."""

Line = tuple[int, int, str]  # number, µs since 1970 UTC, text


class LineAssembler:
    """Puts writes together into numbered lines. Pure: no clock, no thread.

    Lines beyond ``lines_max`` between two calls of `take` are counted, and a line says how many.
    """

    def __init__(self, *, lines_max: int = LINES_PER_LOOK_MAX) -> None:
        self._lines_max = lines_max
        self._open = ""  # The line that has no end yet, as a terminal would show it.
        self._returned = False  # A carriage return came; the next character begins the line anew.
        self._open_us = 0
        self._sent_open = ""
        self._sent_open_us = 0
        self._number = 0
        self._ready: list[Line] = []
        self._left_out = 0

    def add(self, text: str, time_us: int) -> None:
        self._open_us = time_us
        *ended, rest = text.split("\n")
        for part in ended:
            self._extend(part)
            self._end(time_us)
        self._extend(rest)

    def take(self, now_us: int, *, final: bool = False) -> list[Line]:
        """Return the lines that are due and forget them.

        The open line is among them when it changed and was not sent for a while, or at the end.
        """
        lines, self._ready = self._ready, []
        if self._left_out:
            text = f"… {self._left_out} lines left out: too many at once"
            lines.append((self._number, now_us, text))
            self._number += 1
            self._left_out = 0
        due = final or now_us - self._sent_open_us >= OPEN_LINE_SECONDS * 1e6
        if self._open and self._open != self._sent_open and due:
            lines.append((self._number, self._open_us, self._open))
            self._sent_open, self._sent_open_us = self._open, now_us
        return lines

    def _extend(self, text: str) -> None:
        if not text:
            return
        if "\r" in text:
            shown = [part for part in text.split("\r") if part]
            if text.startswith("\r") or len(shown) > 1 or self._returned:
                self._open = ""
            self._returned = text.endswith("\r")
            self._open = (self._open + (shown[-1] if shown else ""))[:LINE_CHARACTERS_MAX]
            return
        if self._returned:
            self._open, self._returned = "", False
        if len(self._open) < LINE_CHARACTERS_MAX:
            self._open = (self._open + text)[:LINE_CHARACTERS_MAX]

    def _end(self, time_us: int) -> None:
        if len(self._ready) < self._lines_max:
            self._ready.append((self._number, time_us, self._open))
            self._number += 1
        else:
            self._left_out += 1
        self._open = self._sent_open = ""
        self._returned = False


class Capture:
    """One run's share of stdout and stderr."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._waiting: deque[tuple[str, str, int]] = deque()
        self._waiting_characters = 0
        self._assemblers = {"stdout": LineAssembler(), "stderr": LineAssembler()}
        self._lost = 0

    def add(self, stream: str, text: str) -> None:
        """Called at every write, on the writing thread."""
        if self._waiting_characters > WAITING_CHARACTERS_MAX:
            self._lost += 1
            return
        self._waiting_characters += len(text)
        self._waiting.append((stream, text, time.time_ns() // 1000))
        self._wake()

    @property
    def waits(self) -> bool:
        """Whether something was written since the last look."""
        return bool(self._waiting)

    def take(self, *, final: bool = False) -> dict[str, list[Line]]:
        """Return each stream's lines that are due; on one thread at a time."""
        waiting = self._waiting
        for _ in range(len(waiting)):
            stream, text, time_us = waiting.popleft()
            self._waiting_characters -= len(text)
            self._assemblers[stream].add(text, time_us)
        if self._lost:
            note = f"\n… {self._lost} writes left out: too much at once\n"
            self._assemblers["stdout"].add(note, time.time_ns() // 1000)
            self._lost = 0
        now_us = time.time_ns() // 1000
        taken = {name: each.take(now_us, final=final) for name, each in self._assemblers.items()}
        return {name: lines for name, lines in taken.items() if lines}


# ---------------------------------------------------------------------------- the wrapping

_captures: tuple[Capture, ...] = ()
_wrapped: dict[str, tuple[Any, Any]] = {}  # stream name -> the stream and our write
_lock = threading.RLock()  # A signal handler may finish a run in the middle of a start.
_thread = threading.local()


@contextlib.contextmanager
def uncaptured() -> Iterator[None]:
    """What this thread prints inside is printed only."""
    before = getattr(_thread, "off", False)
    _thread.off = True
    try:
        yield
    finally:
        _thread.off = before


def start_capture(capture: Capture) -> None:
    """Let ``capture`` have what is written to stdout and stderr from now on."""
    global _captures
    with _lock:
        _captures = (*_captures, capture)
        for name in ("stdout", "stderr"):
            _wrap(name)


def stop_capture(capture: Capture) -> None:
    """Undo `start_capture`; the last one unwraps the streams."""
    global _captures
    with _lock:
        _captures = tuple(each for each in _captures if each is not capture)
        if _captures:
            return
        for stream, write in _wrapped.values():
            # Only when nobody has wrapped it again since.
            if stream.__dict__.get("write") is write:
                with contextlib.suppress(Exception):
                    del stream.write
        _wrapped.clear()


def forget_captures() -> None:
    """In a forked child: what it prints is the parent's no more."""
    global _captures, _lock
    _captures, _lock = (), threading.RLock()


def _wrap(name: str) -> None:
    stream = getattr(sys, name, None)
    if stream is None or (name in _wrapped and _wrapped[name][0] is stream):
        return
    original = getattr(stream, "write", None)
    if original is None:
        return

    def write(text: Any) -> Any:
        written = original(text)
        if _captures and text and isinstance(text, str) and not getattr(_thread, "off", False):
            with contextlib.suppress(Exception):  # What is printed must never fail because of us.
                for capture in _captures:
                    capture.add(name, text)
        return written

    try:
        stream.write = write
    except (AttributeError, TypeError):
        return  # A stream that cannot be wrapped prints as before, uncaptured.
    if "write" in getattr(stream, "__dict__", {}):
        _wrapped[name] = (stream, write)
