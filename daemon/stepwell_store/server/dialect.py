"""The differences between servers of different ages, as one interface, with today's dialect.

``ModernDialect`` is for servers since 23.3, which support all statements of the embedded engine.
All code for servers before that is in ``old_servers.py``; ``versions.py`` chooses.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from clickhouse_driver import Client
from numpy.typing import NDArray

from stepwell_store.ddl import DURABLE_SETTINGS, add_column
from stepwell_store.fill import Fill
from stepwell_store.table_spec import ColumnSpec, TableSpec

DEDUPLICATION_WINDOW: Final = 10_000
"""Number of blocks that a server remembers for a table; ten times the embedded number, because many
daemons use it."""
_SERVER_SETTINGS: Final = (
    "fsync_after_insert",
    "fsync_part_directory",
    "min_compressed_bytes_to_fsync_after_merge",
)


class AgedTables(Protocol):
    """The tables of one store, as ``Dialect.expire`` changes them."""

    def query(
        self, sql: str, *, parameters: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]: ...

    def delete_rows(self, table: str, condition: str, parameters: Mapping[str, object]) -> None: ...

    def change_ttl(self, table: str, days: int) -> None: ...


class Dialect(Protocol):
    """Tables, queries and idempotent inserts in the form for servers of one age."""

    @property
    def name(self) -> str:
        """Its name in logs."""

    @property
    def has_windows(self) -> bool:
        """Whether queries may use window functions."""

    # tables

    def declared(self, table: TableSpec) -> TableSpec:
        """Return ``table`` in the form that these servers support."""

    def table_settings(self, table: TableSpec, *, is_replicated: bool) -> dict[str, int]:
        """Return the settings of a new table for the rows of ``table``."""

    def add_column(self, place: str, column: ColumnSpec, on_cluster: str) -> str:
        """Return the statement that adds a column of ``declared`` to the table at ``place``.

        If the column exists, the statement may fail with the server's code for that.
        """

    def expire(self, tables: AgedTables, table: str, days: int) -> None:
        """See ``Store.expire``."""

    # queries

    def adapted(self, sql: str) -> str:
        """Return one of our queries in the form that these servers support."""

    # inserts

    def sent_columns(
        self, table: TableSpec, columns: dict[str, NDArray[Any]], token: str
    ) -> dict[str, NDArray[Any]]:
        """Return the sent columns of an insert of a block with ``columns``."""

    def insert_settings(self, token: str) -> dict[str, Any]:
        """Return the settings of the insert of a block."""

    def has_block(
        self,
        client: Client,
        table: TableSpec,
        place: str,
        columns: Mapping[str, NDArray[Any]],
        *,
        query_id: str,
        timeout_seconds: float,
    ) -> bool:
        """Return whether an insert that may be a repetition is stored already and must not be sent.

        Also False if the server itself ignores a repetition.

        Args:
            columns: of ``sent_columns``.
            query_id: of this insert, equal to that of the insert that it may repeat.
            timeout_seconds: time to wait for an earlier one that still runs.

        Raises:
            StoreUnavailableError: An earlier one still runs.
        """

    def fill_settings(self, token: str) -> dict[str, Any]:
        """Return the settings of a fill, beside ``FILL_SETTINGS``."""

    def has_fill(
        self, client: Client, fill: Fill, place: str, *, query_id: str, timeout_seconds: float
    ) -> bool:
        """Return whether a fill with a token is stored and must not be sent, like ``has_block``."""

    def fill_statement(self, fill: Fill, place: str, select: str, query_id: str) -> str:
        """Return the INSERT of ``fill``; ``select`` is its own with the servers' table names."""


class ModernDialect:
    """Servers since 23.3: an insert carries a token, and the server ignores a known one."""

    name: Final = "modern"
    has_windows: Final = True

    def declared(self, table: TableSpec) -> TableSpec:
        # The driver converts dictionaries through pandas' types; tables with dictionaries are
        # small.
        columns = tuple(replace(column, is_dictionary=False) for column in table.columns)
        return replace(table, columns=columns)

    def table_settings(self, table: TableSpec, *, is_replicated: bool) -> dict[str, int]:
        settings = {name: DURABLE_SETTINGS[name] for name in _SERVER_SETTINGS}
        if not is_replicated:
            settings["non_replicated_deduplication_window"] = DEDUPLICATION_WINDOW
        return settings

    def add_column(self, place: str, column: ColumnSpec, on_cluster: str) -> str:
        return add_column(place, column, on_cluster)

    def expire(self, tables: AgedTables, table: str, days: int) -> None:
        tables.change_ttl(table, days)

    def adapted(self, sql: str) -> str:
        return sql

    def sent_columns(
        self, table: TableSpec, columns: dict[str, NDArray[Any]], token: str
    ) -> dict[str, NDArray[Any]]:
        return columns

    def insert_settings(self, token: str) -> dict[str, Any]:
        return {"async_insert": 0, "optimize_on_insert": 0, "insert_deduplication_token": token}

    def has_block(
        self,
        client: Client,
        table: TableSpec,
        place: str,
        columns: Mapping[str, NDArray[Any]],
        *,
        query_id: str,
        timeout_seconds: float,
    ) -> bool:
        return False

    def fill_settings(self, token: str) -> dict[str, Any]:
        once = {"insert_deduplication_token": token} if token else {"insert_deduplicate": 0}
        return {"max_insert_threads": 1, "async_insert": 0, **once}

    def has_fill(
        self, client: Client, fill: Fill, place: str, *, query_id: str, timeout_seconds: float
    ) -> bool:
        return False

    def fill_statement(self, fill: Fill, place: str, select: str, query_id: str) -> str:
        return fill.statement(place, select)


MODERN: Final = ModernDialect()
