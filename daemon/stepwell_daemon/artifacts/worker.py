"""A worker: a process that makes versions of drafts. One at a time, until stdin ends.

    worker → daemon   {"ready": true}                                      one JSON object a line
    daemon → worker   {"commit": {…}}                                      see `_job_of`
    worker → daemon   {"progress": {…}}                                    now and then
    worker → daemon   {"put": {"digest", "size", "path"}}                  without an own store
    daemon → worker   {"put": ""}, or {"put": why not now}, or {"refused": why}
    worker → daemon   {"committed": {…}}, {"spoiled": why}, {"later": why}, if other drafts
                      would fail too, or {"behind": why}, if they may succeed
    daemon → worker   {"clean": true}                                      the outcome is noted
    worker → daemon   {"cleaned": true}

It runs at a low priority. A crash of the worker affects no other process.
"""

import errno
import json
import shutil
import sys
import time
from pathlib import Path
from typing import IO, Any, Final

from stepwell_daemon.artifacts import committing
from stepwell_daemon.artifacts.digests import Digests
from stepwell_daemon.artifacts.hashing import DraftSpoiledError
from stepwell_daemon.artifacts.hub_calls import (
    HubAwayError,
    HubCalls,
    HubPlace,
    HubRefusesError,
)
from stepwell_daemon.blobs.worker_start import start_worker
from stepwell_store.blob_store import FolderBlobStore
from stepwell_wire.drafts import DRAFT_FILE, parse_draft
from stepwell_wire.errors import DraftError

_OF_ALL: Final = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
)
"""The disk is full, or the machine lacks another resource."""
DIGESTS_FILE: Final = "digests.sqlite"
_PROGRESS_SECONDS: Final = 0.5
_REASON_CHARACTERS_MAX: Final = 2000


class Worker:
    """Requests and answers on two pipes."""

    def __init__(self, asked: IO[str], answered: IO[str]) -> None:
        self._asked, self._answered = asked, answered
        self._job: committing.Job | None = None
        self._reported_at = 0.0

    def run(self) -> None:
        """Work until the daemon closes its end."""
        self._send({"ready": True})
        for line in self._asked:
            request = json.loads(line)
            if "commit" in request:
                self._send(self._commit(request["commit"]))
            else:
                self._clean()
                self._send({"cleaned": True})

    def put(self, digest: str, size: int, path: Path) -> None:
        """See `committing.Elsewhere`."""
        self._send({"put": {"digest": digest, "size": size, "path": str(path)}})
        answer = json.loads(self._asked.readline())
        if "refused" in answer:
            raise HubRefusesError("refused", str(answer["refused"]))
        if answer["put"]:
            raise HubAwayError(str(answer["put"]))

    def _commit(self, asked: dict[str, Any]) -> dict[str, Any]:
        hub = HubCalls(HubPlace(**asked["hub"]))
        digests = Digests(Path(asked["digests"]))
        try:
            self._job = job = self._job_of(asked, hub, digests)
            return {"committed": committing.commit(job)}
        except (DraftSpoiledError, DraftError) as error:
            return {"spoiled": str(error)[:_REASON_CHARACTERS_MAX]}
        except HubAwayError as error:
            word = "behind" if error.is_alone else "later"
            return {word: str(error)[:_REASON_CHARACTERS_MAX]}
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            word = "later" if error.errno in _OF_ALL else "behind"
            return {word: f"{where}{error.strerror or error}"}
        finally:
            hub.close()
            digests.close()

    def _job_of(self, asked: dict[str, Any], hub: HubCalls, digests: Digests) -> committing.Job:
        folder = Path(asked["folder"])
        store = FolderBlobStore(Path(asked["store"])) if asked["store"] else None
        free_bytes_min = int(asked["free_bytes_min"])
        room_at = store.root if store is not None else Path(asked["scratch"])
        room_at.mkdir(parents=True, exist_ok=True)

        def check_room(size: int) -> None:
            free = shutil.disk_usage(room_at).free
            if free - size < free_bytes_min:
                raise HubAwayError(
                    f"{room_at}: {free} bytes are free, {size} are needed, and "
                    f"blob_free_bytes_min ({free_bytes_min}) reserves space for rows: free "
                    "disk space"
                )

        return committing.Job(
            folder=folder,
            draft=parse_draft((folder / DRAFT_FILE).read_bytes(), folder.name),
            hub=hub,
            digests=digests,
            scratch=Path(asked["scratch"]),
            store=store,
            elsewhere=self,
            again=asked["again"],
            report=self._report,
            check_room=check_room,
        )

    def _clean(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.digests = Digests(job.scratch.parent / DIGESTS_FILE)
            try:
                committing.clean(job)
            finally:
                job.digests.close()

    def _report(self, progress: dict[str, int]) -> None:
        now = time.monotonic()
        if now - self._reported_at >= _PROGRESS_SECONDS:
            self._reported_at = now
            self._send({"progress": progress})

    def _send(self, answer: dict[str, Any]) -> None:
        self._answered.write(json.dumps(answer) + "\n")
        self._answered.flush()


def main() -> None:
    start_worker()
    Worker(sys.stdin, sys.stdout).run()


if __name__ == "__main__":
    main()
