"""The store in an embedded engine: its queries, and the owner of the engine's process.

The owner (the daemon, or a tool that found no engine running) starts the engine, pings it, kills it
when it hangs and restarts it when it dies. Other processes only connect to its socket.
"""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Unpack

from numpy.typing import NDArray

from stepwell_store.blocks import Block
from stepwell_store.channel import (
    read_memory_file,
    write_memory_file,
)
from stepwell_store.embedded_schema import MIGRATION_TIMEOUT_SECONDS, EmbeddedSchema
from stepwell_store.engine import SOCKET_FILE, TOKEN
from stepwell_store.engine_connections import EngineConnections, connect
from stepwell_store.engine_process import EngineProcess
from stepwell_store.errors import (
    SocketMissingError,
    StoreBusyError,
    StoreError,
    StoreUnavailableError,
    TableMissingError,
    insert_error,
    query_error,
)
from stepwell_store.expiry import ttl_change
from stepwell_store.fill import Fill
from stepwell_store.known_names import KnownNames
from stepwell_store.migrations import is_between, migrate
from stepwell_store.named_queries import NamedQueries
from stepwell_store.native import decode_blocks
from stepwell_store.parameters import ROWS_FORMAT, decode_rows, encode_parameters
from stepwell_store.query_options import QueryOptions
from stepwell_store.statement import READ_ONLY, reading_statement
from stepwell_store.supervisor import Supervisor
from stepwell_store.writer import WriterInfo

logger = logging.getLogger("stepwell_store")

MEMORY_BYTES_MAX_DEFAULT: Final = 2 << 30
INSERT_TIMEOUT_SECONDS: Final = 300.0
# So that the engine reports its own time-out before ours ends the wait.
_GRACE_SECONDS: Final = 5.0
_READING: Final = ("KILL", "SELECT", "WITH", "SHOW", "DESC", "EXPLAIN", "EXISTS")
_KILL_SECONDS: Final = 2.0
_TAKE_OVER_SECONDS: Final = 15.0
_TABLES_POLL_SECONDS: Final = 0.05


class EmbeddedStore:
    """A Store in an engine process, its own or another process's."""

    kind = "embedded"
    has_windows = True

    def __init__(self, data_dir: Path, supervisor: Supervisor | None) -> None:
        self.data_dir = data_dir
        self._connections = EngineConnections(data_dir / SOCKET_FILE, supervisor)
        self._known = KnownNames()
        self._named = NamedQueries()

    @property
    def engine_pid(self) -> int | None:
        """The engine's process, if this store started it."""
        supervisor = self._connections.supervisor
        return supervisor.engine_pid if supervisor else None

    @property
    def restarts(self) -> int:
        """Number of restarts of the engine."""
        supervisor = self._connections.supervisor
        return supervisor.restarts if supervisor else 0

    def migrate(self) -> None:
        self._migrate(from_start=False)

    def schema_version(self) -> int:
        return EmbeddedSchema(self).found_version()

    def shard_of(self, writer: WriterInfo) -> int:
        return 0

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        if block.names and self._known.has_all(block.names):
            return
        try:
            self._insert(block, token)
        except TableMissingError:
            logger.warning("table or column missing, migrating table=%s", block.table)
            self._migrate(from_start=True)
            self._insert(block, token)
        self._known.add(block.names)

    def query(self, sql: str, **options: Unpack[QueryOptions]) -> list[dict[str, Any]]:
        return decode_rows(self.query_bytes(sql, output_format=ROWS_FORMAT, **options))

    def arrays(self, sql: str, **options: Unpack[QueryOptions]) -> dict[str, NDArray[Any]]:
        return decode_blocks(self.query_bytes(sql, output_format="Native", **options))

    def fill(self, fill: Fill) -> None:
        EmbeddedSchema(self).fill(fill)

    def cancel(self, query_id: str) -> None:
        self._named.cancel(query_id, lambda: self._kill(query_id))

    def _kill(self, query_id: str) -> None:
        with suppress(StoreError):
            self.query(
                "KILL QUERY WHERE endsWith(Settings['log_comment'], {end:String}) ASYNC",
                parameters={"end": f" {query_id}"},
                timeout_seconds=_KILL_SECONDS,
            )

    def delete_rows(self, table: str, condition: str, parameters: Mapping[str, object]) -> None:
        self.query(
            f"ALTER TABLE {table} DELETE WHERE {condition} SETTINGS mutations_sync = 2",
            parameters=parameters,
            timeout_seconds=MIGRATION_TIMEOUT_SECONDS,
        )

    def expire(self, table: str, days: int) -> None:
        (row,) = self.query(
            "SELECT engine_full FROM system.tables "
            "WHERE database = currentDatabase() AND name = {table:String}",
            parameters={"table": table},
        )
        if change := ttl_change(row["engine_full"], days):
            self.query(f"ALTER TABLE {table} {change}", timeout_seconds=MIGRATION_TIMEOUT_SECONDS)

    def query_bytes(
        self,
        sql: str,
        *,
        output_format: str,
        parameters: Mapping[str, object] | None = None,
        timeout_seconds: float = 30,
        memory_bytes: int = 0,
        query_id: str = "",
    ) -> bytes:
        """Return the result of ``sql`` in one of ClickHouse's formats."""
        if not sql.lstrip().upper().startswith(_READING):
            self._known.clear()
        request = {
            "op": "query",
            "sql": sql,
            "format": output_format,
            "parameters": encode_parameters(parameters),
            "timeout_seconds": timeout_seconds,
            "memory_bytes": memory_bytes,
            "query_id": query_id,
        }
        with self._named.running(query_id):
            answer = self._connections.ask(
                request, timeout_seconds=timeout_seconds + _GRACE_SECONDS
            )
        try:
            if error := answer.fields.get("error"):
                raise query_error(error["code"], error["message"])
            if answer.descriptors:
                return read_memory_file(answer.descriptors[0])
            return answer.body
        finally:
            answer.close()

    def read_bytes(
        self,
        statement: str,
        *,
        output_format: str,
        settings: Mapping[str, int | str],
        timeout_seconds: float,
    ) -> bytes:
        """Return the result of a user's statement, which may only read.

        It gets a separate connection, because the settings of a read-only connection cannot change
        any more.

        Args:
            settings: of the output; a text is a literal of SQL.

        Raises:
            StatementError: The statement does not only read.
        """
        known = [row["name"] for row in self.query("SELECT name FROM system.table_functions")]
        statement = reading_statement(statement, known)
        own = EmbeddedStore(self.data_dir, None)
        guard = ", ".join(f"{name} = {value}" for name, value in (*settings.items(), READ_ONLY))
        try:
            # A read-only connection cannot change a limit: both calls need the same.
            own.query(f"SET {guard}", timeout_seconds=timeout_seconds)
            return own.query_bytes(
                statement, output_format=output_format, timeout_seconds=timeout_seconds
            )
        finally:
            own.close()

    def ping(self, timeout_seconds: float = 2) -> bool:
        try:
            answer = self._connections.ask({"op": "ping"}, timeout_seconds=timeout_seconds)
        except StoreError:
            return False
        answer.close()
        return "error" not in answer.fields

    def close(self) -> None:
        self._connections.close()

    def _migrate(self, *, from_start: bool) -> None:
        migrate(EmbeddedSchema(self), from_start=from_start)

    def _insert(self, block: Block, token: str) -> None:
        if not TOKEN.fullmatch(token):
            raise ValueError(
                f"invalid token {token!r}: expected 1 to 256 letters, digits and _.:/@+=- only"
            )
        request = {
            "op": "insert",
            "table": block.table,
            "columns": [column.name for column in block.columns],
            "token": token,
        }
        descriptor = write_memory_file("stepwell-block", block.native())
        try:
            answer = self._connections.ask(
                request, timeout_seconds=INSERT_TIMEOUT_SECONDS, descriptors=(descriptor,)
            )
        finally:
            os.close(descriptor)
        answer.close()
        if error := answer.fields.get("error"):
            raise insert_error(block.table, error["code"], error["message"])


