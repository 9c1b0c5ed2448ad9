"""The calls that hand blobs to the daemon, on a connection of their own; imports grpc.

Imported on the blob sender's thread, or by a tool, as `_channel.py` is.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import grpc

from stepwell._channel import keep_alive, open_channel
from stepwell.errors import DaemonUnreachableError, RefusedError
from stepwell_wire.blobs_pb2 import (
    LATER,
    REFUSED,
    TAKEN,
    ArtifactQuestion,
    ArtifactStates,
    BlobChunk,
    BlobOffer,
    BlobReplies,
    BlobReply,
)
from stepwell_wire.drafts import DRAFT_FILE, ENTRIES_FILE, Held, parse_entries
from stepwell_wire.files import open_regular
from stepwell_wire.limits import BLOB_CHUNK_BYTES, PROTOCOL_MAJOR
from stepwell_wire.service import ARTIFACTS, OFFER, PUT
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
        """Ask the daemon to take staged files; return its answer for each.

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
        """Send a staged file from ``offset`` on; return the daemon's answer.

        Raises:
            DaemonUnreachableError: It does not answer.
            OSError: The file cannot be read.
        """
        return self._put(self._folder / file_name(blob_id), blob_id, offset)

    def put_draft(self, name: str) -> BlobReply:
        """Send the files of a draft, ``draft.json`` last; return the daemon's answer.

        A complete file is not sent again; a partial one continues where it ended.

        Raises:
            DaemonUnreachableError, OSError: As for `put`.
        """
        folder = self._folder / name
        files = sorted(os.listdir(folder), key=lambda each: (each == DRAFT_FILE, each))
        reply = BlobReply(name=name)
        held = _held_files(folder)
        for each in files:
            path, whole = folder / each, f"{name}/{each}"
            if each == DRAFT_FILE and (changed := _changed(folder, held)):
                reply = BlobReply(outcome=REFUSED, detail=changed)
                break
            size = path.stat().st_size
            reply = self._put(path, whole, size)  # Asks for the size that is there; sends no bytes.
            if reply.outcome == LATER and reply.offset < size:
                reply = self._put(path, whole, reply.offset)
            if reply.outcome != TAKEN:
                break
        reply.name = name
        return reply

    def _put(self, path: Path, name: str, offset: int) -> BlobReply:
        descriptor = open_regular(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            chunks = _chunks(descriptor, name, size, offset, self._writer_id)
            call = self._channel.stream_unary(PUT)
            answer = self._answer(call.future(chunks, timeout=PUT_SECONDS_MAX))
        finally:
            os.close(descriptor)
        return BlobReply.FromString(answer)

    def close(self) -> None:
        self._channel.close()
        self._held.close()

    def _answer(self, call: Any) -> bytes:
        return _answer_of(call, self._socket, "blobs")


def _held_files(folder: Path) -> dict[str, Held]:
    lines = folder / ENTRIES_FILE
    entries = parse_entries(lines.read_bytes().splitlines() if lines.exists() else ())
    return {path: each for path, each in entries.items() if isinstance(each, Held)}


def _changed(folder: Path, files: Mapping[str, Held]) -> str:
    """Return the hard link that was changed after it was made, "" for none.

    Only the bytes are sent, so the daemon cannot know.
    """
    for path, held in files.items():
        if held.held_ctime_ns:
            found = os.stat(folder / str(held.number))
            if (found.st_size, found.st_mtime_ns) != (held.size, held.mtime_ns):
                return (
                    f"{path}: was changed after it was added, so the artifact is not logged; "
                    "write a new file and rename it to this name instead"
                )
    return ""


def ask_artifacts(socket: str, question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the states that the daemon answers to `stepwell._artifacts.asking.ask`.

    Raises:
        DaemonUnreachableError: It does not answer.
        RefusedError: It is of a release without artifacts.
    """
    channel, held = open_channel(socket)
    try:
        packed = ArtifactQuestion(protocol_major=PROTOCOL_MAJOR, **question).SerializeToString()
        call = channel.unary_unary(ARTIFACTS).future(packed, timeout=OFFER_SECONDS_MAX)
        states = ArtifactStates.FromString(_answer_of(call, socket, "artifacts")).artifacts
    finally:
        channel.close()
        held.close()
    return [
        {
            "key": each.key,
            "state": each.state,
            "name": each.name,
            "version": json.loads(each.version) if each.version else None,
            "reason": each.reason,
        }
        for each in states
    ]


def _answer_of(call: Any, socket: str, of_what: str) -> bytes:
    keep_alive(call)
    try:
        answer: bytes = call.result()
        return answer
    except grpc.RpcError as error:
        code = getattr(error, "code", lambda: None)()
        details = getattr(error, "details", lambda: None)() or str(error)
        if code is grpc.StatusCode.UNIMPLEMENTED:
            raise RefusedError(
                "UNSUPPORTED_VERSION",
                f"this release of the daemon does not support {of_what}; upgrade the daemon",
                0,
            ) from error
        raise DaemonUnreachableError(socket, details.splitlines()[0]) from error
    except grpc.FutureCancelledError as error:
        raise DaemonUnreachableError(socket, "the call was cancelled") from error


def _chunks(
    descriptor: int, blob_id: str, size: int, offset: int, writer_id: str
) -> Iterator[bytes]:
    """Yield the file from ``offset`` on, one message at least."""
    while True:
        try:
            data = os.pread(descriptor, BLOB_CHUNK_BYTES, offset)
        except OSError:
            return  # The daemon reports what it has.
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
