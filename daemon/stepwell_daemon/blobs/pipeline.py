"""Processing the queue: encode and hash, store, then write an event into the spool.

    queue → worker → keeper (blob store or gateway) → event in the spool → the staged file goes

The event is a record on the writer's behalf without a position in its stream, like the ``finish``
of a dead writer. It may come twice after a kill; the table keeps one row for each blob. No blob is
given up for a temporary reason. If no blob can be stored now, all wait. If the reason may concern
one blob only, that blob goes to the end of the queue.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from stepwell_daemon import failpoints
from stepwell_daemon.backoff import Backoff
from stepwell_daemon.blobs.queue import BlobQueue
from stepwell_daemon.blobs.worker_process import MakeFailedError, Result, WorkerProcess
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import BlobRefusedError, BlobsWaitError, DaemonError
from stepwell_daemon.spool.own_events import OwnEvents
from stepwell_daemon.spool.spool import Spool
from stepwell_store.blob_store import BlobStore
from stepwell_store.writer import WriterInfo
from stepwell_wire.errors import StagedDamagedError
from stepwell_wire.records import BLOB

logger = logging.getLogger("stepwell_daemon")

_IDLE_SECONDS: Final = 60.0


class Keeper(Protocol):
    """The destination of finished blobs."""

    async def has(self, digest: str) -> bool:
        """Return whether the blob is stored; this renews it as a put would.

        Raises:
            OSError, DaemonError: This is unknown now.
        """

    async def keep(self, result: Result, path: Path) -> bool:
        """Store the blob durably; return whether it was new. ``path`` may be gone afterwards.

        Raises:
            BlobRefusedError: This blob is refused for now.
            OSError, DaemonError: Not possible now.
        """

    async def close(self) -> None: ...


class StoreKeeper:
    """A blob store of this daemon's own."""

    def __init__(self, store: BlobStore, executor: Executor) -> None:
        self._store, self._executor = store, executor

    async def has(self, digest: str) -> bool:
        """See `Keeper.has`."""
        return await self._in_thread(self._store.touch, digest)

    async def keep(self, result: Result, path: Path) -> bool:
        """See `Keeper.keep`."""
        return await self._in_thread(self._store.put, result.digest, path)

    async def _in_thread(self, work: Callable[..., bool], *arguments: Any) -> bool:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, work, *arguments)
        except OSError as error:
            why = error.strerror or str(error)
            raise BlobsWaitError(
                f"using the blob store {self._store.place} failed: {why}"
            ) from error

    async def close(self) -> None:
        """The sink holds no blobs."""


@dataclass(slots=True)
class BlobHealth:
    """The state of the queue."""

    problem: str = ""
    """Why all blobs wait now, "" if they do not."""
    last_failure: str = ""
    """The last blob that could not be stored, and why."""


