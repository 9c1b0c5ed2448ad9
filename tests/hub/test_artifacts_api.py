"""Artifacts over the API: begun, filled, committed, read; over a real blob store and SQLite."""

import json
import time
from typing import Any

import pytest
from blake3 import blake3

from stepwell_hub.catalog import artifacts, project_deletion
from stepwell_store import deletion
from stepwell_store.blob_collection import collect_blobs
from stepwell_store.errors import QueryTimeoutError
from stepwell_wire.manifest import Entry, Manifest
from tests.blobs import put_back_to, put_blob
from tests.hub.conftest import Hub
from tests.hub.made import make_run
from tests.store.made import START_US, event, fresh_project, tell, writer

ROOT = "/api/v1/projects/p/artifacts"
BY_ID = "/api/v1/artifact-versions"
FILES = {"a.txt": b"hello", "sub/ü b.bin": bytes(range(256))}


def digest(content: bytes) -> str:
    return blake3(content).hexdigest()


def put(hub: Hub, *contents: bytes) -> None:
    for content in contents:
        put_blob(hub.context.blobs, content)


def manifest_of(files: dict[str, bytes], **more: Entry) -> Any:
    entries = {path: Entry(digest(content), len(content)) for path, content in files.items()}
    return json.loads(Manifest(entries | more).pack())


def begin(
    hub: Hub, manifest: Any, *, key: str = "key-00001", project: str = "p", **facts: Any
) -> Any:
    body = {"key": key, "name": "data", "type": "dataset", "manifest": manifest} | facts
    return hub.program.post(f"/api/v1/projects/{project}/artifacts", json=body)


def commit(hub: Hub, version_id: str, *aliases: str) -> Any:
    return hub.program.post(f"{BY_ID}/{version_id}/commit", json={"aliases": aliases})


def made(hub: Hub, files: dict[str, bytes] = FILES, *aliases: str, **facts: Any) -> Any:
    """A committed version."""
    put(hub, *files.values())
    begun = begin(hub, manifest_of(files), key=digest(repr((files, facts)).encode()), **facts)
    assert begun.status_code == 201, begun.text
    answer = commit(hub, begun.json()["version"]["id"], *aliases)
    assert answer.status_code == 200, answer.text
    return answer.json()


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_version_is_begun_filled_and_committed(hub: Hub) -> None:
    put(hub, FILES["a.txt"])
    facts: dict[str, Any] = {"metadata": {"n": [1]}, "description": "d", "run_id": "run1"}
    begun = begin(hub, manifest_of(FILES), **facts).json()
    lacking = digest(FILES["sub/ü b.bin"])
    assert (begun["missing"], begun["missing_count"]) == ([lacking], 1)
    version_id = begun["version"]["id"]
    assert begin(hub, manifest_of(FILES), **facts).json() == begun
    refused = commit(hub, version_id)
    assert code(refused) == (409, "blobs_missing")
    assert lacking in refused.json()["error"]["message"]
    put(hub, FILES["sub/ü b.bin"])
    assert hub.program.get(f"{BY_ID}/{version_id}/missing").json()["missing"] == []
    done = commit(hub, version_id, "best").json()
    assert (done["version"], done["state"], done["aliases"]) == (
        "v0",
        "committed",
        ["best", "latest"],
    )
    assert (done["metadata"], done["run_id"], done["size"], done["file_count"]) == (
        {"n": [1]},
        "run1",
        261,
        2,
    )
    assert done["digest"] == digest(hub.context.blobs.manifest(version_id))
    assert commit(hub, version_id, "best").json() == done
    for asked in ("v0", "latest", "best"):
        assert hub.program.get(f"{ROOT}/data/versions/{asked}").json() == done
    assert [each["name"] for each in hub.program.get(ROOT).json()["collections"]] == ["data"]
    assert hub.program.get(f"{ROOT}/data").json()["latest"] == "v0"
    listed = hub.program.get(f"{ROOT}/data/versions").json()
    assert [each["version"] for each in listed["versions"]] == ["v0"]
    edges = hub.program.get(f"{ROOT}/data/versions/v0/lineage").json()["edges"]
    assert [(each["source"], each["kind"]) for each in edges] == [("run:p/run1", "logged")]


