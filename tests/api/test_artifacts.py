"""Artifacts that `Api` reads and changes, over a real hub."""

import math
import uuid
from pathlib import Path

import numpy as np
import pytest

from stepwell.errors import (
    ArtifactPathError,
    DownloadError,
    HubError,
    NotFoundError,
    UnavailableError,
    UsageError,
)
from stepwell_store.queries import delete_run
from tests.api.conftest import World
from tests.api.made_artifacts import FILES, client, digest, make_version, manifest_of
from tests.blobs import put_blob
from tests.hub.made import make_run
from tests.store.made import event, tell, writer


@pytest.fixture
def project() -> str:
    return f"p-{uuid.uuid4().hex[:8]}"


def test_a_version_says_what_it_is(world: World, project: str) -> None:
    make_version(world, project, "data", FILES, "best", metadata={"n": [1]}, description="d")
    artifact = world.api.artifact(f"someone/{project}/data:best", type="dataset")
    assert (artifact.name, artifact.version, artifact.type) == ("data:v0", "v0", "dataset")
    assert (artifact.metadata, artifact.description) == ({"n": [1]}, "d")
    assert sorted(artifact.aliases) == ["best", "latest"]
    assert artifact.qualified_name == f"{project}/data:v0"
    assert artifact.digest == digest(manifest_of(FILES).pack())
    assert (artifact.file_count, artifact.size) == (4, sum(map(len, FILES.values())))
    assert artifact.created_at is not None
    assert artifact.created_at.endswith("Z")
    assert not artifact.is_draft()
    assert artifact.url.startswith(world.url)


def test_lists_of_artifacts(world: World, project: str) -> None:
    api = world.api
    for number in range(3):
        make_version(world, project, "data", {"x": b"%d" % number})
    make_version(world, project, "net", {"x": b"9"}, type="model")
    assert [each.name for each in api.artifacts("dataset", f"{project}/data", per_page=2)] == [
        "data:v2",
        "data:v1",
        "data:v0",
    ]
    found = api.artifact_collections(project)
    assert [(each.name, each.type, len(each)) for each in found] == [
        ("data", "dataset", 3),
        ("net", "model", 1),
    ]
    assert found[0].aliases == ["latest"]
    assert [each.name for each in api.artifact_types(project)] == ["dataset", "model"]
    (net,) = api.artifact_type("model", project).collections()
    assert [each.version for each in net.versions()] == ["v0"]
    assert api.artifact_collection("model", f"{project}/net").qualified_name == f"{project}/net"
    with pytest.raises(ArtifactPathError, match="is of type 'model', not 'dataset'"):
        api.artifacts("dataset", f"{project}/net")
    with pytest.raises(NotFoundError, match=r"no artifact 'date' .*did you mean 'data'"):
        api.artifacts("dataset", f"{project}/date")
    with pytest.raises(NotFoundError, match="of type 'models'; did you mean 'model'"):
        api.artifact_type("models", project)
    with pytest.raises(UnavailableError, match="tags"):
        api.artifacts("dataset", f"{project}/data", tags=["x"])


def test_whether_there_is_one(world: World, project: str) -> None:
    make_version(world, project)
    api = world.api
    assert api.artifact_exists(f"{project}/data")
    assert api.artifact_exists(f"{project}/data:v0", "dataset")
    assert not api.artifact_exists(f"{project}/data:v0", "model")
    assert not api.artifact_exists(f"{project}/data:v1")
    assert not api.artifact_exists("nowhere/data")
    assert api.artifact_collection_exists(f"{project}/data", "dataset")
    assert not api.artifact_collection_exists(f"{project}/data", "model")
    with pytest.raises(ArtifactPathError, match="expected NAME"):
        api.artifact_exists("no name!")


