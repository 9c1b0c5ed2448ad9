"""A process that reads through `Api` waits for the runs that it has just ended, and no longer."""

import io
import mimetypes
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stepwell import _session
from stepwell._hub_client import Hub
from stepwell._session import EndedRun
from stepwell.api import _awaiting
from stepwell.api._awaiting import await_own_runs, await_rows
from stepwell.api._files import files_of
from stepwell.api._project_facts import project_facts
from stepwell.api._runs import find_run
from stepwell.errors import HubAccessError, HubError, HubUnreachableError, NotFoundError


class FakeHub:
    """Gives one answer after the other: the states of writers, or an error."""

    url = "http://here"

    def __init__(self, *answers: dict[str, str] | HubError) -> None:
        self.answers = list(answers)

    def ask(self, *_: str) -> dict[str, Any]:
        answer = self.answers.pop(0)
        if isinstance(answer, HubError):
            raise answer
        return {"writers": [{"writer_id": name, "state": it} for name, it in answer.items()]}


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    _session.ended.clear()
    _session.ended_media.clear()
    yield
    _session.ended.clear()
    _session.ended_media.clear()


def end(*writers: str, seconds_ago: float = 0.0, url: str = FakeHub.url) -> None:
    now = time.monotonic()
    runs = [EndedRun(url, "p", "r", each, now - seconds_ago) for each in writers]
    _session.ended.extend(runs)
    _session.ended_media.extend(runs)


def asked_all(hub: FakeHub, **named: float) -> bool:
    """Wait for the ended runs, and return whether exactly the hub's answers were needed."""
    await_own_runs(cast(Hub, hub), **named)
    assert not _session.ended
    return not hub.answers


def test_the_end_of_each_run_is_waited_for() -> None:
    end("first", "second")
    missing = NotFoundError("no such run", status=404, code="not_found")
    running, ended = {"first": "running"}, {"first": "finished"}
    assert asked_all(FakeHub(missing, {}, running, ended, {"second": "crashed"}))


def test_other_writers_of_the_run_are_not_waited_for() -> None:
    end("rank0")
    assert asked_all(FakeHub({"rank0": "finished", "rank1": "running", "resumed": "running"}))


@pytest.mark.parametrize(
    "error", [HubAccessError("not this key", status=401), HubUnreachableError("away")]
)
def test_a_hub_that_would_refuse_the_call_is_not_waited_for(error: HubError) -> None:
    end("w")
    assert asked_all(FakeHub(error))


def test_a_run_that_ended_long_ago_is_not_asked_for() -> None:
    end("w", seconds_ago=61.0)
    assert asked_all(FakeHub())


def test_runs_that_do_not_come_in_time_are_not_waited_for_again() -> None:
    end("first", "second")
    assert asked_all(FakeHub(), wait_seconds=0.0)


def test_runs_of_another_hub_are_left_to_it() -> None:
    end("there", url="http://there")
    await_own_runs(cast(Hub, FakeHub()))
    assert [each.writer_id for each in _session.ended] == ["there"]


class FlushedHub:
    """Answers each flush with the next of ``answers``: whether all is stored, or an error."""

    timeout_seconds = 8.0
    flushed_until = no_flush_before = no_sending_before = 0.0

    def __init__(self, *answers: bool | HubError) -> None:
        self.sent_rows: dict[str, int] = {}
        self.answers = list(answers)

    def post(self, path: str, body: dict[str, float]) -> dict[str, bool]:
        assert (path, body) == ("/flush", {"timeout_seconds": 4.0})
        answer = self.answers.pop(0)
        if isinstance(answer, HubError):
            raise answer
        return {"stored": answer}

    url = "http://here"


def flushes_of(hub: FlushedHub, monkeypatch: pytest.MonkeyPatch, *, every: float) -> list[int]:
    """Read ten times, ``every`` so many seconds, and return at which reads the hub was asked."""
    asked, now = [], 1000.0
    for read in range(10):
        monkeypatch.setattr(_awaiting.time, "monotonic", lambda now=now: now)
        before = len(hub.answers)
        await_rows(cast(Hub, hub))
        if len(hub.answers) < before:
            asked.append(read)
        now += every
    return asked


def test_each_read_has_the_daemon_store_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flushes_of(FlushedHub(*[True] * 10), monkeypatch, every=0.25) == list(range(10))
    assert flushes_of(FlushedHub(*[True] * 10), monkeypatch, every=0.11) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("answer", [False, HubError("no such path", status=404)])
