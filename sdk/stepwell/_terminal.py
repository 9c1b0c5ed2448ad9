"""Lines of stepwell for the user at the terminal: few, and only on stderr."""

import contextlib
import sys
import threading

PREFIX = "stepwell: "
OF_ALL = "all: "
"""Prefix of the kind of a warning that is the same in every process of a run."""


class Voice:
    """Prints lines, and each kind of warning once. Never raises, and is never captured.

    Attributes:
        silent: print nothing.
        follows: another process of the run prints the warnings that are the same in all.
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
        """Print ``text`` unless a warning of this ``kind`` was printed before."""
        if kind in self._said or (self.follows and kind.startswith(OF_ALL)):
            return
        with self._lock:
            if kind in self._said or len(self._said) > 1000:
                return
            self._said.add(kind)
        self.say(text)


def is_terminal() -> bool:
    """Return whether lines go to a terminal, not to a file or a notebook."""
    try:
        return sys.__stderr__ is not None and sys.__stderr__.isatty()
    except ValueError:  # It is closed.
        return False
