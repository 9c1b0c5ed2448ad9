"""Removals: what running writers of a run send after the run was deleted by force is dropped.

    note in `removed_writers`  →  the spool drops the writer's records  →  its earlier records are
    stored  →  the rows are deleted, with the note

A new writer of the same run waits until these rows are deleted, because points have no writer. The
daemon does this for its own writers only. Another daemon's writers are left to that daemon, and
their rows are deleted as they come until they end.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
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
from stepwell_store.deletion import RemovedWriter, Swept, removed_writers, sweep_removed
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
        self._held: frozenset[tuple[str, str]] = frozenset()
        """Runs whose new writers must wait, as (project, run id)."""
        self._swept = Swept()
        self._looking = asyncio.Lock()

    def check(self, project: str, run_id: str, writer_id: str) -> None:
        """Raise StreamRefusedError if this writer is new and its run is being deleted."""
        if (project, run_id) in self._held and self._spool.registry.get(writer_id) is None:
            raise StreamRefusedError(
                BUSY,
                f"run {project}/{run_id} is being deleted; the new run of this id is stored when "
                "that is done",
            )

    async def run(self) -> None:
        """Look for notes until cancelled."""
        is_failing = False  # A repeating failure is logged once.
        while True:
            of_servers = self._facts.config.sink == "clickhouse"
            await asyncio.sleep(_LOOK_SERVERS_SECONDS if of_servers else self._look_seconds)
            try:
                await self.look()
            except (StoreError, *SCARCE) as error:
                log = logger.debug if is_failing else logger.warning
                log(
                    "rows that runs sent after their deletion cannot be deleted; tried again "
                    "every minute. See `stepwell doctor`, or use `stepwell rm --orphans`: %s",
                    error,
                )
                is_failing = True
                continue
            if is_failing:
                logger.info("rows that runs sent after their deletion are deleted again")
                is_failing = False

    async def look(self) -> bool:
        """Read the notes and delete the rows of the noted writers, as far as possible now.

        Returns:
            Whether nothing is left to delete of this daemon's writers.

        Raises:
            StoreError: The store does not answer.
        """
        async with self._looking:
            if (store := self._store()) is None:
                return False
            loop = asyncio.get_running_loop()
            noted = await loop.run_in_executor(self._executor, removed_writers, store)
            if not noted and not self._swept.ended:
                return True
            ours = [(each, state) for each in noted if (state := self._ours(each)) is not None]
            held = self._held = frozenset((each.project, each.run_id) for each, _ in ours)
            try:
                await self._silence([state for _, state in ours])
                sweep = partial(
                    sweep_removed,
                    store,
                    now=time.time(),
                    before=self._swept,
                    silent=frozenset(self._silent),
                    should_stop=self._should_stop,
                )
                self._swept = await loop.run_in_executor(self._executor, sweep)
            finally:
                self._held = frozenset()
            for project, run_id in self._swept.done:
                if (project, run_id) not in held:
                    forget_notes(self._facts.config, project, run_id)
                logger.info("rows of a deleted run are all deleted run=%s/%s", project, run_id)
            return all(state.info.writer_id in self._silent for _, state in ours)

    def _ours(self, removed: RemovedWriter) -> WriterState | None:
        state = self._spool.registry.get(removed.writer_id)
        if state is None:
            return None
        info = state.info
        same_run = (info.project, info.run_id) == (removed.project, removed.run_id)
        return state if same_run and not info.is_node else None

    async def _silence(self, states: list[WriterState]) -> None:
        """Drop further records of these writers, and wait until their earlier ones are stored."""
        new = [state for state in states if state.info.writer_id not in self._silent]
        if not new:
            return
        for state in new:
            if state.is_removed:
                continue  # The daemon was started again since.
            state.note_removed()
            info = state.info
            # Now, not later: a process that begins the run again has new notes.
            forget_notes(self._facts.config, info.project, info.run_id)
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
