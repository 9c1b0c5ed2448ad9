"""The spool's interface for the event loop: appended records become durable a moment later.

Waiting frames form a group: one write, one sync, then their acks. If the disk is idle, a group
begins at once. Under load there is a short time between groups, so that a sync covers many frames.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from stepwell_daemon.backoff import Backoff
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import SpoolUnavailableError
from stepwell_daemon.spool.ages import Ages
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.freeing import Freeing, Marks
from stepwell_daemon.spool.opening import open_spool
from stepwell_daemon.spool.segment import Location, Progress
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.writer import Append
from stepwell_daemon.writer_packing import describe, marks_of
from stepwell_daemon.writer_state import WriterState

logger = logging.getLogger("stepwell_daemon.spool")

_GROUP_BYTES_MAX: Final = 16 << 20
_SAMPLES_SHARE: Final = 0.9
_SHARED_FROM: Final = 0.75
"""Fill level of the spool above which a large writer must leave the rest to others."""


@dataclass(slots=True, eq=False)
class _Pending:
    append: Append
    state: WriterState


class Spool:
    """Appends, commits, frees. Owned by the event loop; disk work runs in one thread."""

    def __init__(
        self,
        folder: Path,
        settings: SpoolSettings,
        *,
        counters: Counters,
        disk: Disk | None = None,
        new_backoff: Callable[..., Backoff] = Backoff,
    ) -> None:
        """
        Args:
            new_backoff: makes the delays between retries, of commits and of the cursor's save. It
                is called with the arguments of ``Backoff``.
        """
        self.folder = folder
        self.settings = settings
        self.disk = disk or Disk()
        self._new_backoff = new_backoff
        self.on_durable: Callable[[WriterState], None] = lambda state: None
        self.on_failure: Callable[[SpoolUnavailableError], None] = lambda error: None
        self.watchers: list[Callable[[], None]] = []
        """Called whenever frames became durable or failed to."""
        self.append_count = 0
        self.durable_count = 0
        """Number of appends since the start, and how many of them, in order, are durable."""
        self.counters = counters
        opened = open_spool(folder, settings, counters, self.disk)
        self.number, self.cursor_file = opened.number, opened.cursor_file
        self.progress, self.registry = opened.progress, opened.registry
        self.problems = opened.problems
        self.failure: SpoolUnavailableError | None = None
        self.data_arrived = asyncio.Event()
        self.in_flight_bytes = 0
        self.waiting_bytes = 0
        """Bytes of records that are not stored, of those appended since the start."""
        self.points_waiting = 0
        """Points that are durable and not yet stored, of those appended since the start."""
        self._log, self._held = opened.log, opened.held
        self._collect_log_state()
        self._pending: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        """(append count that must be durable, its waiter), lowest first."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._freeing = Freeing(
            folder,
            settings,
            held=self._held,
            marks=self._marks,
            disk=self.disk,
            executor=self._executor,
        )
        self._ages = Ages(self.end)
        for state in self.registry.states.values():
            state.note_opened(self.end)

    # ------------------------------------------------------------------ state for other modules

    @property
    def daemon_id(self) -> str:
        return f"{self.number:016x}"

    @property
    def cursor(self) -> Location:
        return self.progress.cursor

    @property
    def segment_count(self) -> int:
        return len(self._held.sizes)

    @property
    def disk_bytes(self) -> int:
        return self._held.disk_bytes

    @property
    def unforwarded_bytes(self) -> int:
        return self._held.bytes_between(self.cursor, self.end)

    @property
    def is_full(self) -> bool:
        """No more frames may be taken; this ends when the store accepts the present ones."""
        return self.unforwarded_bytes + self.in_flight_bytes >= self.settings.bytes_max

    def is_over_its_share(self, state: WriterState) -> bool:
        """Return whether ``state`` has a large share of a filling spool and must leave the rest to
        others.

        Waiting bytes are counted since the daemon's start.
        """
        if state.waiting_bytes <= self.settings.writer_share_max * self.waiting_bytes:
            return False
        held = self.unforwarded_bytes + self.in_flight_bytes
        return held >= _SHARED_FROM * self.settings.bytes_max

    def count_forwarded(self, writer: int, size: int) -> None:
        """Note that ``size`` bytes of records of ``writer`` no longer wait."""
        state = self.registry.states.get(writer)
        if state is not None:
            self.waiting_bytes -= state.note_forwarded(size)

    @property
    def has_room_for_samples(self) -> bool:
        """The last tenth is for runs: their points are more important than the node's."""
        held = self.unforwarded_bytes + self.in_flight_bytes
        return held < _SAMPLES_SHARE * self.settings.bytes_max

    @property
    def waiting_since(self) -> float | None:
        """The monotonic time at which the oldest unstored record came, to about a second."""
        return self._ages.waiting_since(self.cursor, self.end)

    @property
    def is_forwarded(self) -> bool:
        return not self._pending and self.cursor >= self.end

    def end_of(self, number: int) -> int:
        """Return the durable end of segment ``number``; the end of its page if it is empty."""
        if number == self.end.segment:
            return self.end.offset
        return self._held.end_of(number)

    def next_segment(self, number: int) -> int | None:
        """Return the number of the first segment after ``number``."""
        return self._held.after(number)

    # ------------------------------------------------------------------ appending

    def append(
        self,
        state: WriterState,
        position: int,
        records: bytes,
        *,
        points: int,
        flags: int = 0,
    ) -> None:
        """Add a checked frame to the next group and advance the writer's accepted mark.

        The records of a removed writer are dropped here and acknowledged at once.

        Args:
            flags: of ``spool.record``; ``SYNTHETIC`` and ``FILLS`` do not advance the mark.
        """
        if state.is_removed:
            state.discard(position, len(records), flags)
            self.on_durable(state)
            return
        flags, redescribe = state.append(position, len(records), flags)
        append = Append(
            writer=state.number,
            describe=partial(describe, state),
            position=position,
            records=records,
            points=points,
            time_us=time.time_ns() // 1000,
            flags=flags,
            redescribe=redescribe,
        )
        self.waiting_bytes += len(records)
        self.append_count += 1
        self._pending.append(_Pending(append, state))
        self.in_flight_bytes += len(records)
        if self.in_flight_bytes >= self.settings.in_flight_bytes_max and self._room.is_set():
            self.counters.bounds_reached["in_flight_bytes_max"] += 1
            self._room.clear()
        self._wake.set()

    async def room(self) -> None:
        """Wait until another frame may be read or appended.

        If there is no ``await`` before the append, the bound is exceeded at most by this append.
        """
        # Several callers may wait; the first one may have filled it again.
        while not self._room.is_set():
            await self._room.wait()

    async def settled(self) -> None:
        """Wait until all frames that were appended before the call are durable."""
        if self.durable_count < self.append_count:
            durable = asyncio.get_running_loop().create_future()
            self._waiting.append((self.append_count, durable))
            await durable

    async def run(self) -> None:
        """Commit groups until cancelled."""
        loop = asyncio.get_running_loop()
        backoff = self._new_backoff(first_seconds=0.05, last_seconds=2.0)
        last_started = 0.0
        while True:
            await self._wake.wait()
            wait = last_started + self.settings.commit_interval_seconds - loop.time()
            if wait > 0 and self.in_flight_bytes < _GROUP_BYTES_MAX:
                await asyncio.sleep(wait)
            last_started = loop.time()
            group = self._next_group()
            error: SpoolUnavailableError | None = None
            committing = loop.run_in_executor(
                self._executor, self._log.commit, [each.append for each in group]
            )
            try:
                # The thread continues when this task is cancelled: wait for its result.
                await asyncio.shield(committing)
            except SpoolUnavailableError as failed:
                error = failed
            self._committed(group, len(group) if error is None else error.done)
            if error is None:
                if self.failure is not None:
                    logger.info("the spool accepts frames again failures=%d", backoff.failures)
                    self.failure = None
                backoff.reset()
                continue
            if self.failure is None:
                logger.error("%s", error)
            self.failure = error
            self.on_failure(error)
            self._notify_watchers()
            self.counters.commit_failures += 1
            self.free_forwarded(everything=True)
            await asyncio.sleep(backoff.next_delay())

    def _next_group(self) -> list[_Pending]:
        group: list[_Pending] = []
        size = 0
        for each in self._pending:
            size += len(each.append.records)
            if group and size > _GROUP_BYTES_MAX:
                break
            group.append(each)
        return group

    def _committed(self, group: list[_Pending], done: int) -> None:
        segment = self.end.segment
        self._collect_log_state()
        touched: dict[int, WriterState] = {}
        for each in group[:done]:
            self._pending.popleft()
            append, state = each.append, each.state
            size = len(append.records)
            self.in_flight_bytes -= size
            self.points_waiting += append.points
            state.committed(append.position, size, append.flags, self.end)
            touched[id(state)] = state
        if done:
            self.counters.commits += 1
            self._ages.note(self.cursor, self.end)
            self.data_arrived.set()
        if done and self.end.segment != segment:
            # A start reads only segments that the table does not cover: at most about two.
            self._freeing.save_table()
        if not self._pending:
            self._wake.clear()
        if self.in_flight_bytes < self.settings.in_flight_bytes_max:
            self._room.set()
        for state in touched.values():
            self.on_durable(state)
        self.durable_count += done
        while self._waiting and self._waiting[0][0] <= self.durable_count:
            _, waiting = self._waiting.popleft()
            if not waiting.done():  # It was cancelled otherwise.
                waiting.set_result(None)
        if done:
            self._notify_watchers()

    def _notify_watchers(self) -> None:
        for watcher in self.watchers:
            watcher()

    def _collect_log_state(self) -> None:
        self._held.update(self._log.ends, self._log.sizes)
        self._log.ends.clear()
        self._log.sizes.clear()
        self.end = self._log.end

    # ------------------------------------------------------------------ progress and freeing

    async def save_progress(self, progress: Progress) -> None:
        """Make ``progress`` durable; retry until it is."""
        loop = asyncio.get_running_loop()
        backoff = self._new_backoff()
        while True:
            try:
                await loop.run_in_executor(self._executor, self.cursor_file.save, progress)
            except OSError as error:
                if not backoff.failures:
                    logger.error("saving the cursor failed, forwarding waits: %s", error)
                await asyncio.sleep(backoff.next_delay())
                continue
            break
        self._held.note_passed(self.cursor, progress.cursor)
        self.progress = progress

    def free_forwarded(self, *, everything: bool = False) -> None:
        """Begin to free segments; the writers table is saved before.

        Args:
            everything: free all stored segments, however recent.
        """
        self._freeing.free(self.cursor, everything=everything)

    async def freed(self) -> None:
        """Wait until the freeing that has begun is complete."""
        await asyncio.get_running_loop().run_in_executor(self._executor, lambda: None)

    def save_writers(self) -> None:
        """Save the writers table now; part of a clean stop."""
        # In the thread: another save there may use the same temporary file.
        self._freeing.save_table().result()

    async def writers_saved(self) -> None:
        """Save the writers table, and wait for it."""
        await asyncio.wrap_future(self._freeing.save_table())

    def close(self) -> None:
        """Stop the thread and seal the segment. Can be called twice."""
        self._executor.shutdown(wait=True)
        self._log.close()
        self.cursor_file.close()

    def _marks(self) -> Marks:
        # They contain the durable marks, and so cover at least up to the end.
        return marks_of(self.registry.states.values()), self.end