def test_a_saved_file_is_a_file_of_its_run_alone(
    world: World, project: str, tmp_path: Path
) -> None:
    make_run(world.store, project, "a b")
    make_run(world.store, project, "a_b")
    make_version(world, project, "run-a_b-files", {"old.txt": b"1"}, type="run-files", run_id="a b")
    make_version(world, project, "run-a_b-files", FILES, type="run-files", run_id="a b")
    run = world.api.run(f"{project}/a b")
    found = run.files()
    assert {each.name: each.size for each in found} == {
        path: len(content) for path, content in FILES.items()
    }
    assert [(each.state, each.metric, each.step) for each in found] == [
        ("ready", "", None) for _ in FILES
    ]
    assert [each.name for each in run.files(names=["a.txt", "b"])] == ["a.txt"]
    with run.file("a.txt").download(tmp_path) as file:
        assert file.read().encode() == FILES["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == FILES["a.txt"]
    with pytest.raises(UsageError, match="exists"):
        run.file("a.txt").download(tmp_path)
    with pytest.raises(NotFoundError, match=r"did you mean 'a\.txt'"):
        run.file("a.txtt")
    assert world.api.run(f"{project}/a_b").files() == []


def image(world: World, project: str, content: bytes, *names: str) -> None:
    """Store an image of run r, which is logged under ``names``."""
    where = digest(content)
    put_blob(world.context.blobs, content)
    facts = {"state": "ready", "digest": where, "size": len(content), "media_type": "image/png"}
    for number, name in enumerate(names):
        blob = f"{content.hex()}{number}".rjust(32, "0")
        value = {name: {"_type": "image-file", "blob": blob}}
        tell(
            world.store,
            writer(project, "r"),
            event("values", {"values": value}, step=3, time_us=10**15 - number),
            event("blob", {"id": blob, "width": 1, "height": 1, **facts}),
        )


def test_a_medium_that_was_logged_and_set_in_the_summary_is_listed_once(
    world: World, project: str, tmp_path: Path
) -> None:
    make_run(world.store, project, "r")
    image(world, project, b"one", "a", "a", "b")
    image(world, project, b"two", "a")
    found = world.api.run(f"{project}/r").files()
    assert sorted((each.metric, each.size, each.digest) for each in found) == sorted(
        [("a", 3, digest(b"one")), ("b", 3, digest(b"one")), ("a", 3, digest(b"two"))]
    )
    for each in found:
        each.download(tmp_path).close()


def test_media_are_listed_without_the_files_of_save(
    world: World, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those are read from the catalog of artifacts, which may not answer or be damaged."""
    make_run(world.store, project, "r")
    image(world, project, b"one", "a")
    make_version(world, project, "run-r-files", FILES, type="run-files", run_id="r")
    run = world.api.run(f"{project}/r")
    assert len(run.files()) == 1 + len(FILES)
    for error in (HubError("the catalog does not answer"), DownloadError("damaged")):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("stepwell.api._files.read_manifest", fail)
        why = f"the files of run.save could not be listed: {error}"
        with pytest.warns(UserWarning, match=f"run {project}/r: {why}") as warned:
            (found,) = run.files()
        assert warned[0].filename == __file__
        run.file(found.name).download(tmp_path, replace=True).close()
        with pytest.raises(NotFoundError, match=f"has no medium 'a.txt', and {why}"):
            run.file("a.txt")


def test_runs_around_a_version(world: World, project: str) -> None:
    make_run(world.store, project, "maker")
    make_run(world.store, project, "user")
    make_version(world, project, run_id="maker")
    api = world.api
    artifact = api.artifact(f"{project}/data")
    maker = artifact.logged_by()
    assert maker is not None
    assert maker.id == "maker"
    assert artifact.used_by() == []
    api.run(f"{project}/user").use_artifact(artifact)
    api.run(f"{project}/user").use_artifact(artifact)
    version = ("projects", project, "artifacts", "data", "versions", "v0")
    client(world).ask("POST", *version, "uses", body={"run_id": "gone"})
    assert [each.id for each in artifact.used_by()] == ["user"]
    for run_id in ("maker", "user"):
        delete_run(world.store, project, run_id)
        make_run(world.store, project, run_id)
    again = api.artifact(f"{project}/data")
    assert (again.logged_by(), again.used_by()) == (None, [])
    api.run(f"{project}/user").use_artifact(again)
    make_version(world, project, run_id="maker")
    make_version(world, project, run_id="third")
    assert [each.id for each in again.used_by()] == ["user"]
    found = api.artifact(f"{project}/data").logged_by()
    assert found is not None
    assert found.id == "maker"
    make_run(world.store, project, "third")
    delete_run(world.store, project, "maker")
    found = api.artifact(f"{project}/data").logged_by()
    assert found is not None
    assert found.id == "third", "it logged the same files"
    make_run(world.store, project, "maker")
    make_version(world, project, run_id="maker")
    logged, used = api.run(f"{project}/maker"), api.run(f"{project}/user")
    assert [each.name for each in logged.logged_artifacts()] == ["data:v0"]
    assert [each.name for each in used.used_artifacts()] == ["data:v0"]
    assert list(used.logged_artifacts()) == []
    make_version(world, project, "orphan", {"x": b"1"})
    assert api.artifact(f"{project}/orphan").logged_by() is None


def test_a_run_lists_no_deleted_versions(world: World, project: str) -> None:
    make_run(world.store, project, "r")
    api, run = world.api, world.api.run(f"{project}/r")
    for number in range(3):
        make_version(world, project, "data", {"x": bytes([number])}, run_id="r")
        run.use_artifact(api.artifact(f"{project}/data"))
    api.artifact(f"{project}/data:v0").delete()
    for listed in (run.logged_artifacts(per_page=1), run.used_artifacts()):
        assert (len(listed), listed[0].version) == (2, "v1")
        for each in listed:
            assert each.files()
    for each in run.logged_artifacts():
        each.delete(delete_aliases=True)
    assert list(run.logged_artifacts()) == list(run.used_artifacts()) == []


def test_what_is_set_is_kept_by_save(world: World, project: str) -> None:
    make_version(world, project, "data", FILES, "old")
    artifact = world.api.artifact(f"{project}/data")
    artifact.description, artifact.metadata["score"] = "words", 0.5
    artifact.aliases.remove("old")
    artifact.aliases.append("best one")
    artifact.save()
    again = world.api.artifact(f"{project}/data:best one")
    assert (again.description, again.metadata) == ("words", {"score": 0.5})
    assert sorted(again.aliases) == ["best one", "latest"]
    assert sorted(artifact.aliases) == ["best one", "latest"]


def test_metadata_without_a_json_form_are_numbers_again(world: World, project: str) -> None:
    make_version(world, project, "data", FILES, metadata={"score": {"$float": "NaN"}})
    artifact = world.api.artifact(f"{project}/data")
    assert math.isnan(artifact.metadata["score"])
    artifact.metadata["other"] = [math.inf, np.int64(3)]
    artifact.save()
    again = world.api.artifact(f"{project}/data").metadata
    assert math.isnan(again["score"])
    assert again["other"] == [math.inf, 3]


def test_a_deleted_version_is_gone(world: World, project: str) -> None:
    make_version(world, project, "data", {"x": b"1"})
    make_version(world, project, "data", {"x": b"2"})
    api = world.api
    with pytest.raises(HubError) as caught:
        api.artifact(f"{project}/data:v1").delete()
    assert caught.value.code == "version_aliased"
    assert "pass delete(delete_aliases=True)" in str(caught.value)
    api.artifact(f"{project}/data:v1").delete(delete_aliases=True)
    assert api.artifact(f"{project}/data").version == "v0"
    with pytest.raises(NotFoundError, match=r"data:v1 was deleted; `stepwell artifact ls"):
        api.artifact(f"{project}/data:v1")
