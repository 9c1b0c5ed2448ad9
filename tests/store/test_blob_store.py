"""The blob store: each content once, whole or not at all, and no blob lost to a collector."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from stepwell_store.blob_store import FolderBlobStore, open_blob_store
from tests.blobs import put_back_to


@pytest.fixture
def store(tmp_path: Path) -> FolderBlobStore:
    return FolderBlobStore(tmp_path / "store")


def put(store: FolderBlobStore, content: bytes, tmp_path: Path) -> tuple[str, bool]:
    source = tmp_path / "source"
    source.write_bytes(content)
    digest = blake3(content).hexdigest()
    is_new = store.put(digest, source)
    assert not source.exists()
    return digest, is_new


def test_a_blob_is_read_back_from_any_offset(store: FolderBlobStore, tmp_path: Path) -> None:
    digest, is_new = put(store, b"hello world", tmp_path)
    assert is_new
    with store.open(digest) as file:
        file.seek(6)
        assert file.read() == b"world"
    found = store.stat(digest)
    assert found is not None
    assert (found.digest, found.size) == (digest, 11)
    assert [each.digest for each in store.walk()] == [digest]


def test_the_same_content_is_stored_once(store: FolderBlobStore, tmp_path: Path) -> None:
    digest, _ = put(store, b"twice", tmp_path)
    assert put(store, b"twice", tmp_path) == (digest, False)
    assert len(list(store.walk())) == 1


def test_what_is_not_there_is_said_so(store: FolderBlobStore) -> None:
    assert store.stat("a" * 64) is None
    assert list(store.walk()) == []
    assert not store.delete_unless_newer("a" * 64, than=1e12)
    with pytest.raises(FileNotFoundError):
        store.open("a" * 64)


@pytest.mark.parametrize("digest", ["", "../../../etc/passwd", "A" * 64, "a" * 63, "a" * 63 + "/"])
def test_only_digests_are_names(store: FolderBlobStore, digest: str) -> None:
    with pytest.raises(ValueError, match="invalid digest"):
        store.open(digest)


def test_another_file_system_is_copied_from(
    store: FolderBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        if Path(source).name == "source":
            raise OSError(18, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    source = tmp_path / "source"
    source.write_bytes(b"far")
    digest = blake3(b"far").hexdigest()
    assert store.put(digest, source)
    assert store.open(digest).read() == b"far"


def test_a_blob_that_was_put_again_is_not_deleted(store: FolderBlobStore, tmp_path: Path) -> None:
    digest, _ = put(store, b"x", tmp_path)
    put_back_to(store, digest, 100.0)
    put(store, b"x", tmp_path)
    assert not store.delete_unless_newer(digest, than=200.0)
    put_back_to(store, digest, 100.0)
    assert store.delete_unless_newer(digest, than=200.0)
    assert store.stat(digest) is None


@pytest.mark.holds("named-blobs-stay")
def test_a_blob_that_is_put_while_it_is_being_deleted_stays(
    store: FolderBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, _ = put(store, b"x", tmp_path)
    put_back_to(store, digest, 100.0)
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        monkeypatch.setattr(os, "rename", real)
        put(store, b"x", tmp_path)  # Between the look at the time and the renaming.
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    assert not store.delete_unless_newer(digest, than=200.0)
    assert store.open(digest).read() == b"x"


def test_a_setting_names_an_absolute_folder(tmp_path: Path) -> None:
    assert isinstance(open_blob_store(tmp_path), FolderBlobStore)
    with pytest.raises(ValueError, match="absolute path"):
        open_blob_store(tmp_path, "blobs")


def test_a_group_that_may_read_the_store_reads_every_blob(tmp_path: Path) -> None:
    root = tmp_path / "shared"
    root.mkdir()
    root.chmod(0o2750)
    before = os.umask(0o077)  # A daemon's.
    try:
        digest, _ = put(FolderBlobStore(root), b"hello", tmp_path)
    finally:
        os.umask(before)
    folder = root / digest[:2]
    assert folder.stat().st_mode & 0o7777 == 0o2750
    assert (folder / digest[2:]).stat().st_mode & 0o777 == 0o640


def test_an_attempt_that_fails_leaves_nothing_behind(
    store: FolderBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk every retry would leave another half-written copy."""
    source = tmp_path / "source"
    source.write_bytes(b"content")
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    def sync(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", rename)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", sync)
        with pytest.raises(OSError, match="No space left"):
            store.put("a" * 64, source)
    assert [path for path in store.root.rglob("*") if path.is_file()] == []
    assert source.exists()
    monkeypatch.setattr(os, "rename", real)
    assert store.put("a" * 64, source)


