"""Upkeep of an open store: retention, late rows of deleted runs, unnamed blobs."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Final

from stepwell_daemon.blobs.part import Blobs
from stepwell_daemon.config import DaemonConfig
from stepwell_daemon.part_settings import retention
from stepwell_daemon.status import Facts
from stepwell_store import Store, StoreError
from stepwell_store.deletion import Swept, sweep_removed
from stepwell_store.retention import apply_retention
from stepwell_wire.run_notes import forget_runs

logger = logging.getLogger("stepwell_daemon")

SCARCE: Final = (OSError, MemoryError)
"""Errors of a machine without descriptors, memory or disk space: wait and retry."""
_DAY_SECONDS: Final = 86_400.0
_SWEEP_SECONDS: Final = 10.0
_SWEEP_SERVERS_SECONDS: Final = 60.0
"""Interval on servers, which many daemons query."""
_COLLECT_SECONDS: Final = 6 * 3600.0
_BEHIND_SECONDS: Final = 600.0


class Upkeep:
    """Deletes rows and blobs that are due for deletion. Owned by the event loop."""

    def __init__(
        self,
        facts: Facts,
        blobs: Blobs,
        *,
        store: Callable[[], Store | None],
        executor: Executor,
        sweep_seconds: float = _SWEEP_SECONDS,
    ) -> None:
        """
        Args:
            store: returns the store; None until it is open.
            executor: the thread that works on the store.
            sweep_seconds: time between two searches for rows of deleted runs, with an embedded
                store.
        """
        self.due = asyncio.Event()
        """Apply retention now: the store is open, or the settings have changed."""
        self._facts = facts
        self._blobs = blobs
        self._store = store
        self._executor = executor
        self._sweep_seconds = sweep_seconds
        self.stopping = threading.Event()
        """A running deletion must end at its next step."""

    async def keep_retention(self) -> None:
        """Apply retention once the store is open, after a reload, and daily."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(_DAY_SECONDS):
                    await self.due.wait()
            except TimeoutError:
                pass
            self.due.clear()
            if (store := self._store()) is None:
                continue
            apply = partial(
                apply_retention,
                store,
                retention(self._config),
                now=time.time(),
                should_stop=self.stopping.is_set,
            )
            try:
                deleted = await loop.run_in_executor(self._executor, apply)
            except (StoreError, *SCARCE) as error:
                logger.warning("retention could not be applied, again tomorrow: %s", error)
                continue
            for run in deleted:
                self._forget(run.project, run.run_id)
                logger.info("deleted a run that outlived retention run=%s", run)

    async def sweep_removed(self) -> None:
        """Delete late rows of writers whose run was deleted by force while they were running."""
        loop = asyncio.get_running_loop()
        swept = Swept()
        is_failing = False  # A repeating failure is logged once.
        while True:
            of_servers = self._config.sink == "clickhouse"
            await asyncio.sleep(_SWEEP_SERVERS_SECONDS if of_servers else self._sweep_seconds)
            if (store := self._store()) is None:
                continue
            sweep = partial(
                sweep_removed,
                store,
                now=time.time(),
                before=swept,
                should_stop=self.stopping.is_set,
            )
            try:
                swept = await loop.run_in_executor(self._executor, sweep)
            except (StoreError, *SCARCE) as error:
                log = logger.debug if is_failing else logger.warning
                log(
                    "deleting rows that runs sent after their deletion failed, tried again each "
                    "minute: %s; see `stepwell doctor`, or use `stepwell rm --orphans`",
                    error,
                )
                is_failing = True
                continue
            if is_failing:
                logger.info("deleting rows that runs sent after their deletion works again")
                is_failing = False
            for project, run_id in swept.done:
                self._forget(project, run_id)
                logger.info("nothing more comes of a deleted run run=%s/%s", project, run_id)

    async def collect_blobs(self) -> None:
        """Delete blobs that no row or manifest names, every few hours, if there is a store."""
        while True:
            await asyncio.sleep(_COLLECT_SECONDS)
            hours = self._config.blob_grace_hours
            is_behind = self._facts.oldest_unforwarded_seconds() > _BEHIND_SECONDS
            store = self._store()
            if store is None or not hours or is_behind:
                continue  # Blobs in the spool may still be named.
            await self._blobs.collect(store, before=time.time() - hours * 3600.0)

    @property
    def _config(self) -> DaemonConfig:
        return self._facts.config

    def _forget(self, project: str, run_id: str) -> None:
        """Remove the notes of a deleted run in this node's journals folders."""
        folders = (self._config.journals, *self._config.further_journal_roots())
        forget_runs(folders, project, [run_id])
