"""The console of a run: captured lines go into the journal without waiting."""

import contextlib
import threading
from typing import Any, Final

from stepwell import _console, _console_streams
from stepwell._last_error import ending_text
from stepwell._writer import Writer

WAIT_SECONDS: Final = 0.5
"""How long a flush, and the end, wait for another thread that writes to the journal."""

_EVENT_CHARACTERS: Final = 256 * 1024
_LINE_CHARACTERS: Final = 32  # Added to the text of a line.


class RunConsole:
    """Writes what this process prints into the journal of its writer, once `start` was called."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._capture: _console.Capture | None = None
        self._is_over = False
        # No re-entrant lock: a signal handler that prints, or an object that prints when it is
        # collected, must not start again in the middle.
        self._lock = threading.Lock()
        self._noted_error = 0

    def start(self) -> None:
        """Capture the output from now on."""
        self._capture = _console.Capture(self._writer, self._write_now)
        _console_streams.start_capture(self._capture)

    def stop(self) -> None:
        """Stop the capture; the output so far can still be written."""
        if self._capture is not None:
            _console_streams.stop_capture(self._capture)

    def end(self) -> None:
        """Write nothing from now on."""
        self._is_over = True

    def forget(self) -> None:
        """In a forked child: the captured output belongs to the parent."""
        self._capture, self._lock = None, threading.Lock()

    @property
    def waits(self) -> bool:
        """Whether lines are to be written soon."""
        return self._capture is not None and self._capture.waits

    def write(self, *, at_once: bool = False, wait_seconds: float = 0.0) -> bool:
        """Write the lines that are due; False if another thread, or this one, is writing them.

        With ``at_once`` also lines that changed a moment ago, such as progress bars.
        Usually it does not wait: `log` holds the writer's lock, and may itself wait for room that
        only the sender can make.
        """
        if self._capture is None or self._is_over:
            return True
        if not self._lock.acquire(timeout=wait_seconds):
            return False
        try:
            lock = self._writer.lock
            if not lock.acquire(timeout=wait_seconds):
                return False
            try:
                self._write_lines(at_once=at_once)
            finally:
                lock.release()
        finally:
            self._lock.release()
        return True

    def note_error(self, error: BaseException) -> None:
        """Add the text that Python will print of ``error`` after the run."""
        if self._capture is None or self._is_over or self._noted_error == id(error):
            return
        self._noted_error = id(error)
        if text := ending_text(error):
            with contextlib.suppress(Exception):
                self._capture.add("stderr", text)

    def _write_now(self) -> bool:
        """Write the last output on the printing thread; False if that might wait."""
        return not self._writer.may_wait_for_room and self.write()

    def _write_lines(self, *, at_once: bool) -> None:
        assert self._capture is not None
        for stream, lines in self._capture.take(at_once=at_once).items():
            part: list[list[Any]] = []
            size = 0
            for number, time_us, text in lines:
                part.append([number, time_us, text])
                size += len(text) + _LINE_CHARACTERS
                if size > _EVENT_CHARACTERS:
                    self._writer.write_console(stream, part)
                    part, size = [], 0
            if part:
                self._writer.write_console(stream, part)
