"""Connections to an engine's socket: kept while idle, opened again after a fork or a restart."""

import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stepwell_store.channel import Message, receive_message, send_message
from stepwell_store.errors import QueryTimeoutError, SocketMissingError, StoreUnavailableError
from stepwell_store.supervisor import Supervisor
from stepwell_wire.trusted_socket import TrustedSocket, UntrustedSocketError

_IDLE_MAX: Final = 8


class EngineConnections:
    """The client of one engine. Every method may be called from any thread.

    Attributes:
        supervisor: of the engine, if this process started it.
    """

    def __init__(self, path: Path, supervisor: Supervisor | None) -> None:
        self._path = path
        self.supervisor = supervisor
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._closed = False
        self._owner_pid = os.getpid()

    def ask(
        self,
        request: Mapping[str, Any],
        *,
        timeout_seconds: float,
        descriptors: tuple[int, ...] = (),
    ) -> Message:
        """Send ``request`` and return the answer.

        An idle connection may belong to an engine that has ended: then the request is repeated once
        on a new one. All requests are idempotent.

        Raises:
            QueryTimeoutError: A query had no answer in time.
            StoreUnavailableError: Another request had no answer in time, or the engine is
                unreachable.
        """
        self._forget_those_of_parent()
        deadline = time.monotonic() + timeout_seconds
        while True:
            peer, is_fresh = self._connection(deadline)
            try:
                peer.settimeout(max(0.001, deadline - time.monotonic()))
                send_message(peer, request, descriptors=descriptors)
                answer = receive_message(peer)
                if answer is None:
                    raise ConnectionResetError("the engine closed the connection")
            except TimeoutError as error:
                peer.close()
                late = QueryTimeoutError if request["op"] == "query" else StoreUnavailableError
                raise late(
                    f"{self._path}: no answer to {request['op']} within {timeout_seconds:g} "
                    "s; try again, or request less data"
                ) from error
            except OSError as error:
                peer.close()
                if is_fresh:
                    raise StoreUnavailableError(
                        f"{self._path}: the store engine ended during {request['op']} "
                        f"({error}) and is started again; try again in a few seconds"
                    ) from error
                continue
            except BaseException:
                peer.close()
                raise
            self._give_back(peer)
            return answer

    def close(self) -> None:
        """Close all, and end the engine if this process started it. Can be called twice."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._closed = True
        for peer in idle:
            peer.close()
        if self.supervisor and os.getpid() == self._owner_pid:
            self.supervisor.close()

    def _connection(self, deadline: float) -> tuple[socket.socket, bool]:
        with self._lock:
            if self._closed:
                raise StoreUnavailableError(
                    f"{self._path.parent}: this store is closed; open it again"
                )
            if self._idle:
                return self._idle.pop(), False
        if self.supervisor:
            self.supervisor.wait_until_up(max(0.0, deadline - time.monotonic()))
        return connect(self._path), True

    def _give_back(self, peer: socket.socket) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE_MAX:
                self._idle.append(peer)
                return
        peer.close()

    def _forget_those_of_parent(self) -> None:
        """In a forked child: never use the parent's connections, nor own its engine."""
        if os.getpid() == self._owner_pid:
            return
        self._owner_pid = os.getpid()
        self._lock = threading.Lock()
        self._idle = []
        self.supervisor = None


def connect(path: Path) -> socket.socket:
    """Return a connection to the engine at ``path``."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with TrustedSocket(str(path)) as held:
            held.connect(peer)
    except UntrustedSocketError as error:
        peer.close()
        raise StoreUnavailableError(str(error)) from error
    except OSError as error:
        peer.close()
        raise SocketMissingError(path, error.strerror or error) from error
    return peer
