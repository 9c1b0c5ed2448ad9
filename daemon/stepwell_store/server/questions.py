"""Queries of servers: parameters, limits, names for cancelling, and the errors."""

import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clickhouse_driver.errors import ServerException
from numpy.typing import NDArray

from stepwell_store.errors import StoreError, StoreUnavailableError, query_error
from stepwell_store.named_queries import NamedQueries
from stepwell_store.server.answers import rows_by_name
from stepwell_store.server.connections import FAILURES, Connections, reason_of
from stepwell_store.server.dialect import MODERN, Dialect
from stepwell_store.server.literals import with_literals
from stepwell_store.server.settings import ServerEndpoint, ServerSettings
from stepwell_store.statement import READ_ONLY, reading_statement

logger = logging.getLogger("stepwell_store")

_KILL_SECONDS: Final = 2.0
_READING_SETTINGS: Final = {
    "max_query_size": 64 << 20,
    "max_ast_elements": 10_000_000,
    "max_expanded_ast_elements": 10_000_000,
    "compile_expressions": 0,  # See `engine.py`.
}


class Questions:
    """Sends queries to the servers; any one of them answers.

    Attributes:
        dialect: the dialect of the servers, as far as it is known.
        outside: connections without a database.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.dialect: Dialect = MODERN
        self.outside = Connections(settings, settings.endpoints, database="")
        self._settings = settings
        self._rows = self.connections(settings.endpoints)
        self._columns = self.connections(settings.endpoints, columnar=True)
        self._named = NamedQueries()
        self._numbers = itertools.count(1)

    def connections(
        self, endpoints: Sequence[ServerEndpoint], *, columnar: bool = False
    ) -> Connections:
        """Return connections to ``endpoints``; the caller closes them."""
        settings = self._settings
        return Connections(settings, endpoints, database=settings.database, columnar=columnar)

    def query(
        self,
        sql: str,
        *,
        parameters: Mapping[str, object] | None = None,
        timeout_seconds: float = 30,
        memory_bytes: int = 0,
        query_id: str = "",
        of: Connections | None = None,
    ) -> list[dict[str, Any]]:
        """See ``Store``.

        Args:
            of: the connections to use, by default those to any server's database.
        """
        rows, columns = self._ask(
            of or self._rows, sql, parameters, timeout_seconds, _limits(memory_bytes), query_id
        )
        return rows_by_name(rows, columns)

    def arrays(
        self,
        sql: str,
        *,
        parameters: Mapping[str, object] | None = None,
        timeout_seconds: float = 30,
        memory_bytes: int = 0,
        query_id: str = "",
    ) -> dict[str, NDArray[Any]]:
        """See ``Store``."""
        values, columns = self._ask(
            self._columns, sql, parameters, timeout_seconds, _limits(memory_bytes), query_id
        )
        # Without rows there are no arrays.
        return {name: each for (name, _), each in zip(columns, values, strict=False)}

    def read(
        self, statement: str, *, timeout_seconds: float
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Return the columns and rows of a user's statement, which may only read.

        Raises:
            StatementError: The statement does not only read.
        """
        known = [row["name"] for row in self.query("SELECT name FROM system.table_functions")]
        statement = reading_statement(statement, known)
        rows, columns = self._ask(self._rows, statement, None, timeout_seconds, dict([READ_ONLY]))
        return [name for name, _ in columns], rows_by_name(rows, columns)

    def cancel(self, query_id: str) -> None:
        """See ``Store``."""
        self._named.cancel(query_id, lambda: self._kill(query_id))

    def _kill(self, query_id: str) -> None:
        """End the query on the server that runs it."""
        for endpoint in self._settings.endpoints:
            one = self.connections((endpoint,))
            try:
                self.query(
                    "KILL QUERY WHERE startsWith(query_id, {start:String}) ASYNC",
                    parameters={"start": f"{query_id}."},
                    timeout_seconds=_KILL_SECONDS,
                    of=one,
                )
            except StoreError as error:
                logger.warning("cancelling a query failed server=%s reason=%s", endpoint, error)
            finally:
                one.close()

    def ping(self, timeout_seconds: float) -> bool:
        """See ``Store``."""
        try:
            self.query("SELECT 1", timeout_seconds=timeout_seconds, of=self.outside)
        except StoreError:
            return False
        return True

    def close(self) -> None:
        for each in (self.outside, self._rows, self._columns):
            each.close()

    def _ask(
        self,
        connections: Connections,
        sql: str,
        parameters: Mapping[str, object] | None,
        timeout_seconds: float,
        more: Mapping[str, Any],
        query_id: str = "",
    ) -> tuple[Sequence[Any], Sequence[tuple[str, str]]]:
        statement = with_literals(self.dialect.adapted(sql), parameters)
        settings = {
            **_READING_SETTINGS,
            "max_execution_time": max(1, math.ceil(timeout_seconds)),
            **({"distributed_product_mode": "global"} if self._settings.cluster else {}),
            **more,
        }
        try:
            with self._named.running(query_id), connections.client() as client:
                result = client.execute(
                    statement,
                    with_column_types=True,
                    columnar=connections.columnar,
                    settings=settings,
                    # A server runs only one query of a name at a time: each gets a number.
                    query_id=f"{query_id}.{next(self._numbers)}" if query_id else None,
                )
        except ServerException as error:
            raise query_error(error.code, reason_of(error)) from error
        except FAILURES as error:
            raise StoreUnavailableError(
                f"query: {reason_of(error)}; try again later, or request less data"
            ) from error
        return result if isinstance(result, tuple) else ((), ())


def _limits(memory_bytes: int) -> dict[str, Any]:
    return {"max_memory_usage": memory_bytes} if memory_bytes else {}
