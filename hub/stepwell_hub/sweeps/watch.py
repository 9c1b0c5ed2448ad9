"""Reads the values of sweeps' running trials from the store, and acts on them.

It reads about once a second while there is a trial whose values may change, and otherwise waits
until it is woken. Several hubs may watch the same sweeps: all come to the same result.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from stepwell_hub.asking import Asker
from stepwell_hub.catalog.door import CatalogDoor
from stepwell_hub.errors import ApiError, CatalogUnavailableError
from stepwell_hub.sweeps.answers import SweepAnswer
from stepwell_store import StoreError, queries

if TYPE_CHECKING:
    from stepwell_hub.catalog.trial_values import Looked, News, Unsettled

logger = logging.getLogger("stepwell_hub")

LOOK_SECONDS: Final = 0.5
REST_FACTOR: Final = 2.0
"""After a long read, wait so many times as long."""
ORPHANS_SECONDS: Final = 30.0
SETTLE_SECONDS: Final = 60.0
"""The watch does not wait for values that come later after a trial's end."""
_RUNS_AT_ONCE: Final = 10_000
"""Runs in one query."""


class Watch:
    """The one task that looks."""

    def __init__(
        self,
        catalog: CatalogDoor,
        asker: Asker,
        *,
        on_commands: Callable[[], None],
        expired_at: Callable[[], float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            on_commands: called when there are new commands for daemons.
            expired_at: leases that ended before are over.
        """
        self._catalog = catalog
        self._asker = asker
        self._on_commands = on_commands
        self._expired_at = expired_at
        self._clock = clock
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._orphans_at = 0.0

    def wake(self) -> None:
        """Read values soon, and repeat while values may change."""
        self._woken.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="sweeps")

    async def close(self) -> None:
        """End the task; can be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def look(self, sweep_id: str | None = None) -> bool:
        """Read values once; return whether values may still change.

        Raises:
            CatalogUnavailableError, StoreError, ApiError: It was not possible now.
        """
        from stepwell_hub.catalog import trial_values, trials

        async with self._turn:
            now = self._clock()
            if sweep_id is None and now >= self._orphans_at:
                self._orphans_at = now + ORPHANS_SECONDS
                ending = partial(trials.end_orphans, now=now, expired_at=self._expired_at())
                await self._catalog.do(ending)
            found = await self._catalog.do(partial(trial_values.unsettled, sweep_id=sweep_id))
            for sweep in found:
                news = await self._news_of(sweep)
                if not news:
                    continue
                if any(each.bands for each in news):
                    await self.check_runs(sweep.sweep_id)  # Before they are compared.
                note = partial(
                    trial_values.note, sweep_id=sweep.sweep_id, news=news, now=self._clock()
                )
                if await self._catalog.do(note):
                    self._on_commands()
            return bool(found)

    async def check_runs(self, sweep_id: str) -> bool:
        """Ask the store which runs of a sweep's trials were deleted; return whether any changed.

        Raises:
            CatalogUnavailableError, StoreError, ApiError: It was not possible now.
        """
        from stepwell_hub.catalog import trial_values

        found = await self._catalog.do(partial(trial_values.runs_of, sweep_id=sweep_id))
        if found is None:
            return False
        ids = [run_id for run_id, _ in found.runs.values()]
        stored: set[str] = set()
        for start in range(0, len(ids), _RUNS_AT_ONCE):
            some = ids[start : start + _RUNS_AT_ONCE]
            stored |= await self._asker.ask(queries.existing_runs, found.project, some)
        changed = found.changed(stored)
        if changed:
            noting = partial(trial_values.note_runs, sweep_id=sweep_id, runs=changed, stored=stored)
            await self._catalog.do(noting)
            self.wake()
        return bool(changed)

    async def check_best(self, sweeps: Sequence[SweepAnswer]) -> bool:
        """Check all runs of the sweeps whose best run is not in the store; see `check_runs`."""
        by_project: dict[str, dict[str, str]] = {}
        for each in sweeps:
            if each.best is not None:
                by_project.setdefault(each.project, {})[each.best.run_id] = each.id
        is_changed = False
        for project, runs in by_project.items():
            stored = await self._asker.ask(queries.existing_runs, project, list(runs))
            for run_id in runs.keys() - stored:
                is_changed |= await self.check_runs(runs[run_id])
        return is_changed

    async def _run(self) -> None:
        failed = ""
        while True:
            await self._woken.wait()
            started = time.monotonic()
            try:
                self._woken.clear()
                if await self.look():
                    self._woken.set()
                failed = ""
            except (CatalogUnavailableError, StoreError, ApiError) as error:
                self._woken.set()
                if not failed:
                    logger.warning(
                        "reading the values of trials failed, trying again reason=%s", error
                    )
                failed = str(error)
            took = time.monotonic() - started
            await asyncio.sleep(max(LOOK_SECONDS, took * REST_FACTOR))

    async def _news_of(self, sweep: "Unsettled") -> list["News"]:
        from stepwell_hub.catalog.trial_values import News

        run_ids = [each.run_id for each in sweep.trials]
        metric = sweep.config.metric
        # Read states before values: the values of a run that has ended are then complete.
        states = await self._asker.ask(queries.run_states, sweep.project, run_ids)
        progress: dict[str, queries.MetricProgress] = {}
        if metric is not None:
            progress = await self._asker.ask(
                queries.metric_progress, sweep.project, run_ids, metric.name
            )
        bands = await self._bands_of(sweep, progress)
        news = []
        for each in sweep.trials:
            seen = progress.get(each.run_id)
            is_settled = self._is_settled(each, states)
            steps = 0 if seen is None else seen.count
            is_stored = each.run_id in states
            if steps == each.steps and is_stored == each.is_stored and not is_settled:
                continue
            best = None
            if seen is not None and metric is not None:
                best = seen.minimum if metric.sign > 0 else seen.maximum
            news.append(
                News(
                    each.number,
                    each.fencing,
                    best,
                    None if seen is None else seen.last,
                    steps,
                    bands.get(each.run_id, {}),
                    is_settled,
                    is_stored=is_stored,
                )
            )
        return news

    def _is_settled(self, trial: "Looked", states: dict[str, tuple[str, Any]]) -> bool:
        if trial.ended_at is None:
            return False
        state = states.get(trial.run_id, ("running", None))[0]
        return state != "running" or self._clock() - trial.ended_at > SETTLE_SECONDS

    async def _bands_of(
        self, sweep: "Unsettled", progress: "dict[str, queries.MetricProgress]"
    ) -> dict[str, dict[int, float]]:
        """Return the values at bands that trials reached since the last look."""
        metric, hyperband = sweep.config.metric, sweep.config.early_terminate
        if metric is None or hyperband is None:
            return {}
        all_bands = hyperband.bands()
        reached = {}
        for each in sweep.trials:
            seen = progress.get(each.run_id)
            if seen is None:
                continue
            new = [b for b in all_bands if b <= seen.count and b not in each.known_bands]
            if new:
                reached[each.run_id] = new
        if not reached:
            return {}
        found: dict[str, dict[int, float]] = await self._asker.ask(
            queries.metric_values_at, sweep.project, metric.name, reached
        )
        return found