def open_embedded(
    data_dir: Path,
    *,
    memory_bytes_max: int = MEMORY_BYTES_MAX_DEFAULT,
    lock_wait_seconds: float = _TAKE_OVER_SECONDS,
) -> EmbeddedStore:
    """Start an engine on ``data_dir`` and own it until ``close``.

    Args:
        memory_bytes_max: limit of the engine for queries, merges and caches.
        lock_wait_seconds: time to wait for an engine that is ending.

    Raises:
        StoreBusyError: Another process holds the directory and did not release it.
        StoreUnavailableError: The engine cannot be started.
    """
    return _own(data_dir, memory_bytes_max, lock_wait_seconds)


def connect_embedded(data_dir: Path) -> EmbeddedStore:
    """Use the running engine of ``data_dir``, else start one for the time of this context.

    If a daemon is creating the tables of a new store, wait for them.
    """
    deadline = time.monotonic() + _TAKE_OVER_SECONDS
    while True:
        with suppress(SocketMissingError):
            connect(data_dir / SOCKET_FILE).close()
            store = EmbeddedStore(data_dir, None)
            try:
                _wait_for_tables(store, deadline)
            except BaseException:
                store.close()
                raise
            return store
        try:
            return _own(data_dir, MEMORY_BYTES_MAX_DEFAULT, 0.5)
        except StoreBusyError:  # An engine is just starting or ending.
            if time.monotonic() >= deadline:
                raise


def _wait_for_tables(store: EmbeddedStore, deadline: float) -> None:
    while time.monotonic() < deadline:
        with suppress(TableMissingError):
            if not is_between(store.schema_version()):
                return
        time.sleep(_TABLES_POLL_SECONDS)


def _own(data_dir: Path, memory_bytes_max: int, lock_wait_seconds: float) -> EmbeddedStore:
    data_dir = data_dir.absolute()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(
            f"{data_dir}: creating the folder failed ({error.strerror}); choose another data folder"
        ) from error

    def start(wait_seconds: float) -> EngineProcess:
        return EngineProcess(
            data_dir, memory_bytes_max=memory_bytes_max, lock_wait_seconds=wait_seconds
        )

    engine = start(lock_wait_seconds)
    supervisor = Supervisor(engine, lambda: start(_TAKE_OVER_SECONDS), data_dir / SOCKET_FILE)
    return EmbeddedStore(data_dir, supervisor)
