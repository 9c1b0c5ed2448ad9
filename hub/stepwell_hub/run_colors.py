"""Runs' colour slots: from the catalog, or from the run's id while the catalog is unavailable.

Runs are also deleted without the hub: by the command line, by retention. So the slots are compared
with the store from time to time, while users look at runs.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from stepwell_hub.asking import Asker
from stepwell_hub.catalog.door import CatalogDoor
from stepwell_hub.catalog.slots import SLOTS
from stepwell_hub.errors import ApiError, CatalogUnavailableError
from stepwell_store import StoreError, queries

logger = logging.getLogger("stepwell_hub")

WAIT_SECONDS: Final = 2.0
"""A list of runs waits so long for a slow catalog."""
AWAY_SECONDS: Final = 5.0
"""After a failure the catalog is not asked for so long."""
SWEEP_SECONDS: Final = 3600.0
_SWEPT_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True)
class Slots:
    """Attributes:
    by_run: each run's slot.
    problem: why they are not from the catalog, "" if they are.
    """

    by_run: dict[str, int]
    problem: str = ""


class RunColors:
    """The colour slots of a hub's runs."""

    def __init__(
        self,
        catalog: CatalogDoor,
        asker: Asker,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._asker = asker
        self._clock = clock
        self._away_until = -float("inf")
        self._problem = ""
        self._sweep_at = clock() + SWEEP_SECONDS
        self._sweeping: asyncio.Task[None] | None = None

    async def slots(self, project: str, runs: Iterable[queries.RunOverview]) -> Slots:
        """Return the runs' slots, given in the order of the runs' starts. Never fails."""
        ordered = sorted(runs, key=lambda run: (run.started_at or 0.0, run.run_id))
        run_ids = [run.run_id for run in ordered]
        if self._clock() >= self._away_until:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    found = await self._catalog.do(lambda catalog: catalog.slots(project, run_ids))
            except CatalogUnavailableError as error:
                self._leave(str(error))
            except TimeoutError:
                self._leave(f"the catalog did not answer within {WAIT_SECONDS:g} s")
            else:
                self._sweep_when_due()
                return Slots(found)
        made = {run_id: crc32(run_id.encode("utf-8", "replace")) % SLOTS for run_id in run_ids}
        return Slots(made, self._problem)

    async def forget_run(self, project: str, run_id: str) -> None:
        """Take back the slot of a deleted run; without the catalog a sweep does it later."""
        with suppress(CatalogUnavailableError):
            await self._forget(project, [run_id])

    async def forget_project(self, project: str) -> None:
        """Take back the slots of a deleted project, as ``forget_run`` does."""
        with suppress(CatalogUnavailableError):
            await self._catalog.do(lambda catalog: catalog.forget_project(project))

    async def sweep(self) -> int:
        """Take back the slots of runs that the store does not have; return how many.

        Raises:
            CatalogUnavailableError: The catalog does not answer.
            StoreError, ApiError: The store does not answer, or is busy.
        """
        gone = 0
        for project in await self._catalog.do(lambda catalog: catalog.projects_with_slots()):
            # Read the slots first: a run gets a slot only when the store has the run already.
            held = await self._held(project)
            for start in range(0, len(held), _SWEPT_AT_ONCE):
                some = held[start : start + _SWEPT_AT_ONCE]
                there = await self._asker.ask(queries.run_states, project, some)
                lost = [run_id for run_id in some if run_id not in there]
                if lost:
                    gone += len(lost)
                    await self._forget(project, lost)
        return gone

    def close(self) -> None:
        """End a sweep; can be called twice."""
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def _held(self, project: str) -> list[str]:
        return await self._catalog.do(lambda catalog: catalog.runs_with_slots(project))

    async def _forget(self, project: str, run_ids: list[str]) -> None:
        await self._catalog.do(lambda catalog: catalog.forget_runs(project, run_ids))

    def _leave(self, problem: str) -> None:
        if self._problem != problem:
            logger.warning("using colours computed from run ids for now: %s", problem)
        self._problem = problem
        self._away_until = self._clock() + AWAY_SECONDS

    def _sweep_when_due(self) -> None:
        self._problem = ""
        if self._clock() < self._sweep_at:
            return
        self._sweep_at = self._clock() + SWEEP_SECONDS
        self._sweeping = asyncio.create_task(self._sweep_quietly(), name="sweep-slots")

    async def _sweep_quietly(self) -> None:
        try:
            gone = await self.sweep()
        except (CatalogUnavailableError, StoreError, ApiError) as error:
            logger.info("collecting the slots of deleted runs failed: %s", error)
            return
        if gone:
            logger.info("collected slots of deleted runs count=%d", gone)
