"""The part of `testing.RecordingDaemon` that takes staged blobs and artifacts, as a daemon on this
host does. Each artifact is committed at once, as the version that is next in its project."""

import json
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from stepwell_wire.blobs_pb2 import (
    SEND,
    TAKEN,
    ArtifactQuestion,
    ArtifactState,
    ArtifactStates,
    BlobOffer,
    BlobReplies,
    BlobReply,
)
from stepwell_wire.drafts import (
    DRAFT_FILE,
    ENTRIES_FILE,
    Draft,
    Held,
    key_of,
    parse_draft,
    parse_entries,
)
from stepwell_wire.service import BLOBS_SERVICE
from stepwell_wire.staged import StagedHeader, file_name, read_header


class ReceivedBlob(NamedTuple):
    """One blob as it was staged."""

    header: StagedHeader
    payload: bytes


class ReceivedArtifact(NamedTuple):
    """One artifact as it was handed over.

    Attributes:
        files: content by path.
        references: address by path.
        version: ``v0``, ``v1`` …, in the order in which they came.
    """

    draft: Draft
    files: dict[str, bytes]
    references: dict[str, str]
    version: str


class ReceivedBlobs:
    """Takes offered blobs and artifacts: ``held`` by id, ``artifacts`` by key."""

    def __init__(self) -> None:
        self.held: dict[str, ReceivedBlob] = {}
        self.artifacts: dict[str, ReceivedArtifact] = {}
        self.changed = threading.Condition()

    def handlers(self) -> grpc.GenericRpcHandler:
        method = grpc.unary_unary_rpc_method_handler(
            self._offer,
            request_deserializer=BlobOffer.FromString,
            response_serializer=BlobReplies.SerializeToString,
        )
        asked = grpc.unary_unary_rpc_method_handler(
            self._states,
            request_deserializer=ArtifactQuestion.FromString,
            response_serializer=ArtifactStates.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(
            BLOBS_SERVICE, {"Offer": method, "Artifacts": asked}
        )

    def _offer(self, offer: BlobOffer, _: Any) -> BlobReplies:
        replies = [self._take(Path(offer.journal_dir), name) for name in offer.names]
        with self.changed:
            self.changed.notify_all()
        return BlobReplies(blobs=replies)

    def _states(self, question: ArtifactQuestion, _: Any) -> ArtifactStates:
        return ArtifactStates(artifacts=[self._state(key) for key in question.keys])

    def _state(self, key: str) -> ArtifactState:
        found = self.artifacts.get(key)
        if found is None:
            return ArtifactState(key=key, state="unknown")
        draft = found.draft
        version = {
            "id": key,
            "project": draft.project,
            "name": draft.name,
            "type": draft.type,
            "version": found.version,
            "digest": "",
            "aliases": [*draft.aliases, "latest"],
            "description": draft.description,
            "metadata": draft.metadata,
            "size": sum(map(len, found.files.values())),
            "file_count": len(found.files) + len(found.references),
            "run_id": draft.run_id,
            "created_at": 0.0,
            "committed_at": 0.0,
        }
        return ArtifactState(
            key=key, state="committed", name=draft.name, version=json.dumps(version)
        )

    def _take_draft(self, folder: Path, key: str) -> None:
        draft = parse_draft((folder / DRAFT_FILE).read_bytes(), key)
        files: dict[str, bytes] = {}
        references: dict[str, str] = {}
        lines = folder / ENTRIES_FILE
        entries = parse_entries(lines.read_bytes().splitlines() if lines.exists() else ())
        for path, entry in entries.items():
            if isinstance(entry, Held):
                files[path] = (folder / str(entry.number)).read_bytes()
            else:
                references[path] = entry.uri
        earlier = [each for each in self.artifacts.values() if each.draft.name == draft.name]
        again = self.artifacts.get(draft.again)
        if again is not None:
            files, references = again.files, again.references
        version = again.version if again is not None else f"v{len(earlier)}"
        self.artifacts[key] = ReceivedArtifact(draft, files, references, version)

    def _take(self, folder: Path, name: str) -> BlobReply:
        if (key := key_of(name)) is not None:
            if key not in self.artifacts:
                self._take_draft(folder / name, key)
            return BlobReply(name=name, outcome=TAKEN)
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
