"""The order in which drafts become versions, and what one draft or a full disk costs the others.

The worker's answers are given by the test; the shelf is real.
"""

import asyncio
import errno
import io
import json
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.artifacts.committer import Committer
from stepwell_daemon.artifacts.hub_calls import HubAwayError
from stepwell_daemon.artifacts.part import Artifacts
from stepwell_daemon.artifacts.shelf import Shelf
from stepwell_daemon.artifacts.worker import Worker
from stepwell_daemon.artifacts.worker_process import ArtifactWorker
from stepwell_daemon.backoff import Backoff
from stepwell_daemon.config import DaemonConfig
from stepwell_daemon.counters import Counters
from stepwell_daemon.hub_commands import ControlPlace
from stepwell_wire.drafts import Draft
from stepwell_wire.folder import JournalFolder
from tests.daemon.drafts import make_draft

PATIENCE_SECONDS = 30.0


class Answers(ArtifactWorker):
    """Answers for each draft by its name; without a word for it, the draft is committed.

    Attributes:
        asked: keys of the drafts, in order; ``jobs`` are the whole requests.
    """

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.answers: dict[str, list[dict[str, Any] | Exception]] = {}
        self.asked: list[str] = []

    async def commit(self, asked: dict[str, Any], **_: Any) -> dict[str, Any]:
        key = Path(asked["folder"]).name
        self.asked.append(key)
        self.jobs.append(asked)
        answer = next(iter(self.answers.get(key, ())), {"committed": {"id": key, "version": "v0"}})
        if len(self.answers.get(key, ())) > 1:
            self.answers[key].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def clean(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.source.write_bytes(b"content")
        self.counters = Counters()
        place = ControlPlace("127.0.0.1", 1, "hub", "key", tls=False, is_own=True)
        self.artifacts = Artifacts(
            DaemonConfig(data=folder / "data", blob_free_bytes_min=0),
            store=None,  # type: ignore[arg-type]
            keeper=None,  # type: ignore[arg-type]
            spool=None,  # type: ignore[arg-type]
            counters=self.counters,
            find_hub=lambda: place,
        )
        self.shelf = self.artifacts.shelf
        self.worker = Answers()
        self.now = 0.0
        self.committer = self.artifacts.committer = Committer(
            self.shelf,
            find_hub=lambda: place,
            store=None,
            keeper=None,  # type: ignore[arg-type]
            executor=ThreadPoolExecutor(1),
            worker=self.worker,
            free_bytes_min=0,
            note_failed=self._note_failed,
            new_backoff=lambda: Backoff(first_seconds=0.001, last_seconds=0.001),
            clock=lambda: self.now,
        )
        self.told: list[tuple[str, str, str]] = []
        self.shelf.open()

    async def _note_failed(self, draft: Draft, reason: str) -> None:
        self.told.append((draft.name, reason, self.state(draft.key)))

    def draft(self, name: str = "data") -> str:
        journal = self.folder / "journals" / "r-w"
        key = make_draft(journal, {"a": self.source}, name=name).key
        folder = JournalFolder(journal)
        self.shelf.take(folder, key, approve=lambda draft: None)
        folder.close()
        return key

    def run(self, until: Callable[[], object]) -> None:
        """Let the daemon's part work until ``until`` holds."""

        async def within() -> None:
            task = asyncio.create_task(self.artifacts.run())
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while not (until() or task.done()):  # noqa: ASYNC110
                        await asyncio.sleep(0.005)
            finally:
                if not task.done():
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            if task.done() and not task.cancelled():
                await task

        asyncio.run(within())

    def state(self, key: str) -> str:
        outcome = self.shelf.outcomes.find(key)
        return str(outcome["state"]) if outcome else ""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("STEPWELL_DIR", str(tmp_path / "journals"))
    return Bench(tmp_path)


def test_a_full_disk_lets_an_outcome_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    key = bench.draft()
    finish, refused = Shelf.finish, []

    def full(self: Shelf, key: str, outcome: dict[str, Any]) -> None:
        if len(refused) < 3:
            refused.append(bench.committer.problem)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "done")
        finish(self, key, outcome)

    monkeypatch.setattr(Shelf, "finish", full)
    bench.run(lambda: bench.committer.is_idle)
    assert bench.state(key) == "committed"
    assert bench.worker.asked == [key]
    assert refused[1:] == ["done: No space left on device"] * 2
    assert bench.committer.problem == ""
    assert bench.counters.handler_errors == 0


def test_a_mistake_of_ours_costs_one_draft_only(bench: Bench) -> None:
    first, second = bench.draft("first"), bench.draft("second")
    bench.worker.answers[first] = [KeyError("oops")]
    bench.run(lambda: bench.shelf.keys == [first])
    assert bench.state(second) == "committed"
    assert bench.counters.handler_errors == 1


def test_a_draft_with_a_trouble_of_its_own_lets_other_names_go_first(bench: Bench) -> None:
    broken, next_of_name, other = bench.draft("broken"), bench.draft("broken"), bench.draft("other")
    bench.worker.answers[broken] = [{"behind": "0: Input/output error"}]
    bench.run(lambda: broken not in bench.shelf or other not in bench.shelf)
    assert bench.worker.asked == [broken, broken, broken, other]
    assert bench.shelf.keys == [broken, next_of_name]
    assert bench.committer.problem == "broken: 0: Input/output error (3 attempts)"
    assert bench.artifacts.problems()
    bench.now = math.inf
    del bench.worker.answers[broken]
    bench.run(lambda: bench.committer.is_idle)
    assert bench.worker.asked[4:] == [broken, next_of_name]
    assert bench.committer.problem == ""


def test_all_wait_for_a_hub_that_is_away(bench: Bench) -> None:
    first, second = bench.draft("first"), bench.draft("second")
    bench.worker.answers[first] = [{"later": "away"}] * 10 + [{"committed": {"version": "v0"}}]
    bench.run(lambda: bench.committer.is_idle)
    assert bench.worker.asked == [first] * 11 + [second]


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError(errno.EIO, "Input/output error"), "behind"),
        (OSError(errno.ENOSPC, "No space left on device"), "later"),
        (HubAwayError("HTTP 500", status=500), "behind"),
        (HubAwayError("HTTP 404", status=404), "behind"),
        (HubAwayError("HTTP 403", status=403), "later"),
        (HubAwayError("HTTP 503", status=503), "later"),
        (HubAwayError("refused"), "later"),
    ],
)
def test_the_worker_says_whether_others_may_fare_better(
    bench: Bench, error: Exception, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = bench.draft()

    def fail(job: object) -> None:
        raise error

    monkeypatch.setattr("stepwell_daemon.artifacts.committing.commit", fail)
    bench.worker.answers[key] = [{"later": "the draft stays"}]
    bench.run(lambda: bench.worker.jobs)
    answered = io.StringIO()
    Worker(io.StringIO(json.dumps({"commit": bench.worker.jobs[0]}) + "\n"), answered).run()
    ready, answer = map(json.loads, answered.getvalue().splitlines())
    assert ready == {"ready": True}
    assert answer == {word: str(error.strerror if isinstance(error, OSError) else error)}


def test_a_version_that_was_not_made_is_noted_on_its_run_before_the_draft_ends(bench: Bench):
    bad, good = bench.draft("bad"), bench.draft("good")
    bench.worker.answers[bad] = [{"spoiled": "a.bin: it is gone"}]
    bench.run(lambda: bench.state(bad) and bench.state(good))
    assert bench.told == [("bad", "a.bin: it is gone", "")]
    assert (bench.state(bad), bench.state(good)) == ("failed", "committed")
