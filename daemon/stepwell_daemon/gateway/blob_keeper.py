"""The gateway as the destination of a node's blobs: by digest, in chunks, on separate calls.

Only one chunk is in memory. An interrupted blob continues at its offset; a blob that the gateway
has is not sent.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import grpc
import grpc.aio

from stepwell_daemon.blobs.worker_process import Result
from stepwell_daemon.errors import BlobRefusedError
from stepwell_daemon.gateway.connection import GatewayError, metadata_of, open_channel, refused
from stepwell_daemon.gateway.settings import RelaySettings
from stepwell_wire.blobs_pb2 import (
    REFUSED,
    SEND,
    TAKEN,
    BlobChunk,
    BlobOffer,
    BlobReplies,
    BlobReply,
)
from stepwell_wire.limits import BLOB_CHUNK_BYTES, PROTOCOL_MAJOR
from stepwell_wire.service import OFFER, PUT

_ACCEPTED_BYTES_PER_SECOND: Final = 8 << 20
"""Time that a slow gateway needs to hash and copy."""


class GatewayKeeper:
    """Stores blobs at a gateway; a `Keeper`."""

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings
        self._channel: Any = None

    async def has(self, digest: str) -> bool:
        """See `Keeper.has`."""
        return (await self._offer(digest)).outcome == TAKEN

    async def keep(self, result: Result, path: Path) -> bool:
        """See `Keeper.keep`."""
        reply = await self._offer(result.digest)
        if reply.outcome == TAKEN:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            return False
        if reply.outcome == SEND:
            reply = await self._put(result, path, reply.offset)
        if reply.outcome == REFUSED:
            raise BlobRefusedError(f"the gateway rejected the blob: {reply.detail}")
        if reply.outcome != TAKEN:
            raise GatewayError(f"the gateway accepts no blobs now: {reply.detail}", "busy")
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return True

    async def close(self) -> None:
        """End the connection. Can be called twice."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    # ------------------------------------------------------------------ calls

    async def _offer(self, digest: str) -> BlobReply:
        request = BlobOffer(protocol_major=PROTOCOL_MAJOR, names=[digest])
        call = self._opened().unary_unary(OFFER)(
            request.SerializeToString(),
            metadata=metadata_of(self._settings),
            timeout=self._settings.timeout_seconds,
        )
        replies = BlobReplies.FromString(await self._answer(call)).blobs
        if len(replies) != 1:
            raise GatewayError(f"the gateway sent {len(replies)} replies to an offer of one blob")
        return replies[0]

    async def _put(self, result: Result, path: Path, offset: int) -> BlobReply:
        call = self._opened().stream_unary(PUT)(metadata=metadata_of(self._settings))
        try:
            with path.open("rb") as file:
                is_answered = await self._written(call, _chunks(file, result, offset))
            if is_answered:
                seconds = self._seconds_of_accepting(result.size)
                return BlobReply.FromString(await self._answer(call, seconds))
        finally:
            call.cancel()
        return await self._ask_outcome(result)

    async def _written(self, call: Any, chunks: AsyncIterator[bytes]) -> bool:
        """Write ``chunks``; return False if an early answer of the gateway is lost.

        An answer before the end is lost if a write is in progress at that moment.
        """
        with suppress(grpc.aio.UsageError, asyncio.InvalidStateError):  # The gateway has answered.
            async for chunk in chunks:
                try:
                    async with asyncio.timeout(self._settings.timeout_seconds):
                        await call.write(chunk)
                except TimeoutError as error:
                    raise await self._silent(self._settings.timeout_seconds) from error
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.INTERNAL:
                        return False
                    raise await self._broken(error) from error
            await self._answer(call.done_writing())
        return True

    async def _ask_outcome(self, result: Result) -> BlobReply:
        """Return the gateway's answer for a blob, from a call too short to be interrupted."""
        reply = await self._offer(result.digest)
        if reply.outcome != SEND:
            return reply
        empty = BlobChunk(
            name=result.digest, size=result.size, offset=reply.offset, crc32=zlib.crc32(b"")
        )
        call = self._opened().stream_unary(PUT)(metadata=metadata_of(self._settings))
        try:
            await self._answer(call.write(empty.SerializeToString()))
            await self._answer(call.done_writing())
            seconds = self._seconds_of_accepting(result.size)
            return BlobReply.FromString(await self._answer(call, seconds))
        finally:
            call.cancel()

    def _seconds_of_accepting(self, size: int) -> float:
        """Return the time in which the gateway should hash a whole blob and store it.

        After this time the blob is offered again, and the gateway continues meanwhile.
        """
        return self._settings.timeout_seconds + size / _ACCEPTED_BYTES_PER_SECOND

    async def _answer(self, waiting: Any, seconds: float | None = None) -> Any:
        seconds = self._settings.timeout_seconds if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError as error:
            raise await self._silent(seconds) from error
        except grpc.aio.AioRpcError as error:
            raise await self._broken(error) from error

    async def _silent(self, seconds: float) -> GatewayError:
        await self.close()
        return GatewayError(
            f"the gateway did not answer about a blob within {seconds:g} seconds", "unreachable"
        )

    async def _broken(self, error: grpc.aio.AioRpcError) -> GatewayError:
        await self.close()  # The next channel may have other certificates.
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return GatewayError(
                "the release of the gateway does not support blobs, which wait here; "
                "upgrade the gateway",
                "version",
            )
        return refused(error.code(), error.details())

    def _opened(self) -> Any:
        if self._channel is None:
            self._channel = open_channel(self._settings)
        return self._channel


async def _chunks(file: BinaryIO, result: Result, offset: int) -> AsyncIterator[bytes]:
    """Yield the messages from ``offset`` on, at least one."""
    file.seek(offset)
    while True:
        data = await asyncio.to_thread(file.read, BLOB_CHUNK_BYTES)
        yield BlobChunk(
            name=result.digest,
            size=result.size,
            offset=offset,
            data=data,
            crc32=zlib.crc32(data),
        ).SerializeToString()
        offset += len(data)
        if offset >= result.size or not data:
            return
