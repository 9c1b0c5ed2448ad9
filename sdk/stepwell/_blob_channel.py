"""The calls that hand blobs to the daemon, on a connection of their own; imports grpc.

Imported on the blob sender's thread, or by a tool, as `_channel.py` is.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import grpc

from stepwell._channel import keep_alive, open_channel
from stepwell.errors import DaemonUnreachableError, RefusedError
from stepwell_wire.blobs_pb2 import BlobChunk, BlobOffer, BlobReplies, BlobReply
from stepwell_wire.files import open_regular
from stepwell_wire.limits import BLOB_CHUNK_BYTES, PROTOCOL_MAJOR
from stepwell_wire.service import OFFER, PUT
from stepwell_wire.staged import file_name

OFFER_SECONDS_MAX: Final = 60.0
PUT_SECONDS_MAX: Final = 600.0


class BlobChannel:
    """Calls of one writer.

    Raises:
        DaemonUnreachableError: As `open_channel` says.
    """

    def __init__(self, socket: str, folder: Path, writer_id: str) -> None:
        self._socket, self._folder, self._writer_id = socket, folder, writer_id
        self._channel, self._held = open_channel(socket)

    def offer(self, ids: Sequence[str], *, keep: bool = False) -> list[BlobReply]:
        """Ask the daemon to take staged files; return what it says of each.

        Args:
            keep: leave the files where they are.

        Raises:
            DaemonUnreachableError: It does not answer.
            RefusedError: It knows no blobs.
        """
        request = BlobOffer(
            protocol_major=PROTOCOL_MAJOR,
            journal_dir=str(self._folder.absolute()),
            writer_id=self._writer_id,
            names=ids,
            keep=keep,
        )
        call = self._channel.unary_unary(OFFER)
        answer = self._answer(call.future(request.SerializeToString(), timeout=OFFER_SECONDS_MAX))
        return list(BlobReplies.FromString(answer).blobs)

    def put(self, blob_id: str, offset: int) -> BlobReply:
        """Send a staged file from ``offset`` on; return what the daemon says of it.

        Raises:
            DaemonUnreachableError: It does not answer.
            OSError: The file cannot be read.
        """
        path = self._folder / file_name(blob_id)
        descriptor = open_regular(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            chunks = _chunks(descriptor, blob_id, size, offset, self._writer_id)
            call = self._channel.stream_unary(PUT)
            answer = self._answer(call.future(chunks, timeout=PUT_SECONDS_MAX))
        finally:
            os.close(descriptor)
        return BlobReply.FromString(answer)

    def close(self) -> None:
        self._channel.close()
        self._held.close()

    def _answer(self, call: Any) -> bytes:
        keep_alive(call)
        try:
            answer: bytes = call.result()
            return answer
        except grpc.RpcError as error:
            code = getattr(error, "code", lambda: None)()
            details = getattr(error, "details", lambda: None)() or str(error)
            if code is grpc.StatusCode.UNIMPLEMENTED:
                raise RefusedError(
                    "UNSUPPORTED_VERSION", "the daemon is of a release without blobs", 0
                ) from error
            raise DaemonUnreachableError(self._socket, details.splitlines()[0]) from error
        except grpc.FutureCancelledError as error:
            raise DaemonUnreachableError(self._socket, "the call was cancelled") from error


def _chunks(
    descriptor: int, blob_id: str, size: int, offset: int, writer_id: str
) -> Iterator[bytes]:
    """Yield the file from ``offset`` on, one message at least."""
    while True:
        try:
            data = os.pread(descriptor, BLOB_CHUNK_BYTES, offset)
        except OSError:
            return  # The daemon says what it has.
        yield BlobChunk(
            name=blob_id,
            size=size,
            offset=offset,
            data=data,
            crc32=zlib.crc32(data),
            writer_id=writer_id,
        ).SerializeToString()
        offset += len(data)
        if offset >= size or not data:
            return
