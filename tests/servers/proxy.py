"""A TCP proxy on loopback that breaks connections in the ways that networks do."""

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 64 << 10


class Proxy:
    """Passes bytes between clients and ``target``; each fault can be changed at any time.

    Attributes:
        refuses: connections are closed as soon as they come.
        swallows: nothing passes any more, in either direction, without an error.
        swallows_replies: what the server says does not go through.
        swallows_replies_to: likewise, on connections that lately sent so many bytes at once: an
            insert is done then, and its answer is lost.
        bytes_per_second: how fast bytes go towards the server; None: at once.
        passed_bytes: went to the server in all.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.refuses = False
        self.swallows = False
        self.swallows_replies = False
        self.swallows_replies_to: int | None = None
        self.bytes_per_second: float | None = None
        self.passed_bytes = 0
        self.connections = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset every connection that is open now."""
        with self._lock:
            peers = list(self._open)
        for peer in peers:
            _reset(peer)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            self.connections += 1
            with self._lock:
                self._open |= {client, server}
            unanswered = threading.Event()
            for way in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=(*way, unanswered), daemon=True).start()

    def _pass(
        self,
        source: socket.socket,
        sink: socket.socket,
        to_server: bool,
        unanswered: threading.Event,
    ) -> None:
        try:
            while data := source.recv(_CHUNK):
                limit = self.swallows_replies_to
                if to_server and limit is not None and len(data) >= limit:
                    unanswered.set()
                if self.swallows:
                    continue
                if not to_server and (self.swallows_replies or unanswered.is_set()):
                    continue
                if to_server and self.bytes_per_second:
                    time.sleep(len(data) / self.bytes_per_second)
                sink.sendall(data)
                if to_server:
                    self.passed_bytes += len(data)
        except OSError:
            pass
        # Whichever end goes, the other is told at once and what is under way is dropped.
        for peer in (source, sink):
            _reset(peer)
        with self._lock:
            self._open -= {source, sink}


def _reset(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)
    peer.close()
