"""Four read-only addresses for Prometheus and orchestrators: nothing else is served here.

/metrics   Prometheus text          /healthz  200 while the loop turns
/readyz    200 while frames are accepted, else 503 with the reasons      /status.json
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from stepwell_daemon.status import Status, StatusCollector

logger = logging.getLogger("stepwell_daemon")

_REQUEST_BYTES_MAX = 8192
_REQUEST_SECONDS = 5.0
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


async def serve_http(status: Status, host: str, port: int) -> tuple[asyncio.Server, str]:
    """Start serving; return the server and its address.

    A port that is taken is replaced by a free one with a warning: a second daemon of another
    user on the node is normal.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatusCollector(status))

    def respond(path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
        if path == "/healthz":
            return 200, "text/plain; charset=utf-8", b"ok\n"
        if path == "/readyz":
            text = "\n".join(status.problems()) or "ready"
            return 200 if status.is_ready() else 503, "text/plain; charset=utf-8", text.encode()
        if path == "/status.json":
            return 200, "application/json", json.dumps(status.document()).encode()
        known = "there are /metrics, /healthz, /readyz and /status.json\n"
        return 404, "text/plain; charset=utf-8", known.encode()

    handler = _handler(respond)
    try:
        server = await asyncio.start_server(handler, host, port, limit=_REQUEST_BYTES_MAX)
    except OSError as error:
        logger.warning("port taken, using a free one port=%d error=%s", port, error)
        server = await asyncio.start_server(handler, host, 0, limit=_REQUEST_BYTES_MAX)
    bound = server.sockets[0].getsockname()
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return server, f"http://{shown}:{bound[1]}/metrics"


def _handler(
    respond: Callable[[str], tuple[int, str, bytes]],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(_REQUEST_SECONDS):
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                    method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
                    if method in ("GET", "HEAD"):
                        code, kind, body = respond(target.split("?")[0])
                    else:
                        code, kind, body = 405, "text/plain", b"only GET\n"
                except (ValueError, asyncio.LimitOverrunError):
                    method, code, kind, body = "GET", 400, "text/plain", b"no HTTP request\n"
                reason = _REASONS.get(code, "Service Unavailable")
                headers = (
                    f"HTTP/1.1 {code} {reason}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                writer.write(headers.encode() + (b"" if method == "HEAD" else body))
                await writer.drain()
        writer.close()

    return handle
