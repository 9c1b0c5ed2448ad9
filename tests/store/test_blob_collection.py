"""Collecting blobs: what a row names stays, what nothing names goes after the grace period."""

from contextlib import closing
from pathlib import Path

import pytest

from stepwell_store import Store, open_embedded
from stepwell_store.blob_collection import (
    EmptyTableError,
    ManifestUnreadableError,
    collect_blobs,
    note_table,
)
from stepwell_store.blob_store import FolderBlobStore
from stepwell_store.deletion import delete_runs
from stepwell_wire.manifest import Entry, Manifest
from tests.blobs import put_back_to, put_blob
from tests.store.made import START_US, event, fresh_project, tell, writer

pytestmark = pytest.mark.holds("named-blobs-stay")

OLD, CUTOFF = 100.0, 2_000_000_000.0
ID = "0" * 32


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobStore:
    return FolderBlobStore(tmp_path / "blobs")


def put_at(blobs: FolderBlobStore, content: bytes, *, at: float = OLD) -> str:
    """Keep ``content`` as if it had come at ``at``."""
    digest = put_blob(blobs, content)
    put_back_to(blobs, digest, at)
    return digest


def name(store: Store, project: str, run_id: str, digest: str) -> None:
    tell(
        store,
        writer(project, run_id),
        event("start", {"started_at": START_US}),
        event("finish", {"state": "finished", "exit_code": 0}, time_us=START_US + 1),
        event("blob", {"id": digest[:32], "state": "ready", "digest": digest, "size": 1}),
    )


def test_only_what_nothing_names_goes(store: Store, blobs: FolderBlobStore) -> None:
    project = fresh_project()
    named = put_at(blobs, b"named")
    unnamed = put_at(blobs, b"unnamed")
    young = put_at(blobs, b"young", at=CUTOFF + 1)
    by_manifest = put_at(blobs, b"manifest")
    manifest = Manifest({"a": Entry(by_manifest, 8), "b": Entry("b" * 64, 1)}).pack()
    blobs.keep_manifest(ID, manifest)
    name(store, project, "run", named)
    done = collect_blobs(store, blobs, before=CUTOFF)
    assert (done.blobs, done.size) == (1, len(b"unnamed"))
    assert {each.digest for each in blobs.walk()} == {named, young, by_manifest}
    assert blobs.stat(unnamed) is None


def test_what_a_dropped_manifest_named_goes(store: Store, blobs: FolderBlobStore) -> None:
    named, ours = put_at(blobs, b"row"), put_at(blobs, b"ours")
    name(store, fresh_project(), "run", named)
    blobs.keep_manifest(ID, Manifest({"a": Entry(ours, 4)}).pack())
    assert collect_blobs(store, blobs, before=CUTOFF).blobs == 0
    blobs.drop_manifest(ID)
    assert collect_blobs(store, blobs, before=CUTOFF).blobs == 1
    assert [each.digest for each in blobs.walk()] == [named]


def test_beside_a_manifest_that_cannot_be_read_nothing_goes(
    store: Store, blobs: FolderBlobStore
) -> None:
    named, unnamed = put_at(blobs, b"row"), put_at(blobs, b"unnamed")
    name(store, fresh_project(), "run", named)
    blobs.keep_manifest(ID, Manifest({"a": Entry(unnamed, 7)}).pack()[:-1])
    with pytest.raises(ManifestUnreadableError, match=ID):
        collect_blobs(store, blobs, before=CUTOFF)
    assert {each.digest for each in blobs.walk()} == {named, unnamed}


def test_what_a_deleted_run_named_goes_unless_another_run_names_it_too(
    store: Store, blobs: FolderBlobStore
) -> None:
    project = fresh_project()
    shared, own = put_at(blobs, b"shared"), put_at(blobs, b"own")
    for digest in (shared, own):
        name(store, project, "gone", digest)
    name(store, project, "stays", shared)
    delete_runs(store, {project: ["gone"]})
    rows = store.query(
        "SELECT run_id FROM blobs WHERE project = {project:String}",
        parameters={"project": project},
    )
    assert [row["run_id"] for row in rows] == ["stays"]
    collect_blobs(store, blobs, before=CUTOFF)
    assert [each.digest for each in blobs.walk()] == [shared]


def test_a_blob_whose_run_was_deleted_while_it_was_on_its_way_goes(
    store: Store, blobs: FolderBlobStore
) -> None:
    project = fresh_project()
    kept, late = put_at(blobs, b"kept"), put_at(blobs, b"late")
    name(store, project, "stays", kept)
    body = {"id": ID, "state": "ready", "digest": late, "size": 1}
    tell(store, writer(project, "deleted"), event("blob", body))
    collect_blobs(store, blobs, before=CUTOFF)
    assert [each.digest for each in blobs.walk()] == [kept]


def test_a_blob_of_a_run_that_has_rows_only_stays(store: Store, blobs: FolderBlobStore) -> None:
    project = fresh_project()
    digest = put_at(blobs, b"x")
    body = {"id": ID, "state": "ready", "digest": digest, "size": 1}
    values = {"values": {"shown": {"_type": "image-file", "blob": ID}}}
    tell(store, writer(project, "run"), event("values", values), event("blob", body))
    collect_blobs(store, blobs, before=CUTOFF)
    assert [each.digest for each in blobs.walk()] == [digest]


@pytest.mark.slow
def test_a_store_that_names_nothing_deletes_nothing(blobs: FolderBlobStore, tmp_path: Path) -> None:
    """As when the database was replaced, or another one is meant."""
    digest = put_at(blobs, b"x")
    empty = open_embedded(tmp_path / "data", memory_bytes_max=1 << 30)
    try:
        empty.migrate()
        with pytest.raises(EmptyTableError, match="nothing was deleted"):
            collect_blobs(empty, blobs, before=CUTOFF)
    finally:
        empty.close()
    assert blobs.stat(digest) is not None


@pytest.mark.slow
def test_the_last_blob_goes_with_its_last_row(blobs: FolderBlobStore, tmp_path: Path) -> None:
    """No row is left then: that both belong together was noted while they were empty."""
    with closing(open_embedded(tmp_path / "data", memory_bytes_max=1 << 30)) as own:
        own.migrate()
        note_table(own, blobs)
        digest = put_at(blobs, b"x")
        name(own, "p", "gone", digest)
        delete_runs(own, {"p": ["gone"]})
        assert collect_blobs(own, blobs, before=CUTOFF).blobs == 1
    assert list(blobs.walk()) == []


@pytest.mark.slow
def test_a_blob_store_learns_its_table_from_a_row_that_names_what_is_there(
    blobs: FolderBlobStore, tmp_path: Path
) -> None:
    with closing(open_embedded(tmp_path / "data", memory_bytes_max=1 << 30)) as own:
        own.migrate()
        digest = put_at(blobs, b"x")
        note_table(own, blobs)
        with pytest.raises(EmptyTableError):
            collect_blobs(own, blobs, before=CUTOFF)
        name(own, "p", "gone", digest)
        collect_blobs(own, blobs, before=CUTOFF)
        delete_runs(own, {"p": ["gone"]})
        assert collect_blobs(own, blobs, before=CUTOFF).blobs == 1
