"""What stepwell says to the person at the terminal: rare lines on stderr, nothing else."""

import contextlib
import sys
import threading

PREFIX = "stepwell: "


class Voice:
    """Says lines, and each kind of warning once. Never raises, never goes into a captured console.

    Attributes:
        silent: says nothing at all.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self._said: set[str] = set()
        self._lock = threading.RLock()  # A signal handler may warn in the middle of a warning.

    def say(self, text: str) -> None:
        if self.silent:
            return
        from stepwell._console import uncaptured

        with contextlib.suppress(Exception), uncaptured():
            sys.stderr.write(PREFIX + text.rstrip("\n") + "\n")
            sys.stderr.flush()

    def warn_once(self, kind: str, text: str) -> None:
        """Say ``text`` unless a warning of this ``kind`` was said before."""
        if kind in self._said:
            return
        with self._lock:
            if kind in self._said or len(self._said) > 1000:
                return
            self._said.add(kind)
        self.say(text)
