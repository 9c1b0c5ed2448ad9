"""All parts of a daemon that concern blobs, and artifacts made of them, assembled."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc

from stepwell_daemon.artifacts.part import Artifacts
from stepwell_daemon.blobs.intake import BlobIntake
from stepwell_daemon.blobs.pipeline import BlobPipeline, Keeper, StoreKeeper
from stepwell_daemon.blobs.queue import BlobQueue
from stepwell_daemon.blobs.service import BlobService
from stepwell_daemon.config import DaemonConfig
from stepwell_daemon.counters import Counters
from stepwell_daemon.gateway.blob_keeper import GatewayKeeper
from stepwell_daemon.gateway.relayed_blobs import RelayedBlobs, RelayedBlobService
from stepwell_daemon.gateway.tokens import Tokens
from stepwell_daemon.hub_commands import ControlPlace
from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.part_settings import blob_store
from stepwell_daemon.spool.spool import Spool
from stepwell_store import Store, StoreError
from stepwell_store.blob_collection import (
    EmptyTableError,
    ManifestUnreadableError,
    collect_blobs,
    note_table,
)

logger = logging.getLogger("stepwell_daemon")


class Blobs:
    """Queue, intake, service and pipeline of one daemon.

    Attributes:
        store: the blob store of this daemon, also for relayed blobs; unused if this daemon relays
            itself.
    """

    def __init__(
        self,
        config: DaemonConfig,
        spool: Spool,
        *,
        places: JournalPlaces,
        counters: Counters,
        find_hub: Callable[[], ControlPlace | None],
    ) -> None:
        self._counters = counters
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="blob-queue")
        self._keeping = ThreadPoolExecutor(2, thread_name_prefix="blob-store")
        self.store = blob_store(config)
        self.queue = BlobQueue(
            config.data / "blobs",
            bytes_max=config.blob_queue_bytes_max,
            free_bytes_min=config.blob_free_bytes_min,
        )
        self._keeper: Keeper
        if config.sink == "gateway":
            self._keeper = GatewayKeeper(config.relay_settings())
        else:
            self._keeper = StoreKeeper(self.store, self._keeping)
        self.artifacts = Artifacts(
            config,
            store=self.store,
            keeper=self._keeper,
            spool=spool,
            counters=counters,
            find_hub=find_hub,
        )
        self.pipeline = BlobPipeline(
            self.queue,
            spool,
            self._keeper,
            counters=counters,
            executor=self._executor,
            workers=config.blob_workers,
            worker_memory_bytes=config.blob_worker_memory_bytes,
            seconds=config.blob_seconds,
        )
        self.intake = BlobIntake(
            self.queue,
            spool,
            places=places,
            executor=self._executor,
            on_taken=self.pipeline.note_taken,
            on_failed=self.pipeline.note_lost,
            drafts=self.artifacts.intake,
        )
        self.service = BlobService(self.intake, counters=counters)

    def relayed_handlers(self, tokens: Tokens) -> grpc.GenericRpcHandler:
        """Return the service for daemons that relay to this one."""
        desk = RelayedBlobs(self.queue, self._keeper, executor=self._executor)
        return RelayedBlobService(desk, tokens=tokens, counters=self._counters).handlers()

    async def open(self) -> None:
        """Load the waiting blobs.

        Raises:
            OSError: The queue's folder cannot be used.
        """
        await asyncio.get_running_loop().run_in_executor(self._executor, self.queue.open)
        await self.artifacts.open()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.pipeline.run(), name="blobs-pipeline")
            tasks.create_task(self.artifacts.run(), name="artifacts")

    @property
    def is_idle(self) -> bool:
        return self.pipeline.is_idle and self.artifacts.committer.is_idle

    async def collect(self, store: Store, *, before: float) -> None:
        """Delete blobs that no row or manifest names and that were last put before ``before``."""
        loop = asyncio.get_running_loop()
        work = partial(collect_blobs, store, self.store, before=before)
        try:
            done = await loop.run_in_executor(self._keeping, work)
        except (StoreError, EmptyTableError, ManifestUnreadableError, OSError) as error:
            logger.warning("deleting unreferenced blobs failed, trying again later: %s", error)
            return
        if done.blobs:
            logger.info("deleted unreferenced blobs blobs=%d bytes=%d", done.blobs, done.size)

    async def note_table(self, store: Store) -> None:
        """Note in the blob store which table names its blobs; see `blob_collection`."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._keeping, note_table, store, self.store)
        except (StoreError, OSError) as error:
            logger.warning(
                "noting the table in the blob store failed, trying again later: %s", error
            )

    def close(self) -> None:
        """Release the threads. Can be called twice."""
        self.artifacts.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._keeping.shutdown(wait=True, cancel_futures=True)

    def problems(self) -> list[str]:
        """Return the problems, one phrase each."""
        found = []
        if problem := self.pipeline.health.problem:
            found.append(f"{self.queue.count} blobs wait because storing them failed: {problem}")
        if problem := self.intake.problem:
            found.append(
                "blobs wait beside their journals because the daemon has no room or cannot read "
                f"them: {problem}"
            )
        return found + self.artifacts.problems()

    def status(self) -> dict[str, Any]:
        """Return the blobs part of the status."""
        counters, health = self._counters, self.pipeline.health
        return {
            "waiting": self.queue.count,
            "waiting_bytes": self.queue.bytes_held,
            "bytes_max": self.queue.bytes_max,
            "stored": counters.blobs_stored,
            "known": counters.blobs_known,
            "failed": counters.blobs_failed,
            "last_failure": health.last_failure,
            "problem": health.problem or self.intake.problem,
        }
