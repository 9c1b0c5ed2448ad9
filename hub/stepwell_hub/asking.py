"""Queries of the store, in threads: so many at once, so many waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stepwell_hub.errors import ApiError
from stepwell_store import Store


class Asker:
    """Runs queries of one store."""

    def __init__(self, store: Store, *, queries_max: int, waiting_max: int) -> None:
        """
        Args:
            queries_max: queries that run at once.
            waiting_max: queries that may wait for their turn; more are refused.
        """
        self.store = store
        self._waiting_max = waiting_max
        self._waiting = 0
        self._turns = asyncio.Semaphore(queries_max)
        self._threads = ThreadPoolExecutor(queries_max, thread_name_prefix="query")

    async def ask(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return ``function(store, *arguments, **named)``.

        Raises:
            ApiError: Too many queries wait already.
            StoreError: Of the query.
        """
        if self._turns.locked() and self._waiting >= self._waiting_max:
            raise ApiError(503, "busy", "too many queries wait already; try again in a moment")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        asked = self._threads.submit(function, self.store, *arguments, **named)
        # The turn ends with the thread's work, also when nobody waits for it any more.
        asked.add_done_callback(lambda _: loop.call_soon_threadsafe(self._turns.release))
        return await asyncio.wrap_future(asked)

    def close(self) -> None:
        """Start nothing more; do not wait for what runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
