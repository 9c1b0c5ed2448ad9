"""What every store can do, embedded or not."""

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
        """What it is called in the status."""

    @property
    def has_windows(self) -> bool:
        """Whether queries may use window functions; servers before 23.3 have none."""

    def migrate(self) -> None:
        """Create or upgrade the tables.

        Raises:
            SchemaTooNewError: A newer stepwell wrote this store.
        """

    def schema_version(self) -> int:
        """Return the newest version of the schema that is complete here, 0 before the first is.

        Raises:
            TableMissingError: Nobody has made the first table yet.
        """

    def shard_of(self, writer: WriterInfo) -> int:
        """Return the number of the shard that holds what ``writer`` writes, from 0.

        All of a run lies on one shard, as all of a node does.
        """

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        """Store the rows of ``block`` once, however often it is sent under ``token``.

        Args:
            block: a block as it was built; the same rows for the same token, always.
            token: names the extent and, by ``block.digest()``, the content.
            may_repeat: it may have been sent before. A store without tokens looks then.

        Raises:
            StoreUnavailableError: Send it again later under the same token.
            StoreRejectedError: The rows will never be taken.
        """

    def query(self, sql: str, **options: Unpack[QueryOptions]) -> list[dict[str, Any]]:
        """Return the rows of ``sql`` by column name.

        Args:
            sql: one statement without FORMAT; ``{name:Type}`` stands for a parameter.
            options: see `QueryOptions`.

        Integers stay exact, NaN and infinities are floats.

        Raises:
            QueryError: The statement or a parameter is wrong.
            QueryTimeoutError, QueryTooLargeError, QueryCancelledError: A limit, or ``cancel``.
            StoreUnavailableError: No answer now.
        """

    def arrays(self, sql: str, **options: Unpack[QueryOptions]) -> dict[str, NDArray[Any]]:
        """Return the columns of ``sql``, all of them numbers, by name; none without rows.

        Raises as ``query`` does.
        """

    def fill(self, fill: Fill) -> None:
        """Store the rows of ``fill``, once under its token.

        Raises as ``query`` does.
        """

    def cancel(self, query_id: str) -> None:
        """End the queries named ``query_id`` that run now, and refuse later ones of that name.

        Returns when they have ended, or after two seconds. Unknown names are no error.
        """

    def delete_rows(self, table: str, condition: str, parameters: Mapping[str, object]) -> None:
        """Delete the rows of ``table`` for which ``condition`` holds; return when they are gone."""

    def expire(self, table: str, days: int) -> None:
        """Make rows of ``table`` go so many days after their ``time``; 0 keeps them for ever."""

    def ping(self, timeout_seconds: float = 2) -> bool:
        """Return whether the store answers in time."""

    def close(self) -> None:
        """Let go of the store. Can be called twice."""
