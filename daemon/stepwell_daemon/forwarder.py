"""The forwarder: from the spool into the sink, extent by extent, exactly once.

    choose an extent → its end is durable in the cursor file → inserts → the cursor moves past it

After a crash between the second and the last step the same extent is sent again, and the store
ignores blocks that it has. While one extent is inserted, the next is read and built.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from stepwell_daemon import failpoints
from stepwell_daemon.backoff import Backoff
from stepwell_daemon.counters import Counters
from stepwell_daemon.delivery import Delivery, SinkHealth
from stepwell_daemon.gateway.settings import RelaySettings
from stepwell_daemon.gateway.sink import GatewaySink
from stepwell_daemon.sink import Sink
from stepwell_daemon.spool.reader import Extent, SpoolReader
from stepwell_daemon.spool.segment import PAGE_BYTES, Location, Progress
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.spool.walker import Binding
from stepwell_store import Store

logger = logging.getLogger("stepwell_daemon")

_NO_LIMIT: Final = 1 << 62
_LINGER_SECONDS_MAX: Final = 1.0
_LINGER_INSERTS: Final = 3.0


@dataclass(frozen=True, kw_only=True)
class ForwardSettings:
    block_points: int = 400_000
    block_bytes: int = 16 << 20
    block_delay_seconds: float = 0.2
    insert_threads: int = 2


@dataclass(slots=True)
class _Prepared:
    extent: Extent
    content: Any


def linger_seconds(last_insert_seconds: float, least_seconds: float) -> float:
    """Return the time for which waiting data may gather before it is sent.

    It is proportional to the cost of an insert. So inserting takes at most a fixed share of the
    time, and a slow store gets fewer and larger blocks.
    """
    return max(least_seconds, min(_LINGER_SECONDS_MAX, _LINGER_INSERTS * last_insert_seconds))


class Forwarder:
    """Owns the cursor. ``run`` needs the store to be open."""

    def __init__(
        self,
        spool: Spool,
        settings: ForwardSettings,
        *,
        counters: Counters,
        new_backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """
        Args:
            new_backoff: makes the delays between retries, for each operation that failed.
        """
        self.health = SinkHealth()
        self.settings = settings
        self._spool = spool
        self._counters = counters
        self._new_backoff = new_backoff
        self._moved = asyncio.Condition()
        self._storing = asyncio.Lock()
        self._hurried = asyncio.Event()
        self._waiters = 0
        fallback = {
            number: Binding(state.info, state.schemas)
            for number, state in spool.registry.states.items()
        }
        self._reader = SpoolReader(spool.folder, spool.number, fallback=fallback, disk=spool.disk)
        self._prepare_in_thread: Callable[[Extent], Any] = lambda extent: None
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="forward")
        self._inserting = ThreadPoolExecutor(settings.insert_threads, thread_name_prefix="insert")

    async def run(self, store: Store) -> None:
        """Forward into ``store`` until cancelled."""
        await self.run_sink(
            Delivery(
                store,
                folder=self._spool.folder,
                spool=self._spool.number,
                counters=self._counters,
                health=self.health,
                executor=self._inserting,
                disk=self._spool.disk,
                new_backoff=self._new_backoff,
            )
        )

    async def run_relay(self, settings: RelaySettings) -> None:
        """Forward to a gateway until cancelled."""
        await self.run_sink(
            GatewaySink(
                settings,
                folder=self._spool.folder,
                spool=self._spool.number,
                counters=self._counters,
                health=self.health,
                executor=self._inserting,
                disk=self._spool.disk,
                new_backoff=self._new_backoff,
            )
        )

    async def run_sink(self, sink: Sink) -> None:
        """Forward into ``sink`` until cancelled, and close it."""
        self._prepare_in_thread = sink.prepare
        try:
            await sink.open()
            await self._run(sink)
        finally:
            await sink.close()

    async def _run(self, sink: Sink) -> None:
        prepared = await self._replay()
        while True:
            if prepared is None:
                prepared = await self._gather()
            async with self._storing:
                prepared = await self._store(sink, prepared)

    async def _store(self, sink: Sink, prepared: _Prepared) -> _Prepared | None:
        """Store one extent and advance the cursor; return the next one if it was read meanwhile."""
        extent = prepared.extent
        start = Location(extent.segment, extent.start)
        failpoints.hit("forward.before-extent")
        if self._spool.progress[:2] != (start, extent.end):
            await self._spool.save_progress(Progress(start, extent.end))
        failpoints.hit("forward.extent-named")
        reading = self._prepare_following(extent)
        await sink.deliver(extent, prepared.content)
        failpoints.hit("forward.delivered")
        self._count(extent)
        end = Location(extent.segment, extent.end)
        following = await reading if reading is not None else None
        if following is not None:
            # One write for both: this extent is stored, and the next one is being sent.
            next_start = Location(following.extent.segment, following.extent.start)
            await self._moved_to(Progress(next_start, following.extent.end))
        else:
            await self._moved_to(Progress(end))
        return following

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep store and cursor unchanged and consistent, with no extent stored in part."""
        async with self._storing:
            yield

    async def reach(self, target: Location) -> None:
        """Wait until everything before ``target`` is stored; waiting data is sent at once."""
        self._waiters += 1
        self._hurried.set()
        try:
            async with self._moved:
                await self._moved.wait_for(lambda: self._spool.cursor >= target)
        finally:
            self._waiters -= 1
            if not self._waiters:
                self._hurried.clear()

    def close(self) -> None:
        """Release threads and files. Can be called twice."""
        self._reading.shutdown(wait=True, cancel_futures=True)
        self._inserting.shutdown(wait=True, cancel_futures=True)
        self._reader.close()

    # ------------------------------------------------------------------ the next extent

    async def _replay(self) -> _Prepared | None:
        """Return the extent that was being sent when the daemon ended, or None."""
        (segment, offset), end, layout = self._spool.progress
        if not end:
            return None
        logger.info("sending an extent again segment=%d start=%d end=%d", segment, offset, end)
        prepared = await self._prepare(Location(segment, offset), end, exactly=True)
        prepared.extent.layout = layout
        return prepared

    async def _gather(self) -> _Prepared:
        """Wait for data, let it gather, and return the next extent."""
        while True:
            self._spool.data_arrived.clear()
            found = self._available()
            if found is None:
                await self._spool.data_arrived.wait()
                continue
            await self._linger()
            found = self._available()
            assert found is not None, (
                "only this task moves the cursor, so the data is still available"
            )
            return await self._prepare(*found)

    async def _linger(self) -> None:
        wait = linger_seconds(self.health.insert_seconds, self.settings.block_delay_seconds)
        try:
            async with asyncio.timeout(wait):
                while not self._is_much() and not self._hurried.is_set():
                    self._spool.data_arrived.clear()
                    waiting = [
                        asyncio.ensure_future(self._spool.data_arrived.wait()),
                        asyncio.ensure_future(self._hurried.wait()),
                    ]
                    try:
                        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        for each in waiting:
                            each.cancel()
        except TimeoutError:
            return

    def _is_much(self) -> bool:
        return (
            self._spool.points_waiting >= self.settings.block_points
            or self._spool.unforwarded_bytes >= self.settings.block_bytes
        )

    def _available(self, after: Location | None = None) -> tuple[Location, int] | None:
        """Return the place where reading continues, and the offset in its segment where it ends."""
        place = after or self._spool.cursor
        while True:
            end = self._spool.end_of(place.segment)
            if place.offset < end:
                return place, end
            following = self._spool.next_segment(place.segment)
            if following is None:
                return None
            place = Location(following, PAGE_BYTES)

    def _prepare_following(self, extent: Extent) -> "asyncio.Future[_Prepared] | None":
        """Begin to read the data after ``extent``, if there is enough for a block."""
        if self._spool.points_waiting - extent.points < self.settings.block_points:
            return None
        found = self._available(Location(extent.segment, extent.end))
        return None if found is None else asyncio.ensure_future(self._prepare(*found))

    async def _prepare(self, start: Location, end: int, *, exactly: bool = False) -> _Prepared:
        loop = asyncio.get_running_loop()
        backoff = self._new_backoff()
        while True:
            try:
                return await loop.run_in_executor(
                    self._reading, self._read_and_build, start, end, exactly
                )
            except OSError as error:
                self.health.failed(error)
                await asyncio.sleep(backoff.next_delay())

    def _read_and_build(self, start: Location, end: int, exactly: bool) -> _Prepared:
        settings = self.settings
        extent = self._reader.read_extent(
            start,
            end,
            points_max=_NO_LIMIT if exactly else settings.block_points,
            bytes_max=_NO_LIMIT if exactly else settings.block_bytes,
        )
        return _Prepared(extent, self._prepare_in_thread(extent))

    # ------------------------------------------------------------------ the sent extents

    async def _moved_to(self, progress: Progress) -> None:
        await self._spool.save_progress(progress)
        failpoints.hit("forward.moved")
        self._spool.free_forwarded()
        async with self._moved:
            self._moved.notify_all()

    def _count(self, extent: Extent) -> None:
        self._spool.points_waiting = max(0, self._spool.points_waiting - extent.points)
        for frame in extent.frames:
            self._spool.count_forwarded(frame.record.writer, frame.record.raw_bytes)
        self._counters.points_stored += extent.points
        self._counters.points_stored_rate.add(extent.points)
        self._counters.quarantined_records += extent.damaged
