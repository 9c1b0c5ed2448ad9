"""The Blobs service: receives offers and chunks, and answers the outcome of each.

The same two calls serve writers on the daemon's socket and daemons on a gateway's port; a *desk*
implements the parts in which the two differ. A call holds one chunk in memory.
"""

import asyncio
import logging
from typing import Any, Final, Protocol

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import BlobRefusedError, BlobsWaitError
from stepwell_wire.blobs_pb2 import (
    LATER,
    REFUSED,
    BlobChunk,
    BlobOffer,
    BlobReplies,
    BlobReply,
)
from stepwell_wire.limits import BLOB_CHUNK_BYTES, BLOBS_PER_OFFER_MAX, PROTOCOL_MAJOR
from stepwell_wire.service import BLOBS_SERVICE

logger = logging.getLogger("stepwell_daemon")

_CHUNK_SECONDS_MAX: Final = 60.0


class Desk(Protocol):
    """An object that takes blobs."""

    async def offer(self, offer: BlobOffer) -> list[BlobReply]: ...

    async def receive(self, name: str, size: int, offset: int, data: bytes, crc32: int) -> None: ...

    async def accept(self, name: str, size: int, writer_id: str) -> BlobReply: ...

    def refused(self, name: str, writer_id: str, reason: str) -> None:
        """Note that a blob is refused; its sender keeps the file."""


class BlobService:
    """Serves one desk."""

    def __init__(self, desk: Desk, *, counters: Counters) -> None:
        self._desk = desk
        self._counters = counters
        self._arriving: set[str] = set()

    def handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            BLOBS_SERVICE,
            {
                "Offer": grpc.unary_unary_rpc_method_handler(self._offer),
                "Put": grpc.stream_unary_rpc_method_handler(self._put),
            },
        )

    async def refuses(self, context: Any) -> bool:
        """Return whether the caller is refused; then the call is ended."""
        return False

    async def _offer(self, data: bytes, context: Any) -> bytes:
        if await self.refuses(context):
            return b""
        try:
            offer = BlobOffer.FromString(data)
        except DecodeError:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "the request is not a valid BlobOffer"
            )
        if offer.protocol_major != PROTOCOL_MAJOR or len(offer.names) > BLOBS_PER_OFFER_MAX:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"protocol {offer.protocol_major} and {len(offer.names)} blobs; expected protocol "
                f"{PROTOCOL_MAJOR} and at most {BLOBS_PER_OFFER_MAX}",
            )
        replies = await self._guarded(self._desk.offer(offer), context)
        return BlobReplies(blobs=replies).SerializeToString()

    async def _put(self, chunks: Any, context: Any) -> bytes:
        if await self.refuses(context):
            return b""
        reply = await self._guarded(self._receive_all(aiter(chunks)), context)
        packed: bytes = reply.SerializeToString()
        return packed

    async def _receive_all(self, chunks: Any) -> BlobReply:
        name = writer_id = ""
        size = 0
        try:
            while (chunk := await _next(chunks)) is not None:
                if not name:
                    if chunk.name in self._arriving:
                        detail = "another call is already sending this blob"
                        return BlobReply(name=chunk.name, outcome=LATER, detail=detail)
                    name, size, writer_id = chunk.name, chunk.size, chunk.writer_id
                    self._arriving.add(name)
                if chunk.name != name or chunk.size != size or len(chunk.data) > BLOB_CHUNK_BYTES:
                    raise BlobRefusedError(
                        "chunks of several blobs in one call, or a chunk that is too large"
                    )
                await self._desk.receive(name, size, chunk.offset, chunk.data, chunk.crc32)
            return await self._desk.accept(name, size, writer_id)
        except BlobsWaitError as error:
            return BlobReply(name=name, outcome=LATER, detail=str(error))
        except BlobRefusedError as error:
            self._desk.refused(name, writer_id, str(error))
            return BlobReply(name=name, outcome=REFUSED, detail=str(error))
        finally:
            self._arriving.discard(name)

    async def _guarded(self, work: Any, context: Any) -> Any:
        try:
            return await work
        except OSError as error:
            detail = f"{error.filename or ''}: {error.strerror or error}"
            logger.warning("receiving a blob failed: %s", detail)
            await context.abort(grpc.StatusCode.UNAVAILABLE, detail)
        except TimeoutError:
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"no chunk arrived for {_CHUNK_SECONDS_MAX:g} seconds",
            )
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception:
            self._counters.handler_errors += 1
            logger.exception("a call for blobs failed, its sender will try again")
            await context.abort(grpc.StatusCode.INTERNAL, "the daemon failed; see its log")


async def _next(chunks: Any) -> BlobChunk | None:
    async with asyncio.timeout(_CHUNK_SECONDS_MAX):
        try:
            data = await anext(chunks)
        except StopAsyncIteration:
            return None
    try:
        return BlobChunk.FromString(data)
    except DecodeError as error:
        raise BlobRefusedError("the message is not a valid BlobChunk") from error
