"""The engine's watch over clients: a query ends when its client has disconnected."""

import select
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_WATCH_SECONDS: Final = 0.2
"""Interval between checks of the peers of running queries."""


class EngineWatch:
    """Ends a query whose client has disconnected, because its answer is not needed any more.

    A killed process closes its socket; a client that gave up closes the connection. Otherwise the
    query of such a client would run until its time limit.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection: Any = None
        self._peers: dict[int, str] = {}
        self._lock = threading.Lock()
        self._has_any = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="watch").start()

    @contextmanager
    def watching(self, peer: socket.socket, comment: str) -> Iterator[None]:
        """Kill the query of ``comment`` when ``peer`` closes while the block runs."""
        number = peer.fileno()
        with self._lock:
            self._peers[number] = comment
        self._has_any.set()
        try:
            yield
        finally:
            with self._lock:
                self._peers.pop(number, None)

    def _run(self) -> None:
        while True:
            self._has_any.wait()
            time.sleep(_WATCH_SECONDS)
            with self._lock:
                peers = dict(self._peers)
                if not peers:
                    self._has_any.clear()
                    continue
                gone = [peers[number] for number in _closed(list(peers))]
            for comment in gone:
                self._kill(comment)

    def _kill(self, comment: str) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.query(f"KILL QUERY WHERE Settings['log_comment'] = '{comment}' ASYNC")
        except Exception:  # The store is closing: the query ends with it.
            traceback.print_exc()


def _closed(numbers: list[int]) -> list[int]:
    """Return the sockets whose other end is closed."""
    poller = select.poll()
    for number in numbers:
        poller.register(number, select.POLLRDHUP)
    return [number for number, _ in poller.poll(0)]
