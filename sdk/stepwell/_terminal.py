"""Lines of stepwell for the user at the terminal: few, and only on stderr."""

import contextlib
import select
import sys
import threading
import time
from typing import Any, Final

PREFIX = "stepwell: "
OF_ALL = "all: "
"""Prefix of the kind of a warning that is the same in every process of a run."""
_PIPE_BYTES: Final = select.PIPE_BUF
"""A pipe that is ready takes at least so many bytes without blocking."""
_WAIT_SECONDS: Final = 0.5
"""Time that lines wait for a stderr that takes no data, all together until it takes some."""

_wait_seconds_left = _WAIT_SECONDS


class Voice:
    """Prints lines, and each kind of warning once. Never raises, and is never captured.

    A stderr that takes no data, such as a stopped terminal, does not block: lines are left out.

    Attributes:
        silent: print nothing.
        follows: another process of the run prints the warnings that are the same in all.
        left_out: count of lines that stderr did not take.
    """

    def __init__(self, *, silent: bool = False, follows: bool = False) -> None:
        self.silent, self.follows = silent, follows
        self.left_out = 0
        self._said: set[str] = set()
        self._lock = threading.RLock()  # A signal handler may warn in the middle of a warning.

    def say(self, text: str) -> None:
        if self.silent:
            return
        if not print_uncaptured(PREFIX + text.rstrip("\n") + "\n"):
            self.left_out += 1

    def warn_once(self, kind: str, text: str) -> None:
        """Print ``text`` unless a warning of this ``kind`` was printed before."""
        if kind in self._said or (self.follows and kind.startswith(OF_ALL)):
            return
        with self._lock:
            if kind in self._said or len(self._said) > 1000:
                return
            self._said.add(kind)
        self.say(text)


def print_uncaptured(text: str) -> bool:
    """Print ``text`` on stderr, uncaptured; False if stderr did not take all of it.

    Never raises. It does not wait for a reader longer than `_WAIT_SECONDS`.
    """
    from stepwell._console_streams import is_in_line, uncaptured

    with contextlib.suppress(Exception), uncaptured():
        if is_in_line("stderr"):  # Such as that of a progress bar.
            text = f"\n{text}"
        stream = sys.stderr
        descriptor = _descriptor_of(stream)
        width = 1 if text.isascii() else len(r"\U00000000")  # The most bytes of a character.
        size = _PIPE_BYTES // width
        for start in range(0, len(text), size):
            if descriptor is not None and not _takes_data(descriptor):
                return False
            stream.write(text[start : start + size])
            stream.flush()
        return True
    return False


def _descriptor_of(stream: Any) -> int | None:
    """Return the descriptor that ``stream`` writes to, None if it has none or it is unknown."""
    from stepwell import _notebook

    if _notebook.is_kernel():  # The text goes to the page.
        return None
    try:
        return int(stream.fileno())
    except Exception:
        return None


def _takes_data(descriptor: int) -> bool:
    """Return whether a write does not block, at the latest after the time that is left."""
    global _wait_seconds_left
    if not hasattr(select, "poll"):  # gevent removes it.
        return True
    asked = select.poll()
    asked.register(descriptor, select.POLLOUT)
    before = time.monotonic()
    takes = bool(asked.poll(_wait_seconds_left * 1000))
    waited = time.monotonic() - before
    _wait_seconds_left = _WAIT_SECONDS if takes else max(0.0, _wait_seconds_left - waited)
    return takes


def is_terminal() -> bool:
    """Return whether lines go to a terminal, not to a file or a notebook."""
    try:
        return sys.__stderr__ is not None and sys.__stderr__.isatty()
    except ValueError:  # It is closed.
        return False
