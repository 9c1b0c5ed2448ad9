"""The forwarder: spool → store, each extent exactly once.

    write the extent durably  →  insert its blocks under their tokens  →  advance the cursor durably

After a crash in between, the same extent becomes the same blocks under the same tokens, and the
store drops what it has. Retries never end; only rows that the store will never take are set aside.
"""

import asyncio
import logging
import random
import time
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from stepwell_daemon.backoff import delays
from stepwell_daemon.config import DaemonConfig
from stepwell_daemon.counters import Counters
from stepwell_daemon.extent import Extent, read_extent, rebuild
from stepwell_daemon.spool.record import PAGE_BYTES
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.spool.state import Cursor
from stepwell_store import Block, Store, StoreRejectedError, StoreUnavailableError

logger = logging.getLogger("stepwell_daemon")


class Forwarder:
    """Owner of the cursor. Methods run on the loop; disk and store calls in a thread."""

    def __init__(self, spool: Spool, store: Store, counters: Counters, executor: Executor) -> None:
        self._spool = spool
        self._store = store
        self._counters = counters
        self._executor = executor
        self.last_error = ""
        self.waiting_since: float | None = None  # monotonic; of the oldest not yet in the store
        self._progress = asyncio.Condition()
        self._last_seconds = 0.0
        self.config: DaemonConfig | None = None

    async def forward_forever(self, config: DaemonConfig) -> None:
        """Forward until cancelled."""
        self.config = config
        cursor = self._spool.cursor
        if cursor.extent_end:
            await self._forward(cursor.segment, cursor.offset, cursor.extent_end, exact=True)
        while True:
            stretch = self._spool.next_stretch()
            if stretch is None:
                self.waiting_since = None
                self._spool.appended.clear()
                if self._spool.next_stretch() is None:
                    await self._spool.appended.wait()
                continue
            if self.waiting_since is None:
                self.waiting_since = time.monotonic()
            await self._linger()
            stretch = self._spool.next_stretch()
            assert stretch is not None
            await self._forward(*stretch, exact=False)

    async def _linger(self) -> None:
        """Let a block fill: a share of what an insert takes, so that inserts stay a small part."""
        assert self.config is not None
        wait = min(
            self.config.linger_seconds_max,
            max(self.config.linger_seconds_min, 3.0 * self._last_seconds),
        )
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            if self._spool.unforwarded_bytes() >= 2 * 1024 * 1024:
                return
            self._spool.appended.clear()
            try:
                await asyncio.wait_for(self._spool.appended.wait(), left)
            except TimeoutError:
                return

    async def _forward(self, segment: int, start: int, end: int, *, exact: bool) -> None:
        began = time.monotonic()
        extent = await self._in_thread(self._prepare, segment, start, end, exact)
        for offset, payload, problem in extent.damaged:
            self._set_aside(extent, offset, payload, problem)
        for block in extent.blocks:
            await self._insert(extent, block)
        await self._in_thread(self._spool.write_cursor, Cursor(segment, extent.end))
        self._last_seconds = time.monotonic() - began
        self._counters.points_stored += extent.point_count
        self._counters.store_rate.add(extent.point_count)
        self.waiting_since = time.monotonic() if self._spool.unforwarded_bytes() else None
        assert self.config is not None
        doomed = self._spool.doomed(
            keep_bytes=self.config.spool_keep_bytes,
            keep_seconds=self.config.spool_keep_seconds,
            now=time.monotonic(),
        )
        if doomed:
            await self._spool.free(doomed, self._executor)
        async with self._progress:
            self._progress.notify_all()

    def _prepare(self, segment: int, start: int, end: int, exact: bool) -> Extent:
        assert self.config is not None
        points_max = None if exact else self.config.block_points
        extent = read_extent(self._spool, segment, start, end, points_max=points_max)
        self._spool.write_cursor(Cursor(segment, start, extent.end))
        return extent

    async def _insert(self, extent: Extent, block: Block) -> None:
        token = extent.token(self._spool.spool_id, block)
        try:
            await self._insert_with_retries(block, token)
        except StoreRejectedError as error:
            logger.error(
                "block refused, looking for the cause table=%s error=%s", block.table, error
            )
            await self._insert_piecemeal(extent, block.table)

    async def _insert_with_retries(self, block: Block, token: str) -> None:
        failures = 0
        for delay in delays(random.Random()):
            began = time.monotonic()
            try:
                await self._in_thread(self._store.insert, block, token)
            except StoreUnavailableError as error:
                failures += 1
                self._counters.insert_errors += 1
                self.last_error = str(error)
                if failures == 1:
                    logger.warning("forward failed, retrying table=%s error=%s", block.table, error)
                await asyncio.sleep(delay)
                continue
            self._counters.inserts += 1
            self._counters.insert_seconds += time.monotonic() - began
            if failures:
                logger.warning("forwarding again table=%s failures=%d", block.table, failures)
            self.last_error = ""
            return

    async def _insert_piecemeal(self, extent: Extent, table: str) -> None:
        """Insert the rows for ``table`` record by record; set aside what the store refuses."""
        pieces = await self._in_thread(
            lambda: list(rebuild(self._spool, extent, lambda block: block.table == table))
        )
        for start, end, payload, blocks in pieces:
            part = replace(extent, start=start, end=end)
            for block in blocks:
                try:
                    await self._insert_with_retries(block, part.token(self._spool.spool_id, block))
                except StoreRejectedError as error:
                    self._set_aside(part, start, payload, f"{table}: {error}")

    def _set_aside(self, extent: Extent, offset: int, payload: bytes, problem: str) -> None:
        folder = self._spool.folder / "set_aside"
        folder.mkdir(exist_ok=True)
        path: Path = folder / f"{extent.segment:016d}-{offset}.record"
        path.write_bytes(payload)
        self._counters.set_aside_records += 1
        logger.error("record set aside path=%s reason=%s", path, problem)

    async def wait_stored_now(self, timeout_seconds: float) -> bool:
        """Return whether all that was taken before this call is in the store in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._spool.committed()
                target = self._spool.durable_end()
                async with self._progress:
                    await self._progress.wait_for(lambda: self._has_passed(target))
        except TimeoutError:
            return False
        return True

    def _has_passed(self, target: tuple[int, int]) -> bool:
        cursor = self._spool.cursor
        if cursor.extent_end:
            return False
        return (cursor.segment, cursor.offset) >= target or not self._spool.unforwarded_bytes()

    async def _in_thread(self, function, *arguments):  # type: ignore[no-untyped-def]
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, function, *arguments
        )


assert PAGE_BYTES > 0
