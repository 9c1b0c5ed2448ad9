"""Migrations: applied once, in order, safe to repeat; a newer store is left alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stepwell_store import EmbeddedStore, SchemaTooNewError, open_embedded
from stepwell_store.ddl import DURABLE_SETTINGS, create_table
from stepwell_store.embedded_schema import EmbeddedSchema
from stepwell_store.errors import TableMissingError
from stepwell_store.migrate import Migration, apply_migrations
from stepwell_store.migrations import MIGRATIONS, NEWEST, is_between, migrate
from stepwell_store.server.store import ServerStore
from stepwell_store.table_spec import ColumnSpec, DeletionOrder, TableSpec
from stepwell_store.tables import CONSOLE, GAPS, SCHEMA_VERSIONS, TABLES
from tests.store.made import event, fresh_project, tell, writer

pytestmark = pytest.mark.processes


class Recorder:
    """A schema that only notes what it is told; ``version`` None: it has no table of versions."""

    def __init__(self, version: int | None, *, breaks_at: int | None = None) -> None:
        self.version = version
        self.breaks_at = breaks_at
        self.done: list[str] = []

    def do(self, what: str) -> None:
        if self.breaks_at is not None and len(self.done) == self.breaks_at:
            raise ConnectionError("killed")
        self.done.append(what)

    def found_version(self) -> int:
        if self.version is None:
            self.version = 0
            raise TableMissingError("no such table", 60)
        return self.version

    def note_version(self, version: int, name: str) -> None:
        self.do(f"note {version} {name}")
        self.version = version

    def create(self, table: TableSpec) -> None:
        self.do(f"create {table.name}")

    def add_missing_columns(self, tables: Sequence[TableSpec]) -> None:
        self.do("add columns")


def step(name: str) -> Callable[[Recorder], None]:
    return lambda schema: schema.do(name)


THREE = (
    Migration(1, "tables"),
    Migration(2, "announced", announces=True),
    Migration(3, "moved", (step("move"), step("drop"))),
)
_MADE = [*(f"create {table.name}" for table in TABLES), "add columns"]


def test_versions_are_numbered_without_a_hole_and_every_table_carries_the_settings():
    assert [each.version for each in MIGRATIONS] == list(range(1, NEWEST + 1))
    for table in (*TABLES, SCHEMA_VERSIONS):
        statement = create_table(table)
        assert statement.startswith(f"CREATE TABLE IF NOT EXISTS {table.name}\n")
        assert all(f"{name} = {value}" in statement for name, value in DURABLE_SETTINGS.items())


def test_each_declaration_names_columns_that_it_has():
    for table in TABLES:
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        assert {*table.key, *table.sent} <= set(names)
        assert not table.sent or set(table.sent) == set(names), "a block has every column"
        assert not table.version_column or table.version_column in names
        assert not table.kept_days or "time" in names
        if table.deletion in (DeletionOrder.BY_NAME, DeletionOrder.BY_NAME_LAST):
            assert {"project", "run_id"} <= set(table.key)
        if table.deletion is DeletionOrder.BY_SERIES:
            assert "series" in names
        if table.deletion is None:
            assert "run_id" not in names, f"who deletes rows of {table.name}?"


def test_a_store_at_the_newest_version_is_not_touched():
    recorder = Recorder(3)
    apply_migrations(recorder, THREE)
    assert recorder.done == []


@pytest.mark.holds("broken-schema")
def test_a_newer_store_is_refused_before_anything_is_changed():
    for from_start in (False, True):
        recorder = Recorder(99)
        with pytest.raises(SchemaTooNewError, match=r"version 99.*upgrade stepwell"):
            apply_migrations(recorder, THREE, from_start=from_start)
        assert recorder.done == []


def test_a_version_is_noted_after_its_steps():
    recorder = Recorder(None)
    apply_migrations(recorder, THREE)
    notes = ["note 1 tables", "note 2 announced", "move", "drop", "note 3 moved"]
    assert recorder.done == ["create schema_versions", *_MADE, *notes]


def test_only_what_is_missing_is_done():
    recorder = Recorder(2)
    apply_migrations(recorder, THREE)
    assert recorder.done == [*_MADE, "move", "drop", "note 3 moved"]


def test_what_somebody_dropped_is_made_anew_and_no_step_is_repeated():
    recorder = Recorder(3)
    apply_migrations(recorder, THREE, from_start=True)
    assert recorder.done == _MADE


def test_steps_that_were_cut_short_are_done_by_the_next():
    whole = Recorder(1)
    apply_migrations(whole, THREE)
    for cut in range(len(whole.done)):
        recorder = Recorder(1, breaks_at=cut)
        with pytest.raises(ConnectionError):
            apply_migrations(recorder, THREE)
        recorder.breaks_at = None
        apply_migrations(recorder, THREE)
        assert recorder.done[-2:] == whole.done[-2:]
        assert recorder.version == 3


def test_a_reader_waits_while_a_store_is_between_two_versions():
    assert is_between(0)
    assert not is_between(1)
    assert not is_between(NEWEST)
    assert not is_between(NEWEST + 1)
    assert [each.announces for each in MIGRATIONS] == [
        is_between(each.version) for each in MIGRATIONS
    ]


@pytest.mark.holds("broken-schema")
def test_a_migration_cut_short_is_completed_by_the_next(tmp_path: Path):
    store = open_embedded(tmp_path)
    for table in (SCHEMA_VERSIONS, *TABLES[:5]):
        store.query(create_table(table))
    store.migrate()
    store.migrate()
    tables = store.query("SELECT count() AS n FROM system.tables WHERE database = 'default'")
    assert tables == [{"n": len(TABLES) + 1}]
    assert store.query("SELECT version, name FROM schema_versions ORDER BY version") == [
        {"version": each.version, "name": each.name} for each in MIGRATIONS
    ]
    store.query("INSERT INTO schema_versions (version, name) VALUES (99, 'of the future')")
    with pytest.raises(SchemaTooNewError):
        store.migrate()
    store.close()


def test_a_dropped_table_is_made_anew_by_the_next_block(engine: EmbeddedStore):
    engine.query("DROP TABLE gaps")
    project = fresh_project()
    tell(engine, writer(project), event("gap", {"reason": "full", "rows": 1, "points": 1}))
    found = engine.query(
        "SELECT rows FROM gaps WHERE project = {p:String}", parameters={"p": project}
    )
    assert found == [{"rows": 1}]


ADDED = ColumnSpec("color", "String", comment="added later", default="'grey'", is_dictionary=True)
WIDER = replace(CONSOLE, columns=(*CONSOLE.columns, ADDED))


def test_a_column_declared_later_is_added_to_an_old_table(tmp_path: Path):
    store = open_embedded(tmp_path)
    store.migrate()
    console = event("console", {"stream": "stdout", "lines": [[1, 5, "hi"]]})
    tell(store, writer("p"), console)
    for _ in range(2):
        EmbeddedSchema(store).add_missing_columns([GAPS, WIDER])
    assert store.query("SELECT text, color FROM console") == [{"text": "hi", "color": "grey"}]
    (column,) = store.query(
        "SELECT type, comment FROM system.columns WHERE table = 'console' AND name = 'color'"
    )
    assert column == {"type": "LowCardinality(String)", "comment": "added later"}
    store.close()


def test_a_column_declared_later_is_added_in_a_server(server: ServerStore):
    project = fresh_project()
    console = event("console", {"stream": "stdout", "lines": [[1, 5, "hi"]]})
    tell(server, writer(project), console)
    for _ in range(2):
        server.schema.add_missing_columns([GAPS, WIDER])
    question = "SELECT text, color FROM console WHERE project = {p:String}"
    assert server.query(question, parameters={"p": project}) == [{"text": "hi", "color": "grey"}]
    tell(server, writer(project), console)  # A block without the column.
    migrate(server.schema)
