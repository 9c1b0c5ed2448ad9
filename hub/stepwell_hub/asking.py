"""Queries of the store, in threads: a bounded number runs or waits; a cancelled one is ended."""

import asyncio
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from stepwell_hub.errors import ApiError
from stepwell_store import Store
from stepwell_store.queries import Limits


class Asker:
    """Runs queries of one store."""

    def __init__(
        self,
        store: Store,
        limits: Limits,
        *,
        queries_max: int,
        waiting_max: int,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            limits: of each query.
            prepare: run before the first query, and again until it succeeds.
            queries_max: queries that run at once.
            waiting_max: queries that may wait for their turn; more are refused.
        """
        self.store = store
        self._limits = limits
        self._prepare = prepare
        self._preparing = threading.Lock()
        self._is_prepared = False
        self._waiting_max = waiting_max
        self._waiting = 0
        self._turns = asyncio.Semaphore(queries_max)
        self._threads = ThreadPoolExecutor(queries_max, thread_name_prefix="query")
        # Ending a query must not wait for the running queries.
        self._ending = ThreadPoolExecutor(1, thread_name_prefix="cancel")

    async def ask(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return ``function(store, *arguments, limits=…, **named)``; cancelling ends the query.

        Raises:
            ApiError: Too many queries wait already.
            StoreError: The query failed.
        """
        if self._turns.locked() and self._waiting >= self._waiting_max:
            raise ApiError(503, "busy", "too many queries are waiting; try again in a few seconds")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        query_id = secrets.token_hex(8)
        limits = replace(self._limits, query_id=query_id)
        loop = asyncio.get_running_loop()
        asked = self._threads.submit(self._run, function, *arguments, limits=limits, **named)
        # The turn ends with the thread's work, also when its caller was cancelled.
        asked.add_done_callback(lambda _: self._give_back_turn(loop))
        try:
            return await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            self._ending.submit(self.store.cancel, query_id)
            raise

    def _give_back_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # The hub has ended meanwhile, and its loop is closed.
            loop.call_soon_threadsafe(self._turns.release)

    def _run(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with self._preparing:
            if not self._is_prepared:
                self._prepare()
                self._is_prepared = True
        return function(self.store, *arguments, **named)

    def close(self) -> None:
        """Start no more queries; do not wait for the running ones."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._ending.shutdown(wait=False)
