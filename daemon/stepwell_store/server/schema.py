"""The tables on servers, for migrations."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, Unpack

from stepwell_store.errors import StoreError, StoreUnavailableError
from stepwell_store.fill import FILL_SECONDS, Fill, pieces_of
from stepwell_store.query_options import QueryOptions
from stepwell_store.server.place import TablePlace
from stepwell_store.table_spec import TableSpec
from stepwell_store.tables import SCHEMA_VERSIONS

MIGRATION_SECONDS: Final = 600.0
_COLUMN_EXISTS: Final = 44
_REPLICA_EXISTS: Final = 253


class _Server(Protocol):
    def query(self, sql: str, **options: Unpack[QueryOptions]) -> list[dict[str, Any]]: ...

    def fill(self, fill: Fill) -> None: ...


class ServerSchema:
    """A ``StoreSchema`` of one server, or of a cluster."""

    def __init__(self, server: _Server, place: TablePlace) -> None:
        self._server = server
        self._place = place

    def found_version(self) -> int:
        # On any one server: all have the same, also while a shard is away.
        local = self._place.local(SCHEMA_VERSIONS.name)
        (row,) = self._server.query(f"SELECT max(version) AS version FROM {local}")
        return int(row["version"])

    def note_version(self, version: int, name: str) -> None:
        local = self._place.local(SCHEMA_VERSIONS.name)
        self._execute(
            f"INSERT INTO {local} (version, name) SELECT {version}, {{name:String}}",
            {"name": name},
        )

    def create(self, table: TableSpec) -> None:
        for statement in self._place.create(table):
            try:
                self._execute(statement)
            except StoreError as error:
                if error.code != _REPLICA_EXISTS:
                    raise
                raise StoreUnavailableError(
                    f"{error}: a replica with this name ended while it created the table; "
                    "remove the path in the message from the servers' ZooKeeper, then the "
                    "daemon creates the table",
                    error.code,
                ) from error

    def add_missing_columns(self, tables: Sequence[TableSpec]) -> None:
        rows = self._server.query(
            "SELECT table, name FROM system.columns WHERE database = {database:String}",
            parameters={"database": self._place.database},
        )
        held = {(row["table"], row["name"]) for row in rows}
        for table in tables:
            columns = self._place.dialect.declared(table).columns
            kept_in, *distributed = self._place.names(table.name)
            for column in columns:
                if (kept_in, column.name) not in held:
                    self._add_column(self._place.add_column(table, column))
            for name in distributed:
                if any((name, column.name) not in held for column in columns):
                    for statement in self._place.renew_distributed(table):
                        self._execute(statement)

    def drop(self, name: str) -> None:
        for statement in self._place.drop(name):
            self._execute(statement)

    def pieces_of(self, points: TableSpec) -> list[int]:
        rows = self._server.query(pieces_of(points), timeout_seconds=FILL_SECONDS)
        return [row["piece"] for row in rows]

    def fill(self, fill: Fill) -> None:
        self._server.fill(fill)

    def _add_column(self, statement: str) -> None:
        try:
            self._execute(statement)
        except StoreError as error:
            if error.code != _COLUMN_EXISTS:  # Another daemon was faster.
                raise

    def _execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        self._server.query(sql, parameters=parameters, timeout_seconds=MIGRATION_SECONDS)
