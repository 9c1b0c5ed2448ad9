"""All parts of a daemon that concern artifacts, assembled."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from stepwell_daemon.artifacts.committer import Committer
from stepwell_daemon.artifacts.intake import DraftIntake
from stepwell_daemon.artifacts.shelf import Shelf
from stepwell_daemon.artifacts.worker_process import ArtifactWorker
from stepwell_daemon.backoff import Backoff
from stepwell_daemon.blobs.pipeline import Keeper
from stepwell_daemon.config import DaemonConfig
from stepwell_daemon.counters import Counters
from stepwell_daemon.hub_commands import ControlPlace
from stepwell_daemon.spool.own_events import OwnEvents
from stepwell_daemon.spool.spool import Spool
from stepwell_store.blob_store import BlobStore, FolderBlobStore
from stepwell_store.identity import fingerprint
from stepwell_wire.blobs_pb2 import ArtifactQuestion, ArtifactState, ArtifactStates
from stepwell_wire.drafts import Draft
from stepwell_wire.limits import PROTOCOL_MAJOR
from stepwell_wire.records import FAILED_ARTIFACTS, METADATA
from stepwell_wire.service import BLOBS_SERVICE

logger = logging.getLogger("stepwell_daemon")

_KEYS_MAX: Final = 1000


class Artifacts:
    """Shelf, committer and service of one daemon."""

    def __init__(
        self,
        config: DaemonConfig,
        *,
        store: BlobStore,
        keeper: Keeper,
        spool: Spool,
        counters: Counters,
        find_hub: Callable[[], ControlPlace | None],
    ) -> None:
        self._counters = counters
        self._spool = spool
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="artifacts")
        self.shelf = Shelf(config.data / "artifacts", free_bytes_min=config.blob_free_bytes_min)
        is_own = config.sink != "gateway" and isinstance(store, FolderBlobStore)
        self.committer = Committer(
            self.shelf,
            find_hub=find_hub,
            store=store.root if is_own and isinstance(store, FolderBlobStore) else None,
            keeper=keeper,
            executor=self._executor,
            worker=ArtifactWorker(memory_bytes=config.blob_worker_memory_bytes),
            free_bytes_min=config.blob_free_bytes_min,
            note_failed=self._note_failed,
        )
        self.intake = DraftIntake(self.shelf, on_taken=self._note_taken)
        self._loop: asyncio.AbstractEventLoop | None = None

    def _note_taken(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.committer.note_taken)

    async def _note_failed(self, draft: Draft, reason: str) -> None:
        """Note in the metadata of a run that a version was not made: the last one of each name."""
        state = self._spool.registry.get(draft.writer_id)
        if state is None or state.is_removed:  # The writer was silent for a month, or is deleted.
            return
        facts = {"name": draft.name, "reason": reason, "at": time.time()}
        body = {"set": {FAILED_ARTIFACTS: {f"{fingerprint(draft.name):016x}": facts}}}
        await OwnEvents(self._spool).note(state.info, METADATA, body)

    async def open(self) -> None:
        """Load the waiting drafts.

        Raises:
            OSError: The folder cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        await self._loop.run_in_executor(self._executor, self.shelf.open)

    async def run(self) -> None:
        """Work until cancelled. A bug here must cost neither rows nor other artifacts."""
        backoff = Backoff()
        while True:
            try:
                await self.committer.run()
            except Exception:
                self._counters.handler_errors += 1
                logger.exception(
                    "handling an artifact failed, trying again; other artifacts continue"
                )
            await asyncio.sleep(backoff.next_delay())

    def close(self) -> None:
        """Release the thread. Can be called twice."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    # ------------------------------------------------------------------ status

    def handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            BLOBS_SERVICE, {"Artifacts": grpc.unary_unary_rpc_method_handler(self.states)}
        )

    async def states(self, data: bytes, context: Any) -> bytes:
        """Return packed ``ArtifactStates`` for a packed question; gRPC calls it."""
        try:
            question = ArtifactQuestion.FromString(data)
        except DecodeError:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "the request is not a valid ArtifactQuestion"
            )
        if question.protocol_major != PROTOCOL_MAJOR or len(question.keys) > _KEYS_MAX:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"protocol {question.protocol_major} with {len(question.keys)} keys; "
                f"expected protocol {PROTOCOL_MAJOR} and at most {_KEYS_MAX} keys",
            )
        keys = list(question.keys) or self._waiting(question.project, question.name)
        loop = asyncio.get_running_loop()
        states = await loop.run_in_executor(self._executor, lambda: list(map(self._state, keys)))
        packed: bytes = ArtifactStates(artifacts=states).SerializeToString()
        return packed

    def _waiting(self, project: str, name: str) -> list[str]:
        found = []
        for key in self.shelf.keys:  # Some drafts end meanwhile, on another thread.
            draft = self.shelf.find(key)
            if draft is not None and draft.project == project and name in ("", draft.name):
                found.append(key)
        return found[:_KEYS_MAX]

    def _state(self, key: str) -> ArtifactState:
        # Read before the outcome: it is noted before the files are removed.
        draft, unread = self.shelf.find(key), self.shelf.unread.get(key)
        outcome = self.shelf.outcomes.find(key)
        if outcome is not None:
            version = outcome.get("version")
            return ArtifactState(
                key=key,
                state=outcome["state"],
                name=outcome.get("name", ""),
                version=json.dumps(version) if version else "",
                reason=outcome.get("reason", ""),
            )
        if unread is not None:
            return ArtifactState(key=key, state="waiting", reason=unread)
        if draft is not None:
            reason = self.committer.problem
            return ArtifactState(key=key, state="waiting", name=draft.name, reason=reason)
        return ArtifactState(key=key, state="unknown")

    def problems(self) -> list[str]:
        """Return the problems, one phrase each."""
        problem = self.committer.problem
        count = len(self.shelf.keys)
        found = [f"{count} artifacts wait because committing failed: {problem}"] if problem else []
        unread = list(self.shelf.unread.values())
        if unread:
            found.append(f"{len(unread)} artifacts wait because reading them failed: {unread[0]}")
        return found

    def status(self) -> dict[str, Any]:
        """Return the artifacts part of the status."""
        committer = self.committer
        draft = self.shelf.find(committer.current)
        return {
            "waiting": len(self.shelf.keys) + len(self.shelf.unread),
            "name": draft.name if draft is not None else "",
            "progress": dict(committer.progress),
            "committed": committer.committed,
            "failed": committer.failed,
            "last_failure": committer.last_failure,
            "failures": [_failure(each) for each in self.shelf.outcomes.failures()],
            "problem": committer.problem or next(iter(list(self.shelf.unread.values())), ""),
        }


def _failure(outcome: dict[str, Any]) -> dict[str, Any]:
    names = ("project", "name", "run_id", "reason")
    at = int(float(outcome.get("at") or 0.0) * 1e6)
    facts = {each: str(outcome.get(each, "")) for each in names}
    return {"at": at, **facts, "has_later": bool(outcome.get("has_later"))}