def test_without_the_key_of_the_hub_nothing_is_answered(hub: Hub) -> None:
    assert hub.browser.get(ROOT).status_code == 401


def test_manifest_and_files_are_read_back(hub: Hub) -> None:
    made(hub)
    one = f"{ROOT}/data/versions/latest"
    packed = hub.program.get(f"{one}/manifest")
    assert packed.json() == manifest_of(FILES)
    for path, content in FILES.items():
        answer = hub.program.get(f"{one}/file", params={"path": path})
        assert answer.content == content
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["content-security-policy"].startswith("sandbox; ")
    part = hub.program.get(
        f"{one}/file", params={"path": "sub/ü b.bin"}, headers={"Range": "bytes=10-19"}
    )
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    saved = hub.program.get(f"{one}/file", params={"path": "sub/ü b.bin", "download": True})
    expected = "attachment; filename*=UTF-8''%C3%BC%20b.bin"
    assert saved.headers["content-disposition"] == expected
    for path in ("nothing", "../../hub/key", "", "sub"):
        answer = hub.program.get(f"{one}/file", params={"path": path})
        assert code(answer) == (404, "not_found")


def test_a_reference_is_named_and_not_fetched(hub: Hub) -> None:
    far = Entry(reference="s3://bucket/key", checksum="etag", size=None)
    begun = begin(hub, manifest_of({}, far=far)).json()
    assert begun["missing"] == []
    commit(hub, begun["version"]["id"])
    answer = hub.program.get(f"{ROOT}/data/versions/v0/file", params={"path": "far"})
    assert code(answer) == (409, "is_reference")
    assert "s3://bucket/key" in answer.json()["error"]["message"]


def test_the_same_content_makes_no_version_and_leaves_one_manifest(hub: Hub) -> None:
    first = made(hub)
    again = begin(hub, manifest_of(FILES), key="key-00002").json()["version"]
    assert commit(hub, again["id"], "best").json()["id"] == first["id"]
    assert [each for each, _ in hub.context.blobs.manifests()] == [first["id"]]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"key": "short"}, "body_invalid"),
        ({"name": "a/b"}, "name_invalid"),
        ({"type": ""}, "name_invalid"),
        ({"manifest": {}}, "manifest_invalid"),
        ({"manifest": None}, "manifest_invalid"),
        ({"metadata": {"x": "y" * (1 << 20)}}, "value_invalid"),
        ({"more": 1}, "body_invalid"),
    ],
)
def test_what_is_wrong_is_refused(hub: Hub, changed: Any, expected: str) -> None:
    assert code(begin(hub, **{"manifest": manifest_of({})} | changed)) == (400, expected)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a\0b", "a/./b"])
def test_a_path_that_leaves_the_folder_is_refused(hub: Hub, path: str) -> None:
    manifest = manifest_of({"x": b"hello"})
    manifest["entries"] = {path: manifest["entries"]["x"]}
    assert code(begin(hub, manifest)) == (400, "manifest_invalid")


def test_a_manifest_larger_than_other_bodies_is_taken(hub: Hub) -> None:
    many = {f"{'d' * 200}/{number}": Entry("a" * 64, 1) for number in range(16_000)}
    body = manifest_of({}, **many)
    assert len(json.dumps(body)) > hub.config.request_bytes_max
    answer = begin(hub, body)
    assert answer.status_code == 201
    assert answer.json()["missing_count"] == 1


def test_a_manifest_that_lies_about_a_size_fails_its_version(hub: Hub) -> None:
    manifest = manifest_of({"x": b"hello"})
    manifest["entries"]["x"]["size"] = manifest["size"] = 6
    version_id = begin(hub, manifest).json()["version"]["id"]
    put(hub, b"hello")
    assert code(commit(hub, version_id)) == (409, "manifest_wrong")
    found = hub.program.get(f"{BY_ID}/{version_id}").json()
    assert (found["state"], "5 bytes, not 6" in found["reason"]) == ("failed", True)
    assert code(commit(hub, version_id)) == (409, "version_ended")
    assert list(hub.context.blobs.manifests()) == []