class Killed(BaseException):
    """What a kill does, as far as a test can tell."""


def test_a_collector_that_is_killed_loses_no_blob(
    store: FolderBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, _ = put(store, b"x", tmp_path)
    put_back_to(store, digest, 100.0)
    real = os.rename

    def rename(source: Any, target: Any) -> None:
        put(store, b"x", tmp_path)  # It was said that it is kept.
        real(source, target)
        raise Killed

    with monkeypatch.context() as killing:
        killing.setattr(os, "rename", rename)
        with pytest.raises(Killed):
            store.delete_unless_newer(digest, than=200.0)
    assert store.stat(digest) is None
    assert list(store.walk()) == [], "another collector may be at it"
    later = FolderBlobStore(store.root, clock=lambda: time.time() + 100.0)
    assert [each.digest for each in later.walk()] == [digest]
    assert not store.delete_unless_newer(digest, than=200.0)
    with store.open(digest) as file:
        assert file.read() == b"x"


def test_a_manifest_is_kept_replaced_and_dropped(store: FolderBlobStore, tmp_path: Path) -> None:
    first, second = "1" * 32, "2" * 32
    assert list(store.manifests()) == []
    store.keep_manifest(first, b"old")
    store.keep_manifest(first, b"new")
    store.keep_manifest(second, b"other")
    assert store.manifest(first) == b"new"
    assert dict(store.manifests()) == {first: b"new", second: b"other"}
    digest, _ = put(store, b"x", tmp_path)
    assert [each.digest for each in store.walk()] == [digest], "a manifest is no blob"
    store.drop_manifest(first)
    store.drop_manifest(first)
    with pytest.raises(FileNotFoundError):
        store.manifest(first)
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        store.keep_manifest("../../x", b"")


def test_a_manifest_is_there_whole_or_not_at_all(
    store: FolderBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.keep_manifest("1" * 32, b"old")

    def sync(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", sync)
        with pytest.raises(OSError, match="No space left"):
            store.keep_manifest("1" * 32, b"new")
    assert store.manifest("1" * 32) == b"old"
    assert list((store.root / "scratch").iterdir()) == []


@pytest.mark.parametrize("mode", [0o750, 0o770])
def test_who_may_write_into_the_store_may_touch_its_blobs(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(mode)
    store = FolderBlobStore(root)
    contents = [str(number).encode() for number in range(40)]
    ready = []
    for content in contents:
        path = Path(store.new_scratch())
        path.write_bytes(content)
        ready.append((blake3(content).hexdigest(), str(path)))
    assert store.put_all(ready) == 40
    single = tmp_path / "single"
    single.write_bytes(b"single")
    store.put(blake3(b"single").hexdigest(), single)
    store.keep_manifest("ab" * 16, b"{}")
    files = [path for path in root.rglob("*") if path.is_file()]
    assert len(files) == 42
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640 | (mode & 0o020)}
    folders = [path for path in root.rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {mode}


def test_many_files_are_kept_once(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path / "root")
    for turn, new in enumerate((50, 0)):
        ready = []
        for number in range(100):
            path = Path(store.new_scratch())
            path.write_bytes(b"%d" % (number % 50))
            ready.append((blake3(path.read_bytes()).hexdigest(), str(path)))
        assert store.put_all(ready) == new, turn
        assert not list((tmp_path / "root" / "scratch").iterdir())
    assert len(list(store.walk())) == 50
