"""Versions of artifacts in the catalog: numbers and aliases, whoever writes at the same time."""

import contextlib
import secrets
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from stepwell_hub.artifacts.answers import Version
from stepwell_hub.catalog import (
    artifact_changes,
    artifact_lineage,
    artifact_reading,
    artifacts,
    project_deletion,
)
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.errors import ApiError, CatalogUnavailableError

NOW = 1_800_000_000.0
WRITERS = 100


@pytest.fixture
def catalog(catalogs: list[Catalog]) -> Catalog:
    return catalogs[0]


def new(content: str, **facts: Any) -> artifacts.NewVersion:
    known: dict[str, Any] = {
        "key": secrets.token_hex(8),
        "project": "p",
        "name": "model",
        "type": "model",
        "digest": content.encode().hex().ljust(64, "0"),
        "size": 5,
        "file_count": 1,
        "description": "",
        "metadata": {},
        "run_id": "",
    }
    return artifacts.NewVersion(**known | facts)


def begin(catalog: Catalog, content: str, **facts: Any) -> str:
    return artifacts.begin(catalog, new(content, **facts), now=NOW).id


def commit(catalog: Catalog, version_id: str, *aliases: str) -> Version:
    return artifacts.commit(catalog, version_id, aliases=aliases, now=NOW + 1)


def log(catalog: Catalog, content: str, *aliases: str, **facts: Any) -> Version:
    return commit(catalog, begin(catalog, content, **facts), *aliases)


def read(catalog: Catalog, asked: str) -> Version:
    return artifact_reading.read_version(catalog, "p", "model", asked)


def everywhere(count: int, catalogs: Sequence[Catalog], work: Any) -> list[Any]:
    """Return what ``work(catalog, number)`` gives, of ``count`` threads that start together."""
    together = threading.Barrier(count, timeout=60)
    found: list[Any] = []

    def run(number: int) -> None:
        together.wait()
        for _ in range(100):  # A busy database gives up after some seconds: who asks, asks again.
            with contextlib.suppress(CatalogUnavailableError):
                found.append(work(catalogs[number % len(catalogs)], number))
                return

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)
    assert len(found) == count, "a writer failed or hangs"
    return found


@pytest.mark.slow
def test_a_hundred_writers_of_one_name_get_a_hundred_numbers(catalogs: list[Catalog]) -> None:
    """Each content comes twice, each request is repeated: 100 writers, 50 versions."""

    def write(catalog: Catalog, number: int) -> str:
        given = new(f"content {number // 2}")
        for _ in range(2):
            version_id = artifacts.begin(catalog, given, now=NOW).id
            done = [commit(catalog, version_id, "best") for _ in range(2)]
        assert done[0].version == done[1].version
        return done[0].version

    numbers = everywhere(WRITERS, catalogs, write)
    assert sorted(numbers) == sorted(f"v{number}" for number in range(50) for _ in range(2))
    page = artifact_reading.list_versions(catalogs[0], "p", "model", limit=100, cursor=None)
    assert [each.version for each in page.versions] == [f"v{n}" for n in range(49, -1, -1)]
    named = [alias for each in page.versions for alias in each.aliases]
    assert sorted(named) == ["best", "latest"]
    assert read(catalogs[0], "best") == read(catalogs[0], "latest")


def test_of_many_requests_with_one_key_one_version_comes(catalogs: list[Catalog]) -> None:
    given = new("content")
    ids = everywhere(16, catalogs, lambda catalog, _: artifacts.begin(catalog, given, now=NOW).id)
    assert len(set(ids)) == 1


def test_numbers_come_at_the_commit(catalog: Catalog) -> None:
    first, second = begin(catalog, "a"), begin(catalog, "b")
    assert artifact_reading.read_by_id(catalog, first).version == ""
    assert commit(catalog, second).version == "v0"
    assert commit(catalog, first).version == "v1"


def test_aliases_move_and_latest_follows_every_commit(catalog: Catalog) -> None:
    log(catalog, "a", "best")
    log(catalog, "b")
    assert read(catalog, "v0").aliases == ("best",)
    assert read(catalog, "latest").version == "v1"
    log(catalog, "c", "best")
    assert (read(catalog, "v0").aliases, read(catalog, "best").version) == ((), "v2")


def test_the_same_content_makes_no_version_and_moves_aliases(catalog: Catalog) -> None:
    log(catalog, "a", "best")
    log(catalog, "b")
    again = begin(catalog, "a", run_id="run2")
    assert commit(catalog, again, "best2").version == "v0"
    assert read(catalog, "v0").aliases == ("best", "best2", "latest")
    assert artifact_reading.read_by_id(catalog, again).version == "v0"
    assert log(catalog, "c").version == "v2"