def test_a_version_is_given_up_with_a_reason(hub: Hub) -> None:
    version_id = begin(hub, manifest_of({"x": b"x"})).json()["version"]["id"]
    failed = hub.program.post(f"{BY_ID}/{version_id}/fail", json={"reason": "x changed"}).json()
    assert (failed["state"], failed["reason"]) == ("failed", "x changed")
    assert list(hub.context.blobs.manifests()) == []


def test_aliases_and_words_change(hub: Hub) -> None:
    made(hub)
    url = f"{ROOT}/data/aliases/best%201"
    assert hub.program.put(url, json={"version": "v0"}).json()["aliases"] == ["best 1", "latest"]
    assert hub.program.delete(url).status_code == 204
    assert code(hub.program.put(f"{ROOT}/data/aliases/v1", json={"version": "v0"})) == (
        400,
        "name_invalid",
    )
    assert code(hub.program.delete(f"{ROOT}/data/aliases/latest")) == (409, "alias_reserved")
    one = f"{ROOT}/data/versions/v0"
    assert hub.program.patch(one, json={"description": "new"}).json()["description"] == "new"
    assert code(commit(hub, "unknown")) == (404, "not_found")
    used = hub.program.post(f"{one}/uses", json={"run_id": "r", "project": "q"})
    assert used.status_code == 200
    nodes = hub.program.get(f"{one}/lineage").json()["nodes"]
    assert ("q", "r") in [(each["project"], each["name"]) for each in nodes]


def test_deleted_means_gone_but_for_its_number(hub: Hub) -> None:
    made(hub, FILES)
    one = f"{ROOT}/data/versions/v0"
    assert code(hub.program.delete(one)) == (409, "version_aliased")
    assert hub.program.delete(one, params={"force": True}).status_code == 204
    assert hub.program.get(one).json()["state"] == "deleted"
    assert code(hub.program.get(f"{one}/manifest")) == (404, "not_found")
    assert hub.program.get(f"{ROOT}/data/versions").json()["versions"] == []
    assert list(hub.context.blobs.manifests()) == []


def test_a_collector_keeps_what_committed_and_pending_versions_name(hub: Hub) -> None:
    row = {"id": "0" * 32, "state": "ready", "digest": digest(b"row"), "size": 3}
    who = writer("artifacts", "run")
    tell(hub.context.store, who, event("start", {"started_at": START_US}), event("blob", row))
    put(hub, b"pending", b"nobody")
    begin(hub, manifest_of({"x": b"pending", "y": b"later"}))
    made(hub, {"z": b"committed"})
    gone = made(hub, {"z": b"deleted"})
    url = f"{ROOT}/data/versions/{gone['version']}"
    assert hub.program.delete(url, params={"force": True}).status_code == 204
    for found in list(hub.context.blobs.walk()):
        put_back_to(hub.context.blobs, found.digest, 1.0)
    assert collect_blobs(hub.context.store, hub.context.blobs, before=1e9).blobs == 2
    left = {each.digest for each in hub.context.blobs.walk()}
    assert left == {digest(b"pending"), digest(b"committed")}


def test_a_look_at_blobs_keeps_them_from_a_collector_that_runs(hub: Hub) -> None:
    put(hub, b"x")
    put_back_to(hub.context.blobs, digest(b"x"), 1.0)
    assert begin(hub, manifest_of({"x": b"x"})).json()["missing"] == []
    assert not hub.context.blobs.delete_unless_newer(digest(b"x"), than=1e9)


