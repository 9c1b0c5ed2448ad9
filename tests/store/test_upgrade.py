"""A store of a former release is brought up to date, however often that is cut short."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell_store import EmbeddedStore, SchemaTooNewError, StoreError, open_embedded
from stepwell_store.embedded_schema import EmbeddedSchema
from stepwell_store.fill import Fill
from stepwell_store.migrate import apply_migrations
from stepwell_store.migrations import MIGRATIONS, migrate
from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import ServerStore, open_server
from stepwell_store.table_spec import TableSpec
from tests.servers.clickhouse import ClickHouseServer
from tests.store.compared import assert_same
from tests.store.former import (
    EXTENTS,
    RELEASES,
    blocks_of,
    make_server_store,
    make_store,
    store_rows,
    unpacked,
)
from tests.store.made import fresh_project, insert

pytestmark = [pytest.mark.processes, pytest.mark.holds("stored-once-over-upgrades")]


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def packages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(request.param, tmp_path_factory.mktemp("release"))


@pytest.fixture
def former(packages: Path, tmp_path: Path) -> Path:
    """An embedded store of that release."""
    make_store(tmp_path / "data", packages)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """What this release makes of the same rows."""
    opened = open_embedded(tmp_path_factory.mktemp("fresh"))
    opened.migrate()
    store_rows(opened)
    yield opened
    opened.close()


def test_rollups_and_attributes_of_a_former_store_are_those_of_a_new_one(
    former: Path, fresh: EmbeddedStore
) -> None:
    store = open_embedded(former)
    assert store.schema_version() == 1
    for _ in range(2):
        store.migrate()
        assert_same(store, fresh)
    assert not store.query("SELECT name FROM system.tables WHERE name = 'rollups'")
    # What is stored from now on counts once, and so does what is sent again.
    for extent in (EXTENTS, EXTENTS, EXTENTS - 1):
        blocks = [block for block in blocks_of(extent) if block.table == "points"]
        insert(store, blocks, f"former-{extent}")
    points = (EXTENTS + 1) * 9000
    assert store.query("SELECT count() AS n FROM points") == [{"n": points}]
    store.close()


class CutError(Exception):
    """The process was killed."""


class CutSchema(EmbeddedSchema):
    """Is killed at its nth change, before or after it."""

    def __init__(self, store: EmbeddedStore, at: int, *, after: bool) -> None:
        super().__init__(store)
        self._left = at
        self._after = after

    def note_version(self, version: int, name: str) -> None:
        self._or_cut(lambda: EmbeddedSchema.note_version(self, version, name))

    def create(self, table: TableSpec) -> None:
        EmbeddedSchema.create(self, table)

    def drop(self, name: str) -> None:
        self._or_cut(lambda: EmbeddedSchema.drop(self, name))

    def fill(self, fill: Fill) -> None:
        self._or_cut(lambda: EmbeddedSchema.fill(self, fill))

    def _or_cut(self, change: Any) -> None:
        self._left -= 1
        if self._left >= 0:
            change()
            return
        if self._after:
            change()
        raise CutError


def test_an_upgrade_cut_short_anywhere_is_completed_and_counts_nothing_twice(
    former: Path, fresh: EmbeddedStore
) -> None:
    store = open_embedded(former)
    cut = 0
    while True:
        try:
            migrate(CutSchema(store, cut, after=cut % 2 == 1))
        except CutError:
            cut += 1
            continue
        break
    assert cut > 6  # Two notes, a drop, attributes, and some pieces.
    assert_same(store, fresh)
    store.close()


def test_an_older_release_stores_nothing_while_and_after_a_store_is_upgraded(
    former: Path, packages: Path
) -> None:
    store = open_embedded(former)
    with pytest.raises(CutError):
        migrate(CutSchema(store, 2, after=False))  # `rollups` is gone.
    older = MIGRATIONS[:1]
    for from_start in (False, True):
        with pytest.raises(SchemaTooNewError):
            apply_migrations(EmbeddedSchema(store), older, from_start=from_start)
    store.close()
    with pytest.raises(AssertionError, match="schema version 2, but this stepwell knows"):
        make_store(former, packages)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    with ClickHouseServer(tmp_path / "server") as running:
        yield running


def opened(server: ClickHouseServer) -> ServerStore:
    return open_server(ServerSettings(endpoints=parse_endpoints(server.address, 9000)))


def test_many_daemons_upgrade_one_server_at_once_and_store_meanwhile(
    own_server: ClickHouseServer, fresh: EmbeddedStore
) -> None:
    store = opened(own_server)
    make_server_store(store)
    store.close()
    problems: list[Exception] = []
    projects = [fresh_project() for _ in range(3)]

    def upgrade(project: str) -> None:
        store = opened(own_server)
        try:
            for attempt in range(5):
                try:
                    store.migrate()
                    break
                except StoreError as error:
                    if attempt == 4:
                        problems.append(error)
            store_rows(store, project)
        except Exception as error:
            problems.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=upgrade, args=(project,)) for project in projects]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not problems
    store = opened(own_server)
    store.look()
    for width in (64, 512, 2048):
        (row,) = store.query(f"SELECT sum(count) AS n FROM step_rollups WHERE width = {width}")
        assert row["n"] == (1 + len(projects)) * EXTENTS * 9000
    for project in projects:
        store.delete_rows(
            "step_rollups",
            "series IN (SELECT series FROM series WHERE project = {p:String})",
            {"p": project},
        )
        for table in ("attributes", "attributes_by_path"):
            store.delete_rows(table, "project = {p:String}", {"p": project})
    assert_same(store, fresh)
    store.close()
