"""When to sample: at a steady distance, in a thread, never two at once."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

logger = logging.getLogger("stepwell_daemon")


class Schedule:
    """Samples until cancelled and hands each result on.

    A sampler that is slow makes fewer samples; one that fails is tried again at the next turn and
    logs its first failure and its recovery.
    """

    def __init__(
        self,
        sample: Callable[[], Mapping[str, float]],
        take: Callable[[Mapping[str, float], int], None],
        *,
        seconds: float,
    ) -> None:
        self._sample = sample
        self._take = take
        self.seconds = seconds
        self._changed = asyncio.Event()
        self.failing = ""

    def change(self, seconds: float) -> None:
        """Sample every ``seconds`` from now on; 0 pauses."""
        self.seconds = seconds
        self._changed.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="sample") as executor:
            due = loop.time()
            while True:
                if self.seconds <= 0:
                    self._changed.clear()
                    await self._changed.wait()
                    due = loop.time()
                    continue
                try:
                    values = await loop.run_in_executor(executor, self._sample)
                except (OSError, ValueError, RuntimeError) as error:
                    if not self.failing:
                        logger.warning("sampling the host failed, trying again: %s", error)
                    self.failing = str(error)
                else:
                    if self.failing:
                        logger.info("sampling the host works again")
                    self.failing = ""
                    self._take(values, time.time_ns() // 1000)
                due = max(due + self.seconds, loop.time())
                self._changed.clear()
                try:
                    async with asyncio.timeout_at(due):
                        await self._changed.wait()
                    due = loop.time()
                except TimeoutError:
                    pass
