"""The tables' places on servers, and the statements that create and change them there. No I/O
here."""

import re
from dataclasses import dataclass
from typing import Final

from stepwell_store.ddl import create_table
from stepwell_store.server.dialect import DEDUPLICATION_WINDOW, Dialect
from stepwell_store.table_spec import ColumnSpec, TableSpec
from stepwell_store.tables import BY_NAME

_FROM: Final = re.compile(r"\bFROM (\w+)\b")


def local_name(table: str, cluster: str) -> str:
    """Return the name of a server's own part of ``table``."""
    return f"{table}_local" if cluster else table


@dataclass(frozen=True, slots=True)
class TablePlace:
    """The place of tables: a database of a server, or of all servers of ``cluster``."""

    dialect: Dialect
    database: str
    cluster: str = ""

    @property
    def everywhere(self) -> str:
        """The text after a name that makes every server execute the statement."""
        return f" ON CLUSTER {self.cluster}" if self.cluster else ""

    def local(self, table: str) -> str:
        """Return the name of the table with the rows of ``table``."""
        return f"{self.database}.{local_name(table, self.cluster)}"

    def names(self, table: str) -> tuple[str, ...]:
        """Return each table in the database for ``table``, the one with the rows first."""
        return (local_name(table, self.cluster), table) if self.cluster else (table,)

    def localised(self, sql: str) -> str:
        """Return ``sql`` with each ``FROM`` one of our tables changed to the server's own part."""
        return _FROM.sub(
            lambda found: f"FROM {self.local(found[1])}" if found[1] in BY_NAME else found[0], sql
        )

    def create(self, table: TableSpec) -> list[str]:
        """Return the statements that create ``table``."""
        settings = self.dialect.table_settings(table, is_replicated=bool(self.cluster))
        replica: tuple[str, ...] = ()
        if self.cluster:
            shard, name = (
                ("all", "{shard}-{replica}")
                if table.is_on_every_server
                else ("{shard}", "{replica}")
            )
            path = f"/clickhouse/tables/{shard}/{self.database}/{table.name}"
            replica = (f"'{path}'", f"'{name}'")
            settings["replicated_deduplication_window"] = DEDUPLICATION_WINDOW
        made = create_table(
            self.dialect.declared(table),
            name=self.local(table.name),
            on_cluster=self.everywhere,
            replica=replica,
            settings=settings,
        )
        return [made, self._distributed(table.name)] if self.cluster else [made]

    def add_column(self, table: TableSpec, column: ColumnSpec) -> str:
        """Return the statement that adds ``column`` to the table with the rows."""
        return self.dialect.add_column(self.local(table.name), column, self.everywhere)

    def renew_distributed(self, table: TableSpec) -> list[str]:
        """Return the statements that update the columns of the table over all shards.

        18.16 alters no such table on a cluster of replicas. It has no rows, so it is created again.
        """
        name = f"{self.database}.{table.name}"
        return [
            f"DROP TABLE IF EXISTS {name}{self.everywhere}",
            self._distributed(table.name),
        ]

    def drop(self, table: str) -> list[str]:
        """Return the statements that remove ``table`` with its rows, if it exists."""
        return [
            f"DROP TABLE IF EXISTS {self.database}.{name}{self.everywhere}"
            for name in reversed(self.names(table))
        ]

    def _distributed(self, table: str) -> str:
        kept_in = local_name(table, self.cluster)
        return (
            f"CREATE TABLE IF NOT EXISTS {self.database}.{table}{self.everywhere} "
            f"AS {self.local(table)} "
            f"ENGINE = Distributed({self.cluster}, {self.database}, {kept_in})"
        )
