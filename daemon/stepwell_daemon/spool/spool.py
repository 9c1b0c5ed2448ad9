"""The spool as the event loop sees it: append now, durable a moment later.

Frames that wait form a group: one write, one sync, then their acks. A group begins at once when
the disk is idle; under load groups follow each other at a small distance, so that a sync covers
many frames.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from stepwell_daemon import failpoints
from stepwell_daemon.backoff import Backoff
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import DamagedStateError, SpoolUnavailableError
from stepwell_daemon.spool.cursor import CursorFile
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.held import HeldSegments
from stepwell_daemon.spool.identity import spool_number
from stepwell_daemon.spool.quarantine import note
from stepwell_daemon.spool.recovery import RecoveredSpool, recover_spool
from stepwell_daemon.spool.segment import (
    PAGE_BYTES,
    Location,
    Progress,
    list_segments,
    segment_path,
)
from stepwell_daemon.spool.writer import SEGMENT_BYTES_DEFAULT, Append, SpoolLog
from stepwell_daemon.spool.writers_table import load_writers, pack_table, write_table
from stepwell_daemon.writer_packing import Mark, describe, marks_of
from stepwell_daemon.writer_state import WriterState
from stepwell_daemon.writers import Registry

logger = logging.getLogger("stepwell_daemon.spool")

_GROUP_BYTES_MAX: Final = 16 << 20
_SLOW_SYNC_SECONDS: Final = 1.0
_AGES_MAX: Final = 4096
_SAMPLES_SHARE: Final = 0.9
_SHARED_FROM: Final = 0.75
"""How full the spool is before a writer must leave the rest of it to others."""


@dataclass(frozen=True, kw_only=True)
class SpoolSettings:
    segment_bytes: int = SEGMENT_BYTES_DEFAULT
    bytes_max: int = 8 << 30
    writer_share_max: float = 0.5
    in_flight_bytes_max: int = 64 << 20
    commit_interval_seconds: float = 0.01
    sync_groups: bool = True
    keep_seconds: float = 600.0
    keep_bytes: int = 256 << 20


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
        self.disk.make_folder(folder)
        self.number = spool_number(folder, self.disk)
        self.cursor_file = CursorFile(folder / "cursor", self.disk)
        self.problems: list[str] = []
        self.failure: SpoolUnavailableError | None = None
        self.data_arrived = asyncio.Event()
        self.in_flight_bytes = 0
        self.waiting_bytes = 0
        """Of records that are not stored, as far as appended since the start."""
        self.points_waiting = 0
        """Durable and not yet stored, as far as appended since the start."""
        progress, is_known = self._open_cursor()
        self.progress, self.registry, self._log, self._found = self._recover(
            progress, is_known=is_known
        )
        self._pending: deque[_Pending] = deque()
        self._not_freed: deque[dict[int, tuple[int, int]]] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        """(append count that must be durable, who waits for it), the least first."""
        self._held = HeldSegments(self._found.ends, self._found.sizes, self.cursor)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._adopt_salvage()
        if not self.progress.extent_end and self.cursor < self.end and not self.unforwarded_bytes:
            self.progress = Progress(self.end)  # What lay between is gone.
        for state in self.registry.states.values():
            state.note_opened(self.end)
        # When the spool reached which end, about once a second, oldest first.
        self._ages: deque[tuple[Location, float]] = deque([(self.end, time.monotonic())])

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
        cursor = self.cursor
        held = 0
        for number in self._held.sizes:
            if number >= cursor.segment:
                start = cursor.offset if number == cursor.segment else PAGE_BYTES
                held += max(0, self.end_of(number) - start)
        return held

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
        if self.cursor >= self.end:
            return None
        return next((at for end, at in self._ages if end > self.cursor), time.monotonic())

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
            self._note_age()
            self.data_arrived.set()
        if done and self.end.segment != segment:
            # A start reads only segments that the table does not cover: at most about two.
            self._executor.submit(self._save_table, self._marks())
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

    def _note_age(self) -> None:
        now = time.monotonic()
        while self._ages and self._ages[0][0] <= self.cursor:
            self._ages.popleft()
        if self._ages and now - self._ages[-1][1] < 1.0:
            # Together with those just before: the time of the oldest, the end of the newest.
            self._ages[-1] = (self.end, self._ages[-1][1])
            return
        if len(self._ages) >= _AGES_MAX:
            self._ages = deque(list(self._ages)[::2])
        self._ages.append((self.end, now))

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
        settings = self.settings
        while self._not_freed:
            self._held.restore(self._not_freed.popleft())
        numbers = self._held.freeable(
            self.cursor,
            keep_seconds=0.0 if everything else settings.keep_seconds,
            keep_bytes=settings.keep_bytes,
            bytes_max=settings.bytes_max,
        )
        if numbers:
            held = self._held.forget(numbers)
            self._executor.submit(self._free, held, self._marks())

    async def freed(self) -> None:
        """Wait until what was to be freed by now is."""
        await asyncio.get_running_loop().run_in_executor(self._executor, lambda: None)

    def save_writers(self) -> None:
        """Save the writers table now; part of a clean stop."""
        # In the thread: a save that is under way there has the same temporary file.
        self._executor.submit(self._save_table, self._marks()).result()

    def close(self) -> None:
        """Stop the thread and seal the segment. Can be called twice."""
        self._executor.shutdown(wait=True)
        self._log.close()
        self.cursor_file.close()

    def _marks(self) -> tuple[list[Mark], Location]:
        """Return what the table of writers is packed from, in a thread: the loop has no time."""
        return marks_of(self.registry.states.values()), self.end

    def _write_table(self, marks: tuple[list[Mark], Location]) -> None:
        # The marks hold what is durable, and so cover at least up to the end.
        packed = pack_table(*marks, now=time.time())
        write_table(self.folder, packed, disk=self.disk)

    def _save_table(self, marks: tuple[list[Mark], Location]) -> None:
        try:
            self._write_table(marks)
        except OSError as error:
            logger.warning("cannot save the writers table, more is read at a start: %s", error)

    def _free(self, held: dict[int, tuple[int, int]], marks: tuple[list[Mark], Location]) -> None:
        numbers = sorted(held)
        try:
            self._write_table(marks)
            for number in numbers:
                failpoints.hit("free.before-unlink")
                with contextlib.suppress(FileNotFoundError):  # Gone by an attempt before.
                    self.disk.unlink(segment_path(self.folder, number))
                failpoints.hit("free.unlinked")
            self.disk.sync_folder(self.folder)
            failpoints.hit("free.done")
        except OSError as error:
            logger.warning("cannot free segments, again with the next: %s", error)
            self._not_freed.append(held)

    # ------------------------------------------------------------------ opening

    def _open_cursor(self) -> tuple[Progress, bool]:
        """Return where forwarding goes on, and whether the file says so or nothing does."""
        first = min(list_segments(self.folder), default=0) or self._table_end() + 1
        default = Progress(Location(first, PAGE_BYTES))
        is_there = self.cursor_file.path.exists()
        try:
            return self.cursor_file.open(default), is_there
        except DamagedStateError as error:
            logger.error("%s", error)
            self.problems.append(str(error))
            self.cursor_file.quarantine()
            return self.cursor_file.open(default), False

    def _table_end(self) -> int:
        try:
            return load_writers(self.folder)[1].segment
        except DamagedStateError:
            return 0  # The recovery says so.

    def _recover(
        self, progress: Progress, *, is_known: bool
    ) -> tuple[Progress, Registry, SpoolLog, RecoveredSpool]:
        known = progress if is_known else None
        found = recover_spool(self.folder, self.number, known, self.disk)
        for problem in found.problems:
            logger.error("%s", problem)
        for name, what in found.losses.items():
            note(self.folder, name, what, self.disk)
        self.problems += found.problems
        self.counters.quarantined_records += found.quarantined
        self.counters.torn_bytes += found.torn_bytes
        last = found.last
        newest = max(found.newest, progress.cursor.segment - 1)
        if any(progress.cursor.segment in run for run in found.missing):
            progress = Progress(progress.cursor)  # What was being sent cannot be read again.
            newest = max(newest, progress.cursor.segment)
        first_number = newest + 1  # No number is used twice: cursor and table may know it.
        log = SpoolLog(
            self.folder,
            self.number,
            first_number=first_number,
            previous_end=last.offset if last.segment == first_number - 1 else PAGE_BYTES,
            segment_bytes=self.settings.segment_bytes,
            disk=self.disk,
            sync_groups=self.settings.sync_groups,
            observe_sync=self._observe_sync,
        )
        if found.torn_bytes or found.quarantined or found.salvage:
            logger.warning(
                "spool was not closed in order: rewritten_frames=%d torn_bytes=%d quarantined=%d",
                len(found.salvage),
                found.torn_bytes,
                found.quarantined,
            )
        return progress, Registry(found.writers), log, found

    def _adopt_salvage(self) -> None:
        if self._found.salvage:
            failpoints.hit("recover.before-salvage")
            self._log.adopt(self._found.salvage)
            failpoints.hit("recover.salvaged")
            self._found.salvage.clear()
        self.end = self._log.end
        self._collect_log_state()

    def _observe_sync(self, seconds: float) -> None:
        self.counters.sync_seconds.observe(seconds)
        if seconds > _SLOW_SYNC_SECONDS:
            logger.warning("slow sync of the spool seconds=%.1f", seconds)