def test_what_a_kill_left_is_finished_by_a_repetition_or_cleared(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob store that fails stands for the kill: the row is there, the manifest not."""
    put(hub, b"x")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(hub.context.blobs, "keep_manifest", full)
        assert code(begin(hub, manifest_of({"x": b"x"}))) == (503, "blobs_unavailable")
    assert list(hub.context.blobs.manifests()) == []
    begun = begin(hub, manifest_of({"x": b"x"})).json()
    assert commit(hub, begun["version"]["id"]).json()["version"] == "v0"
    with monkeypatch.context() as failing:
        failing.setattr(hub.context.blobs, "drop_manifest", full)
        again = begin(hub, manifest_of({"x": b"x"}), key="key-00002").json()["version"]
        assert code(commit(hub, again["id"])) == (503, "blobs_unavailable")
    assert len(list(hub.context.blobs.manifests())) == 2
    assert commit(hub, again["id"]).json()["version"] == "v0"
    hub.context.artifacts_cleared_at = hub.context.deletions_seen_at = -1e9
    begin(hub, manifest_of({"y": b"y"}), key="key-00003")
    kept = {each for each, _ in hub.context.blobs.manifests()}
    assert again["id"] not in kept
    assert begun["version"]["id"] in kept


def test_a_damaged_manifest_is_told(hub: Hub) -> None:
    found = made(hub)
    hub.context.blobs.keep_manifest(found["id"], b"{}")
    answer = hub.program.get(f"{ROOT}/data/versions/v0/manifest")
    assert code(answer) == (500, "manifest_damaged")


def test_a_version_that_ends_while_its_manifest_is_kept_leaves_none(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow request whose client asked again, and gave up, meanwhile."""
    real = hub.context.blobs.keep_manifest

    def keep(version_id: str, packed: bytes) -> None:
        hub.context.catalog.do_from_thread(
            lambda catalog: artifacts.fail(catalog, version_id, reason="given up")
        )
        hub.context.blobs.drop_manifest(version_id)
        real(version_id, packed)

    monkeypatch.setattr(hub.context.blobs, "keep_manifest", keep)
    assert begin(hub, manifest_of({"x": b"x"})).json()["version"]["state"] == "failed"
    assert list(hub.context.blobs.manifests()) == []


def test_what_is_missing_is_counted_whole_and_shown_in_part(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepwell_hub.artifacts.building.MISSING_SHOWN_MAX", 2)
    begun = begin(hub, manifest_of({str(n): bytes([n]) for n in range(5)})).json()
    assert (len(begun["missing"]), begun["missing_count"]) == (2, 5)


def test_runs_are_named_in_a_lineage_and_their_versions_listed(hub: Hub) -> None:
    store, project = hub.context.store, fresh_project()
    make_run(store, project, "r1", name="trainer")
    found = made(hub, FILES, run_id="gone")
    one = f"{ROOT}/data/versions/v0"
    use = {"run_id": "r1", "project": project}
    assert hub.program.post(f"{one}/uses", json=use).status_code == 200
    nodes = hub.program.get(f"{one}/lineage").json()["nodes"]
    assert [(each["title"], each["state"], each["is_deleted"]) for each in nodes] == [
        ("data:v0", "", False),
        ("gone", "", True),
        ("trainer", "finished", False),
    ]
    used = hub.program.get(f"/api/v1/projects/{project}/runs/r1/artifacts?kind=used").json()
    assert used == {"versions": [found], "next_cursor": None}
    made(hub, {"x": b"x"}, run_id="gone")
    asked: dict[str, Any] = {"kind": "logged", "limit": 1}
    logged = "/api/v1/projects/p/runs/gone/artifacts"
    first = hub.program.get(logged, params=asked).json()
    rest = hub.program.get(logged, params=asked | {"cursor": first["next_cursor"]}).json()
    assert [each["version"] for page in (first, rest) for each in page["versions"]] == ["v0", "v1"]
    assert rest["next_cursor"] is None
    wrong = hub.program.get(logged, params=asked | {"cursor": "x"})
    assert code(wrong) == (400, "cursor_invalid")


def test_what_a_deleted_run_logged_is_not_of_a_later_run_with_its_id(hub: Hub) -> None:
    store, project = hub.context.store, fresh_project()
    root = f"/api/v1/projects/{project}"
    make_run(store, project, "r1", name="before")
    data = made(hub, FILES, name="data", project="other", run_id="prepare")
    use = {"run_id": "r1", "project": project}
    uses = "/api/v1/projects/other/artifacts/data/versions/v0/uses"
    assert hub.program.post(uses, json=use).status_code == 200
    old = made(hub, {"x": b"1"}, name="model", project=project, run_id="r1")
    same = made(hub, {"x": b"same"}, name="same", project=project, run_id="r1")
    deletion.delete_runs(store, {project: ["r1"]})
    make_run(store, project, "r1", name="after")

    def versions(kind: str) -> list[tuple[str, str, str]]:
        found = hub.program.get(f"{root}/runs/r1/artifacts?kind={kind}").json()["versions"]
        return [(each["name"], each["version"], each["run_id"]) for each in found]

    def around(path: str, **asked: Any) -> dict[str, tuple[str, bool]]:
        found = hub.program.get(f"{path}/lineage", params=asked).json()
        return {each["id"]: (each["title"], each["is_deleted"]) for each in found["nodes"]}

    former = f"former-run:{project}/r1"
    assert (versions("logged"), versions("used")) == ([], [])
    one = f"{root}/artifacts/model/versions/v0"
    assert around(one)[former] == ("r1", True)
    assert hub.program.get(one).json() == old | {"run_id": ""}
    (listed,) = hub.program.get(f"{root}/artifacts/model/versions").json()["versions"]
    assert listed["run_id"] == ""

    assert hub.program.post(uses, json=use).status_code == 200
    newer = made(hub, {"x": b"2"}, name="model", project=project, run_id="r1")
    again = begin(
        hub, manifest_of({"x": b"same"}), key="again-01", name="same", project=project, run_id="r1"
    ).json()
    assert commit(hub, again["version"]["id"]).json()["id"] == same["id"]
    assert versions("used") == [("data", "v0", "prepare")]
    assert versions("logged") == [("model", "v1", "r1"), ("same", "v0", "r1")]
    nodes = around(f"{root}/artifacts/model/versions/v1")
    assert nodes[f"run:{project}/r1"] == ("after", False)
    assert f"version:{old['id']}" not in nodes
    assert {f"version:{each['id']}" for each in (newer, same, data)} <= nodes.keys()
    assert former in around(one)
    assert f"version:{newer['id']}" not in around(one)


def test_a_deleted_project_leaves_names_in_the_lineage_of_others(hub: Hub) -> None:
    project, other = fresh_project(), fresh_project()
    root = f"/api/v1/projects/{project}/artifacts"
    for content in (b"used elsewhere", b"used here"):
        version = made(hub, {"f": content}, project=project, run_id="own")
        place = other if content == b"used elsewhere" else project
        url = f"{root}/data/versions/{version['version']}/uses"
        hub.program.post(url, json={"run_id": "r", "project": place})
    made(hub, {"f": b"alone"}, project=project, name="alone")
    kept = made(hub, {"f": b"kept"}, name=f"kept-{project}", run_id="x")
    hub.program.post(
        f"{ROOT}/kept-{project}/versions/v0/uses", json={"run_id": "own", "project": project}
    )
    assert hub.program.delete(f"/api/v1/projects/{project}").status_code == 204

    assert [each for each, _ in hub.context.blobs.manifests()] == [kept["id"]]
    assert hub.program.get(root).json() == {"collections": [], "next_cursor": None, "types": []}
    assert code(hub.program.get(f"{root}/alone/versions/v0")) == (404, "not_found")
    assert code(hub.program.get(f"{root}/data/versions/v1")) == (404, "not_found")
    assert code(hub.program.get(f"{root}/data/versions/latest")) == (404, "not_found")
    seen = hub.program.get(f"/api/v1/projects/{other}/runs/r/artifacts?kind=used").json()
    assert [(each["name"], each["version"], each["state"]) for each in seen["versions"]] == [
        ("data", "v0", "deleted")
    ]
    around = hub.program.get(f"{root}/data/versions/v0/lineage").json()["nodes"]
    assert [(each["name"], each["is_deleted"]) for each in around] == [
        ("data:v0", True),
        ("r", True),
    ]
    around = hub.program.get(f"{ROOT}/kept-{project}/versions/v0/lineage").json()["nodes"]
    assert (project, "own") in [(each["project"], each["name"]) for each in around]
    again = made(hub, {"f": b"new"}, project=project, type="other")
    assert (again["version"], again["type"]) == ("v2", "other"), "a number never comes again"


def test_a_refused_deletion_of_a_project_keeps_its_artifacts(hub: Hub) -> None:
    project = fresh_project()
    tell(hub.context.store, writer(project, "alive"), event("start", {"started_at": START_US}))
    made(hub, {"f": b"f"}, project=project)
    url = f"/api/v1/projects/{project}"
    assert code(hub.program.delete(url)) == (409, "run_is_running")
    hub.context.artifacts_cleared_at = hub.context.deletions_seen_at = -1e9
    assert len(hub.program.get(f"{url}/artifacts").json()["collections"]) == 1
    assert hub.program.delete(url, params={"force": True}).status_code == 204
    assert hub.program.get(f"{url}/artifacts").json()["collections"] == []


@pytest.mark.parametrize(
    ("levels", "status"), [(199, 201), (200, 400), (900, 400), (2000, 400), (200_000, 400)]
)
def test_metadata_of_many_levels_is_refused_in_words(hub: Hub, levels: int, status: int) -> None:
    deep = '{"a":' * levels + "[]" + "}" * levels
    body = json.dumps({"key": f"key-{levels:05}", "name": "deep", "type": "t"})[:-1]
    body += f', "manifest": {json.dumps(manifest_of({}))}, "metadata": {deep}}}'
    headers = {"Content-Type": "application/json"}
    answer = hub.program.post(ROOT, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 400:
        assert "nested objects or lists" in answer.json()["error"]["message"]


@pytest.mark.parametrize("part", ["_run_ids", "_writers"])
def test_a_deletion_that_failed_before_it_began_is_not_done_later(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    project = fresh_project()
    made(hub, {"f": b"f"}, project=project)
    make_run(hub.context.store, project, "r")
    url = f"/api/v1/projects/{project}"

    def late(*_: Any) -> None:
        raise QueryTimeoutError("it took too long")

    with monkeypatch.context() as failing:
        failing.setattr(deletion, part, late)
        assert code(hub.program.delete(url)) == (504, "query_timeout")
    assert hub.program.delete(f"{url}/runs/r").status_code == 204
    hub.context.artifacts_cleared_at = hub.context.deletions_seen_at = -1e9
    assert len(hub.program.get(f"{url}/artifacts").json()["collections"]) == 1


def test_what_comes_right_after_a_noted_deletion_is_a_version_of_its_own(hub: Hub) -> None:
    """`stepwell rm --project` notes it: the same files are not those of the deleted version."""
    project = fresh_project()
    before = made(hub, {"f": b"f"}, project=project)
    hub.program.get(f"/api/v1/projects/{project}/artifacts")  # The last look was just now.
    hub.context.catalog.do_from_thread(
        lambda catalog: project_deletion.ask(catalog, project, now=time.time())
    )
    after = made(hub, {"f": b"f"}, project=project)
    assert after["id"] != before["id"]
    hub.context.artifacts_cleared_at = hub.context.deletions_seen_at = -1e9
    (listed,) = hub.program.get(f"/api/v1/projects/{project}/artifacts").json()["collections"]
    assert (listed["versions"], listed["latest"]) == (1, after["version"])


def test_a_deletion_that_a_kill_cut_off_is_finished_by_the_next_look(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob store that fails stands for the kill: the runs are gone, the manifests not."""
    project = fresh_project()
    made(hub, {"f": b"f"}, project=project)

    def full(*_: Any) -> None:
        raise OSError(30, "Read-only file system")

    url = f"/api/v1/projects/{project}"
    with monkeypatch.context() as failing:
        failing.setattr(hub.context.blobs, "drop_manifest", full)
        assert hub.program.delete(url).status_code == 204
    assert len(list(hub.context.blobs.manifests())) == 1
    young = made(hub, {"f": b"young"}, project=project)
    hub.context.artifacts_cleared_at = hub.context.deletions_seen_at = -1e9
    assert [
        each["versions"] for each in hub.program.get(f"{url}/artifacts").json()["collections"]
    ] == [1]
    assert [each for each, _ in hub.context.blobs.manifests()] == [young["id"]]
    found = hub.program.get(f"{url}/artifacts/data/versions/{young['version']}").json()
    assert found["id"] == young["id"]
