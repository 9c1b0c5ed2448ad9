"""The spool as the event loop sees it: append now, durable a moment later.

Frames that wait form a group: one write, one sync, then their acks. A group begins at once when
the disk is idle; under load groups follow each other at a small distance, so that a sync covers
many frames.
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
"""How full the spool is before a writer must leave the rest of it to others."""


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
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.disk = disk or Disk()
        self.on_durable: Callable[[WriterState], None] = lambda state: None
        self.on_failure: Callable[[SpoolUnavailableError], None] = lambda error: None
        self.watchers: list[Callable[[], None]] = []
        """Called whenever frames became durable or could not."""
        self.append_count = 0
        self.durable_count = 0
        """Appends since the start, and how many of them, in order, are durable."""
        self.counters = counters
        opened = open_spool(folder, settings, counters, self.disk)
        self.number, self.cursor_file = opened.number, opened.cursor_file
        self.progress, self.registry = opened.progress, opened.registry
        self.problems = opened.problems
        self.failure: SpoolUnavailableError | None = None
        self.data_arrived = asyncio.Event()
        self.in_flight_bytes = 0
        self.waiting_bytes = 0
        """Of records that are not stored, as far as appended since the start."""
        self.points_waiting = 0
        """Durable and not yet stored, as far as appended since the start."""
        self._log, self._held = opened.log, opened.held
        self._collect_log_state()
        self._pending: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        """(append count that must be durable, who waits for it), the least first."""
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

    # ------------------------------------------------------------------ what others ask

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
        """Nothing more may be taken; freed as soon as the store takes what is here."""
        return self.unforwarded_bytes + self.in_flight_bytes >= self.settings.bytes_max

    def is_over_its_share(self, state: WriterState) -> bool:
        """Whether ``state`` holds so much of a filling spool that it must leave the rest to others.

        What waits is counted since the daemon started.
        """
        if state.waiting_bytes <= self.settings.writer_share_max * self.waiting_bytes:
            return False
        held = self.unforwarded_bytes + self.in_flight_bytes
        return held >= _SHARED_FROM * self.settings.bytes_max

    def count_forwarded(self, writer: int, size: int) -> None:
        """Note that ``size`` bytes of records of ``writer`` wait no longer."""
        state = self.registry.states.get(writer)
        if state is not None:
            self.waiting_bytes -= state.note_forwarded(size)

    @property
    def has_room_for_samples(self) -> bool:
        """The last tenth is for runs: a sample of the node is not worth a point of one."""
        held = self.unforwarded_bytes + self.in_flight_bytes
        return held < _SAMPLES_SHARE * self.settings.bytes_max

    @property
    def waiting_since(self) -> float | None:
        """When the oldest record that is not stored came, monotonic, to about a second."""
        return self._ages.waiting_since(self.cursor, self.end)

    @property
    def is_forwarded(self) -> bool:
        return not self._pending and self.cursor >= self.end

    def end_of(self, number: int) -> int:
        """Return the durable end of segment ``number``; the page's where nothing is in it."""
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
        """Take a checked frame into the next group and move the writer's accepted mark.

        Args:
            flags: of ``spool.record``; ``SYNTHETIC`` and ``FILLS`` leave the mark where it is.
        """
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

        An append that follows without an ``await`` between exceeds the bound by itself at most.
        """
        while not self._room.is_set():  # Of those that wait, the first may have filled it again.
            await self._room.wait()

    async def settled(self) -> None:
        """Wait until everything that was appended before the call is durable."""
        if self.durable_count < self.append_count:
            durable = asyncio.get_running_loop().create_future()
            self._waiting.append((self.append_count, durable))
            await durable

    async def run(self) -> None:
        """Commit groups until cancelled."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(first_seconds=0.05, last_seconds=2.0)
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
                # The thread goes on when this task is cancelled: wait for what it did.
                await asyncio.shield(committing)
            except SpoolUnavailableError as failed:
                error = failed
            self._committed(group, len(group) if error is None else error.done)
            if error is None:
                if self.failure is not None:
                    logger.info("spool writes again after failures=%d", backoff.failures)
                    self.failure = None
                backoff.reset()
                continue
            if self.failure is None:
                logger.error("%s", error)
            self.failure = error
            self.on_failure(error)
            self._tell_watchers()
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
            if not waiting.done():  # Cancelled otherwise.
                waiting.set_result(None)
        if done:
            self._tell_watchers()

    def _tell_watchers(self) -> None:
        for watcher in self.watchers:
            watcher()

    def _collect_log_state(self) -> None:
        self._held.update(self._log.ends, self._log.sizes)
        self._log.ends.clear()
        self._log.sizes.clear()
        self.end = self._log.end

    # ------------------------------------------------------------------ progress and freeing

    async def save_progress(self, progress: Progress) -> None:
        """Make ``progress`` durable; tries until it can."""
        loop = asyncio.get_running_loop()
        backoff = Backoff()
        while True:
            try:
                await loop.run_in_executor(self._executor, self.cursor_file.save, progress)
            except OSError as error:
                if not backoff.failures:
                    logger.error("cannot save the cursor, forwarding waits: %s", error)
                await asyncio.sleep(backoff.next_delay())
                continue
            break
        self._held.note_passed(self.cursor, progress.cursor)
        self.progress = progress

    def free_forwarded(self, *, everything: bool = False) -> None:
        """Begin to free what may be freed; the writers table is saved before.

        Args:
            everything: all that is stored, however short a time ago.
        """
        self._freeing.free(self.cursor, everything=everything)

    async def freed(self) -> None:
        """Wait until what was to be freed by now is."""
        await asyncio.get_running_loop().run_in_executor(self._executor, lambda: None)

    def save_writers(self) -> None:
        """Save the writers table now; part of a clean stop."""
        # In the thread: a save that is under way there has the same temporary file.
        self._freeing.save_table().result()

    def close(self) -> None:
        """Stop the thread and seal the segment. Can be called twice."""
        self._executor.shutdown(wait=True)
        self._log.close()
        self.cursor_file.close()

    def _marks(self) -> Marks:
        # They hold what is durable, and so cover at least up to the end.
        return marks_of(self.registry.states.values()), self.end