class BlobPipeline:
    """Processes one queue. Its methods belong to the event loop."""

    def __init__(
        self,
        queue: BlobQueue,
        spool: Spool,
        keeper: Keeper,
        *,
        counters: Counters,
        executor: Executor,
        workers: int,
        worker_memory_bytes: int,
        seconds: float,
        new_backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        """
        Args:
            executor: one thread, which alone changes the queue.
            workers: processes at once.
            seconds: time limit for one blob.
        """
        self._queue, self._keeper = queue, keeper
        self._events = OwnEvents(spool)
        self._counters = counters
        self._executor = executor
        self._new_worker = partial(WorkerProcess, memory_bytes=worker_memory_bytes, seconds=seconds)
        self._workers = workers
        self._new_backoff = new_backoff
        self.health = BlobHealth()
        self._all_wait = False
        self._at_work: set[str] = set()
        self._logged: dict[str, str] = {}  # Of waiting blobs: the reason that the log has for each.
        self._arrived = asyncio.Event()
        self._moved = asyncio.Condition()

    def note_taken(self) -> None:
        """Wake the pipeline: a blob was put into the queue."""
        self._arrived.set()

    @property
    def is_idle(self) -> bool:
        return not self._queue.count

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(self._workers):
                    tasks.create_task(self._work(), name=f"blobs-{number}")
        finally:
            await self._keeper.close()

    async def reach(self) -> None:
        """Wait until all blobs that are in the queue now are processed."""
        wanted = set(self._queue.ids)
        async with self._moved:
            await self._moved.wait_for(lambda: not wanted.intersection(self._queue.ids))

    async def _work(self) -> None:
        worker = self._new_worker()
        backoff = self._new_backoff()
        try:
            while True:
                blob_id = self._next()
                if blob_id is None:
                    self._arrived.clear()
                    if self._next() is None:
                        await self._rest(worker)
                    continue
                self._at_work.add(blob_id)
                try:
                    await self._try(blob_id, worker, backoff)
                finally:
                    self._at_work.discard(blob_id)
                async with self._moved:
                    self._moved.notify_all()
        finally:
            await worker.close()

    async def _rest(self, worker: WorkerProcess) -> None:
        """Wait for a blob; an idle worker ends after a while and frees its memory."""
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._arrived.wait()
        except TimeoutError:
            await worker.close()
            await self._arrived.wait()

    def _next(self) -> str | None:
        return next((each for each in self._queue.ids if each not in self._at_work), None)

    # ------------------------------------------------------------------ one blob

    async def _try(self, blob_id: str, worker: WorkerProcess, backoff: Backoff) -> None:
        """Process one blob; after a failure that may be temporary it goes to the end of the
        queue."""
        try:
            await self._one(blob_id, worker)
        except (MakeFailedError, BlobRefusedError, OSError) as error:
            self._note_waiting(blob_id, str(error))
        except Exception as error:  # A bug here must cost neither other blobs nor rows.
            self._counters.handler_errors += 1
            self._note_waiting(blob_id, f"{type(error).__name__}: {error}", error)
        else:
            self._logged.pop(blob_id, None)
            backoff.reset()
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._queue.put_behind, blob_id)
        await asyncio.sleep(backoff.next_delay())

    async def _one(self, blob_id: str, worker: WorkerProcess) -> None:
        """Process one blob.

        Raises:
            MakeFailedError, BlobRefusedError, OSError: Not possible now; others may succeed.
        """
        loop = asyncio.get_running_loop()
        try:
            header = await loop.run_in_executor(self._executor, self._queue.header, blob_id)
        except (StagedDamagedError, FileNotFoundError) as error:
            # Its writer is unknown, so no event can be written: the row that names it stays
            # waiting.
            self._failed(blob_id, str(error))
            remove = partial(self._queue.remove, blob_id, keep=True)
            await loop.run_in_executor(self._executor, remove)
            return
        target = self._queue.scratch_path(blob_id)
        backoff = self._new_backoff()
        result: Result | None = None
        while True:
            try:
                if result is None or not target.exists():
                    result = await worker.make(self._queue.path(blob_id), target)
                failpoints.hit("blob.made")
                if not result.reason and not await self._keeper.keep(result, target):
                    self._counters.blobs_known += 1
                break
            except (BlobRefusedError, OSError):
                raise
            except DaemonError as error:  # No blob can be stored now.
                self._note_problem(str(error))
                await asyncio.sleep(backoff.next_delay())
        if self._all_wait:
            logger.info("blobs are stored again")
            self._all_wait = False
        self.health.problem = ""
        failpoints.hit("blob.kept")
        await self._events.note(WriterInfo.of(header), BLOB, event_body(blob_id, result))
        failpoints.hit("blob.noted")
        if result.reason:
            self._failed(blob_id, result.reason)
        else:
            self._counters.blobs_stored += 1
        remove = partial(self._queue.remove, blob_id, keep=bool(result.reason))
        await loop.run_in_executor(self._executor, remove)

    def _note_problem(self, problem: str) -> None:
        if not self._all_wait:
            logger.warning("storing blobs failed, they wait in the queue: %s", problem)
        self._all_wait = True
        self.health.problem = problem

    def _note_waiting(self, blob_id: str, problem: str, error: Exception | None = None) -> None:
        """Note why one blob waits; log each reason once for a blob."""
        self.health.problem = f"{blob_id}: {problem}"
        if self._logged.get(blob_id) != problem:
            self._logged[blob_id] = problem
            logger.warning(
                "storing a blob failed, trying again blob=%s: %s", blob_id, problem, exc_info=error
            )

    def _failed(self, blob_id: str, reason: str) -> None:
        self._counters.blobs_failed += 1
        self.health.last_failure = f"{blob_id}: {reason}"
        logger.warning("a blob cannot be stored blob=%s: %s", blob_id, reason)

    # ------------------------------------------------------------------ events

    def note_lost(self, who: WriterInfo, blob_id: str, reason: str) -> None:
        """Report that a blob's bytes are lost, as soon as possible."""
        self._failed(blob_id, reason)
        body = event_body(blob_id, Result(reason=reason))
        self._events.append(who, BLOB, body)


def event_body(blob_id: str, result: Result) -> dict[str, Any]:
    """Return the body of the event with the state of a blob."""
    if result.reason:
        return {"id": blob_id, "state": "failed", "reason": result.reason}
    return {
        "id": blob_id,
        "state": "ready",
        "digest": result.digest,
        "size": result.size,
        "media_type": result.media_type,
        "width": result.width,
        "height": result.height,
    }
