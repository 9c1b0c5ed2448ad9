"""Migrations: applied once, in order, safe to repeat; a newer store is left alone."""

from pathlib import Path

import pytest

from stepwell_store import SchemaTooNewError, open_embedded
from stepwell_store.errors import TableMissingError
from stepwell_store.migrate import (
    DURABLE_SETTINGS,
    apply_migrations,
    load_migrations,
    split_statements,
)


class Recorder:
    """A store that only notes what it is told; ``version`` None: it has no table of versions."""

    def __init__(self, version: int | None, *, breaks_at: int | None = None) -> None:
        self.version = version
        self.breaks_at = breaks_at
        self.executed: list[str] = []

    def execute(self, sql: str) -> None:
        if self.breaks_at is not None and len(self.executed) == self.breaks_at:
            raise ConnectionError("killed")
        self.executed.append(sql)

    def found_version(self) -> int:
        if self.version is None:
            self.version = 0
            raise TableMissingError("no such table", 60)
        return self.version

    def record(self, version: int, name: str) -> None:
        self.execute(f"INSERT INTO schema_versions (version, name) VALUES ({version}, '{name}')")

    def migrate(self) -> int:
        return apply_migrations(self.execute, self.found_version, self.record)


def test_versions_are_numbered_without_a_hole_and_every_table_carries_the_settings():
    migrations = load_migrations()
    assert [each.version for each in migrations] == list(range(1, len(migrations) + 1))
    for migration in migrations:
        for statement in migration.statements:
            assert "{durable}" not in statement
            if "CREATE TABLE" in statement:
                assert "IF NOT EXISTS" in statement
                assert all(
                    f"{name} = {value}" in statement for name, value in DURABLE_SETTINGS.items()
                )


def test_a_store_at_the_newest_version_is_not_touched():
    recorder = Recorder(len(load_migrations()))
    assert recorder.migrate() == recorder.version
    assert recorder.executed == []


def test_a_newer_store_is_refused_before_anything_is_changed():
    recorder = Recorder(99)
    with pytest.raises(SchemaTooNewError, match=r"version 99.*upgrade stepwell"):
        recorder.migrate()
    assert recorder.executed == []


def test_a_version_is_noted_after_all_its_statements():
    recorder = Recorder(None)
    recorder.migrate()
    first = load_migrations()[0]
    assert tuple(recorder.executed[1 : 1 + len(first.statements)]) == first.statements
    assert recorder.executed[1 + len(first.statements)].startswith("INSERT INTO schema_versions")


def test_a_migration_cut_short_is_completed_by_the_next(tmp_path: Path):
    statements = sum(len(each.statements) for each in load_migrations())
    store = open_embedded(tmp_path)
    for cut in range(1, statements + 1, 3):
        recorder = Recorder(None, breaks_at=cut)
        with pytest.raises(ConnectionError):
            recorder.migrate()
        for statement in recorder.executed:
            store.query(statement)
    store.migrate()
    store.migrate()
    tables = store.query("SELECT count() AS n FROM system.tables WHERE database = 'default'")
    assert tables == [{"n": 13}]
    assert store.query("SELECT version, name FROM schema_versions") == [
        {"version": 1, "name": "tables"}
    ]
    store.query("INSERT INTO schema_versions (version, name) VALUES (99, 'of the future')")
    with pytest.raises(SchemaTooNewError):
        store.migrate()
    store.close()


def test_a_semicolon_inside_a_line_ends_no_statement():
    assert split_statements("-- no; statement\nSELECT ';' AS a;\nSELECT 2;\n") == (
        "SELECT ';' AS a",
        "SELECT 2",
    )
