"""Metadata of a run: collected on the sender's thread, written when no thread logs."""

import contextlib
import threading
from typing import Any, Final

from stepwell import _import_gate
from stepwell._writer import Writer
from stepwell.errors import RunFinishedError
from stepwell_wire.records import METADATA

_WAIT_SECONDS: Final = 2.0


class RunMetadata:
    """Where and how the process runs: collected once, and written into the writer's journal."""

    def __init__(self, writer: Writer, *, git: bool) -> None:
        self._writer, self._git = writer, git
        self._done = threading.Event()
        self._collected: dict[str, Any] | None = None  # Collected and not written yet.

    def collect(self) -> None:
        """Collect them, and write them if that is possible now; on the sender's thread."""
        try:
            with _import_gate.importing:
                from stepwell._metadata import collect_metadata

            self._collected = collect_metadata(git=self._git)
            self.give()
        finally:
            self._done.set()

    def give(self) -> None:
        """Write the collected metadata; if a thread logs just now, the next call writes it.

        Never waits for `log`, which may itself wait for room that only the sender can make.
        """
        if self._collected is None or not self._writer.lock.acquire(blocking=False):
            return
        try:
            self.write()
        finally:
            self._writer.lock.release()

    def write(self) -> None:
        """Write metadata that is not written yet; the caller holds the writer's lock."""
        collected, self._collected = self._collected, None
        if collected is not None:
            with contextlib.suppress(RunFinishedError):  # By another thread, just now.
                self._writer.write_set(METADATA, collected)

    def wait(self) -> None:
        """Wait briefly until they are collected: a very short run must have metadata, too."""
        self._done.wait(_WAIT_SECONDS)

    def forget(self) -> None:
        """In a forked child: the parent writes them."""
        self._collected = None
