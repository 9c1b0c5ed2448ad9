"""What stepwell says to the person at the terminal: rare lines on stderr, nothing else."""

import contextlib
import sys
import threading

PREFIX = "stepwell: "
OF_ALL = "all: "
"""Begins the kind of a warning that every process of a run would say alike."""


class Voice:
    """Says lines, and each kind of warning once. Never raises, never goes into a captured console.

    Attributes:
        silent: says nothing at all.
        follows: another process of the run says what is the same in all of them.
    """

    def __init__(self, *, silent: bool = False, follows: bool = False) -> None:
        self.silent, self.follows = silent, follows
        self._said: set[str] = set()
        self._lock = threading.RLock()  # A signal handler may warn in the middle of a warning.

    def say(self, text: str) -> None:
        if self.silent:
            return
        from stepwell._console_streams import uncaptured

        with contextlib.suppress(Exception), uncaptured():
            sys.stderr.write(PREFIX + text.rstrip("\n") + "\n")
            sys.stderr.flush()

    def warn_once(self, kind: str, text: str) -> None:
        """Say ``text`` unless a warning of this ``kind`` was said before."""
        if kind in self._said or (self.follows and kind.startswith(OF_ALL)):
            return
        with self._lock:
            if kind in self._said or len(self._said) > 1000:
                return
            self._said.add(kind)
        self.say(text)


def is_terminal() -> bool:
    """Return whether what is said goes to a terminal, not to a file or a notebook."""
    try:
        return sys.__stderr__ is not None and sys.__stderr__.isatty()
    except ValueError:  # It is closed.
        return False
