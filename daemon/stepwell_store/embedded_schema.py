"""The tables of an embedded store, as migrations create and change them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, Unpack

from stepwell_store.ddl import add_column, create_table
from stepwell_store.fill import FILL_SECONDS, FILL_SETTINGS, Fill, pieces_of, settings_sql
from stepwell_store.query_options import QueryOptions
from stepwell_store.table_spec import TableSpec
from stepwell_store.tables import SCHEMA_VERSIONS

MIGRATION_TIMEOUT_SECONDS: Final = 600.0


class _Engine(Protocol):
    def query(self, sql: str, **options: Unpack[QueryOptions]) -> list[dict[str, Any]]: ...


class EmbeddedSchema:
    """A ``StoreSchema`` on the engine's queries."""

    def __init__(self, engine: _Engine) -> None:
        self._engine = engine

    def found_version(self) -> int:
        (row,) = self._engine.query(f"SELECT max(version) AS found FROM {SCHEMA_VERSIONS.name}")
        return int(row["found"])

    def note_version(self, version: int, name: str) -> None:
        self._execute(
            f"INSERT INTO {SCHEMA_VERSIONS.name} (version, name) SETTINGS async_insert = 0 "
            f"VALUES ({version}, '{name}')"
        )

    def create(self, table: TableSpec) -> None:
        self._execute(create_table(table))

    def add_missing_columns(self, tables: Sequence[TableSpec]) -> None:
        rows = self._engine.query(
            "SELECT table, name FROM system.columns WHERE database = currentDatabase()"
        )
        held = {(row["table"], row["name"]) for row in rows}
        for table in tables:
            for column in table.columns:
                if (table.name, column.name) not in held:
                    self._execute(add_column(table.name, column))

    def drop(self, name: str) -> None:
        self._execute(f"DROP TABLE IF EXISTS {name}")

    def pieces_of(self, points: TableSpec) -> list[int]:
        rows = self._engine.query(pieces_of(points), timeout_seconds=FILL_SECONDS)
        return [row["piece"] for row in rows]

    def fill(self, fill: Fill) -> None:
        settings: dict[str, object] = {**FILL_SETTINGS, "max_insert_threads": 1, "async_insert": 0}
        if fill.token:
            settings["insert_deduplication_token"] = fill.token
        else:
            settings["insert_deduplicate"] = 0
        statement = fill.statement(fill.table.name, fill.select, settings=settings_sql(settings))
        self._engine.query(statement, timeout_seconds=FILL_SECONDS)

    def _execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        self._engine.query(sql, parameters=parameters, timeout_seconds=MIGRATION_TIMEOUT_SECONDS)
