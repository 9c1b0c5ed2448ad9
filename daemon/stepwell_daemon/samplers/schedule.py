"""When to sample: once a node, at whole multiples of the interval, never two at once."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from stepwell_daemon.errors import SpoolFullError
from stepwell_daemon.local_writer import LocalWriter
from stepwell_daemon.samplers import Sampler

logger = logging.getLogger("stepwell_daemon")


class Sampling:
    """Samples for ever; ``latest`` is what the last sample read."""

    def __init__(self, sampler: Sampler, writer: LocalWriter, executor: Executor) -> None:
        self._sampler, self._writer, self._executor = sampler, writer, executor
        self.latest: Mapping[str, float] = {}
        self.seconds = 0.0
        self.failures = 0
        self.changed = asyncio.Event()

    async def sample_forever(self, interval_seconds: Callable[[], float]) -> None:
        """Sample until cancelled. ``interval_seconds`` is asked anew each time; 0 rests."""
        loop = asyncio.get_running_loop()
        while True:
            interval = interval_seconds()
            self.changed.clear()
            # On the clock's multiples, so that nodes sample together and charts line up.
            wait = None
            if interval > 0:
                wait = interval - time.time() % interval
                if wait < interval / 10:  # A timer that fired early must not sample twice.
                    wait += interval
            try:
                await asyncio.wait_for(self.changed.wait(), wait)
                continue  # A reload: ask for the interval again.
            except TimeoutError:
                pass
            began = time.monotonic()
            try:
                values = await loop.run_in_executor(self._executor, self._sampler.sample)
                self.latest, self.seconds = values, time.monotonic() - began
                if values:
                    self._writer.log(values, at_us=time.time_ns() // 1000)
            except SpoolFullError:
                self.failures += 1  # Telemetry gives way to training's points.
            except Exception:
                self.failures += 1
                if self.failures == 1:
                    logger.exception("sampling failed, going on")
