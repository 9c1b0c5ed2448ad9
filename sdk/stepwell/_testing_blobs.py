"""The part of `testing.RecordingDaemon` that takes staged blobs, as a daemon on this host does."""

import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from stepwell_wire.blobs_pb2 import SEND, TAKEN, BlobOffer, BlobReplies, BlobReply
from stepwell_wire.service import BLOBS_SERVICE
from stepwell_wire.staged import StagedHeader, file_name, read_header


class ReceivedBlob(NamedTuple):
    """One blob as it was staged."""

    header: StagedHeader
    payload: bytes


class ReceivedBlobs:
    """Takes what is offered; ``held`` has it by id."""

    def __init__(self) -> None:
        self.held: dict[str, ReceivedBlob] = {}
        self.offers = 0
        self.changed = threading.Condition()

    def handlers(self) -> grpc.GenericRpcHandler:
        method = grpc.unary_unary_rpc_method_handler(
            self._offer,
            request_deserializer=BlobOffer.FromString,
            response_serializer=BlobReplies.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(BLOBS_SERVICE, {"Offer": method})

    def _offer(self, offer: BlobOffer, _: Any) -> BlobReplies:
        replies = [self._take(Path(offer.journal_dir), name) for name in offer.names]
        with self.changed:
            self.offers += 1
            self.changed.notify_all()
        return BlobReplies(blobs=replies)

    def _take(self, folder: Path, name: str) -> BlobReply:
        path = folder / file_name(name)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return BlobReply(name=name, outcome=TAKEN if name in self.held else SEND)
        try:
            header = read_header(descriptor, str(path))
            payload = os.pread(descriptor, header.payload_bytes, 0)
        finally:
            os.close(descriptor)
        self.held[name] = ReceivedBlob(header, payload)
        return BlobReply(name=name, outcome=TAKEN)
