"""Upkeep of an open store: retention and unnamed blobs."""

import asyncio
import logging
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
from stepwell_store.retention import apply_retention
from stepwell_wire.run_notes import forget_runs

logger = logging.getLogger("stepwell_daemon")

SCARCE: Final = (OSError, MemoryError)
"""Errors of a machine without descriptors, memory or disk space: wait and retry."""
_DAY_SECONDS: Final = 86_400.0
_COLLECT_SECONDS: Final = 6 * 3600.0
_BEHIND_SECONDS: Final = 600.0


def forget_notes(config: DaemonConfig, project: str, run_id: str, *, removed_at: float) -> None:
    """Remove the notes of a deleted run in this node's journals folders."""
    folders = (config.journals, *config.further_journal_roots())
    forget_runs(folders, project, [run_id], removed_at=removed_at)


class Upkeep:
    """Deletes rows and blobs that are due for deletion. Owned by the event loop."""

    def __init__(
        self,
        facts: Facts,
        blobs: Blobs,
        *,
        store: Callable[[], Store | None],
        executor: Executor,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            store: returns the store; None until it is open.
            executor: the thread that works on the store.
            should_stop: a running deletion must end at its next step. Called in that thread.
        """
        self.due = asyncio.Event()
        """Apply retention now: the store is open, or the settings have changed."""
        self._facts = facts
        self._blobs = blobs
        self._store = store
        self._executor = executor
        self._should_stop = should_stop

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
            began_at = time.time()
            apply = partial(
                apply_retention,
                store,
                retention(self._config),
                now=began_at,
                should_stop=self._should_stop,
            )
            try:
                deleted = await loop.run_in_executor(self._executor, apply)
            except (StoreError, *SCARCE) as error:
                logger.warning("applying retention failed, trying again tomorrow: %s", error)
                continue
            for run in deleted:
                forget_notes(self._config, run.project, run.run_id, removed_at=began_at)
                logger.info("deleted a run older than its retention run=%s", run)

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
