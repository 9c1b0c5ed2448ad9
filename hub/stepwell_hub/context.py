"""The objects that handlers use: one set per hub."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stepwell_hub.asking import Asker
from stepwell_hub.catalog.door import CatalogDoor
from stepwell_hub.config import HubConfig
from stepwell_hub.live import Feeds
from stepwell_hub.run_colors import RunColors
from stepwell_hub.sweeps.service import Sweeps
from stepwell_hub.tables.workers import TableWorkers
from stepwell_store import Store
from stepwell_store.blob_store import BlobStore
from stepwell_wire.control_channel import socket_noted_in
from stepwell_wire.storing import rows_are_stored

_FLUSHES_MAX: Final = 2


@dataclass(slots=True)
class Context:
    """The parts of a running hub.

    Attributes:
        tables: known facts about tables, by digest.
        failures: requests that failed by a bug in the hub.
        artifacts_cleared_at: last check for old pending versions, as `time.monotonic`.
        deletions_seen_at: last check for deletions that other hubs noted, likewise.
    """

    config: HubConfig
    store: Store
    asker: Asker
    catalog: CatalogDoor
    colors: RunColors
    feeds: Feeds
    blobs: BlobStore
    table_workers: TableWorkers
    sweeps: Sweeps
    tables: dict[str, Any] = field(default_factory=dict)
    started_at: float = field(default_factory=time.time)
    failures: int = 0
    flushing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_FLUSHES_MAX))
    """Each flush keeps one of the few threads busy until the daemon has stored its rows."""
    artifacts_cleared_at: float = -1e9
    deletions_seen_at: float = -1e9

    async def await_rows(self, seconds: float) -> bool:
        """Wait until rows that this node's daemon received before can be read.

        Returns:
            False without a daemon, and if it took too long.
        """
        try:
            async with asyncio.timeout(seconds):
                await self.flushing.acquire()
        except TimeoutError:
            return False
        try:
            socket = self.node_socket()
            return await asyncio.to_thread(rows_are_stored, socket, timeout_seconds=seconds)
        finally:
            self.flushing.release()

    def daemon_socket(self) -> Path | None:
        """Return the socket of the daemon that stores into an embedded store; None without one."""
        return self.node_socket() if self.config.store == "embedded" else None

    def node_socket(self) -> Path | None:
        """Return the socket of the daemon that has our data folder, with any store; else None."""
        return socket_noted_in(self.config.data)
