"""Blobs from other daemons: checked against their digest, then stored like this daemon's own.

A gateway that relays itself sends each blob to its own gateway before it answers "taken". So
"taken" means the same at every node: durable in the blob store.
"""

import asyncio
import logging
from concurrent.futures import Executor
from functools import partial
from typing import Any

import grpc

from stepwell_daemon.blobs.digest import digest_of
from stepwell_daemon.blobs.pipeline import Keeper
from stepwell_daemon.blobs.queue import BlobQueue
from stepwell_daemon.blobs.service import BlobService, Desk
from stepwell_daemon.blobs.worker_process import Result
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import BlobRefusedError, BlobsWaitError, DaemonError
from stepwell_daemon.gateway.tokens import Tokens
from stepwell_wire.blobs_pb2 import LATER, REFUSED, SEND, TAKEN, BlobOffer, BlobReply
from stepwell_wire.limits import STAGED_BYTES_MAX
from stepwell_wire.staged import is_digest

logger = logging.getLogger("stepwell_daemon")


class RelayedBlobs:
    """Takes blobs by digest; a `Desk`."""

    def __init__(self, queue: BlobQueue, keeper: Keeper, *, executor: Executor) -> None:
        """
        Args:
            queue: its folder contains the files that are being received.
            executor: the queue's thread.
        """
        self._queue, self._keeper, self._executor = queue, keeper, executor
        self._accepting: dict[str, asyncio.Task[BlobReply]] = {}

    async def offer(self, offer: BlobOffer) -> list[BlobReply]:
        """See `Desk.offer`."""
        return [await self._answer(name) for name in offer.names]

    async def _answer(self, name: str) -> BlobReply:
        if not is_digest(name):
            return BlobReply(name=name, outcome=REFUSED, detail=f"{name[:80]!r} is not a digest")
        if name in self._accepting:
            return BlobReply(
                name=name, outcome=LATER, detail="the gateway has received it and is storing it"
            )
        try:
            if await self._keeper.has(name):
                return BlobReply(name=name, outcome=TAKEN)
        except DaemonError as error:
            return BlobReply(name=name, outcome=LATER, detail=str(error))
        loop = asyncio.get_running_loop()
        here = await loop.run_in_executor(self._executor, self._queue.arrived_bytes, name)
        return BlobReply(name=name, outcome=SEND, offset=here)

    async def receive(self, name: str, size: int, offset: int, data: bytes, crc32: int) -> None:
        """See `Desk.receive`."""
        if not is_digest(name):
            raise BlobRefusedError(f"{name[:80]!r} is not a digest")
        if size > STAGED_BYTES_MAX:
            raise BlobRefusedError(f"a blob of {size} bytes; the maximum is {STAGED_BYTES_MAX}")
        loop = asyncio.get_running_loop()
        receive = partial(self._queue.receive, name, size, offset, data, crc32)
        await loop.run_in_executor(self._executor, receive)

    async def accept(self, name: str, size: int, writer_id: str) -> BlobReply:
        """See `Desk.accept`. It continues if its caller gives up: a later offer finds the blob."""
        task = self._accepting.get(name)
        if task is None:
            task = asyncio.create_task(self._accept(name, size), name=f"accept-{name[:16]}")
            self._accepting[name] = task
            task.add_done_callback(partial(self._accepted, name))
        return await asyncio.shield(task)

    def _accepted(self, name: str, task: asyncio.Task[BlobReply]) -> None:
        del self._accepting[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.info(
                "storing a relayed blob failed, its daemon will try again blob=%s: %s", name, error
            )

    async def _accept(self, name: str, size: int) -> BlobReply:
        loop = asyncio.get_running_loop()
        path = self._queue.arriving_path(name)
        here = await loop.run_in_executor(self._executor, self._queue.arrived_bytes, name)
        if here != size or not path.exists():
            detail = f"{here} of {size} bytes were received"
            return BlobReply(name=name, outcome=LATER, offset=here, detail=detail)
        if await asyncio.to_thread(digest_of, path) != name:
            logger.warning("a relayed blob does not match its digest, receiving it again: %s", name)
            await loop.run_in_executor(self._executor, self._queue.forget_arriving, name)
            detail = "the bytes do not match their digest; send them again"
            return BlobReply(name=name, outcome=LATER, detail=detail)
        try:
            await self._keeper.keep(Result(digest=name, size=size), path)
        except DaemonError as error:
            raise BlobsWaitError(str(error)) from error
        return BlobReply(name=name, outcome=TAKEN)

    def refused(self, name: str, writer_id: str, reason: str) -> None:
        """See `Desk.refused`: the node gets the answer, and keeps the blob."""


class RelayedBlobService(BlobService):
    """The service on a gateway's port, for daemons that have the token if one is required."""

    def __init__(self, desk: Desk, *, tokens: Tokens, counters: Counters) -> None:
        super().__init__(desk, counters=counters)
        self._tokens = tokens

    async def refuses(self, context: Any) -> bool:
        """See `BlobService.refuses`."""
        if self._tokens.caller(context.invocation_metadata() or ()) is not None:
            return False
        self._counters.refused["unauthenticated"] += 1
        await context.abort(
            grpc.StatusCode.UNAUTHENTICATED,
            "the token is not known here; compare gateway_token_file of the node with "
            "gateway_tokens_file of the gateway",
        )
        return True
