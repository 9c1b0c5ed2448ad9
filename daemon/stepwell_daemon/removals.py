"""Removals: what running writers of a run send after the run was deleted by force is dropped.

    note in `removed_writers`  →  the spool drops the writer's records  →  its earlier records are
    stored  →  the rows are deleted, with the note

A new writer of the same run waits until these rows are deleted, because points have no writer. A
run that a new writer has begun before is left, except for rows that name the removed writer.

The daemon does this for its own writers only. Another daemon's writers are left to that daemon, and
their rows are deleted as they come until they end.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from typing import Final

from stepwell_daemon.forwarder import Forwarder
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.status import Facts
from stepwell_daemon.upkeep import SCARCE, forget_notes
from stepwell_daemon.writer_state import WriterState
from stepwell_store import Store, StoreError
from stepwell_store.deletion import RemovedWriter, RunKey, Swept, removed_writers, sweep_removed
from stepwell_wire.ingest_pb2 import BUSY

logger = logging.getLogger("stepwell_daemon")

_LOOK_SECONDS: Final = 5.0
_LOOK_SERVERS_SECONDS: Final = 60.0
"""Interval on servers, which many daemons query."""
_REACH_SECONDS: Final = 60.0


class Removals:
    """Ends the streams of removed writers. Owned by the event loop."""

    def __init__(
        self,
        facts: Facts,
        spool: Spool,
        forwarder: Forwarder,
        *,
        store: Callable[[], Store | None],
        executor: Executor,
        should_stop: Callable[[], bool] = lambda: False,
        look_seconds: float = _LOOK_SECONDS,
        reach_seconds: float = _REACH_SECONDS,
    ) -> None:
        """
        Args:
            store: returns the store; None until it is open.
            executor: the thread that works on the store.
            should_stop: a running deletion must end at its next step. Called in that thread.
            look_seconds: time between two looks at the notes, with an embedded store.
            reach_seconds: time limit for storing the earlier records of removed writers.
        """
        self._facts = facts
        self._spool = spool
        self._forwarder = forwarder
        self._store = store
        self._executor = executor
        self._should_stop = should_stop
        self._look_seconds = look_seconds
        self._reach_seconds = reach_seconds
        self._silent: set[str] = set()
        """Removed writers of which all records before the first dropped one are stored."""
        self._held: frozenset[RunKey] = frozenset()
        """Runs whose new writers must wait."""
        self._deleting: Counter[RunKey] = Counter()
        """Runs that other processes are deleting now, see `holding`; an id "" means all."""
        self._swept = Swept()
        self._is_free = asyncio.Event()
        """Cleared while a sweep deletes rows."""
        self._is_free.set()
        self._released = asyncio.Event()
        """Set and replaced when a caller of `holding` ends."""
        self._wanted = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []

    # ------------------------------------------------------------------ new writers

    def is_held(self, project: str, run_id: str) -> bool:
        """Return whether new writers of this run must wait until its rows are deleted."""
        return (project, run_id) in self._held or self._is_deleting(project, run_id)

    def _is_deleting(self, project: str, run_id: str) -> bool:
        return any(self._deleting[key] for key in ((project, run_id), (project, "")))

    @contextlib.contextmanager
    def holding(self, runs: Iterable[RunKey]) -> Iterator[None]:
        """Let new writers of ``runs`` wait, while another process deletes the rows of these runs.

        Points have no writer: those of a new writer would be deleted too, or lose their names. An
        empty id means all runs of the project.
        """
        held = Counter(runs)
        self._deleting += held
        try:
            yield
        finally:
            self._deleting -= held
            self._released.set()
            self._released = asyncio.Event()

    def check(self, project: str, run_id: str, writer_id: str) -> None:
        """Raise StreamRefusedError if this writer is new and its run is being deleted."""
        if self.is_held(project, run_id) and self._spool.registry.get(writer_id) is None:
            raise StreamRefusedError(
                BUSY,
                f"run {project}/{run_id} is being deleted; the new run of this id is stored when "
                "that is done",
            )

    async def free(self, writers: Collection[tuple[str, str, str]] = ()) -> None:
        """Wait until rows of ``writers`` can be taken, for daemons that relay.

        Those cannot be refused. Nothing is taken while a sweep deletes rows, and no new writer of
        a run while `holding`.

        Args:
            writers: project, run id and writer id of each.
        """
        while True:
            await self._is_free.wait()
            if not any(
                self._is_deleting(project, run_id) and self._spool.registry.get(writer_id) is None
                for project, run_id, writer_id in writers
            ):
                return
            await self._released.wait()

    # ------------------------------------------------------------------ looks

    async def run(self) -> None:
        """Look for notes until cancelled."""
        is_failing = False  # A repeating failure is logged once.
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wanted.wait()
            self._wanted.clear()
            waiters, self._waiters = self._waiters, []
            store = self._store()
            if store is None:  # Not open yet, or behind a gateway.
                _resolve(waiters, StoreError("the daemon has no open store"))
                continue
            try:
                await self._look(store)
            except (StoreError, *SCARCE) as error:
                log = logger.debug if is_failing else logger.warning
                log(
                    "deleting rows that runs sent after their deletion failed, trying again "
                    "later (see `stepwell doctor`, or use `stepwell rm --orphans`): %s",
                    error,
                )
                is_failing = True
                _resolve(waiters, error)
                continue
            if is_failing:
                logger.info("deleting rows that runs sent after their deletion works again")
                is_failing = False
            _resolve(waiters, None)

    async def look(self) -> Collection[RunKey]:
        """Have the next look done now, and wait for it.

        Returns:
            The deleted runs of which rows can still come, for example from another daemon.

        Raises:
            StoreError: The store does not answer.
        """
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wanted.set()
        await waiter
        return self._swept.waiting

    def _pause(self) -> float:
        is_of_servers = self._facts.config.sink == "clickhouse" and not self._held
        return _LOOK_SERVERS_SECONDS if is_of_servers else self._look_seconds

    async def _look(self, store: Store) -> None:
        loop = asyncio.get_running_loop()
        noted = await loop.run_in_executor(self._executor, removed_writers, store)
        self._silent &= {each.writer_id for each in noted}
        if not noted:
            self._held, self._swept = frozenset(), Swept()
            return
        ours = await self._ours(noted)
        self._held = frozenset((each.project, each.run_id) for each, _ in ours)
        await self._silence([state for _, state in ours], noted)
        self._is_free.clear()
        try:
            sweep = partial(
                sweep_removed,
                store,
                now=time.time(),
                before=self._swept,
                silent=frozenset(self._silent),
                begun_again=self._begun_again(noted),
                should_stop=self._should_stop,
            )
            self._swept = await loop.run_in_executor(self._executor, sweep)
        finally:
            self._is_free.set()
        self._held &= self._swept.waiting
        own = {(each.project, each.run_id) for each, _ in ours}
        for project, run_id in self._swept.done:
            if (project, run_id) not in own:  # Those were removed before.
                removed_at = _removed_at(noted, project, run_id)
                forget_notes(self._facts.config, project, run_id, removed_at=removed_at)
            logger.info("rows of a deleted run are all deleted run=%s/%s", project, run_id)

    async def _ours(
        self, noted: Collection[RemovedWriter]
    ) -> list[tuple[RemovedWriter, WriterState]]:
        """Return the noted writers whose further records come to this daemon."""
        found = []
        for each in noted:
            state = self._spool.registry.get(each.writer_id)
            if state is None or state.info.is_node:
                continue
            info = state.info
            if (info.project, info.run_id) != (each.project, each.run_id):
                continue
            # With servers, a writer that this daemon knows may have moved to another one.
            is_here = (
                state.is_removed
                or self._facts.config.sink != "clickhouse"
                or state.session is not None
                or state.relays > 0
                or await asyncio.to_thread(_exists, state.journal_dir)
            )
            if is_here:
                found.append((each, state))
        return found

    def _begun_again(self, noted: Collection[RemovedWriter]) -> frozenset[RunKey]:
        """Return the runs that have a writer here which began after the deletion."""
        removed = {each.writer_id for each in noted}
        runs: dict[RunKey, float] = {}
        for each in noted:
            key = (each.project, each.run_id)
            runs[key] = max(runs.get(key, 0.0), each.removed_at_us / 1e6)
        begun = set()
        for state in self._spool.registry.states.values():
            info = state.info
            key = (info.project, info.run_id)
            is_new = info.writer_id not in removed and not (state.is_removed or info.is_node)
            if is_new and key in runs and state.seen_at >= runs[key]:
                begun.add(key)
        return frozenset(begun)

    async def _silence(
        self, states: Collection[WriterState], noted: Collection[RemovedWriter]
    ) -> None:
        """Drop further records of these writers, and wait until their earlier ones are stored."""
        new = [state for state in states if state.info.writer_id not in self._silent]
        if not new:
            return
        begun_again = self._begun_again(noted)
        for state in new:
            if state.is_removed:
                continue  # The daemon was started again since.
            state.note_removed()
            info = state.info
            if (info.project, info.run_id) not in begun_again:  # Those notes are the new run's.
                removed_at = _removed_at(noted, info.project, info.run_id)
                forget_notes(self._facts.config, info.project, info.run_id, removed_at=removed_at)
            logger.info(
                "dropping further records of a deleted run run=%s/%s writer=%s",
                info.project,
                info.run_id,
                info.writer_id,
            )
        await self._spool.writers_saved()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._reach_seconds):
                await self._spool.settled()
                await self._forwarder.reach(self._spool.end)
                self._silent.update(state.info.writer_id for state in new)


def _exists(journal_dir: str) -> bool:
    return bool(journal_dir) and os.path.exists(journal_dir)


def _resolve(waiters: Collection["asyncio.Future[None]"], error: Exception | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue  # Its caller has given up.
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


def _removed_at(noted: Collection[RemovedWriter], project: str, run_id: str) -> float:
    """Return when the run was deleted, in seconds since 1970 UTC."""
    found = [each for each in noted if (each.project, each.run_id) == (project, run_id)]
    return max((each.removed_at_us for each in found), default=0) / 1e6
