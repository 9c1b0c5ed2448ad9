"""The Control service: status, flush and health, for tools."""

import asyncio
import json
from typing import Any, Final

import grpc

from stepwell_daemon.blobs.pipeline import BlobPipeline
from stepwell_daemon.forwarder import Forwarder
from stepwell_daemon.spool.segment import Location
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.status import Facts, status
from stepwell_wire.control_pb2 import (
    FlushReply,
    FlushRequest,
    HealthReply,
    HealthRequest,
    StatusReply,
    StatusRequest,
)
from stepwell_wire.service import CONTROL_SERVICE

_FLUSH_SECONDS_MAX: Final = 3600.0


class Control:
    def __init__(
        self, facts: Facts, spool: Spool, forwarder: Forwarder, blobs: BlobPipeline
    ) -> None:
        self._facts = facts
        self._blobs = blobs
        self._spool = spool
        self._forwarder = forwarder

    def handlers(self) -> grpc.GenericRpcHandler:
        def method(call: Any, request: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                call,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )

        return grpc.method_handlers_generic_handler(
            CONTROL_SERVICE,
            {
                "Status": method(self.status, StatusRequest),
                "Flush": method(self.flush, FlushRequest),
                "Health": method(self.health, HealthRequest),
            },
        )

    async def status(self, _: StatusRequest, __: Any = None) -> StatusReply:
        return StatusReply(json=json.dumps(status(self._facts)))

    async def health(self, _: HealthRequest, __: Any = None) -> HealthReply:
        return HealthReply(ready=self._facts.ready, problems=self._facts.problems())

    async def flush(self, request: FlushRequest, _: Any = None) -> FlushReply:
        """Wait until what was taken before the call can be queried, blobs too."""
        seconds = request.timeout_seconds
        try:
            async with asyncio.timeout(min(max(seconds, 0.0), _FLUSH_SECONDS_MAX)):
                await self._blobs.reach()
                await self._spool.settled()
                await self._forwarder.reach(self._target(request.run_id))
        except TimeoutError:
            reasons = self._facts.problems() or ["the store has not caught up"]
            return FlushReply(
                stored=False,
                pending_bytes=self._spool.unforwarded_bytes,
                detail=f"not stored after {seconds:g} s: {'; '.join(reasons)}",
            )
        return FlushReply(stored=True, pending_bytes=self._spool.unforwarded_bytes)

    def _target(self, run_id: str) -> Location:
        if not run_id:
            return self._spool.end
        return max(
            (
                state.location
                for state in self._spool.registry.states.values()
                if state.info.run_id == run_id
            ),
            default=Location(0, 0),
        )
