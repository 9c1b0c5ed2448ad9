"""The times at which samplers are called: at a fixed interval, never twice at once,
independently."""

import asyncio
import time
from collections.abc import Callable, Sequence

from stepwell_daemon.samplers.health import SamplerHealth
from stepwell_daemon.samplers.protocol import Reading, Sampler, SamplerContext, SamplerSpec
from stepwell_daemon.samplers.thread import SamplerThread

Take = Callable[[Sequence[Reading], int], int]
"""Receives readings and their time in µs since 1970 UTC; returns the number of accepted points."""


class Schedule:
    """Calls one sampler until cancelled and forwards its readings.

    A call that exceeds its time limit is reported, and the sampler waits for it: a driver that
    hangs gets no second call. When the call returns, the next turn begins.
    """

    def __init__(
        self, spec: SamplerSpec, context: SamplerContext, take: Take, *, seconds: float
    ) -> None:
        def open_sampler() -> Sampler:
            return spec.open(context)

        self.health = SamplerHealth(spec.name, spec.timeout_seconds)
        self._thread = SamplerThread(spec.name, open_sampler)
        self._take = take
        self._seconds = seconds
        self._changed = asyncio.Event()

    def change(self, seconds: float) -> None:
        """Sample every ``seconds`` from now on; 0 pauses."""
        self._seconds = seconds
        self._changed.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                if self._seconds <= 0:
                    self._changed.clear()
                    await self._changed.wait()
                    due = loop.time()
                    continue
                await self._call()
                due = max(due + self._seconds, loop.time())
                self._changed.clear()
                try:
                    async with asyncio.timeout_at(due):
                        await self._changed.wait()
                    due = loop.time()
                except TimeoutError:
                    pass
        finally:
            self._thread.close()

    async def _call(self) -> None:
        health = self.health
        started = time.monotonic()
        try:
            calling = self._thread.call()
        except RuntimeError as error:
            health.not_started(error)
            return
        done, _ = await asyncio.wait((calling,), timeout=health.timeout_seconds)
        if not done:
            health.hangs(started)
            health.answered_late(await calling)
            return
        answer = calling.result()
        health.answered(answer)
        health.points += self._take(answer.readings, answer.time_us)


class Sampling:
    """All samplers of the daemon: one schedule, thread and task each."""

    def __init__(
        self,
        specs: Sequence[SamplerSpec],
        context: SamplerContext,
        take: Take,
        *,
        seconds: float,
    ) -> None:
        self._schedules = [Schedule(spec, context, take, seconds=seconds) for spec in specs]
        self.healths = tuple(schedule.health for schedule in self._schedules)

    def change(self, seconds: float) -> None:
        """Sample every ``seconds`` from now on; 0 pauses."""
        for schedule in self._schedules:
            schedule.change(seconds)

    async def run(self) -> None:
        """Sample until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for schedule in self._schedules:
                tasks.create_task(schedule.run(), name=f"sample {schedule.health.name}")
