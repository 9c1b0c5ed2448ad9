"""Deletes segments whose rows are stored, after saving the writers table that they held.

All disk work runs in the spool's one thread.
"""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

from stepwell_daemon import failpoints
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.held import HeldSegments
from stepwell_daemon.spool.segment import Location, segment_path
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.writers_table import pack_table, write_table
from stepwell_daemon.writer_packing import Mark

logger = logging.getLogger("stepwell_daemon.spool")

Marks = tuple[list[Mark], Location]
"""The input of the table of writers, packed in the thread: the event loop has no time for it."""


class Freeing:
    """Saves the table of writers, and removes segments. Owned by the event loop."""

    def __init__(
        self,
        folder: Path,
        settings: SpoolSettings,
        *,
        held: HeldSegments,
        marks: Callable[[], Marks],
        disk: Disk,
        executor: Executor,
    ) -> None:
        """
        Args:
            marks: returns the present marks; they cover at least the spool's durable end.
        """
        self._folder = folder
        self._settings = settings
        self._held = held
        self._marks = marks
        self._disk = disk
        self._executor = executor
        self._not_freed: deque[dict[int, tuple[int, int]]] = deque()

    def save_table(self) -> "Future[None]":
        return self._executor.submit(self._save_table, self._marks())

    def free(self, cursor: Location, *, everything: bool = False) -> None:
        """Begin to delete segments before ``cursor`` that were kept for ``keep_seconds``.

        Args:
            everything: delete every stored segment, also a recent one.
        """
        while self._not_freed:
            self._held.restore(self._not_freed.popleft())
        numbers = self._held.freeable(
            cursor,
            keep_seconds=0.0 if everything else self._settings.keep_seconds,
            keep_bytes=self._settings.keep_bytes,
            bytes_max=self._settings.bytes_max,
        )
        if numbers:
            self._executor.submit(self._free, self._held.forget(numbers), self._marks())

    def _save_table(self, marks: Marks) -> None:
        try:
            self._write_table(marks)
        except OSError as error:
            logger.warning(
                "saving the writers table failed, a start will read more segments: %s", error
            )

    def _free(self, held: dict[int, tuple[int, int]], marks: Marks) -> None:
        try:
            self._write_table(marks)
            for number in sorted(held):
                failpoints.hit("free.before-unlink")
                with contextlib.suppress(FileNotFoundError):  # A previous attempt has removed it.
                    self._disk.unlink(segment_path(self._folder, number))
                failpoints.hit("free.unlinked")
            self._disk.sync_folder(self._folder)
            failpoints.hit("free.done")
        except OSError as error:
            logger.warning("deleting stored segments failed, trying again with the next: %s", error)
            self._not_freed.append(held)

    def _write_table(self, marks: Marks) -> None:
        write_table(self._folder, pack_table(*marks, now=time.time()), disk=self._disk)
