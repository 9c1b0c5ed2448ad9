"""The interface of every store, embedded or not."""

from collections.abc import Mapping
from typing import Any, Protocol, Unpack

from numpy.typing import NDArray

from stepwell_store.blocks import Block
from stepwell_store.fill import Fill
from stepwell_store.query_options import QueryOptions
from stepwell_store.writer import WriterInfo


class Store(Protocol):
    """The tables behind a sink. Every call may come from any thread."""

    @property
    def kind(self) -> str:
        """Its name in the status."""

    @property
    def has_windows(self) -> bool:
        """Whether queries may use window functions; servers before 23.3 have none."""

    def migrate(self) -> None:
        """Create or upgrade the tables.

        Raises:
            SchemaTooNewError: A newer stepwell wrote this store.
        """

    def schema_version(self) -> int:
        """Return the newest complete version of the schema, 0 before the first.

        Raises:
            TableMissingError: The first table does not exist yet.
        """

    def shard_of(self, writer: WriterInfo) -> int:
        """Return the number of the shard for the rows of ``writer``, from 0.

        All rows of a run are on one shard, and so are all of a node.
        """

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        """Store the rows of ``block`` once, however often it is sent under ``token``.

        Args:
            block: an unchanged block; the same token always has the same rows.
            token: names the extent and, by ``block.digest()``, the content.
            may_repeat: it may have been sent before. Then a store without tokens checks first.

        Raises:
            StoreUnavailableError: Temporary: send it again later under the same token.
            StoreRejectedError: The rows will never be accepted.
        """

    def query(self, sql: str, **options: Unpack[QueryOptions]) -> list[dict[str, Any]]:
        """Return the rows of ``sql`` by column name.

        Args:
            sql: one statement without FORMAT; ``{name:Type}`` is a parameter.
            options: see `QueryOptions`.

        Integers stay exact, NaN and infinities are floats.

        Raises:
            QueryError: The statement or a parameter is wrong.
            QueryTimeoutError, QueryTooLargeError, QueryCancelledError: A limit, or ``cancel``.
            StoreUnavailableError: The store does not answer now.
        """

    def arrays(self, sql: str, **options: Unpack[QueryOptions]) -> dict[str, NDArray[Any]]:
        """Return the columns of ``sql``, all of them numbers, by name; empty without rows.

        Raises as ``query`` does.
        """

    def fill(self, fill: Fill) -> None:
        """Store the rows of ``fill``, once under its token.

        Raises as ``query`` does.
        """

    def cancel(self, query_id: str) -> None:
        """End the running queries with the name ``query_id``, and refuse later ones of that name.

        Returns when they have ended, or after two seconds. Unknown names are no error.
        """

    def delete_rows(self, table: str, condition: str, parameters: Mapping[str, object]) -> None:
        """Delete the rows of ``table`` that match ``condition``; return when they are gone.

        A replica of a cluster that is down deletes them when it is back.
        """

    def expire(self, table: str, days: int) -> None:
        """Let rows of ``table`` expire ``days`` after their ``time``; 0 keeps all."""

    def ping(self, timeout_seconds: float = 2) -> bool:
        """Return whether the store answers in time."""

    def close(self) -> None:
        """Release the store. Can be called twice."""
