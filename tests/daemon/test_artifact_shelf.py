"""The shelf: drafts are taken once, whole, and only those of the writer that offers them."""

import asyncio
import dataclasses
import errno
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.artifacts.intake import DraftIntake, is_file_of_draft
from stepwell_daemon.artifacts.outcomes import Outcomes
from stepwell_daemon.artifacts.part import Artifacts
from stepwell_daemon.artifacts.shelf import Shelf
from stepwell_daemon.blobs.pipeline import StoreKeeper
from stepwell_daemon.config import DaemonConfig
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import BlobRefusedError
from stepwell_store.blob_store import FolderBlobStore
from stepwell_store.writer import WriterInfo
from stepwell_wire.blobs_pb2 import (
    LATER,
    REFUSED,
    SEND,
    TAKEN,
    ArtifactQuestion,
    ArtifactStates,
)
from stepwell_wire.drafts import DRAFT_FILE, folder_name
from stepwell_wire.folder import JournalFolder
from stepwell_wire.limits import PROTOCOL_MAJOR
from tests.daemon.drafts import make_draft
from tests.daemon.staged import INFO

WHO = WriterInfo("p", "r", "w", "", "run", "node", 7)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_DIR", str(tmp_path / "journals"))


class Desk:
    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journals" / "r-w"
        self.journal.mkdir(parents=True)
        self.source = folder / "source"
        self.source.write_bytes(b"content")
        self.shelf = Shelf(folder / "artifacts", free_bytes_min=0)
        self.shelf.open()
        self.taken = 0
        self.intake = DraftIntake(self.shelf, on_taken=self._note)

    def _note(self) -> None:
        self.taken += 1

    def draft(self) -> str:
        return make_draft(self.journal, {"a": self.source}).key

    def take(self, key: str, *, who: WriterInfo = WHO, keep: bool = False) -> int:
        folder = JournalFolder(self.journal)
        try:
            return self.intake.take(folder, folder_name(key), who, keep=keep).outcome
        finally:
            folder.close()

    def content(self, key: str) -> bytes:
        return (self.shelf.path(key) / "0").read_bytes()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_draft_is_moved_once_and_found_again(desk: Desk) -> None:
    key = desk.draft()
    assert desk.take(key) == TAKEN
    assert not list(desk.journal.iterdir())
    assert desk.take(key) == TAKEN
    assert (desk.shelf.keys, desk.taken, desk.content(key)) == ([key], 1, b"content")
    found = Shelf(desk.shelf.folder, free_bytes_min=0)
    found.open()
    assert found.keys == [key]


