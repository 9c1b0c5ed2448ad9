"""What every store can do, embedded or not."""

from collections.abc import Mapping
from typing import Any, Protocol

from stepwell_store.blocks import Block


class Store(Protocol):
    """The tables behind a sink. Every call may come from any thread."""

    kind: str

    def migrate(self) -> None:
        """Create or upgrade the tables.

        Raises:
            SchemaTooNewError: A newer stepwell wrote this store.
        """

    def insert(self, block: Block, token: str) -> None:
        """Store the rows of ``block`` once, however often it is sent under ``token``.

        Args:
            block: a block as it was built; the same rows for the same token, always.
            token: names the extent and, by ``block.digest()``, the content.

        Raises:
            StoreUnavailableError: Send it again later under the same token.
            StoreRejectedError: The rows will never be taken.
        """

    def query(
        self,
        sql: str,
        *,
        parameters: Mapping[str, object] | None = None,
        timeout_seconds: float = 30,
    ) -> list[dict[str, Any]]:
        """Return the rows of ``sql`` by column name.

        Args:
            sql: one statement without FORMAT; ``{name:Type}`` stands for a parameter.
            parameters: text, numbers, None, or lists of these, by name.
            timeout_seconds: after this the query is given up.

        Integers stay exact, NaN and infinities are floats.

        Raises:
            QueryError: The statement or a parameter is wrong.
            StoreUnavailableError: No answer now.
        """

    def query_bytes(
        self,
        sql: str,
        *,
        output_format: str,
        parameters: Mapping[str, object] | None = None,
        timeout_seconds: float = 30,
    ) -> bytes:
        """Return the result of ``sql`` in one of ClickHouse's formats."""

    def ping(self, timeout_seconds: float = 2) -> bool:
        """Return whether the store answers in time."""

    def close(self) -> None:
        """Let go of the store. Can be called twice."""
