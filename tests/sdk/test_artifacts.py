"""Artifacts as scripts build them: what is given is held, and what cannot be raises at the call."""

import contextlib
import errno
import fcntl
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

import stepwell
from stepwell._artifacts import files, handing, hold_folder, holding
from stepwell._artifacts.hold_folder import remove_abandoned
from stepwell._blob_delivery import BlobDelivery, HandedOver
from stepwell._recording import Recording
from stepwell._staging import Stager
from stepwell.cli.__main__ import main
from stepwell.errors import (
    ArtifactError,
    ArtifactFailedError,
    ArtifactFileError,
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    RunFinishedError,
    UnavailableError,
    WaitTimeoutError,
)
from stepwell.testing import RecordingDaemon
from stepwell_wire.drafts import ENTRIES_FILE, Held, Reference, parse_entries
from stepwell_wire.errors import ArtifactNameError
from tests.sdk.conftest import Start


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_DIR", str(tmp_path / "journals"))


def artifact(name: str = "data") -> stepwell.Artifact:
    return stepwell.Artifact(name, type="dataset")


def held_folder() -> Path:
    """Return the folder of the one artifact that is being built, as `hold_folder` draws it."""
    (lines,) = (Path(os.environ["STEPWELL_DIR"]) / hold_folder.HELD).glob(f"*/{ENTRIES_FILE}")
    return lines.parent


def held_entries() -> dict[str, Held | Reference]:
    """Return the entries of that artifact by path, read as the daemon reads them."""
    return parse_entries((held_folder() / ENTRIES_FILE).read_bytes().splitlines())


def held_content(path: str) -> bytes:
    entry = held_entries()[path]
    assert isinstance(entry, Held)
    return (held_folder() / str(entry.number)).read_bytes()


# ---------------------------------------------------------------------------- holding


@pytest.mark.parametrize("how", ["link", "copy"])
def test_a_deleted_or_replaced_file_is_held_as_it_was(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "copy":

        def no_link(source: str, target: str) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(holding.os, "link", no_link)
    folder = tmp_path / "temporary"
    folder.mkdir()
    (folder / "old.pt").write_bytes(b"first")
    (folder / "kept.pt").write_bytes(b"second")
    made = artifact()
    made.add_dir(folder)
    (folder / "new").write_bytes(b"rotated")
    os.replace(folder / "new", folder / "kept.pt")
    shutil.rmtree(folder)
    assert held_content("old.pt") == b"first"
    assert held_content("kept.pt") == b"second"


def test_a_copy_shares_nothing_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(source: str, target: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(holding.os, "link", no_link)
    source = tmp_path / "a"
    source.write_bytes(b"one")
    made = artifact()
    made.add_file(source)
    source.write_bytes(b"two")
    assert held_content("a") == b"one"


def test_folders_within_folders_and_links_to_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "f" / "sub").mkdir(parents=True)
    (tmp_path / "f" / "sub" / "a").write_bytes(b"a")
    (tmp_path / "elsewhere").write_bytes(b"b")
    (tmp_path / "f" / "link").symlink_to(tmp_path / "elsewhere")
    made = artifact()
    made.add_dir(tmp_path / "f", name="in/")
    assert sorted(held_entries()) == ["in/link", "in/sub/a"]
    assert held_content("in/link") == b"b"


def test_a_link_is_held_as_the_file_that_it_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "r.txt").write_bytes(b"r")
    (folder / "relative").symlink_to("r.txt")
    (folder / "twice").symlink_to("relative")
    (folder / "absolute").symlink_to(folder / "r.txt")
    monkeypatch.chdir(folder)
    made = artifact()
    made.add_dir(".")
    made.add_file("relative", name="alone")
    shutil.rmtree(folder)
    for path in ("r.txt", "relative", "twice", "absolute", "alone"):
        assert held_content(path) == b"r"
        entry = held_entries()[path]
        assert isinstance(entry, Held)
        assert not (held_folder() / str(entry.number)).is_symlink()


