"""Delivery: an extent of the spool as blocks under tokens, down to the frame that is rejected.

    token := daemon id - segment - start - end [- shard] - table - digest of the rows

The same extent makes the same blocks and tokens in any process, so no row is stored twice when it
is sent again. A block that the store rejects is halved by frames until the rejected frame is alone.
The rest of the extent is stored under the tokens of its parts.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from stepwell_daemon import failpoints
from stepwell_daemon.backoff import Backoff
from stepwell_daemon.bounds import DEAD_LETTER, Dropped
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import BAD_DATA
from stepwell_daemon.gaps import add_damage, gap_of, points_of
from stepwell_daemon.sink_errors import kind_of
from stepwell_daemon.spool.dead_letter import write_dead_letter
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.reader import Extent
from stepwell_daemon.spool.rejected import RejectedBlocks
from stepwell_daemon.spool.walker import SpooledFrame
from stepwell_store import (
    Block,
    BlockBuilder,
    Store,
    StoreError,
    StoreRejectedError,
    WriterInfo,
)
from stepwell_store.identity import node_fingerprint, series_fingerprints
from stepwell_store.recomputing import recompute, recompute_nodes
from stepwell_store.tables import BLOCK_LAYOUT, WRITERS
from stepwell_wire.rows import decode_records

logger = logging.getLogger("stepwell_daemon")


def build_blocks(
    frames: Sequence[SpooledFrame], shard_of: Callable[[WriterInfo], int] = lambda writer: 0
) -> list[Block]:
    """Return the blocks of ``frames``, shard by shard. A pure function."""
    builders: dict[int, BlockBuilder] = {}
    for frame in frames:
        shard = shard_of(frame.info)
        if shard not in builders:
            builders[shard] = BlockBuilder(shard)
        decoded, _ = decode_records(frame.record.content(), frame.schemas)
        add_damage(builders[shard], frame)
        builders[shard].add(frame.info, decoded, frame.schemas)
    return [block for shard in sorted(builders) for block in builders[shard].build()]


def _in_turns(blocks: Sequence[Block]) -> list[list[Block]]:
    """Return the blocks that may be stored together, in the order of storing.

    Names first: the store treats points whose series has no name as leftovers of a deletion.
    Writers last: a reader who sees that a run has ended must find all of its values.
    """
    turns: list[list[Block]] = [[], [], []]
    for block in blocks:
        turns[0 if block.names else 2 if block.table == WRITERS.name else 1].append(block)
    return [each for each in turns if each]


def _series_of(frames: Sequence[SpooledFrame]) -> list[int]:
    """Return every series of runs that ``frames`` may have points of."""
    found: set[int] = set()
    for frame in frames:
        who = frame.info
        if not who.is_node:
            for metrics in list(frame.schemas.values()):  # The reader adds to it concurrently.
                numbers = series_fingerprints(who.project, who.run_id, metrics, who.label)
                found.update(numbers.tolist())
    return sorted(found)


def _node_series_of(frames: Sequence[SpooledFrame]) -> list[int]:
    """Return every series of nodes that ``frames`` may have points of."""
    found: set[int] = set()
    for frame in frames:
        who = frame.info
        if who.is_node:
            for metrics in list(frame.schemas.values()):
                found.update(node_fingerprint(who.host, name, who.label) for name in metrics)
    return sorted(found)


class SinkHealth:
    """The results of the last attempts to insert."""

    def __init__(self) -> None:
        self.healthy = True
        self.last_error = ""
        self.last_error_kind = ""
        """One of ``stepwell_daemon.sink_errors.KINDS``."""
        self.insert_seconds = 0.05
        """Duration of the latest extents' inserts, for the forwarder's pace."""

    def failed(self, error: Exception) -> None:
        if self.healthy:
            logger.warning("the sink accepts no blocks now, retrying: %s", error)
        self.healthy = False
        self.last_error = str(error)
        self.last_error_kind = kind_of(error)

    def succeeded(self) -> None:
        if not self.healthy:
            logger.info("the sink accepts blocks again")
        self.healthy = True


class Delivery:
    """Stores extents in a store; never gives up on one, never stores one twice."""

    def __init__(
        self,
        store: Store,
        *,
        folder: Path,
        spool: int,
        counters: Counters,
        health: SinkHealth,
        executor: Executor,
        disk: Disk | None = None,
        new_backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._store = store
        self._folder = folder
        self._spool = spool
        self._counters = counters
        self._health = health
        self._executor = executor
        self._disk = disk or Disk()
        self._new_backoff = new_backoff
        self._rejected = RejectedBlocks(folder, self._disk)
        self._may_repeat = True
        """The first extent after a start may have been sent before, completely or in part."""

    @property
    def kind(self) -> str:
        return self._store.kind

    def prepare(self, extent: Extent) -> list[Block] | None:
        """Return the blocks of ``extent``, None if they cannot be built. Runs in a thread."""
        try:
            return build_blocks(extent.frames, self._store.shard_of)
        except BAD_DATA as error:
            logger.error("decoding a whole extent failed: %r", error)
            return None

    async def open(self) -> None:
        """Does nothing: the owner of the store has opened it."""

    async def close(self) -> None:
        """Does nothing: the store belongs to the caller that opened it."""

    async def deliver(self, extent: Extent, blocks: list[Block] | None) -> None:
        """Return when all frames of ``extent`` are stored or dead-lettered.

        Args:
            blocks: the blocks of the extent; None if building them failed.
        """
        started = time.monotonic()
        place = (extent.segment, extent.start, extent.end)
        self._rejected.begin(place)
        if blocks is None:
            await self._halve(extent.segment, extent.frames, None, "the extent cannot be decoded")
        else:
            await self._insert_all(place, extent.frames, blocks)
        if extent.layout < BLOCK_LAYOUT:
            await self._recompute(extent)
        self._may_repeat = False
        self._health.insert_seconds = time.monotonic() - started

    async def _recompute(self, extent: Extent) -> None:
        """Compute the rollups of an extent's series again.

        A former release had begun to send the extent. The upgrade of the store may or may not have
        computed rollups of its points, and its own rollups have another token now. So they could be
        counted twice.
        """
        loop = asyncio.get_running_loop()
        backoff = self._new_backoff()
        series = _series_of(extent.frames)
        of_nodes = _node_series_of(extent.frames)
        count = len(series) + len(of_nodes)
        logger.info("computing the rollups of an older release's extent again series=%d", count)
        while True:
            try:
                await loop.run_in_executor(self._executor, recompute, self._store, series)
                await loop.run_in_executor(self._executor, recompute_nodes, self._store, of_nodes)
            except (StoreError, OSError, MemoryError) as error:
                self._health.failed(error)
                await asyncio.sleep(backoff.next_delay())
                continue
            self._health.succeeded()
            return

    async def _insert_all(
        self, place: tuple[int, int, int], frames: Sequence[SpooledFrame], blocks: list[Block]
    ) -> None:
        for part in _in_turns(blocks):
            async with asyncio.TaskGroup() as tasks:
                for block in part:
                    tasks.create_task(
                        self._insert(place, frames, block), name=f"insert-{block.table}"
                    )

    async def _insert(
        self, place: tuple[int, int, int], frames: Sequence[SpooledFrame], block: Block
    ) -> None:
        """Store one block, or those of its parts that the store accepts."""
        loop = asyncio.get_running_loop()
        backoff = self._new_backoff()
        token = await loop.run_in_executor(self._executor, self._token_of, place, block)
        while True:
            try:
                if token in self._rejected:
                    raise StoreRejectedError("rejected before the daemon's last start")
                may_repeat = self._may_repeat or backoff.failures > 0
                seconds = await loop.run_in_executor(
                    self._executor, self._send, token, block, may_repeat
                )
            except StoreRejectedError as error:
                await self._part(place[0], frames, block, token, str(error))
                return
            except (StoreError, OSError, MemoryError) as error:
                self._counters.insert_failures += 1
                self._health.failed(error)
                await asyncio.sleep(backoff.next_delay())
                continue
            self._health.succeeded()
            self._counters.inserts += 1
            self._counters.insert_seconds.observe(seconds)
            return

    def _token_of(self, place: tuple[int, int, int], block: Block) -> str:
        segment, start, end = place
        shard = f"-{block.shard}" if block.shard else ""
        return f"{self._spool:016x}-{segment}-{start}-{end}{shard}-{block.table}-{block.digest()}"

    def _send(self, token: str, block: Block, may_repeat: bool) -> float:
        """Insert in a thread; return its duration in seconds."""
        started = time.perf_counter()
        failpoints.hit("forward.before-insert")
        self._store.insert(block, token, may_repeat=may_repeat)
        failpoints.hit("forward.inserted")
        return time.perf_counter() - started

    async def _part(
        self,
        segment: int,
        frames: Sequence[SpooledFrame],
        block: Block,
        token: str,
        reason: str,
    ) -> None:
        """Note that a block was rejected, then store its halves."""
        loop = asyncio.get_running_loop()
        backoff = self._new_backoff()
        while token not in self._rejected:
            try:
                await loop.run_in_executor(self._executor, self._rejected.add, token)
            except OSError as error:
                self._health.failed(error)
                await asyncio.sleep(backoff.next_delay())
        of_shard = [each for each in frames if self._store.shard_of(each.info) == block.shard]
        await self._halve(segment, of_shard, block.table, reason)

    async def _halve(
        self, segment: int, frames: Sequence[SpooledFrame], table: str | None, reason: str
    ) -> None:
        """Store the halves of rejected frames; ``table`` None means all tables."""
        if len(frames) == 1:
            await self._dead_letter(segment, frames[0], table or "", reason)
            return
        middle = len(frames) // 2
        for half in (frames[:middle], frames[middle:]):
            if half:
                await self._send_part(segment, half, table)

    async def _send_part(
        self, segment: int, part: Sequence[SpooledFrame], table: str | None
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            blocks = await loop.run_in_executor(
                self._executor, build_blocks, part, self._store.shard_of
            )
        except BAD_DATA as error:
            await self._halve(segment, part, table, f"decoding failed: {error!r}")
            return
        place = (segment, part[0].record.offset, part[-1].record.end)
        chosen = [block for block in blocks if table is None or block.table == table]
        await self._insert_all(place, part, chosen)

    async def _dead_letter(
        self, segment: int, frame: SpooledFrame, table: str, reason: str
    ) -> None:
        loop = asyncio.get_running_loop()
        backoff = self._new_backoff()
        what = (self._folder, self._spool, segment, frame, table, reason, self._disk)
        while True:
            try:
                path = await loop.run_in_executor(self._executor, write_dead_letter, *what)
            except OSError as error:
                self._health.failed(error)
                await asyncio.sleep(backoff.next_delay())
                continue
            break
        failpoints.hit("forward.dead-letter")
        self._counters.dead_letter_records += 1
        shard = self._store.shard_of(frame.info)
        gap = gap_of(frame, table, path.name, shard=shard)
        rows = gap.missing_rows if gap is not None else 0
        self._counters.drop([Dropped(DEAD_LETTER, rows, points_of(frame, table))])
        logger.error(
            "frame dead-lettered, rejected by the store run=%s table=%s kept=%s: %s",
            frame.info.run_id,
            table or "all",
            path,
            reason,
        )
        if gap is not None:
            token = f"{self._spool:016x}-{path.stem}-gap-{gap.block.digest()}"
            await self._insert_gap(gap.block, token)

    async def _insert_gap(self, block: Block, token: str) -> None:
        """Store the row that describes the gap, or log that it cannot be stored."""
        loop = asyncio.get_running_loop()
        backoff = self._new_backoff()
        # A daemon that is killed between this and the cursor sends it again.
        insert = partial(self._store.insert, block, token, may_repeat=True)
        while True:
            try:
                await loop.run_in_executor(self._executor, insert)
            except StoreRejectedError as error:
                logger.error("gap of a dead-lettered frame not stored: %s", error)
                return
            except (StoreError, OSError, MemoryError) as error:
                self._counters.insert_failures += 1
                self._health.failed(error)
                await asyncio.sleep(backoff.next_delay())
                continue
            self._health.succeeded()
            return
