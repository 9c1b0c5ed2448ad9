"""The Control service: status, flush and health, for tools."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import grpc

from stepwell_daemon.blobs.pipeline import BlobPipeline
from stepwell_daemon.checks import Checks
from stepwell_daemon.forwarder import Forwarder
from stepwell_daemon.removals import Removals
from stepwell_daemon.spool.segment import Location
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.status import Facts, status
from stepwell_daemon.upkeep import SCARCE
from stepwell_store import StoreError
from stepwell_wire.control_pb2 import (
    FlushReply,
    FlushRequest,
    HealthReply,
    HealthRequest,
    HoldReply,
    HoldRequest,
    HoldRunsReply,
    HoldRunsRequest,
    StatusReply,
    StatusRequest,
    SweepRemovedReply,
    SweepRemovedRequest,
)
from stepwell_wire.service import CONTROL_SERVICE

_FLUSH_SECONDS_MAX: Final = 3600.0
_CHECK_SECONDS_MAX: Final = 1.0
_SWEEP_SECONDS_MAX: Final = 600.0
_HOLD_SECONDS_MAX: Final = 600.0
"""A caller that holds for longer was probably stopped (SIGSTOP). Meanwhile the spool fills."""
_HOLD_RUNS_SECONDS_MAX: Final = 600.0
_STORE_SECONDS_MAX: Final = 5.0


class Control:
    def __init__(
        self,
        facts: Facts,
        spool: Spool,
        forwarder: Forwarder,
        blobs: BlobPipeline,
        removals: Removals,
        checks: Checks,
    ) -> None:
        self._facts = facts
        self._blobs = blobs
        self._spool = spool
        self._forwarder = forwarder
        self._removals = removals
        self._checks = checks

    def handlers(self) -> grpc.GenericRpcHandler:
        def method(call: Any, request: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                call,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )

        def stream(call: Any, request: Any) -> Any:
            return grpc.unary_stream_rpc_method_handler(
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
                "SweepRemoved": method(self.sweep_removed, SweepRemovedRequest),
                "Hold": stream(self.hold, HoldRequest),
                "HoldRuns": stream(self.hold_runs, HoldRunsRequest),
            },
        )

    async def status(self, _: StatusRequest, __: Any = None) -> StatusReply:
        return StatusReply(json=json.dumps(status(self._facts)))

    async def health(self, _: HealthRequest, __: Any = None) -> HealthReply:
        return HealthReply(ready=self._facts.ready, problems=self._facts.problems())

    async def flush(self, request: FlushRequest, _: Any = None) -> FlushReply:
        """Wait until all rows that were taken before the call can be queried, and all blobs.

        Without a run, rows in journals of dead writers are included if they are imported within a
        second.
        """
        seconds = request.timeout_seconds
        try:
            async with asyncio.timeout(min(max(seconds, 0.0), _FLUSH_SECONDS_MAX)):
                if not request.run_id:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_CHECK_SECONDS_MAX):
                            await self._checks.made()
                if not request.rows_only:
                    await self._blobs.reach()
                await self._spool.settled()
                await self._forwarder.reach(self._target(request.run_id))
        except TimeoutError:
            reasons = self._facts.problems() or ["the store has not yet stored all rows"]
            return FlushReply(
                stored=False,
                pending_bytes=self._spool.unforwarded_bytes,
                detail=f"not stored after {seconds:g} s: {'; '.join(reasons)}",
            )
        return FlushReply(stored=True, pending_bytes=self._spool.unforwarded_bytes)

    async def sweep_removed(self, request: SweepRemovedRequest, _: Any = None) -> SweepRemovedReply:
        """Drop the rest of runs that were deleted by force, and wait until their rows are deleted.

        For the process that deleted them. Without this call, the daemon does so some seconds later.
        """
        seconds = min(max(request.timeout_seconds, 0.0), _SWEEP_SECONDS_MAX)
        try:
            async with asyncio.timeout(seconds):
                waiting = await self._removals.look()
        except TimeoutError:
            return SweepRemovedReply(detail=f"not done after {seconds:g} s")
        except (StoreError, *SCARCE) as error:
            return SweepRemovedReply(detail=str(error))
        names = sorted(f"{project}/{run_id}" for project, run_id in waiting)
        return SweepRemovedReply(done=True, waiting=names)

    async def hold(self, request: HoldRequest, _: Any = None) -> AsyncIterator[HoldReply]:
        """From the reply on, store no rows until the caller ends the call, ten minutes at most."""
        seconds = min(max(request.timeout_seconds, 0.0), _HOLD_SECONDS_MAX)
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(seconds):
                    await held.enter_async_context(self._forwarder.held())
            except TimeoutError:
                reasons = self._facts.problems() or ["storing the current block takes long"]
                yield HoldReply(detail=f"not held after {seconds:g} s: {'; '.join(reasons)}")
                return
            await self._spool.freed()
            end = self._spool.end
            yield HoldReply(held=True, segment=end.segment, offset=end.offset)
            await asyncio.sleep(_HOLD_SECONDS_MAX)

    async def hold_runs(self, request: HoldRunsRequest, _: Any = None) -> AsyncIterator[Any]:
        """From the reply on, let new writers of some runs wait until the caller ends the call.

        Rows that were taken before are stored first, so the caller sees which runs are running.
        """
        with self._removals.holding((each.project, each.run_id) for each in request.runs):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STORE_SECONDS_MAX):
                    await self._spool.settled()
                    await self._forwarder.reach(self._spool.end)
            yield HoldRunsReply()
            await asyncio.sleep(_HOLD_RUNS_SECONDS_MAX)

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
