"""A Store in ClickHouse servers, over their native protocol.

Exactly once depends on three things. A block is one insert, which the server stores as a whole or
not at all. The server's ``Dialect`` recognises a repetition: by a token, or by a query before it.
Replicated tables also ignore equal blocks, on every replica.
"""

import logging
from collections.abc import Mapping
from typing import Any, Unpack

from numpy.typing import NDArray

from stepwell_store.blocks import Block
from stepwell_store.engine import TOKEN
from stepwell_store.errors import TableMissingError
from stepwell_store.fill import Fill
from stepwell_store.identity import fingerprint
from stepwell_store.known_names import KnownNames
from stepwell_store.migrate import check_version
from stepwell_store.migrations import NEWEST, migrate
from stepwell_store.query_options import QueryOptions
from stepwell_store.server import deletions
from stepwell_store.server.inserts import fill_table, insert_block
from stepwell_store.server.schema import ServerSchema
from stepwell_store.server.servers import Servers
from stepwell_store.server.settings import ServerSettings
from stepwell_store.writer import WriterInfo

logger = logging.getLogger("stepwell_store")


class ServerStore:
    """A Store. Call ``migrate`` first, or ``look`` if no rows are written."""

    def __init__(self, settings: ServerSettings) -> None:
        self.servers = Servers(settings)
        self._questions = self.servers.questions
        self._known = KnownNames()

    @property
    def settings(self) -> ServerSettings:
        return self.servers.settings

    @property
    def kind(self) -> str:
        return self.settings.kind

    @property
    def has_windows(self) -> bool:
        return self.servers.dialect.has_windows

    @property
    def shard_count(self) -> int:
        return len(self.servers.shards)

    def shard_of(self, writer: WriterInfo) -> int:
        if self.shard_count == 1:
            return 0
        return (fingerprint(writer.host) if writer.is_node else writer.run_key) % self.shard_count

    @property
    def schema(self) -> ServerSchema:
        """The tables, for migrations."""
        return ServerSchema(self, self.servers.place)

    def look(self) -> None:
        """Read the facts of the servers, for queries only; no table is changed.

        Raises:
            TableMissingError: Our tables do not exist.
            SchemaTooNewError: A newer stepwell created them.
        """
        self.servers.look()
        check_version(self.schema_version(), NEWEST)

    def migrate(self) -> None:
        self._migrate(from_start=False)

    def schema_version(self) -> int:
        return self.schema.found_version()

    def _migrate(self, *, from_start: bool) -> None:
        self.servers.make_database()
        migrate(self.schema, from_start=from_start)

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        if not TOKEN.fullmatch(token):
            raise ValueError(
                f"invalid token {token!r}: expected 1 to 256 letters, digits and _.:/@+=- only"
            )
        if block.names and self._known.has_all(block.names):
            return
        try:
            insert_block(self.servers, block, token, may_repeat=may_repeat)
        except TableMissingError:
            logger.warning("table or column missing, migrating table=%s", block.table)
            self._migrate(from_start=True)
            insert_block(self.servers, block, token, may_repeat=may_repeat)
        self._known.add(block.names)

    def fill(self, fill: Fill) -> None:
        fill_table(self.servers, fill)

    def query(self, sql: str, **options: Unpack[QueryOptions]) -> list[dict[str, Any]]:
        return self._questions.query(sql, **options)

    def arrays(self, sql: str, **options: Unpack[QueryOptions]) -> dict[str, NDArray[Any]]:
        return self._questions.arrays(sql, **options)

    def read(
        self, statement: str, *, timeout_seconds: float
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """See ``Questions.read``."""
        return self._questions.read(statement, timeout_seconds=timeout_seconds)

    def cancel(self, query_id: str) -> None:
        self._questions.cancel(query_id)

    def ping(self, timeout_seconds: float = 2) -> bool:
        return self._questions.ping(timeout_seconds)

    def delete_rows(self, table: str, condition: str, parameters: Mapping[str, object]) -> None:
        self._known.clear()
        deletions.delete_rows(self.servers, table, condition, parameters)

    def expire(self, table: str, days: int) -> None:
        self.servers.dialect.expire(self, table, days)

    def change_ttl(self, table: str, days: int) -> None:
        """See ``deletions.change_ttl``."""
        deletions.change_ttl(self.servers, table, days)

    def close(self) -> None:
        self.servers.close()


def open_server(settings: ServerSettings) -> ServerStore:
    """Return the store on servers; it is not connected yet."""
    return ServerStore(settings)
