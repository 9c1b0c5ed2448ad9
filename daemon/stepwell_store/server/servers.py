"""The facts of the servers: version, shards, and the replicas of each shard."""

import logging

from stepwell_store.errors import StoreUnavailableError
from stepwell_store.server.connections import Connections
from stepwell_store.server.dialect import Dialect
from stepwell_store.server.place import TablePlace
from stepwell_store.server.questions import Questions
from stepwell_store.server.schema import MIGRATION_SECONDS
from stepwell_store.server.settings import ServerEndpoint, ServerSettings
from stepwell_store.server.versions import dialect_of

logger = logging.getLogger("stepwell_store")


class Servers:
    """One server, or a cluster of shards and replicas. Call ``look`` first.

    Attributes:
        shards: connections for blocks to the replicas of each shard.
        down: servers that a deletion leaves out, and until when (`time.monotonic`).
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.questions = Questions(settings)
        self.shards: tuple[Connections, ...] = (self._shard(settings.endpoints),)
        self.down: dict[ServerEndpoint, float] = {}
        self._has_looked = False

    @property
    def dialect(self) -> Dialect:
        return self.questions.dialect

    @property
    def place(self) -> TablePlace:
        return TablePlace(self.dialect, self.settings.database, self.settings.cluster)

    def look(self) -> None:
        """Read the servers' version, shards and replicas.

        Raises:
            StoreUnavailableError: They do not answer, or the cluster has changed or has another
                name.
        """
        (row,) = self.questions.query("SELECT version() AS version", of=self.questions.outside)
        self.questions.dialect = dialect_of(row["version"])
        if self.settings.cluster:
            self._find_shards(self.settings.cluster)
        if not self._has_looked:
            self._has_looked = True
            logger.info(
                "found ClickHouse version=%s tables=%s shards=%d",
                row["version"],
                self.dialect.name,
                len(self.shards),
            )

    def make_database(self) -> None:
        """Look, and create the database if it is missing."""
        self.look()
        database = self.settings.database
        outside = self.questions.outside
        found = self.questions.query(
            "SELECT 1 FROM system.databases WHERE name = {name:String}",
            parameters={"name": database},
            of=outside,
        )
        if not found:
            self.questions.query(
                f"CREATE DATABASE IF NOT EXISTS {database}{self.place.everywhere}",
                timeout_seconds=MIGRATION_SECONDS,
                of=outside,
            )

    def close(self) -> None:
        for each in self.shards:
            each.close()
        self.questions.close()

    def _shard(self, endpoints: tuple[ServerEndpoint, ...]) -> Connections:
        return self.questions.connections(endpoints, columnar=True)

    def _find_shards(self, cluster: str) -> None:
        outside = self.questions.outside
        rows = self.questions.query(
            "SELECT shard_num, host_name, port FROM system.clusters "
            "WHERE cluster = {cluster:String} ORDER BY shard_num, replica_num",
            parameters={"cluster": cluster},
            of=outside,
        )
        if not rows:
            known = self.questions.query("SELECT DISTINCT cluster FROM system.clusters", of=outside)
            names = ", ".join(row["cluster"] for row in known) or "none"
            raise StoreUnavailableError(
                f"the server has no cluster {cluster!r}, only {names}; correct "
                "clickhouse_cluster, or remote_servers in the server's configuration"
            )
        by_shard: dict[int, tuple[ServerEndpoint, ...]] = {}
        for row in rows:
            endpoint = ServerEndpoint(row["host_name"], row["port"])
            by_shard[row["shard_num"]] = (*by_shard.get(row["shard_num"], ()), endpoint)
        if self._has_looked and len(by_shard) != len(self.shards):
            # Blocks have been cut by shard before.
            raise StoreUnavailableError(
                f"the cluster {cluster!r} has {len(by_shard)} shards, but had "
                f"{len(self.shards)} when the daemon started; restart the daemon"
            )
        if [each.endpoints for each in self.shards] == list(by_shard.values()):
            return
        former, self.shards = self.shards, tuple(map(self._shard, by_shard.values()))
        for each in former:
            each.close()
