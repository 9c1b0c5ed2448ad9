"""Processing the shelf in the order in which drafts arrived: versions of a name keep that order.

A draft is never given up for a temporary reason, such as an unreachable hub or a full disk. Then
all drafts wait, also if only the outcome cannot be stored. Drafts of other names go first if a
draft repeatedly ends its worker, has unreadable files, or fails at the hub. It is retried later.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepwell_daemon import failpoints
from stepwell_daemon.artifacts.shelf import Shelf
from stepwell_daemon.artifacts.worker import DIGESTS_FILE
from stepwell_daemon.artifacts.worker_process import ArtifactWorker
from stepwell_daemon.backoff import Backoff
from stepwell_daemon.blobs.line_worker import WorkerEndedError
from stepwell_daemon.blobs.pipeline import Keeper
from stepwell_daemon.blobs.worker_process import Result
from stepwell_daemon.errors import BlobRefusedError, DaemonError
from stepwell_daemon.hub_commands import ControlPlace, HubSilentError
from stepwell_store import StoreError
from stepwell_wire.drafts import Draft

logger = logging.getLogger("stepwell_daemon")

_IDLE_SECONDS: Final = 60.0
_TRIES_MAX: Final = 3
"""After this many failures for a reason of its own, a draft lets others go first."""
_BEHIND_SECONDS: Final = 60.0
_NO_HUB: Final = (
    "this daemon has no hub, and its artifacts wait for one; set hub_url and hub_control_key_file"
)


class _Behind(NamedTuple):
    """The monotonic time until which others go before a draft, and the reason."""

    until: float
    why: str


class Committer:
    """Makes versions of the drafts of one shelf. Its methods belong to the event loop.

    Attributes:
        current: key of the draft in work, "" for none.
        progress: progress of that draft.
    """

    def __init__(
        self,
        shelf: Shelf,
        *,
        find_hub: Callable[[], ControlPlace | None],
        store: Path | None,
        keeper: Keeper,
        executor: Executor,
        worker: ArtifactWorker,
        free_bytes_min: int,
        note_failed: Callable[[Draft, str], Awaitable[None]],
        new_backoff: Callable[[], Backoff] = Backoff,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            find_hub: returns the hub's address; may raise HubSilentError.
            store: folder of this daemon's blob store, None if blobs go to ``keeper`` instead.
            executor: one thread, which alone changes the shelf.
            worker: makes the versions; the committer closes it.
            note_failed: notes on the run of a draft that its version was not made, and why.
            new_backoff: makes the delays between retries, for each operation that failed.
            clock: seconds that never go back; decides how long a draft stays behind others.
        """
        self._shelf, self._find_hub = shelf, find_hub
        self._store, self._keeper = store, keeper
        self._executor = executor
        self._free_bytes_min = free_bytes_min
        self._worker = worker
        self._note_failed = note_failed
        self._new_backoff, self._clock = new_backoff, clock
        self._behind: dict[str, _Behind] = {}
        self._arrived = asyncio.Event()
        self._problem = ""
        self.last_failure = ""
        self.current = ""
        self.progress: dict[str, int] = {}
        self.committed = self.failed = 0

    def note_taken(self) -> None:
        """Wake the committer: a draft was put on the shelf."""
        self._arrived.set()

    @property
    def problem(self) -> str:
        """Why some or all drafts wait now; "" if none does."""
        return self._problem or next((each.why for each in list(self._behind.values())), "")

    @property
    def is_idle(self) -> bool:
        return not self._shelf.keys

    async def run(self) -> None:
        """Work until cancelled. Can be called again after an unexpected error."""
        try:
            while True:
                self._arrived.clear()
                if self._shelf.unread:
                    await self._in_thread(self._shelf.find_unread)
                key = self._next()
                if key:
                    await self._try(key)
                else:
                    await self._rest()
        finally:
            await self._worker.close()

    async def _try(self, key: str) -> None:
        """Process one draft; after an unexpected error others go first."""
        try:
            await self._one(key)
        except Exception as error:
            self._put_behind(key, f"{type(error).__name__}: {error}")
            raise

    def _put_behind(self, key: str, why: str) -> None:
        """Let others go before a draft for a while; neither the hub nor the disk is the cause."""
        why = f"{self._shelf.draft(key).name}: {why}"
        known = self._behind.get(key)
        if known is None or known.why != why:
            logger.warning("committing an artifact failed, trying others first: %s", why)
        self._behind[key] = _Behind(self._clock() + _BEHIND_SECONDS, why)
        self._note_problem("")

    def _next(self) -> str:
        """Return the first draft that is not behind others or behind a draft of its name."""
        now = self._clock()
        blocked: set[tuple[str, str]] = set()
        for key in self._shelf.keys:
            draft = self._shelf.draft(key)
            name = (draft.project, draft.name)
            behind = self._behind.get(key)
            if behind is not None and behind.until > now:
                blocked.add(name)
            elif name not in blocked:
                return key
        return ""

    async def _rest(self) -> None:
        """Wait for a draft; an idle worker ends after a while."""
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._arrived.wait()
        except TimeoutError:
            await self._worker.close()
            if not self._behind and not self._shelf.unread:
                await self._arrived.wait()

    async def _one(self, key: str) -> None:
        """Process one draft."""
        if await self._patiently(self._shelf.outcomes.find, key) is None:
            self.current, self.progress = key, {}
            try:
                outcome = await self._outcome_of(key)
            finally:
                self.current, self.progress = "", {}
            if outcome is None:
                return
            if outcome["state"] == "failed":
                # Before it is noted here: after a kill between the two it is only noted again.
                await self._note_failed(self._shelf.draft(key), outcome["reason"])
            await self._patiently(self._shelf.finish, key, outcome)
            self._count(key, outcome)
            try:
                await self._worker.clean()
            except WorkerEndedError as error:  # Its files are only hashed again next time.
                logger.warning(
                    "digests of an artifact's files not stored, next time they are computed "
                    "again: %s",
                    error,
                )
        self._behind.pop(key, None)
        await self._patiently(self._shelf.remove, key)

    async def _patiently(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of ``work`` on the shelf's disk; retry while the disk fails."""
        backoff = self._new_backoff()
        while True:
            try:
                found = await self._in_thread(work, *arguments)
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                self._note_problem(f"{where}{error.strerror or error}")
            else:
                if backoff.failures:
                    self._note_problem("")
                return found
            await asyncio.sleep(backoff.next_delay())

    async def _outcome_of(self, key: str) -> dict[str, Any] | None:
        """Return the outcome of a draft; None if it was postponed."""
        backoff = self._new_backoff()
        tries = 0
        while True:
            try:
                answer = await self._worker.commit(
                    await self._asked(key), put=self._put, on_progress=self._note_progress
                )
                failpoints.hit("artifact.committed")
            except WorkerEndedError as error:
                answer = {"behind": str(error)}
            except (HubSilentError, OSError) as error:
                answer = {"later": str(error)}
            if "committed" in answer:
                self._note_problem("")
                return {"state": "committed", "version": answer["committed"], "reason": ""}
            if "spoiled" in answer:
                self._note_problem("")
                return {"state": "failed", "reason": answer["spoiled"]}
            if "behind" in answer:
                tries += 1
                if tries >= _TRIES_MAX:
                    self._put_behind(key, f"{answer['behind']} ({tries} attempts)")
                    return None
            else:
                self._note_problem(str(answer["later"]))
            await asyncio.sleep(backoff.next_delay())

    async def _asked(self, key: str) -> dict[str, Any]:
        place = self._find_hub()
        if place is None:
            raise HubSilentError(_NO_HUB)
        scratch = self._shelf.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        return {
            "folder": str(self._shelf.path(key)),
            "store": "" if self._store is None else str(self._store),
            "scratch": str(scratch),
            "digests": str(self._shelf.folder / DIGESTS_FILE),
            "hub": place._asdict(),
            "again": await self._in_thread(self._version_again, key),
            "free_bytes_min": self._free_bytes_min,
        }

    def _version_again(self, key: str) -> str:
        """Return the id of the version whose content the draft ``key`` logs again, else ""."""
        again = self._shelf.draft(key).again
        outcome = self._shelf.outcomes.find(again) if again else None
        version = (outcome or {}).get("version")
        return str(version["id"]) if version else again

    async def _put(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Send bytes to the keeper, for the worker."""
        result = Result(digest=asked["digest"], size=asked["size"])
        try:
            await self._keeper.keep(result, Path(asked["path"]))
        except BlobRefusedError as error:
            return {"refused": str(error)}
        except (DaemonError, StoreError, OSError) as error:
            return {"put": str(error)}
        return {"put": ""}

    def _note_progress(self, progress: dict[str, int]) -> None:
        self.progress = progress

    def _note_problem(self, problem: str) -> None:
        if problem and not self._problem:
            logger.warning("committing artifacts failed, they wait: %s", problem)
        if self._problem and not problem:
            logger.info("artifacts are committed again")
        self._problem = problem

    def _count(self, key: str, outcome: dict[str, Any]) -> None:
        name = self._shelf.draft(key).name
        if outcome["state"] == "committed":
            self.committed += 1
            number = outcome["version"]["version"]
            logger.info("artifact committed name=%s version=%s", name, number)
            return
        self.failed += 1
        self.last_failure = f"{name}: {outcome['reason']}"
        logger.error("committing an artifact failed name=%s: %s", name, outcome["reason"])

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, partial(work, *arguments))
