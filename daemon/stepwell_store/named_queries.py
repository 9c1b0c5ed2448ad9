"""Named queries, so that another thread can end them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from stepwell_store.errors import QueryCancelledError

_CANCELLED_MAX: Final = 1024
_KILL_AGAIN_SECONDS: Final = 0.05
_WAIT_SECONDS_MAX: Final = 2.0


class NamedQueries:
    """The running named queries of one store, and the cancelled names.

    A question may be several queries of one name. A cancelled name stays cancelled, so that the
    next query of the question does not start. The last ``_CANCELLED_MAX`` names are remembered.
    """

    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._cancelled: dict[str, None] = {}
        self._changed = threading.Condition()

    @contextmanager
    def running(self, query_id: str) -> Iterator[None]:
        """Note a running query for the time of the block; an empty name is not noted.

        Raises:
            QueryCancelledError: The name was cancelled before.
        """
        if not query_id:
            yield
            return
        with self._changed:
            if query_id in self._cancelled:
                raise QueryCancelledError(f"query {query_id}: it was cancelled before it started")
            self._running[query_id] = self._running.get(query_id, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._running[query_id] -= 1
                if not self._running[query_id]:
                    del self._running[query_id]
                self._changed.notify_all()

    def cancel(self, query_id: str, kill: Callable[[], None]) -> None:
        """Refuse the name from now on; call ``kill`` until no query of it runs.

        One call is not enough: a query that was just sent may not have started yet.
        """
        with self._changed:
            self._cancelled[query_id] = None
            if len(self._cancelled) > _CANCELLED_MAX:
                del self._cancelled[next(iter(self._cancelled))]
        deadline = time.monotonic() + _WAIT_SECONDS_MAX
        kill()
        while time.monotonic() < deadline:
            with self._changed:
                if query_id not in self._running:
                    return
                self._changed.wait(_KILL_AGAIN_SECONDS)
                if query_id not in self._running:
                    return
            kill()
