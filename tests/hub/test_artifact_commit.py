"""Versions made of drafts: by the worker's own code, at a real hub over a real blob store."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from stepwell.cli.backup import copy_drafts
from stepwell_daemon.artifacts import hashing
from stepwell_daemon.artifacts.committing import Job, clean, commit
from stepwell_daemon.artifacts.digests import Digests
from stepwell_daemon.artifacts.hashing import DraftSpoiledError
from stepwell_daemon.artifacts.hub_calls import HubAwayError, HubCalls, HubPlace, HubRefusesError
from stepwell_daemon.artifacts.shelf import Shelf
from stepwell_store import EmbeddedStore, queries
from stepwell_store.blob_store import FolderBlobStore
from stepwell_wire.artifact_names import RUN_FILES_TYPE, run_files_name
from stepwell_wire.drafts import Draft, folder_name
from stepwell_wire.folder import JournalFolder
from stepwell_wire.manifest import parse_manifest
from stepwell_wire.staged import new_id
from tests.daemon.drafts import make_draft
from tests.daemon.staged import INFO
from tests.hub.conftest import Hub
from tests.hub.made import make_run

OLD_NS = 1_600_000_000_000_000_000
"""Long ago: what was written just now is not remembered by its time."""


class Direct(HubCalls):
    """The calls, answered by the application in this process."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(HubPlace("", 0, "", "", tls=False, is_own=True))
        self.hub, self.asked = hub, 0
        self.cut_after = -1  # Calls that reach the hub and whose answer is lost.

    def _answer(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": "application/json"}
        answer = self.hub.program.request(method, f"/api/v1{path}", content=body, headers=headers)
        self.asked += 1
        if self.asked == self.cut_after:
            raise HubAwayError("cut off")
        if answer.status_code >= 500 or answer.status_code == 404:
            raise HubAwayError(answer.text, status=answer.status_code)
        if answer.status_code >= 300:
            raise HubRefusesError(answer.json()["error"]["code"], answer.text)
        return answer.content


class Bench:
    """A blob store, a cache and drafts beside a journal."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.calls = Direct(hub)
        assert isinstance(hub.context.blobs, FolderBlobStore)
        self.store: FolderBlobStore = hub.context.blobs
        self.journal = folder / "journals" / "r-w"
        self.digests_file = folder / "digests.sqlite"
        self.digests = Digests(self.digests_file)
        self.sources = folder / "sources"
        self.sources.mkdir()
        self.read = 0

    def source(self, name: str, content: bytes) -> Path:
        path = self.sources / name
        path.write_bytes(content)
        os.utime(path, ns=(OLD_NS, OLD_NS))
        return path

    def draft(self, **files: Path) -> Draft:
        return make_draft(self.journal, files)

    def job(self, draft: Draft, **named: Any) -> Job:
        self.read = 0

        def tell(progress: dict[str, int]) -> None:
            self.progress = dict(progress)

        return Job(
            folder=self.journal / folder_name(draft.key),
            draft=draft,
            hub=self.calls,
            digests=self.digests,
            scratch=self.sources,
            report=tell,
            **{"store": self.store, **named},
        )

    def stored(self, content: bytes) -> bool:
        digest = blake3(content).hexdigest()
        found = self.store.stat(digest)
        return found is not None and self.store.open(digest).read() == content


@pytest.fixture
def bench(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("STEPWELL_DIR", str(tmp_path / "journals"))
    made = Bench(hub, tmp_path)
    yield made
    made.digests.close()


LARGE = os.urandom(5 << 20)  # Larger than what is read at once.


def test_a_draft_becomes_a_version_with_all_its_bytes(bench: Bench) -> None:
    draft = bench.draft(
        a=bench.source("a", b"small"), b=bench.source("b", LARGE), c=bench.source("c", b"")
    )
    job = bench.job(draft)
    version = commit(job)
    assert (version["version"], version["aliases"]) == ("v0", ["latest"])
    assert (version["file_count"], version["size"]) == (3, 5 + len(LARGE))
    assert all(map(bench.stored, (b"small", LARGE, b"")))
    assert bench.progress == {
        "files_done": 3,
        "files": 3,
        "bytes_done": version["size"],
        "bytes": version["size"],
    }
    clean(job)


def test_many_small_files_are_kept(bench: Bench) -> None:
    contents = {f"f{number}": str(number % 90).encode() for number in range(100)}
    draft = bench.draft(**{name: bench.source(name, data) for name, data in contents.items()})
    assert commit(bench.job(draft))["file_count"] == 100
    assert all(map(bench.stored, contents.values()))


def test_the_same_content_makes_no_version(bench: Bench) -> None:
    first = commit(bench.job(bench.draft(a=bench.source("a", b"x"))))
    second = commit(bench.job(bench.draft(a=bench.source("b", b"x"))))
    assert second["id"] == first["id"]
    third = commit(bench.job(bench.draft(a=bench.source("a", b"y"))))
    assert third["version"] == "v1"


def run_files(bench: Bench, files: dict[str, bytes], run_id: str = INFO.run_id) -> Draft:
    """Return a draft of files that a process of the run saved."""
    sources = {path: bench.source(new_id(), content) for path, content in files.items()}
    name = run_files_name(run_id)
    draft = make_draft(bench.journal, sources, name=name, type=RUN_FILES_TYPE)
    return draft._replace(run_id=run_id)


def files_of(bench: Bench, version: dict[str, Any]) -> dict[str, bytes]:
    entries = parse_manifest(bench.calls.manifest(version)).entries
    return {path: bench.store.open(each.digest).read() for path, each in entries.items()}


def test_a_version_of_saved_files_has_those_of_earlier_processes(bench: Bench) -> None:
    commit(bench.job(run_files(bench, {"a": b"1", "b": b"1", "c": b"1", "d/e": b"1"})))
    second = commit(bench.job(run_files(bench, {"b": b"2", "c/f": b"2", "d": b"2"})))
    assert second["version"] == "v1"
    # A file gives way to a folder of its name, and a folder to a file.
    assert files_of(bench, second) == {"a": b"1", "b": b"2", "c/f": b"2", "d": b"2"}
    third = commit(bench.job(run_files(bench, {"a": b"1"})))
    assert third["id"] == second["id"]


def test_a_run_with_the_id_of_a_deleted_one_has_its_own_files_only(
    bench: Bench, store: EmbeddedStore
) -> None:
    commit(bench.job(run_files(bench, {"of the deleted run": b"1"}, "again")))
    queries.delete_run(store, INFO.project, "again")
    # The node's clock is an hour ahead of the hub's.
    began = int((time.time() + 3600) * 1e6)
    make_run(store, INFO.project, "again", steps=0, started_us=began)
    own = commit(bench.job(run_files(bench, {"a": b"1"}, "again")))
    assert files_of(bench, own) == {"a": b"1"}
    resumed = commit(bench.job(run_files(bench, {"b": b"1"}, "again")))
    assert files_of(bench, resumed) == {"a": b"1", "b": b"1"}


def test_other_artifacts_and_other_runs_have_their_own_files_only(bench: Bench) -> None:
    commit(bench.job(bench.draft(a=bench.source("a", b"1"))))
    other = commit(bench.job(bench.draft(b=bench.source("b", b"1"))))
    assert files_of(bench, other) == {"b": b"1"}
    commit(bench.job(run_files(bench, {"a": b"1"}, "a b")))
    other = commit(bench.job(run_files(bench, {"b": b"1"}, "a_b")))
    assert other["version"] == "v1"  # The same name.
    assert files_of(bench, other) == {"b": b"1"}


def test_saved_files_that_two_nodes_commit_at_once_are_all_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(bench.job(run_files(bench, {"a": b"1"})))
    rivals = [run_files(bench, {"b": b"1"}), run_files(bench, {"c": b"1"})]
    found = bench.calls.latest

    def latest(project: str, name: str) -> dict[str, Any] | None:
        """The rivals commit between the answer and what is done with it."""
        answer = found(project, name)
        while rivals:
            commit(bench.job(rivals.pop()))
        return answer

    monkeypatch.setattr(bench.calls, "latest", latest)
    commit(bench.job(run_files(bench, {"d": b"1"})))
    newest = found(INFO.project, run_files_name(INFO.run_id))
    assert newest is not None
    assert files_of(bench, newest) == dict.fromkeys("abcd", b"1")


def test_saved_files_are_kept_if_earlier_bytes_are_missing(bench: Bench) -> None:
    first = commit(bench.job(run_files(bench, {"a": b"1"})))
    (digest,) = parse_manifest(bench.calls.manifest(first)).blobs()
    assert bench.store.delete_unless_newer(digest, than=time.time() + 60)
    assert files_of(bench, commit(bench.job(run_files(bench, {"b": b"2"})))) == {"b": b"2"}


@pytest.mark.holds("artifacts-come-back")
@pytest.mark.parametrize("lost", range(1, 5))
def test_a_lost_answer_makes_no_second_version_of_saved_files(bench: Bench, lost: int) -> None:
    commit(bench.job(run_files(bench, {"a": b"1"})))
    draft = run_files(bench, {"b": b"1"})
    bench.calls.cut_after = bench.calls.asked + lost
    with pytest.raises(HubAwayError):
        commit(bench.job(draft))
    commit(bench.job(run_files(bench, {"c": b"1"})))  # Of another node.
    assert sorted(files_of(bench, commit(bench.job(draft)))) == ["a", "b", "c"]
    assert bench.calls.numbered(INFO.project, draft.name, 3) is None


@pytest.mark.holds("artifacts-come-back")
@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_answer_makes_no_second_version(bench: Bench, lost: int) -> None:
    draft = bench.draft(a=bench.source("a", b"x"))
    bench.calls.cut_after = lost
    with pytest.raises(HubAwayError):
        commit(bench.job(draft))
    assert commit(bench.job(draft))["version"] == "v0"
    assert commit(bench.job(bench.draft(a=bench.source("a", b"y"))))["version"] == "v1"


def test_an_unchanged_file_is_not_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    source = bench.source("a", LARGE)
    job = bench.job(bench.draft(a=source))
    first = commit(job)
    clean(job)
    shutil.rmtree(job.folder)
    again = bench.draft(a=source)
    monkeypatch.setattr("stepwell_daemon.artifacts.hashing.Bytes._read", None)
    assert commit(bench.job(again))["id"] == first["id"]


@pytest.mark.parametrize("change", ["content", "time", "other"])
def test_a_changed_file_is_read_again(bench: Bench, change: str) -> None:
    source = bench.source("a", b"one")
    job = bench.job(bench.draft(a=source))
    commit(job)
    clean(job)
    shutil.rmtree(job.folder)
    if change == "content":
        source.write_bytes(b"two")
    elif change == "time":  # Written and put back to its old time.
        source.write_bytes(b"two")
        os.utime(source, ns=(OLD_NS, OLD_NS))
    else:
        (bench.sources / "new").write_bytes(b"two")
        os.replace(bench.sources / "new", source)
        os.utime(source, ns=(OLD_NS, OLD_NS))
    assert commit(bench.job(bench.draft(a=source)))["version"] == "v1"
    assert bench.stored(b"two")


def test_what_was_written_just_now_is_not_remembered(bench: Bench) -> None:
    source = bench.source("a", b"one")
    os.utime(source, ns=(time.time_ns(), time.time_ns()))
    job = bench.job(bench.draft(a=source))
    commit(job)
    clean(job)
    with closing(sqlite3.connect(bench.digests_file)) as database:
        assert database.execute("SELECT count(*) FROM digests").fetchone() == (0,)


@pytest.mark.holds("artifacts-come-back")
@pytest.mark.parametrize("how", ["longer", "same length", "cut"])
def test_a_change_in_place_fails_the_version(bench: Bench, how: str) -> None:
    source = bench.source("model.pt", b"epoch 1")
    draft = bench.draft(model=source)
    source.write_bytes({"longer": b"epoch 2 and more", "same length": b"epoch 2", "cut": b""}[how])
    with pytest.raises(DraftSpoiledError, match="model: changed in place after it was added"):
        commit(bench.job(draft))
    assert bench.calls.asked == 0


def test_a_change_before_the_daemon_copied_it_fails_the_version(bench: Bench) -> None:
    """Its journals are on another file system than its data."""
    source = bench.source("model.pt", b"epoch 1")
    drafts = [bench.draft(model=source), bench.draft(model=source)]
    for draft, changed in zip(drafts, (False, True), strict=True):
        if changed:
            source.write_bytes(b"epoch 2")
        shelf = Shelf(bench.sources / f"shelf-{changed}", free_bytes_min=0)
        shelf.open()
        folder = JournalFolder(bench.journal)
        shelf.take(folder, draft.key, approve=lambda draft: None, keep=True)
        folder.close()
        job = bench.job(draft)
        job.folder = shelf.path(draft.key)
        if changed:
            with pytest.raises(DraftSpoiledError, match="changed in place"):
                commit(job)
        else:
            commit(job)
            assert bench.stored(b"epoch 1")


def test_a_draft_that_waits_is_in_a_backup(bench: Bench, tmp_path: Path) -> None:
    source = bench.source("a", b"content")
    draft = bench.draft(a=source)
    waiting = tmp_path / "waiting"
    waiting.mkdir()
    os.rename(bench.journal / folder_name(draft.key), waiting / draft.key)
    assert copy_drafts(waiting, tmp_path / "copy") > 0
    source.write_bytes(b"changed")
    job = bench.job(draft)
    job.folder = tmp_path / "copy" / draft.key
    commit(job)
    assert bench.stored(b"content")
    assert copy_drafts(tmp_path / "missing", tmp_path / "none") == 0


@pytest.mark.parametrize("how", ["deleted", "replaced", "renamed"])
def test_what_becomes_of_the_path_is_of_no_account(bench: Bench, how: str) -> None:
    source = bench.source("a", b"first")
    draft = bench.draft(a=source)
    if how == "deleted":
        source.unlink()
    elif how == "renamed":
        source.rename(bench.sources / "elsewhere")
    else:
        (bench.sources / "new").write_bytes(b"second")
        os.replace(bench.sources / "new", source)
    commit(bench.job(draft))
    assert bench.stored(b"first")
    assert not bench.stored(b"second")


def test_a_held_copy_that_was_cut_is_named(bench: Bench) -> None:
    draft = bench.draft(a=bench.source("a", b"12345"))
    held = bench.journal / folder_name(draft.key) / "0"
    held.unlink()
    held.write_bytes(b"123")
    with pytest.raises(DraftSpoiledError, match="lost power"):
        commit(bench.job(draft))


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_something_else_in_place_of_a_held_file_spoils_the_draft(bench: Bench, kind: str) -> None:
    draft = bench.draft(a=bench.source("a", b"12345"))
    held = bench.journal / folder_name(draft.key) / "0"
    held.unlink()
    if kind == "link":
        held.symlink_to(bench.sources / "a")
    elif kind == "folder":
        held.mkdir()
    else:
        os.mkfifo(held)
    with pytest.raises(DraftSpoiledError, match=r"a: .*not a regular file"):
        commit(bench.job(draft))


@pytest.mark.parametrize("fault", ["spoiled", "store", "store of the batch before"])
def test_nothing_is_left_in_the_stores_scratch(
    bench: Bench, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", "b", "c")
    draft = bench.draft(**{name: bench.source(name, name.encode()) for name in names})
    if fault == "spoiled":
        (bench.journal / folder_name(draft.key) / "2").unlink()
    else:
        if fault == "store of the batch before":
            monkeypatch.setattr(hashing, "_BATCH_FILES", 1)
        monkeypatch.setattr(FolderBlobStore, "put", lambda *_: (_ for _ in ()).throw(OSError()))
    with pytest.raises((DraftSpoiledError, OSError)):
        commit(bench.job(draft))
    assert not list(Path(bench.store.new_scratch()).parent.iterdir())


def test_known_bytes_that_are_gone_from_the_store_are_put_again(bench: Bench) -> None:
    source = bench.source("a", b"content")
    job = bench.job(bench.draft(a=source))
    commit(job)
    clean(job)
    shutil.rmtree(job.folder)
    digest = blake3(b"content").hexdigest()
    bench.store.delete_unless_newer(digest, than=time.time() + 60)
    other = make_draft(bench.journal, {"b": source}, name="other")
    assert commit(bench.job(other))["version"] == "v0"
    assert bench.stored(b"content")


def test_without_a_store_only_missing_bytes_are_sent(bench: Bench) -> None:
    class Gateway:
        def __init__(self) -> None:
            self.sent: list[str] = []

        def put(self, digest: str, size: int, path: Path) -> None:
            self.sent.append(digest)
            bench.store.put(digest, path)

    gateway = Gateway()
    files = {"a": bench.source("a", b"one"), "b": bench.source("b", LARGE)}
    draft = bench.draft(**files)
    commit(bench.job(draft, store=None, elsewhere=gateway))
    assert sorted(gateway.sent) == sorted(blake3(each).hexdigest() for each in (b"one", LARGE))
    assert bench.stored(LARGE)
    commit(bench.job(bench.draft(c=files["a"]), store=None, elsewhere=gateway))
    assert len(gateway.sent) == 2


def test_a_version_can_be_logged_again_with_other_aliases(bench: Bench) -> None:
    first = commit(bench.job(bench.draft(a=bench.source("a", b"x"))))
    draft = make_draft(bench.journal, {}, aliases=("best",))
    again = commit(bench.job(draft, again=first["id"]))
    assert (again["id"], again["aliases"]) == (first["id"], ["best", "latest"])


def test_a_version_that_was_deleted_cannot_be_logged_again(bench: Bench) -> None:
    first = commit(bench.job(bench.draft(a=bench.source("a", b"x"))))
    bench.calls.call("DELETE", "/projects/p/artifacts/data/versions/v0?force=true")
    with pytest.raises(DraftSpoiledError):
        commit(bench.job(make_draft(bench.journal, {}), again=first["id"]))


def test_a_refusal_of_the_hub_fails_the_version(bench: Bench) -> None:
    commit(bench.job(bench.draft(a=bench.source("a", b"x"))))
    draft = bench.draft(a=bench.source("a", b"y"))._replace(type="model")
    with pytest.raises(DraftSpoiledError, match="type_wrong"):
        commit(bench.job(draft))


def test_a_path_that_lies_is_refused_before_the_hub(bench: Bench) -> None:
    draft = bench.draft(a=bench.source("a", b"x"))
    entries = bench.journal / folder_name(draft.key) / "entries"
    entries.write_bytes(entries.read_bytes().replace(b'"a"', b'"../a"'))
    with pytest.raises(DraftSpoiledError):
        commit(bench.job(draft))
    assert bench.calls.asked == 0
