"""Limits of a request: time, memory, and the name by which it can be cancelled."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from stepwell_store.errors import QueryTimeoutError
from stepwell_store.query_options import QueryOptions
from stepwell_store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a request; if it consists of several queries, for all together.

    Attributes:
        timeout_seconds: after this the request ends with ``QueryTimeoutError``.
        memory_bytes: of one query in the engine; more raises ``QueryTooLargeError``. 0: the
            engine's own limit.
        query_id: the name for ``Store.cancel``; empty for a request that is never cancelled.
    """

    timeout_seconds: float = 30.0
    memory_bytes: int = 1 << 30
    query_id: str = ""


DEFAULT: Final = Limits()

_AT_ONCE: Final = 8


def _new_pool() -> ThreadPoolExecutor:
    """Return threads that only wait for the engine; none starts before its first use."""
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stepwell-question")


class _Threads:
    pool = _new_pool()


def _renew_pool() -> None:
    """In a forked child the threads are gone, and the pool would wait for them."""
    _Threads.pool = _new_pool()


os.register_at_fork(after_in_child=_renew_pool)


class Question:
    """A store with limits for its queries."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self.store = store
        self.limits = limits
        self._deadline = time.monotonic() + limits.timeout_seconds

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of one query, as ``Store.query`` does."""
        return self.store.query(sql, **self._options(parameters))

    def arrays(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the columns of one query, as ``Store.arrays`` does."""
        return self.store.arrays(sql, **self._options(parameters))

    def _options(self, parameters: Mapping[str, object] | None) -> QueryOptions:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise QueryTimeoutError(
                f"query: more than {self.limits.timeout_seconds:g} s; request less data, or "
                "allow more time"
            )
        # Whole milliseconds, because the engine keeps a session's limits while they are equal.
        return {
            "parameters": parameters,
            "timeout_seconds": max(0.001, round(left, 1) or left),
            "memory_bytes": self.limits.memory_bytes,
            "query_id": self.limits.query_id,
        }


def together(*asks: Callable[[], Any]) -> list[Any]:
    """Return the results of all ``asks``; they query the store at the same time.

    None of them may call ``together`` itself. If several fail, the first one's error is raised,
    after all have ended.
    """
    others = [_Threads.pool.submit(ask) for ask in asks[1:]]
    try:
        first = asks[0]()
    finally:
        wait(others)
    return [first, *(each.result() for each in others)]
