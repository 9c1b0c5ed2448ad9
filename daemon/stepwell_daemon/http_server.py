"""A small HTTP server for /metrics, /healthz, /readyz and /status.json. GET and HEAD only."""

import asyncio
import errno
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

logger = logging.getLogger("stepwell_daemon")

_REQUEST_SECONDS_MAX: Final = 10.0
_HEAD_BYTES_MAX: Final = 16 << 10
_CONNECTIONS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200


Route = Callable[[], Answer]

_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class HttpServer:
    """Serves fixed routes; one request for each connection."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes = routes
        self._server: asyncio.Server | None = None
        self._open = 0
        self.url = ""

    async def start(self, host: str, port: int, *, may_move: bool) -> None:
        """Listen on ``port``.

        Args:
            may_move: use any free port if ``port`` is taken.

        Raises:
            OSError: There is no such address, or the port is taken.
        """
        try:
            self._server = await asyncio.start_server(
                self._serve, host, port, limit=_HEAD_BYTES_MAX
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not may_move:
                raise
            self._server = await asyncio.start_server(self._serve, host, 0, limit=_HEAD_BYTES_MAX)
            logger.warning("port %d is in use, metrics are on another port", port)
        address = self._server.sockets[0].getsockname()
        shown = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.url = f"http://{shown}:{address[1]}"

    async def close(self) -> None:
        """Stop listening. Can be called twice."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > _CONNECTIONS_MAX:
                return
            async with asyncio.timeout(_REQUEST_SECONDS_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._respond(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            self._open -= 1
            writer.close()

    def _respond(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) != 3:
            return _packed(Answer(b"no request\n", status=400))
        method, target = words[0], words[1].split(b"?", 1)[0].decode("ascii", "replace")
        if method not in (b"GET", b"HEAD"):
            return _packed(Answer(b"GET and HEAD only\n", status=405))
        route = self._routes.get(target)
        if route is None:
            known = "\n".join(sorted(self._routes))
            answer = Answer(f"not found; the paths are\n{known}\n".encode(), status=404)
        else:
            answer = route()
        return _packed(answer, with_body=method == b"GET")


def _packed(answer: Answer, *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (answer.body if with_body else b"")