def test_a_hub_that_cannot_flush_is_asked_again_a_minute_later(
    answer: bool | HubError, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flushes_of(FlushedHub(*[answer] * 10), monkeypatch, every=20.5) == [0, 3, 6, 9]


def test_a_flush_without_an_answer_is_the_error_of_the_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = FlushedHub(HubUnreachableError("away"), HubAccessError("not this key", status=401), True)
    with pytest.raises(HubUnreachableError):
        await_rows(cast(Hub, hub))
    with pytest.raises(HubAccessError):
        await_rows(cast(Hub, hub))
    await_rows(cast(Hub, hub))
    assert not hub.answers


class FakeJournal:
    info = SimpleNamespace(writer_id="w")
    committed = 0


class FakeRun:
    """Logs something before each read; a flush takes all of its time if ``is_late``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_sent: bool, is_late: bool) -> None:
        self._writer = SimpleNamespace(journal=FakeJournal())
        self.monkeypatch = monkeypatch
        self.is_sent, self.is_late, self.flushes = is_sent, is_late, 0

    def flush(self, timeout: float) -> bool:
        assert timeout > 0
        self.flushes += 1
        self._writer.journal.committed += 10
        if self.is_late:
            late = _awaiting.time.monotonic() + timeout
            self.monkeypatch.setattr(_awaiting.time, "monotonic", lambda: late)
        return self.is_sent


@pytest.mark.parametrize(
    ("is_sent", "is_late", "flushes", "asked"), [(1, 0, 10, 10), (0, 0, 10, 10), (0, 1, 1, 2)]
)
def test_runs_at_work_send_their_rows_and_the_daemon_stores_them(
    is_sent: int, is_late: int, flushes: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FakeRun(monkeypatch, is_sent=bool(is_sent), is_late=bool(is_late))
    monkeypatch.setattr(_session, "active", [run])
    reads = flushes_of(FlushedHub(*[True] * 10), monkeypatch, every=0.01)
    # A read that sent nothing asks for no flush right after another.
    assert (run.flushes, len(reads)) == (flushes, asked)


def test_what_has_come_since_the_first_question_is_returned() -> None:
    missing = NotFoundError("no such project", status=404, code="not_found")
    listed = {"projects": [{"project": "p"}, {"project": "q"}]}
    assert project_facts(cast(Hub, AskedHub(missing, listed, {"project": "p"})), "p")
    with pytest.raises(NotFoundError, match=r"no project 'pp'.*did you mean 'p'"):
        project_facts(cast(Hub, AskedHub(missing, listed)), "pp")
    runs = {"runs": [{"run_id": "r1", "name": "one"}]}
    with pytest.raises(NotFoundError, match="no run 'r2' in project 'p'; known are 'r1'"):
        find_run(cast(Hub, AskedHub(missing, {"project": "p"}, runs)), "p", "r2")
    facts = {
        "run_id": "r1",
        "project": "p",
        "name": "one",
        "notes": "",
        "color": "",
        "archived": False,
        "tags": [],
        "group": "",
    }
    found = find_run(cast(Hub, AskedHub(missing, {"project": "p"}, runs, facts)), "p", "r1")
    assert found.id == "r1"


class AskedHub:
    """Gives one answer after the other."""

    url = "http://here"

    def __init__(self, *answers: dict[str, Any] | HubError) -> None:
        self.answers = list(answers)

    def ask(self, *_: str, **__: Any) -> dict[str, Any]:
        answer = self.answers.pop(0)
        if isinstance(answer, HubError):
            raise answer
        return answer


class FakeMediaHub:
    """A run with one image, whose bytes are stored from the question ``ready_at`` on."""

    url = FakeHub.url

    def __init__(
        self, *, ready_at: int, media_type: str = "image/png", **item: dict[str, Any] | str
    ) -> None:
        self.ready_at, self.media_type, self.item = ready_at, media_type, item
        self.asked: list[dict[str, Any]] = []

    def ask(self, *_: str, query: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(query)
        is_ready = len(self.asked) >= self.ready_at
        item = {
            "type": "image-file",
            "id": "b1",
            "state": "ready" if is_ready else "uploading",
            "digest": "d" * 64 if is_ready else "",
            "media_type": self.media_type if is_ready else "",
            "size": 3 if is_ready else 0,
            "url": "/blobs/d" if is_ready else "",
            "caption": "",
            "reason": "",
            **self.item,
        }
        return {"values": [{"metric": "im", "step": 4, "items": [item]}], "next_cursor": None}

    def fetched(self, _: str) -> io.BytesIO:
        return io.BytesIO(b"png")


STORED = f"media/images/im_4_{'d' * 20}.png"


def test_media_of_a_run_that_has_just_ended_are_waited_for() -> None:
    end("w")
    hub = FakeMediaHub(ready_at=3)
    (found,) = files_of(cast(Hub, hub), "p", "r")
    assert (found.name, found.size, found.state) == (STORED, 3, "ready")
    assert not _session.ended_media


def test_media_of_a_run_that_another_process_has_just_ended_are_waited_for() -> None:
    hub = FakeMediaHub(ready_at=3)
    (found,) = files_of(cast(Hub, hub), "p", "r", ended_at=time.time())
    assert (found.name, found.state) == (STORED, "ready")
    hub = FakeMediaHub(ready_at=3)
    (found,) = files_of(cast(Hub, hub), "p", "r", ended_at=time.time() - 100)
    assert (found.state, len(hub.asked)) == ("uploading", 1)


@pytest.mark.parametrize("seconds_ago", [None, 61.0])
def test_media_of_other_runs_are_not_waited_for(seconds_ago: float | None) -> None:
    if seconds_ago is not None:
        end("w", seconds_ago=seconds_ago)
    hub = FakeMediaHub(ready_at=3)
    (found,) = files_of(cast(Hub, hub), "p", "r")
    assert (found.state, len(hub.asked)) == ("uploading", 1)


def test_a_download_waits_for_the_bytes_and_has_their_name(tmp_path: Path) -> None:
    hub = FakeMediaHub(ready_at=3)
    (found,) = files_of(cast(Hub, hub), "p", "r")
    with found.download(tmp_path) as file:
        assert file.read() == b"png"
    assert found.name == STORED
    assert (tmp_path / STORED).exists()
    asked = hub.asked[-1]
    assert (asked["metric"], asked["first_step"], asked["last_step"]) == ("im", 4, 4)


@pytest.mark.parametrize(
    ("media_type", "ending"),
    [
        ("application/vnd.apache.parquet", ".parquet"),
        ("audio/wav", ".wav"),
        ("audio/flac", ".flac"),
        ("image/webp", ".webp"),
        ("image/jpeg", ".jpg"),
        ("model/gltf-binary", ".glb"),
        ("text/html", ".html"),
        ("video/mp4", ".mp4"),
    ],
)
def test_the_ending_of_a_file_is_the_same_on_every_machine(
    media_type: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = mimetypes.MimeTypes()  # Without the lists of this machine.
    monkeypatch.setattr("stepwell.api._files.mimetypes.guess_extension", plain.guess_extension)
    hub = FakeMediaHub(ready_at=1, media_type=media_type)
    (found,) = files_of(cast(Hub, hub), "p", "r")
    assert found.name.endswith(f"d{ending}")


@pytest.mark.parametrize(
    ("kind", "media_type", "format", "ending"),
    [
        ("molecule", "application/octet-stream", "pdb", ".pdb"),
        ("molecule", "application/octet-stream", "../x", ".bin"),
        ("molecule", "application/octet-stream", 7, ".bin"),
        ("object3D", "model/obj", "obj", ".obj"),
        ("object3D", "model/gltf+json", "gltf", ".gltf"),
        ("object3D", "application/json", "pts.json", ".pts.json"),
        ("object3D", "application/json", None, ".json"),
        ("image", "image/png", "jpg", ".png"),
    ],
)
def test_media_of_a_general_type_have_the_ending_of_their_format(
    kind: str, media_type: str, format: Any, ending: str
) -> None:
    about = {"type": f"{kind}-file", "about": {"format": format}}
    hub = FakeMediaHub(ready_at=1, media_type=media_type, **about)
    (found,) = files_of(cast(Hub, hub), "p", "r")
    assert found.name.split("d" * 20)[1] == ending


def test_a_download_without_bytes_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_awaiting, "_WAIT_SECONDS", 0.1)
    (found,) = files_of(cast(Hub, FakeMediaHub(ready_at=1000)), "p", "r")
    with pytest.raises(HubError, match=r"not stored its bytes yet.*stepwell status"):
        found.download(tmp_path)
