"""A Store in ClickHouse servers, over their native protocol.

Exactly once rests on three things. A block is one insert, which the server does as a whole or not
at all. A repetition is recognised as the server's ``Dialect`` can: by a token, or by a look before
it. Replicated tables moreover drop equal blocks, whichever replica gets them.
"""

import itertools
import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException
from numpy.typing import NDArray

from stepwell_store.blocks import Block
from stepwell_store.engine import TOKEN
from stepwell_store.errors import (
    StoreError,
    StoreUnavailableError,
    TableMissingError,
    insert_error,
    query_error,
)
from stepwell_store.expiry import ttl_change
from stepwell_store.fill import FILL_SECONDS, FILL_SETTINGS, Fill
from stepwell_store.identity import fingerprint
from stepwell_store.known_names import KnownNames
from stepwell_store.migrate import check_version
from stepwell_store.migrations import NEWEST, migrate
from stepwell_store.named_queries import NamedQueries
from stepwell_store.native import array_of
from stepwell_store.server.answers import rows_by_name
from stepwell_store.server.connections import FAILURES, Connections, reason_of
from stepwell_store.server.dialect import MODERN, Dialect
from stepwell_store.server.literals import with_literals
from stepwell_store.server.place import Place, local_name
from stepwell_store.server.schema import MIGRATION_SECONDS, ServerSchema
from stepwell_store.server.settings import Endpoint, ServerSettings
from stepwell_store.server.versions import dialect_of
from stepwell_store.statement import READ_ONLY, reading_statement
from stepwell_store.tables import BY_NAME
from stepwell_store.writer import WriterInfo

logger = logging.getLogger("stepwell_store")

_POLL_SECONDS: Final = 0.5
_KILL_SECONDS: Final = 2.0
_READING_SETTINGS: Final = {
    "max_query_size": 64 << 20,
    "max_ast_elements": 10_000_000,
    "max_expanded_ast_elements": 10_000_000,
}