def test_a_repeated_commit_moves_no_alias_back(catalog: Catalog) -> None:
    first = begin(catalog, "a")
    commit(catalog, first, "best")
    same = begin(catalog, "a")
    commit(catalog, same)
    log(catalog, "b", "best")
    assert commit(catalog, first, "best").version == "v0"
    assert commit(catalog, same, "best").version == "v0"
    assert read(catalog, "best").version == read(catalog, "latest").version == "v1"


def test_a_key_stands_for_one_version(catalog: Catalog) -> None:
    given = new("a")
    found = artifacts.begin(catalog, given, now=NOW)
    assert artifacts.begin(catalog, given, now=NOW + 9) == found
    with pytest.raises(ApiError, match="use a new key"):
        artifacts.begin(catalog, new("b", key=given.key), now=NOW)
    commit(catalog, found.id)
    assert artifacts.begin(catalog, given, now=NOW).version == "v0"


def test_an_artifact_has_one_type(catalog: Catalog) -> None:
    begin(catalog, "a")
    with pytest.raises(ApiError, match="has the type model, not dataset"):
        begin(catalog, "b", type="dataset")
    assert log(catalog, "b", type="dataset", project="q").type == "dataset"


def test_what_failed_is_not_committed_and_what_is_committed_does_not_fail(
    catalog: Catalog,
) -> None:
    failed, done = begin(catalog, "a"), begin(catalog, "b")
    for _ in range(2):
        found = artifacts.fail(catalog, failed, reason="a.bin changed")
        assert (found.state, found.reason) == ("failed", "a.bin changed")
    with pytest.raises(ApiError, match=r"a\.bin changed"):
        commit(catalog, failed)
    commit(catalog, done)
    with pytest.raises(ApiError, match="is already committed"):
        artifacts.fail(catalog, done, reason="late")


def test_what_is_pending_for_a_week_fails_and_its_manifest_may_go(catalog: Catalog) -> None:
    old = begin(catalog, "a")
    done = begin(catalog, "b")
    commit(catalog, done)
    same = begin(catalog, "b")
    commit(catalog, same)
    assert artifacts.expire(catalog, now=NOW + 60) == [same]
    later = NOW + artifacts.PENDING_SECONDS + 1
    young = artifacts.begin(catalog, new("c"), now=later).id
    assert sorted(artifacts.expire(catalog, now=later)) == sorted([old, same])
    artifacts.note_dropped(catalog, [old, same])
    assert artifacts.expire(catalog, now=later) == []
    assert artifact_reading.read_by_id(catalog, old).state == "failed"
    assert artifact_reading.read_by_id(catalog, young).state == "pending"


def test_an_alias_protects_a_version_from_deletion(catalog: Catalog) -> None:
    for content in "abc":
        log(catalog, content, f"is-{content}")
    artifact_changes.remove_alias(catalog, "p", "model", "is-a")
    assert artifacts.delete(catalog, "p", "model", "v0", force=False).state == "deleted"
    with pytest.raises(ApiError, match="has the aliases is-c, latest"):
        artifacts.delete(catalog, "p", "model", "v2", force=False)
    artifacts.delete(catalog, "p", "model", "is-c", force=True)
    assert read(catalog, "latest").version == "v1"
    with pytest.raises(ApiError, match="no alias is-c"):
        read(catalog, "is-c")
    assert log(catalog, "c").version == "v3", "a number never comes again"
    for _ in range(2):
        artifacts.delete(catalog, "p", "model", "v1", force=True)
    with pytest.raises(ApiError, match="was deleted"):
        artifact_changes.set_alias(catalog, "p", "model", "best", version="v1")


def test_aliases_are_set_and_removed_and_latest_is_not(catalog: Catalog) -> None:
    log(catalog, "a")
    log(catalog, "b")
    for _ in range(2):
        assert artifact_changes.set_alias(catalog, "p", "model", "best", version="v0").aliases == (
            "best",
        )
    for _ in range(2):
        artifact_changes.remove_alias(catalog, "p", "model", "best")
    assert read(catalog, "v0").aliases == ()
    with pytest.raises(ApiError, match="latest always names"):
        artifact_changes.set_alias(catalog, "p", "model", "latest", version="v0")


def test_words_about_a_version_change_one_by_one(catalog: Catalog) -> None:
    log(catalog, "a", description="first", metadata={"acc": 0.5, "odd": "\0\ud800"})
    change = artifact_changes.describe
    found = change(catalog, "p", "model", "v0", description="second", metadata=None)
    assert (found.description, found.metadata["acc"]) == ("second", 0.5)
    found = change(catalog, "p", "model", "v0", description=None, metadata={})
    assert (found.description, found.metadata) == ("second", {})


