"""The Control service: what tools ask of the daemon."""

import json
from typing import Any

from stepwell_daemon.forwarder import Forwarder
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.status import Status
from stepwell_wire.control_pb2 import FlushReply, FlushRequest, HealthReply, StatusReply

FLUSH_SECONDS_MAX = 3600.0


class Control:
    """Handlers; bytes in, bytes out."""

    def __init__(self, status: Status, spool: Spool, forwarder: Forwarder) -> None:
        self._status, self._spool, self._forwarder = status, spool, forwarder

    async def status(self, request: bytes, context: Any) -> bytes:
        return StatusReply(json=json.dumps(self._status.document())).SerializeToString()

    async def flush(self, request: bytes, context: Any) -> bytes:
        """Wait until all that was taken at the call is in the store."""
        asked = FlushRequest.FromString(request)
        timeout = min(asked.timeout_seconds or 10.0, FLUSH_SECONDS_MAX)
        stored = await self._forwarder.wait_stored_now(timeout)
        detail = ""
        if not stored:
            problems = self._status.problems()
            detail = problems[0] if problems else f"not done within {timeout:.1f} s"
        reply = FlushReply(
            stored=stored, pending_bytes=self._spool.unforwarded_bytes(), detail=detail
        )
        return reply.SerializeToString()

    async def health(self, request: bytes, context: Any) -> bytes:
        reply = HealthReply(ready=self._status.is_ready(), problems=self._status.problems())
        return reply.SerializeToString()