@pytest.mark.parametrize("target", ["nothing", "link"])
def test_a_link_that_leads_to_no_file_is_named(tmp_path: Path, start: Start, target: str) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "link").symlink_to(target)
    what = f"link: a broken link to {target}; remove it"
    with pytest.raises(ArtifactFileError, match=what):
        artifact().add_dir(tmp_path / "f")
    with pytest.raises(ArtifactFileError, match=what):
        artifact().add_file(tmp_path / "f" / "link")
    with pytest.raises(ArtifactFileError, match=what):
        start().log_artifact(tmp_path / "f" / "link")


@pytest.mark.parametrize("target", [".", "../elsewhere"])
def test_a_link_to_a_folder_within_a_folder_is_named(tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "sub").symlink_to(target)
    with pytest.raises(ArtifactFileError, match="sub: a link to a folder; add that folder"):
        artifact().add_dir(tmp_path / "f")
    with pytest.raises(ArtifactFileError, match="sub: a link to a folder; add that folder"):
        artifact().add_reference((tmp_path / "f").as_uri())


def test_an_error_that_needs_no_space_asks_for_none(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    os.utime(tmp_path / "a", (1, 1))  # A file that was just written is copied, not linked.
    for number, is_space in ((errno.EIO, False), (errno.ENOSPC, True)):

        def fail(source: str, target: str, number: int = number) -> None:
            raise OSError(number, os.strerror(number), source)

        monkeypatch.setattr(os, "link", fail)
        with pytest.raises(ArtifactError) as raised:
            start(reinit="finish_previous").log_artifact(tmp_path / "a")
        assert os.strerror(number) in str(raised.value)
        assert ("free some space" in str(raised.value)) is is_space


def test_the_lines_say_what_the_artifact_has(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    made = artifact()
    made.add_file(tmp_path / "a")
    made.add_file(tmp_path / "a", name="b/c")
    made.add_reference("s3://bucket/key")
    made.remove("b")
    assert list(held_entries()) == ["a", "key"]


def test_references_to_files_name_these_files(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for number, name in enumerate(["a%20b", "a b", "c#1", "c", "d?x", "d"]):
        (folder / name).write_bytes(b"x" * number)
    made = artifact()
    paths = made.add_reference(folder.as_uri())
    for path in paths:
        reference = held_entries()[path]
        assert isinstance(reference, Reference)
        source = unquote(urlsplit(reference.uri).path)
        assert source == str(folder / path)
        assert reference.size == os.path.getsize(source)
    for address in (f"file://{folder}/c#1", f"file://{folder}/d?x"):
        with pytest.raises(ArtifactFileError, match="%3F and %23"):
            made.add_reference(address, name="other")
    (folder / "gone").symlink_to(folder / "nothing")
    with pytest.raises(ArtifactFileError, match="gone: a broken link"):
        made.add_reference(folder.as_uri(), name="again")


def test_a_file_that_could_not_be_added_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    made = artifact()
    with pytest.raises(ArtifactFileError, match="no such file"):
        made.add_file(tmp_path / "missing", name="a/b")
    made.add_file(tmp_path / "a")
    with pytest.raises(ArtifactFileError, match="a is a file"), made.new_file("a/b"):
        pass
    assert list(held_entries()) == ["a"]


def test_what_is_not_logged_is_removed_with_its_artifact(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    made = artifact()
    made.add_file(tmp_path / "a")
    folder = held_folder()
    del made
    assert not folder.exists()


def test_what_a_killed_process_held_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "held"
    (root / "77-ab-key").mkdir(parents=True)
    (root / "77-ab-key" / "0").write_bytes(b"x")
    (root / "77-ab.lock").touch()
    remove_abandoned(root)
    assert not list(root.iterdir())


def test_a_lock_is_not_taken_before_its_owner_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock
    root = Path(os.environ["STEPWELL_DIR"]) / hold_folder.HELD

    def after_another(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        remove_abandoned(root)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", after_another)
    folder = hold_folder.make_hold_folder("key")
    remove_abandoned(root)
    owner = folder.name.removesuffix("-key")
    assert {each.name for each in root.iterdir()} == {folder.name, f"{owner}.lock"}


def test_a_folder_that_has_the_journals_is_added_without_them(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    made = artifact()
    made.add_dir(tmp_path)
    assert list(held_entries()) == ["a"]


# ---------------------------------------------------------------------------- at the call


def test_what_is_not_there_raises_at_the_call(tmp_path: Path) -> None:
    made = artifact()
    os.mkfifo(tmp_path / "pipe")
    for call in (
        lambda: made.add_file(tmp_path / "missing"),
        lambda: made.add_file(tmp_path),
        lambda: made.add_file(tmp_path / "pipe"),
        lambda: made.add_dir(tmp_path / "missing"),
        lambda: made.add_reference("no address"),
        lambda: made.add_reference("file:///no/such/file"),
    ):
        with pytest.raises(ArtifactFileError):
            call()
    (tmp_path / "a").write_bytes(b"a")
    made.add_file(tmp_path / "a")
    assert list(held_entries()) == ["a"], "no failed call left an entry"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:v1", "..", "x" * 129])
def test_a_bad_name_raises_at_the_call(name: str) -> None:
    with pytest.raises(ArtifactNameError):
        artifact(name)


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../b", "a\\b", "a//b", "\n"])
def test_a_path_that_leads_elsewhere_raises_at_the_call(tmp_path: Path, path: str) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(ArtifactFileError):
        artifact().add_file(tmp_path / "a", name=path)


def test_a_name_is_taken_by_one_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    made = artifact()
    made.add_file(tmp_path / "a", name="x")
    made.add_file(tmp_path / "a", name="x")
    with pytest.raises(ArtifactFileError, match="overwrite=True"):
        made.add_file(tmp_path / "b", name="x")
    with pytest.raises(ArtifactFileError, match="x is a file"):
        made.add_file(tmp_path / "b", name="x/y")
    made.add_file(tmp_path / "b", name="x", overwrite=True)
    assert held_content("x") == b"b"


def test_a_new_file_counts_when_it_was_written_without_an_exception() -> None:
    made = artifact()
    with made.new_file("a/b.txt") as file:
        file.write("text")
    with contextlib.suppress(KeyError), made.new_file("c", mode="wb") as file:
        file.write(b"half")
        raise KeyError
    assert list(held_entries()) == ["a/b.txt"]
    assert held_content("a/b.txt") == b"text"
    with pytest.raises(ValueError, match="mode"), made.new_file("d", mode="r"):
        pass


def test_what_no_release_keeps_says_so() -> None:
    with pytest.raises(UnavailableError):
        stepwell.Artifact("a", type="t", incremental=True)
    with pytest.raises(UnavailableError):
        artifact().add(object(), "x")


# ---------------------------------------------------------------------------- logging


def test_an_artifact_is_handed_over_whole(
    start: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    run = start()
    made = stepwell.Artifact("data", "dataset", "about it", {"rows": 3})
    made.add_file(tmp_path / "a")
    assert made.is_draft()
    assert run.log_artifact(made, aliases=["best", "latest"]) is made
    assert not made.is_draft()
    assert made.wait(60).version == "v0"
    (got,) = daemon.artifacts
    assert got.files == {"a": b"a"}
    assert (got.draft.description, got.draft.metadata) == ("about it", {"rows": 3})
    assert got.draft.aliases == ("best",)
    assert got.draft.run_id == run.id
    with pytest.raises(ArtifactFinalizedError):
        made.add_file(tmp_path / "a", name="b")
    run.finish()
    assert not Path(run._journal_dir).exists()


def test_an_artifact_without_files_is_handed_over_too(
    start: Start, daemon: RecordingDaemon
) -> None:
    run = start()
    made = artifact()
    run.log_artifact(made)
    assert made.wait(60).version == "v0"
    (got,) = daemon.artifacts
    assert got.files == {}
    run.finish()


def test_an_artifact_can_be_logged_again(
    start: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    run = start()
    made = run.log_artifact(tmp_path / "a", name="data", type="t").wait(60)
    again = run.log_artifact(made, aliases=["later"]).wait(60)
    assert (again.version, again.aliases) == ("v0", ["later", "latest"])
    run.finish()


def test_a_run_that_ended_takes_no_artifact(start: Start, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    run = start()
    run.finish()
    with pytest.raises(RunFinishedError):
        run.log_artifact(tmp_path / "a")


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_an_artifact_that_comes_too_late_keeps_its_files(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_elsewhere: bool
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    run = start()
    made = artifact()
    made.add_file(tmp_path / "a")
    held = held_folder()
    publish = handing._publish

    def after_the_end(recording: Recording, stager: Stager, folder: Path, key: str) -> None:
        if is_elsewhere and folder == held:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        run.finish()
        publish(recording, stager, folder, key)

    monkeypatch.setattr(handing, "_publish", after_the_end)
    with pytest.raises(RunFinishedError):
        run.log_artifact(made)
    assert held_content("a") == b"a"
    monkeypatch.undo()
    del made
    assert not held.exists()


def test_a_sync_leaves_held_files_alone(offline: Start, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    run = offline()
    run.log_artifact(tmp_path / "a")
    stager = run._recording.writer.stager
    assert stager is not None
    (draft,) = stager.staged()
    held = stager.folder / draft / "0"
    held.unlink()
    held.symlink_to(held)  # Cannot be opened, by root either.
    stager.sync()
    assert not stager._unsynced
    run.finish()


def test_a_bad_alias_or_metadata_raise_at_the_call(start: Start, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    run = start(mode="offline")
    with pytest.raises(ArtifactNameError):
        run.log_artifact(tmp_path / "a", aliases=["v3"])
    with pytest.raises(ArtifactFileError, match="no such file"):
        run.log_artifact(tmp_path / "missing")
    with pytest.raises(TypeError, match="takes an Artifact or a path"):
        run.log_artifact({"a": 1})
    large = stepwell.Artifact("a", "t", metadata={"x": ["x" * 1000] * 1100})
    with pytest.raises(ValueError, match="metadata"):
        run.log_artifact(large)


def test_metadata_takes_the_values_of_a_config(start: Start, daemon: RecordingDaemon) -> None:
    run = start()
    values = {"score": math.nan, "all": [math.inf, {"low": -math.inf}], "n": np.float32(0.5)}
    run.log_artifact(stepwell.Artifact("model", "model", metadata=values)).wait(60)
    (got,) = daemon.artifacts
    assert got.draft.metadata == {
        "score": {"$float": "NaN"},
        "all": [{"$float": "Infinity"}, {"low": {"$float": "-Infinity"}}],
        "n": 0.5,
    }
    run.finish()


def test_offline_it_waits_with_the_run_until_sync(
    offline: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    run = offline()
    made = run.log_artifact(tmp_path / "a")
    with pytest.raises(ArtifactNotLoggedError, match="stepwell sync"):
        made.wait()
    with pytest.raises(ArtifactNotLoggedError):
        _ = made.version
    run.finish()
    assert not daemon.artifacts
    report = stepwell.sync(run._journal_dir)
    assert not report.failed
    assert daemon.artifacts[0].files == {"a": b"a"}
    assert not Path(run._journal_dir).exists()


def test_offline_a_checkpoint_that_is_written_again_in_place_is_kept_each_time(
    offline: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    """As `torch.save` does, and wandb copies files too."""
    run = offline()
    (tmp_path / "d").mkdir()
    for epoch in range(3):
        (tmp_path / "net.pt").write_bytes(b"weights %d" % epoch)
        with (tmp_path / "d" / "log").open("ab") as file:
            file.write(b"%d" % epoch)
        artifact = stepwell.Artifact("net", "model")
        artifact.add_file(str(tmp_path / "net.pt"))
        artifact.add_dir(str(tmp_path / "d"))
        run.log_artifact(artifact)
    run.finish()
    assert not stepwell.sync(run._journal_dir).failed
    assert [each.files for each in daemon.artifacts] == [
        {"net.pt": b"weights 0", "log": b"0"},
        {"net.pt": b"weights 1", "log": b"01"},
        {"net.pt": b"weights 2", "log": b"012"},
    ]


def test_online_a_checkpoint_that_is_written_again_in_place_is_kept_each_time(
    start: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    run = start()
    path = tmp_path / "best.npz"
    for epoch in range(20):
        path.write_bytes(b"weights %02d" % epoch)  # The same file, not a new one.
        artifact = stepwell.Artifact("best", "model")
        artifact.add_file(str(path))
        run.log_artifact(artifact)
    artifact.wait(60)
    run.finish()
    assert [each.files["best.npz"] for each in daemon.artifacts] == [
        b"weights %02d" % epoch for epoch in range(20)
    ]


@pytest.mark.parametrize("case", ["old", "large", "many", "full"])
def test_other_files_are_linked(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    if case == "old":
        os.utime(path, (1, 1))
    elif case == "large":
        os.truncate(path, (64 << 20) + 1)
    elif case == "many":
        monkeypatch.setattr(files, "_COPIED_FILES_MAX", 0)
    else:

        def full(source: str, target: str) -> None:
            Path(target).write_bytes(b"")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

        monkeypatch.setattr(shutil, "copyfile", full)
    monkeypatch.setattr(holding, "_cloned", lambda *_: False)
    made = artifact()
    made.add_file(path)
    assert os.stat(path).st_nlink == 2


def test_a_disabled_run_keeps_nothing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    run = start(mode="disabled")
    made = run.log_artifact(tmp_path / "a")
    assert made.wait() is made


def test_an_artifact_of_a_disabled_run_has_the_facts_of_a_version(
    start: Start, tmp_path: Path
) -> None:
    """A script that prints them after wait() passes a dry run; its files are not kept."""
    (tmp_path / "a").write_bytes(b"abc")
    run = start(project="p", mode="disabled")
    made = stepwell.Artifact("model", "model", "about", {"n": 1})
    made.add_file(tmp_path / "a")
    made.add_reference("s3://elsewhere/b")
    run.log_artifact(made, aliases="best")
    with pytest.raises(ArtifactNotLoggedError, match=r"call wait\(\) first"):
        _ = made.version  # As in a run that is not disabled.
    made.wait()
    _check_stand_in(made, size=3, file_count=2)
    assert (made.aliases, made.description, made.metadata) == (
        ["latest", "best"],
        "about",
        {"n": 1},
    )
    assert run.use_artifact(made) is made
    run.log_artifact(made)
    assert made.wait().version == "v0"
    draft = run.use_artifact(stepwell.Artifact("model", "model"), aliases=["new"])
    assert (draft.version, draft.aliases) == ("v0", ["latest", "new"])


@pytest.mark.parametrize(
    ("asked", "name", "aliases"),
    [
        ("model", "model:v0", ["latest"]),
        ("model:best", "model:v0", ["best"]),
        ("p/model:v3", "model:v3", []),
    ],
)
def test_an_artifact_that_a_disabled_run_uses_has_the_facts_of_a_version(
    start: Start, asked: str, name: str, aliases: list[str]
) -> None:
    run = start(project="p", mode="disabled")
    used = run.use_artifact(asked, type="model")
    _check_stand_in(used.wait(), name=name)
    assert (used.aliases, used.type) == (aliases, "model")
    with pytest.raises(ArtifactNotLoggedError, match="its run is disabled"):
        run.use_model(asked)


def _check_stand_in(
    made: stepwell.Artifact, *, name: str = "model:v0", size: int = 0, file_count: int = 0
) -> None:
    assert (made.name, made.version, made.source_version) == (name, *[name.partition(":")[2]] * 2)
    assert (made.qualified_name, made.project, made.state) == (f"p/{name}", "p", "COMMITTED")
    assert (made.size, made.file_count, made.digest, made.url, made.id) == (
        size, file_count, "", "", None,
    )  # fmt: skip
    assert str(made.created_at)[:2] == str(made.updated_at)[:2] == "20"
    assert (made.logged_by(), made.used_by()) == (None, [])
    made.save()
    made.delete()
    for read in (made.download, made.files, made.verify, made.checkout, made.file):
        with pytest.raises(ArtifactNotLoggedError, match="its run is disabled; start the run with"):
            read()


def test_an_artifact_of_a_disabled_run_is_logged_by_a_later_run(
    start: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    made = stepwell.Artifact("model", "model")
    made.add_file(tmp_path / "a")
    with start(mode="disabled") as run:
        run.log_artifact(made).wait()
    with start() as run:
        run.log_artifact(made)
        assert made.state == "PENDING"
    (held,) = daemon.artifacts
    assert held.files == {"a": b"abc"}


def test_wait_gives_up_and_says_what_goes_on(
    start: Start, daemon: RecordingDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a")

    def busy(self: BlobDelivery, names: Sequence[str]) -> HandedOver:
        return HandedOver([], {}, "no room now")

    run = start()
    with monkeypatch.context() as patched:
        patched.setattr(BlobDelivery, "hand_over", busy)
        made = run.log_artifact(tmp_path / "a")
        with pytest.raises(WaitTimeoutError, match="stepwell status"):
            made.wait(0.2)
    run.finish()


def test_wait_ends_when_the_draft_is_refused(
    start: Start,
    daemon: RecordingDaemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(self: BlobDelivery, names: Sequence[str]) -> HandedOver:
        return HandedOver([], dict.fromkeys(names, "changed in place"))

    (tmp_path / "a").write_bytes(b"a")
    monkeypatch.setattr(BlobDelivery, "hand_over", refuse)
    run = start()
    made = run.log_artifact(tmp_path / "a", name="data")
    with pytest.raises(ArtifactFailedError, match="'data': changed in place"):
        made.wait(60)
    run.finish()
    said = capsys.readouterr().err
    assert "artifact 'data' was not logged, its files are kept in" in said
    assert "media file" not in said


def test_save_keeps_files_as_they_are_at_the_end(
    start: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_bytes(b"1")
    run = start()
    assert run.save(str(tmp_path / "out" / "*.txt"), base_path=tmp_path) == [
        str(tmp_path / "out" / "a.txt")
    ]
    (tmp_path / "out" / "new").write_bytes(b"22")
    os.replace(tmp_path / "out" / "new", tmp_path / "out" / "a.txt")
    with pytest.raises(ValueError, match="policy"):
        run.save("x", policy="sometimes")
    run.finish()
    assert [each.files for each in daemon.artifacts] == [
        {"out/a.txt": b"1"},
        {"out/a.txt": b"22"},
    ]
    assert {each.draft.name for each in daemon.artifacts} == {f"run-{run.id}-files"}


def test_save_reads_a_relative_path_from_the_current_folder(
    start: Start, daemon: RecordingDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "a").mkdir(parents=True)
    (tmp_path / "models" / "a" / "model.zip").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    kept = [str(tmp_path / "models" / "a" / "model.zip")]
    run = start()
    assert run.save("models/a/*", base_path="models") == kept
    assert run.save("models/a/model.zip", base_path="models/a", glob=False) == kept
    run.finish()
    assert [sorted(each.files) for each in daemon.artifacts] == [
        ["a/model.zip"],
        ["a/model.zip", "model.zip"],
    ]


def test_save_follows_links_to_files_and_names_the_others(
    start: Start,
    daemon: RecordingDaemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    Path("out/step-1.pt").write_bytes(b"1")
    Path("out/latest.pt").symlink_to("step-1.pt")
    Path("out/gone.pt").symlink_to("nothing.pt")
    Path("out/all").symlink_to(".")
    run = start()
    run.save("out/latest.pt")
    assert run.save("out") == [f"{tmp_path}/out/{name}" for name in ("latest.pt", "step-1.pt")]
    run.finish()
    assert daemon.artifacts[-1].files == {"out/latest.pt": b"1", "out/step-1.pt": b"1"}
    said = capfd.readouterr().err
    assert f"save(): {tmp_path}/out/gone.pt was not kept: a broken link to nothing.pt" in said
    assert f"save(): {tmp_path}/out/all was not kept: a link to a folder" in said


def test_each_saved_file_is_kept_as_its_policy_says(
    start: Start, daemon: RecordingDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("now", "gone", "live"):
        Path(name).write_bytes(b"1")
    run = start()
    run.save("now", policy="now")
    run.save("gone")
    run.save("live", policy="live")
    Path("now").write_bytes(b"changed in place")
    Path("gone").unlink()
    Path("new").write_bytes(b"22")
    Path("new").replace("live")
    Path("last").write_bytes(b"3")
    run.save("last")
    run.finish()
    files = {"now": b"1", "gone": b"1", "live": b"1", "last": b"3"}
    assert [each.files for each in daemon.artifacts][3:] == [files, {**files, "live": b"22"}]


def test_save_looks_again_for_files_that_appear_later(
    start: Start,
    daemon: RecordingDaemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run = start()
    assert run.save("ckpt/*.pt") == []
    assert run.save("report.txt", policy="end") == []
    assert run.save("now/*", policy="now") == []
    assert "save('now/*'): no file matched; policy=\"live\" looks again" in capfd.readouterr().err
    for path in ("ckpt/1.pt", "now/a", "other"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_bytes(b"1")
    assert run.save("other") == [str(tmp_path / "other")]
    for path in ("ckpt/2.pt", "report.txt"):
        Path(path).write_bytes(b"2")
    run.finish()
    first = {"ckpt/1.pt": b"1", "other": b"1"}
    assert [each.files for each in daemon.artifacts] == [
        first,
        {**first, "ckpt/2.pt": b"2", "report.txt": b"2"},
    ]
    assert "no file matched" not in capfd.readouterr().err


def test_save_keeps_new_files_of_a_folder_at_the_end(
    start: Start, daemon: RecordingDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out/a").write_bytes(b"1")
    run = start()
    run.save("out")
    run.save("out/a", policy="now")
    for path in ("out/a", "out/b"):
        Path(path).write_bytes(b"2")
    run.finish()
    assert daemon.artifacts[-1].files == {"out/a": b"1", "out/b": b"2"}


def test_patterns_without_a_match_are_named_at_the_end(
    start: Start,
    daemon: RecordingDaemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path)
    run = start()
    for pattern in ("nope.txt", "nope.txt", *(f"{number}/*" for number in range(11))):
        assert run.save(pattern) == []
    run.save("outside", base_path="base")
    Path("outside").write_bytes(b"1")
    assert "no file matched" not in capfd.readouterr().err
    run.finish()
    said = capfd.readouterr().err
    assert said.count("save('nope.txt'): no file matched\n") == 1
    assert said.count("no file matched\n") == 10
    assert "save(): no file matched 2 more patterns" in said
    assert f"save('outside'): {tmp_path}/outside: not below {tmp_path}/base" in said
    assert daemon.artifacts == []


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a/*.txt", ["a/x.txt", "a/y.txt"]),
        ("a/x.txt", ["a/x.txt"]),
        ("a", ["a/x.txt", "a/y.txt"]),
        ("a/", ["a/x.txt", "a/y.txt"]),
        ("[ab]/x.txt", ["a/x.txt", "b/x.txt"]),
        ("**/x.txt", ["a/x.txt", "b/x.txt"]),
        ("*/deep/*", ["a/deep/z", "b/deep/z"]),
    ],
)
def test_an_absolute_path_is_saved_with_the_name_of_its_folder(
    start: Start, daemon: RecordingDaemon, tmp_path: Path, pattern: str, names: list[str]
) -> None:
    for name in ("a/x.txt", "a/y.txt", "b/x.txt", *(n for n in names if "deep" in n)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    run = start()
    run.save(f"{tmp_path}/{pattern}")
    run.finish()
    assert daemon.artifacts[-1].files == {name: name.encode() for name in names}


def test_files_of_one_name_from_two_folders_are_both_saved_or_named(
    start: Start, daemon: RecordingDaemon, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ("p/a/x.txt", "q/a/x.txt", "p/b/x.txt", "q/b/x.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    run = start()
    first, twin, other, meant = (str(tmp_path / name) for name in names)
    run.save(first)
    run.save(other)
    run.save(first)
    assert "replaces" not in capfd.readouterr().err
    run.save(twin)
    replaced = f"save(): {twin} replaces {first}, because both are saved as a/x.txt; pass base_path"
    assert replaced in capfd.readouterr().err
    run.save(first, base_path=tmp_path)
    run.save(meant, base_path=tmp_path / "q")
    run.finish()
    assert "replaces" not in capfd.readouterr().err, "a call with base_path means to replace"
    assert daemon.artifacts[-1].files == {
        "a/x.txt": b"q/a/x.txt",
        "b/x.txt": b"q/b/x.txt",
        "p/a/x.txt": b"p/a/x.txt",
    }


def test_a_file_that_comes_later_under_a_taken_path_is_named(
    start: Start, daemon: RecordingDaemon, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("p/a/x.txt", "q/a/y.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    run = start()
    run.save(f"{tmp_path}/p/a/*.txt")
    run.save(f"{tmp_path}/q/a/*.txt")
    (tmp_path / "q/a/x.txt").write_text("later")
    run.finish()
    assert f"{tmp_path}/p/a/x.txt replaces {tmp_path}/q/a/x.txt" in capfd.readouterr().err
    assert daemon.artifacts[-1].files["a/x.txt"] == b"p/a/x.txt"


def test_a_path_in_the_folder_of_the_run_is_saved_relative_to_it(
    start: Start, daemon: RecordingDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for rank, variables in ((0, {}), (1, {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"})):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        run = start(id="run-1")
        Path(run.dir, "deep").mkdir()
        for name in ("x.pt", "deep/y.pt"):
            Path(run.dir, name).write_text(str(rank))
        run.save(f"{run.dir}/*.pt")
        run.save(f"{run.dir}/deep/y.pt")
        run.finish()
    first, second = daemon.artifacts[1].files, daemon.artifacts[3].files
    assert first == {"x.pt": b"0", "deep/y.pt": b"0"}
    assert second == {"files-rank1/x.pt": b"1", "files-rank1/deep/y.pt": b"1"}


def test_a_path_without_patterns_may_contain_their_characters(
    start: Start, daemon: RecordingDaemon, tmp_path: Path
) -> None:
    path = tmp_path / "lr[0]" / "a*" / "x.txt"
    path.parent.mkdir(parents=True)
    path.write_text("1")
    run = start()
    run.save(path, glob=False)
    run.finish()
    assert daemon.artifacts[-1].files == {"a*/x.txt": b"1"}


def test_a_held_file_is_told_from_a_reference() -> None:
    lines = [b'["a",0,1,2,3,4,5,6]', b'["b","s3://x","",null]', b'["a"]', b'["c",1,1,2,0,0,0,0]']
    found = parse_entries(lines)
    assert list(found) == ["b", "c"]
    assert isinstance(found["c"], Held)


def test_ctrl_c_at_put_says_that_the_daemon_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_bytes(b"1")

    def interrupted(self: stepwell.Artifact, timeout: float | None = None) -> stepwell.Artifact:
        raise KeyboardInterrupt

    monkeypatch.setattr(stepwell.Artifact, "wait", interrupted)
    with RecordingDaemon() as daemon:
        monkeypatch.setenv("STEPWELL_SOCKET", str(daemon.socket))
        code = main(["artifact", "put", str(tmp_path / "a.txt"), "--name", "digits/data"])
        assert code == 130
        assert [each.draft.name for each in daemon.artifacts] == ["data"]
    assert "the daemon still commits digits/data" in capfd.readouterr().err


def test_what_is_not_kept_of_an_artifact_is_said(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start()
    made = artifact()
    made.tags, made.ttl = ["a"], 7
    run.log_artifact(made)
    run.finish()
    said = capsys.readouterr().err
    assert said.count("tags of artifacts are not stored") == 1
    assert said.count("artifact.ttl has no effect") == 1