@pytest.mark.parametrize("way", ["keep", "another file system"])
def test_a_draft_that_cannot_be_moved_is_copied(
    desk: Desk, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = desk.draft()
    if way != "keep":
        rename = os.rename

        def only_within(source: Any, target: Any, **descriptors: int) -> None:
            if "src_dir_fd" in descriptors:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            rename(source, target)

        monkeypatch.setattr(os, "rename", only_within)
    assert desk.take(key, keep=way == "keep") == TAKEN
    assert desk.content(key) == b"content"
    assert (desk.journal / folder_name(key)).exists() == (way == "keep")
    assert os.stat(desk.source).st_ino != os.stat(desk.shelf.path(key) / "0").st_ino


def test_drafts_keep_their_order(desk: Desk) -> None:
    keys = [desk.draft() for _ in range(5)]
    for key in keys:
        desk.take(key)
    found = Shelf(desk.shelf.folder, free_bytes_min=0)
    found.open()
    assert found.keys == keys


def test_a_draft_of_another_run_is_refused(desk: Desk) -> None:
    key = desk.draft()
    assert desk.take(key, who=dataclasses.replace(WHO, run_id="other")) == REFUSED
    assert (desk.journal / folder_name(key)).exists()


def test_whoever_waits_for_a_refused_draft_is_told_until_it_is_taken_after_all(desk: Desk) -> None:
    key = desk.draft()
    other = dataclasses.replace(WHO, run_id="other")
    assert [desk.take(key, who=other), desk.take(key, who=other)] == [REFUSED, REFUSED]
    outcome = desk.shelf.outcomes.find(key)
    assert outcome is not None
    assert outcome["state"] == "failed"
    assert "p/other offers it" in outcome["reason"]
    assert desk.take(key) == TAKEN
    assert desk.shelf.outcomes.find(key) is None
    assert not desk.shelf.outcomes.failures()
    assert desk.shelf.keys == [key]


@pytest.mark.parametrize("damage", [b"{", b"[]", b"{}"])
def test_a_damaged_draft_is_refused_and_stays(desk: Desk, damage: bytes) -> None:
    key = desk.draft()
    (desk.journal / folder_name(key) / DRAFT_FILE).write_bytes(damage)
    assert desk.take(key) == REFUSED
    assert (desk.journal / folder_name(key)).exists()


def test_a_link_in_place_of_a_draft_is_not_followed(desk: Desk) -> None:
    key = desk.draft()
    path = desk.journal / folder_name(key)
    path.rename(desk.journal.parent / "elsewhere")
    path.symlink_to(desk.journal.parent / "elsewhere")
    assert desk.take(key) == SEND
    assert not desk.shelf.keys


def test_no_room_lets_a_copy_wait(desk: Desk) -> None:
    key = desk.draft()
    full = Shelf(desk.shelf.folder, free_bytes_min=1 << 62)
    desk.intake = DraftIntake(full, on_taken=lambda: None)
    assert desk.take(key, keep=True) == LATER
    assert (desk.journal / folder_name(key)).exists()


def test_a_draft_comes_over_the_socket_file_by_file(desk: Desk) -> None:
    key = desk.draft()
    folder = desk.journal / folder_name(key)
    for name in ("0", "entries", DRAFT_FILE):
        whole, data = f"{folder_name(key)}/{name}", (folder / name).read_bytes()
        assert is_file_of_draft(whole)
        desk.intake.receive(whole, len(data), len(data), b"", 0)
        assert desk.intake.accept(whole, len(data), WHO).offset == 0
        half = data[: len(data) // 2]
        desk.intake.receive(whole, len(data), 0, half, zlib.crc32(half))
        reply = desk.intake.accept(whole, len(data), WHO)
        assert (reply.outcome, reply.offset) == (LATER, len(half))
        rest = data[len(half) :]
        desk.intake.receive(whole, len(data), len(half), rest, zlib.crc32(rest))
        assert desk.intake.accept(whole, len(data), WHO).outcome == TAKEN
    assert desk.content(key) == b"content"
    assert desk.take(key) == TAKEN


@pytest.mark.parametrize("name", ["../../x", "draft.json/x", "other"])
def test_a_file_that_no_draft_has_is_refused(desk: Desk, name: str) -> None:
    whole = f"{folder_name('ab' * 16)}/{name}"
    with pytest.raises(BlobRefusedError):
        desk.intake.receive(whole, 1, 0, b"x", zlib.crc32(b"x"))
    assert desk.intake.accept(whole, 1, WHO).outcome == REFUSED
    outcome = desk.shelf.outcomes.find("ab" * 16)
    assert outcome is not None
    assert "not a valid name of a file of a draft" in outcome["reason"]


@pytest.mark.parametrize("has_come", [False, True])
def test_a_draft_without_a_word_is_refused(desk: Desk, has_come: bool) -> None:
    whole = f"{folder_name('ab' * 16)}/{DRAFT_FILE}"
    if has_come:
        desk.intake.receive(whole, 0, 0, b"", 0)
    assert desk.intake.accept(whole, 0, WHO).outcome == REFUSED


def test_old_outcomes_are_removed_while_the_daemon_runs(tmp_path: Path) -> None:
    outcomes = Outcomes(tmp_path / "done", kept_max=2, remove_every=4)
    outcomes.open()
    keys = [f"{number:032x}" for number in range(4)]
    for key in keys:
        outcomes.note(key, None, {"state": "committed", "reason": ""})
    assert sum(outcomes.find(key) is not None for key in keys) == 2
    assert outcomes.find(keys[-1]) is not None


def test_what_became_of_a_draft_outlives_it(desk: Desk) -> None:
    key = desk.draft()
    desk.take(key)
    desk.shelf.finish(key, {"state": "failed", "reason": "changed"})
    desk.shelf.remove(key)
    found = Shelf(desk.shelf.folder, free_bytes_min=0)
    found.open()
    outcome = found.outcomes.find(key)
    assert outcome is not None
    assert (outcome["state"], outcome["reason"], outcome["name"]) == ("failed", "changed", "data")
    assert not found.keys
    assert not found.path(key).exists()


def test_a_failure_is_found_again_with_a_later_version_of_its_name(desk: Desk) -> None:
    bad, good = desk.draft(), desk.draft()
    assert {desk.take(bad), desk.take(good)} == {TAKEN}
    desk.shelf.finish(bad, {"state": "failed", "reason": "of another type"})
    desk.shelf.remove(bad)

    again = Shelf(desk.shelf.folder, free_bytes_min=0)
    again.open()
    (failure,) = again.outcomes.failures()
    assert (failure["run_id"], failure["reason"]) == ("r", "of another type")
    assert not failure["has_later"]
    again.finish(good, {"state": "committed", "reason": ""})
    third = Shelf(desk.shelf.folder, free_bytes_min=0)
    third.open()
    for shelf in (again, third):
        (failure,) = shelf.outcomes.failures()
        assert (failure["reason"], failure["has_later"]) == ("of another type", True)


@pytest.mark.parametrize("what", ["draft.json", "the folder", "noting"])
def test_a_disk_that_fails_at_the_start_costs_no_draft(
    desk: Desk, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = desk.draft()
    desk.take(key)
    found = Shelf(desk.shelf.folder, free_bytes_min=0)
    file = found.path(key) / DRAFT_FILE
    content = file.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as failing:
        if what == "draft.json":
            failing.setattr("stepwell_daemon.artifacts.draft_files.open_regular", fail)
        elif what == "the folder":
            failing.setattr("stepwell_daemon.artifacts.shelf.read_draft", fail)
        else:
            file.write_bytes(b"{")
            failing.setattr(Shelf, "finish", fail)
        found.open()
        assert (found.keys, list(found.unread), key in found) == ([], [key], True)
        assert found.outcomes.find(key) is None
    file.write_bytes(content)
    found.find_unread()
    assert (found.keys, found.unread, found.outcomes.find(key)) == ([key], {}, None)


def test_a_broken_draft_at_the_start_has_failed(desk: Desk) -> None:
    key = desk.draft()
    desk.take(key)
    (desk.shelf.path(key) / DRAFT_FILE).unlink()
    (desk.shelf.path(key) / DRAFT_FILE).mkdir()
    found = Shelf(desk.shelf.folder, free_bytes_min=0)
    found.open()
    outcome = found.outcomes.find(key)
    assert outcome is not None
    assert (outcome["state"], found.keys, found.unread) == ("failed", [], {})


@pytest.mark.parametrize("way", ["moved", "copied"])
@pytest.mark.parametrize("damage", [b"{", b"another run"])
def test_a_draft_that_is_written_to_while_it_is_taken_is_refused(
    desk: Desk, way: str, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = desk.draft()
    held = desk.journal / folder_name(key)
    good = (held / DRAFT_FILE).read_bytes()
    changed = good.replace(b'"run_id":"r"', b'"run_id":"x"') if b"run" in damage else damage
    assert changed != good
    rename = os.rename

    def write_first(source: Any, target: Any, **descriptors: int) -> None:
        if "src_dir_fd" in descriptors:
            (held / DRAFT_FILE).write_bytes(changed)
            if way == "copied":
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target, **descriptors)

    with monkeypatch.context() as writing:
        writing.setattr(os, "rename", write_first)
        assert desk.take(key) == REFUSED
    assert (desk.shelf.keys, desk.taken) == ([], 0)
    assert not list((desk.shelf.folder / "arriving").iterdir())
    (held / DRAFT_FILE).write_bytes(good)
    assert desk.take(key) == TAKEN


@pytest.mark.parametrize("keep", [False, True])
def test_a_draft_that_cannot_be_made_durable_waits_beside_its_journal(
    desk: Desk, keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = desk.draft()

    def fail(path: Path) -> None:
        if path.name == "waiting":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with monkeypatch.context() as failing:
        failing.setattr("stepwell_daemon.artifacts.shelf.sync", fail)
        assert desk.take(key, keep=keep) == LATER
        assert not list((desk.shelf.folder / "waiting").iterdir())
    assert desk.take(key, keep=keep) == TAKEN


def _no_hub() -> None:
    return None


def test_a_draft_that_is_done_while_it_is_asked_for_is_not_unknown(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [desk.draft(), desk.draft()]
    for key in keys:
        desk.take(key)
    store = FolderBlobStore(tmp_path / "store")
    with ThreadPoolExecutor(1) as executor:
        keeper = StoreKeeper(store, executor)
        config = DaemonConfig(data=tmp_path)
        part = Artifacts(
            config,
            store=store,
            keeper=keeper,
            spool=None,  # type: ignore[arg-type]
            counters=Counters(),
            find_hub=_no_hub,
        )
    part.shelf = desk.shelf

    class Passing(Shelf):
        @property
        def keys(self) -> list[str]:
            found = super().keys
            self.remove(found[0])  # As the worker does, on its thread.
            return found

    def asked(**question: Any) -> list[tuple[str, str]]:
        packed = ArtifactQuestion(protocol_major=PROTOCOL_MAJOR, **question).SerializeToString()
        answer = asyncio.run(part.states(packed, None))
        return [(each.key, each.state) for each in ArtifactStates.FromString(answer).artifacts]

    with monkeypatch.context() as passing:
        passing.setattr(desk.shelf, "__class__", Passing)
        assert asked(project=INFO.project, name="data") == [(keys[1], "waiting")]

    def finish_first(key: str) -> None:
        desk.shelf.finish(key, {"state": "committed"})
        desk.shelf.remove(key)

    outcome = desk.shelf.outcomes.find
    monkeypatch.setattr(
        desk.shelf.outcomes, "find", lambda key: (outcome(key), finish_first(key))[0]
    )
    assert asked(keys=keys[1:]) == [(keys[1], "waiting")]
    assert asked(keys=keys[1:]) == [(keys[1], "committed")]
    part.close()