def test_collections_and_versions_come_in_pages(catalog: Catalog) -> None:
    for name in ("a1", "a2", "b_1", "bx1"):
        log(catalog, "x", name=name, type="dataset" if name == "a1" else "model")
    log(catalog, "y", name="a2")

    def names(**asked: Any) -> tuple[list[str], str | None]:
        facts: dict[str, Any] = {"kind": "", "search": "", "limit": 9, "cursor": None}
        page = artifact_reading.list_collections(catalog, "p", **facts | asked)
        return [each.name for each in page.collections], page.next_cursor

    assert names(limit=3) == (["a1", "a2", "b_1"], "b_1")
    assert names(limit=3, cursor="b_1") == (["bx1"], None)
    assert names(kind="dataset") == (["a1"], None)
    assert names(search="B_") == (["b_1"], None)
    found = artifact_reading.read_collection(catalog, "p", "a2")
    assert (found.versions, found.latest, found.size) == (2, "v1", 10)
    page = artifact_reading.list_versions(catalog, "p", "a2", limit=1, cursor=None)
    assert ([each.version for each in page.versions], page.next_cursor) == (["v1"], "1")
    page = artifact_reading.list_versions(catalog, "p", "a2", limit=1, cursor="1")
    assert ([each.version for each in page.versions], page.next_cursor) == (["v0"], None)


@pytest.mark.slow
def test_the_lineage_goes_both_ways_and_is_bounded(catalog: Catalog) -> None:
    log(catalog, "d", name="data", run_id="prepare")
    use = artifact_changes.note_use
    for run in ("train", "train", "look"):
        use(catalog, "p", "data", "latest", run_project="p", run_id=run, now=NOW)
    log(catalog, "m", run_id="train")
    use(catalog, "p", "model", "v0", run_project="q", run_id="serve/1", now=NOW)

    def around(depth: int, limit: int = 99) -> tuple[set[str], set[tuple[str, str, str]], bool]:
        found = artifact_lineage.read_lineage(catalog, "p", "model", "v0", depth=depth, limit=limit)
        known = {each.id: f"{each.project} {each.name}" for each in found.nodes}
        edges = {(known[each.source], known[each.target], each.kind) for each in found.edges}
        return set(known.values()), edges, found.is_cut

    near = {"p model:v0", "p train", "q serve/1"}
    assert around(1) == (
        near,
        {("p train", "p model:v0", "logged"), ("p model:v0", "q serve/1", "used")},
        True,
    )
    nodes, edges, is_cut = around(9)
    assert nodes == near | {"p data:v0", "p prepare", "p look"}
    assert (len(edges), is_cut) == (5, False)
    assert around(3)[2] is False
    direct = artifact_lineage.read_lineage(
        catalog, "p", "model", "v0", depth=9, limit=99, is_direct=True
    )
    told = {f"{each.project} {each.name}" for each in direct.nodes}
    assert told == near | {"p data:v0", "p prepare"}, "not what else the data went into"
    assert not direct.is_cut
    nodes, edges, is_cut = around(9, limit=4)
    assert (len(nodes), is_cut) == (4, True)


def test_a_project_is_deleted_while_others_log_into_it(catalogs: list[Catalog]) -> None:
    """Whoever comes after the deletion gets a version; nobody finds half a collection."""
    asked = project_deletion.ask(catalogs[0], "p", now=NOW - 1)
    log(catalogs[0], "old")

    def work(catalog: Catalog, number: int) -> str:
        if number % 4 == 0:
            project_deletion.delete_artifacts(catalog, asked)
            project_deletion.purge(catalog, asked)
            return ""
        return log(catalog, f"{number}").version

    found = [each for each in everywhere(24, catalogs, work) if each]
    assert sorted(found, key=lambda each: int(each[1:])) == [f"v{n}" for n in range(1, 19)]
    assert project_deletion.unfinished(catalogs[0]) == [asked]
    later = project_deletion.ask(catalogs[0], "p", now=NOW + 9)
    project_deletion.delete_artifacts(catalogs[0], later)
    gone = artifacts.expire(catalogs[0], now=NOW + 9)
    assert len(gone) == 19
    project_deletion.purge(catalogs[0], later)
    assert read(catalogs[0], "v3").state == "deleted", "its manifest may be there yet"
    artifacts.note_dropped(catalogs[0], gone)
    project_deletion.purge(catalogs[0], later)
    with pytest.raises(ApiError, match="artifact model not found"):
        read(catalogs[0], "v3")
    for each in (asked, later, later):
        project_deletion.end(catalogs[0], each)
    assert project_deletion.unfinished(catalogs[0]) == []
    assert log(catalogs[0], "new", type="other").version == "v0"