class ServerStore:
    """A Store. ``migrate``, or ``look`` where nothing is written, comes first."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.dialect: Dialect = MODERN
        self._known = KnownNames()
        self._named = NamedQueries()
        self._numbers = itertools.count(1)
        self._bare = Connections(settings, settings.endpoints, database="")
        self._asking = self._connections(settings.endpoints)
        self._reading = self._connections(settings.endpoints, columnar=True)
        self._shards: tuple[Connections, ...] = (self._reading,)
        self._has_looked = False

    @property
    def kind(self) -> str:
        return self.settings.kind

    @property
    def has_windows(self) -> bool:
        return self.dialect.has_windows

    @property
    def shard_count(self) -> int:
        return len(self._shards)

    def shard_of(self, writer: WriterInfo) -> int:
        if self.shard_count == 1:
            return 0
        return (fingerprint(writer.host) if writer.is_node else writer.run_key) % self.shard_count

    # ------------------------------------------------------------------ tables

    def look(self) -> None:
        """Find out what the servers are, for reading; nothing is changed.

        Raises:
            TableMissingError: There are no tables of ours.
            SchemaTooNewError: A newer stepwell made them.
        """
        self._look()
        check_version(self.schema.found_version(), NEWEST)

    def migrate(self) -> None:
        self._migrate(from_start=False)

    def _migrate(self, *, from_start: bool) -> None:
        self.make_database()
        migrate(self.schema, from_start=from_start)

    def make_database(self) -> None:
        """Find out what the servers are, and make the database where it is missing."""
        self._look()
        database = self.settings.database
        found = self._rows(
            self._bare,
            "SELECT 1 FROM system.databases WHERE name = {name:String}",
            {"name": database},
        )
        if not found:
            self._execute(
                self._bare, f"CREATE DATABASE IF NOT EXISTS {database}{self._place.everywhere}"
            )

    def _look(self) -> None:
        """Find out how old the servers are and which shards and replicas there are."""
        (row,) = self._rows(self._bare, "SELECT version() AS version")
        self.dialect = dialect_of(row["version"])
        if self.settings.cluster:
            self._find_shards(self.settings.cluster)
        if not self._has_looked:
            self._has_looked = True
            logger.info(
                "found ClickHouse version=%s tables=%s shards=%d",
                row["version"],
                self.dialect.name,
                self.shard_count,
            )

    def _find_shards(self, cluster: str) -> None:
        rows = self._rows(
            self._bare,
            "SELECT shard_num, host_name, port FROM system.clusters "
            "WHERE cluster = {cluster:String} ORDER BY shard_num, replica_num",
            {"cluster": cluster},
        )
        if not rows:
            known = self._rows(self._bare, "SELECT DISTINCT cluster FROM system.clusters")
            names = ", ".join(row["cluster"] for row in known) or "none"
            raise StoreUnavailableError(
                f"the server knows no cluster {cluster!r}, but {names}; correct "
                "clickhouse_cluster, or remote_servers in the server's configuration"
            )
        by_shard: dict[int, list[Endpoint]] = {}
        for row in rows:
            by_shard.setdefault(row["shard_num"], []).append(
                Endpoint(row["host_name"], row["port"])
            )
        if self._has_looked and len(by_shard) != self.shard_count:
            # Blocks are cut by shard before they come here.
            raise StoreUnavailableError(
                f"the cluster {cluster!r} has {len(by_shard)} shards now, and had "
                f"{self.shard_count} when the daemon started; start the daemon anew"
            )
        if [list(each.endpoints) for each in self._shards] == list(by_shard.values()):
            return
        former, self._shards = (
            self._shards,
            tuple(self._connections(each, columnar=True) for each in by_shard.values()),
        )
        for each in former:
            if each is not self._reading:
                each.close()

    @property
    def schema(self) -> ServerSchema:
        """The tables, as migrations change them."""
        return ServerSchema(self, self._place)

    @property
    def _place(self) -> Place:
        return Place(self.dialect, self.settings.database, self.settings.cluster)

    # ------------------------------------------------------------------ blocks

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        if not TOKEN.fullmatch(token):
            raise ValueError(f"{token!r} is no token: 1 to 256 letters, digits and _.:/@+=- only")
        if block.names and self._known.has_all(block.names):
            return
        try:
            self._insert(block, token, may_repeat)
        except TableMissingError:
            logger.warning("table or column missing, migrating table=%s", block.table)
            self._migrate(from_start=True)
            self._insert(block, token, may_repeat)
        self._known.add(block.names)

    def _insert(self, block: Block, token: str, may_repeat: bool) -> None:
        table = BY_NAME[block.table]
        columns = {column.name: array_of(column, block.rows) for column in block.columns}
        columns = self.dialect.sent_columns(table, columns, token)
        local = local_name(block.table, self.settings.cluster)
        query_id = f"stepwell-{token}"
        try:
            with self._shards[block.shard].client() as client:
                if may_repeat and self.dialect.has_block(
                    client,
                    table,
                    local,
                    columns,
                    query_id=query_id,
                    timeout_seconds=self.settings.timeout_seconds,
                ):
                    logger.info("a block is already there token=%s", token)
                    return
                client.execute(
                    f"INSERT INTO {local} ({', '.join(columns)}) VALUES",
                    list(columns.values()),
                    columnar=True,
                    query_id=query_id,
                    settings=self._insert_settings(token),
                )
        except ServerException as error:
            raise insert_error(block.table, error.code, reason_of(error)) from error
        except FAILURES as error:
            raise StoreUnavailableError(
                f"insert into {block.table}: {reason_of(error)}; tried again until it works"
            ) from error

    def _insert_settings(self, token: str) -> dict[str, Any]:
        settings = self.dialect.insert_settings(token)
        if self.settings.insert_quorum:
            settings["insert_quorum"] = self.settings.insert_quorum
        return settings

    def fill(self, fill: Fill) -> None:
        """See ``Store``. Each shard fills its own part, on the first replica that answers."""
        for number, shard in enumerate(self._shards):
            try:
                with shard.client() as client:
                    self._fill(client, fill, f"{fill.token}-{number}" if fill.token else "")
            except ServerException as error:
                raise insert_error(fill.table.name, error.code, reason_of(error)) from error
            except FAILURES as error:
                raise StoreUnavailableError(
                    f"filling {fill.table.name}: {reason_of(error)}; tried again until it works"
                ) from error

    def _fill(self, client: Client, fill: Fill, token: str) -> None:
        place = self._place
        local = place.local(fill.table.name)
        if place.cluster:  # A part that another replica took may not be here yet.
            client.execute(f"SYSTEM SYNC REPLICA {place.local(fill.source.name)}")
        query_id = f"stepwell-{token or uuid.uuid4()}"
        if token and self.dialect.has_fill(
            client,
            fill,
            local,
            query_id=query_id,
            timeout_seconds=self.settings.timeout_seconds,
        ):
            return
        select = self.dialect.adapted(place.localised(fill.select))
        client.execute(
            self.dialect.fill_statement(fill, local, select, query_id),
            query_id=query_id,
            settings={
                **FILL_SETTINGS,
                "max_execution_time": math.ceil(FILL_SECONDS),
                **self.dialect.fill_settings(token),
            },
        )

    # ------------------------------------------------------------------ questions

    def query(
        self,
        sql: str,
        *,
        parameters: Mapping[str, object] | None = None,
        timeout_seconds: float = 30,
        memory_bytes: int = 0,
        query_id: str = "",
    ) -> list[dict[str, Any]]:
        """See ``Store``."""
        more = _limits(memory_bytes)
        return self._rows(self._asking, sql, parameters, timeout_seconds, more, query_id)

    def read(
        self, statement: str, *, timeout_seconds: float
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Return the columns and rows of a user's statement, which the server may only let read.

        Raises:
            StatementError: It is not one that only reads.
        """
        known = [row["name"] for row in self.query("SELECT name FROM system.table_functions")]
        statement = reading_statement(statement, known)
        rows, columns = self._ask(self._asking, statement, None, timeout_seconds, dict([READ_ONLY]))
        names = [name for name, _ in columns]
        return names, rows_by_name(rows, columns)

    def arrays(
        self,
        sql: str,
        *,
        parameters: Mapping[str, object] | None = None,
        timeout_seconds: float = 30,
        memory_bytes: int = 0,
        query_id: str = "",
    ) -> dict[str, NDArray[Any]]:
        more = _limits(memory_bytes)
        values, columns = self._ask(self._reading, sql, parameters, timeout_seconds, more, query_id)
        # Without rows there are no arrays either.
        return {name: each for (name, _), each in zip(columns, values, strict=False)}

    def cancel(self, query_id: str) -> None:
        self._named.cancel(query_id, lambda: self._kill(query_id))

    def _kill(self, query_id: str) -> None:
        """End the query on whichever server runs it."""
        for endpoint in self.settings.endpoints:
            one = self._connections((endpoint,))
            try:
                self._rows(
                    one,
                    "KILL QUERY WHERE startsWith(query_id, {start:String}) ASYNC",
                    {"start": f"{query_id}."},
                    _KILL_SECONDS,
                )
            except StoreError as error:
                logger.warning("cannot cancel a query server=%s reason=%s", endpoint, error)
            finally:
                one.close()

    def ping(self, timeout_seconds: float = 2) -> bool:
        try:
            self._rows(self._bare, "SELECT 1", None, timeout_seconds)
        except StoreError:
            return False
        return True

    # ------------------------------------------------------------------ deletion

    def delete_rows(self, table: str, condition: str, parameters: Mapping[str, object]) -> None:
        self._known.clear()
        place = self._place
        self._execute(
            self._asking,
            f"ALTER TABLE {place.local(table)}{place.everywhere} "
            f"DELETE WHERE {place.localised(condition)}",
            parameters,
        )
        self._wait_for_mutations(local_name(table, self.settings.cluster))

    def _wait_for_mutations(self, local: str) -> None:
        """Return when no server has rows of ``local`` left to delete."""
        deadline = time.monotonic() + MIGRATION_SECONDS
        endpoints = {each for shard in self._shards for each in shard.endpoints}
        for endpoint in sorted(endpoints, key=str):
            one = self._connections((endpoint,))
            try:
                while self._rows(
                    one,
                    "SELECT 1 FROM system.mutations WHERE database = {database:String} "
                    "AND table = {table:String} AND NOT is_done LIMIT 1",
                    {"database": self.settings.database, "table": local},
                ):
                    if time.monotonic() > deadline:
                        raise StoreUnavailableError(
                            f"{endpoint} is still deleting rows of {local}; they go by and by"
                        )
                    time.sleep(_POLL_SECONDS)
            finally:
                one.close()

    def expire(self, table: str, days: int) -> None:
        self.dialect.expire(self, table, days)

    def change_ttl(self, table: str, days: int) -> None:
        """Have the servers drop rows of ``table`` by age; 0 keeps them for ever."""
        local = local_name(table, self.settings.cluster)
        (row,) = self.query(
            "SELECT engine_full FROM system.tables "
            "WHERE database = {database:String} AND name = {table:String}",
            parameters={"database": self.settings.database, "table": local},
        )
        if change := ttl_change(row["engine_full"], days):
            place = f"{self.settings.database}.{local}{self._place.everywhere}"
            self._execute(self._asking, f"ALTER TABLE {place} {change}")

    def close(self) -> None:
        for each in (self._bare, self._asking, self._reading, *self._shards):
            each.close()

    # ------------------------------------------------------------------ how it is asked

    def _connections(self, endpoints: Sequence[Endpoint], *, columnar: bool = False) -> Connections:
        return Connections(
            self.settings, endpoints, database=self.settings.database, columnar=columnar
        )

    def _execute(
        self,
        connections: Connections,
        statement: str,
        parameters: Mapping[str, object] | None = None,
    ) -> None:
        self._ask(connections, statement, parameters, MIGRATION_SECONDS)

    def _rows(
        self,
        connections: Connections,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        timeout_seconds: float = 30,
        more: Mapping[str, Any] | None = None,
        query_id: str = "",
    ) -> list[dict[str, Any]]:
        rows, columns = self._ask(connections, sql, parameters, timeout_seconds, more, query_id)
        return rows_by_name(rows, columns)

    def _ask(
        self,
        connections: Connections,
        sql: str,
        parameters: Mapping[str, object] | None,
        timeout_seconds: float,
        more: Mapping[str, Any] | None = None,
        query_id: str = "",
    ) -> tuple[Sequence[Any], Sequence[tuple[str, str]]]:
        statement = with_literals(self.dialect.adapted(sql), parameters)
        settings = {
            **_READING_SETTINGS,
            "max_execution_time": max(1, math.ceil(timeout_seconds)),
            **({"distributed_product_mode": "global"} if self.settings.cluster else {}),
            **(more or {}),
        }
        try:
            with self._named.running(query_id), connections.client() as client:
                result = client.execute(
                    statement,
                    with_column_types=True,
                    columnar=connections.columnar,
                    settings=settings,
                    # A server takes one query at a time of a name: each gets a number.
                    query_id=f"{query_id}.{next(self._numbers)}" if query_id else None,
                )
        except ServerException as error:
            raise query_error(error.code, reason_of(error)) from error
        except FAILURES as error:
            raise StoreUnavailableError(
                f"query: {reason_of(error)}; try again later or ask for less"
            ) from error
        return result if isinstance(result, tuple) else ((), ())


def _limits(memory_bytes: int) -> dict[str, Any]:
    return {"max_memory_usage": memory_bytes} if memory_bytes else {}


def open_server(settings: ServerSettings) -> ServerStore:
    """Return the store in servers; none is connected yet."""
    return ServerStore(settings)
