"""Deletion of rows: by a condition, on all servers, and by age."""

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from stepwell_store.errors import StoreUnavailableError
from stepwell_store.expiry import ttl_change
from stepwell_store.server.connections import Connections
from stepwell_store.server.place import local_name
from stepwell_store.server.schema import MIGRATION_SECONDS
from stepwell_store.server.servers import Servers
from stepwell_store.server.settings import ServerEndpoint

logger = logging.getLogger("stepwell_store")

_POLL_SECONDS: Final = 0.1
_ANSWER_SECONDS: Final = 20.0
"""If a replica does not answer for this time, another one is asked."""
_DOWN_SECONDS: Final = 300.0

_Id: TypeAlias = tuple[int, str]
"""Length and text: `mutation_9.txt` is before `mutation_10.txt`."""

_NONE: Final[_Id] = (0, "")


def delete_rows(
    servers: Servers, table: str, condition: str, parameters: Mapping[str, object]
) -> None:
    """See ``Store.delete_rows``.

    One replica of each shard gets the statement, and replication passes it to the others. A
    statement ``ON CLUSTER`` would wait for every server, and so for one that is down. A replica
    that is down deletes when it is back; a part that only it has keeps rows whose series are gone
    by then, until ``find_orphans`` sees them.
    """
    place = servers.place
    statement = f"ALTER TABLE {place.local(table)} DELETE WHERE {place.localised(condition)}"
    deadline = time.monotonic() + MIGRATION_SECONDS
    with contextlib.ExitStack() as stack:
        begun = []
        for shard in servers.shards:
            mutations = _Mutations(servers, shard.endpoints, table)
            stack.callback(mutations.close)
            mutations.begin(statement, parameters)
            begun.append(mutations)
        for mutations in begun:
            mutations.wait(deadline)


def change_ttl(servers: Servers, table: str, days: int) -> None:
    """Let the servers drop rows of ``table`` by age; 0 keeps all."""
    place = servers.place
    (row,) = servers.questions.query(
        "SELECT engine_full FROM system.tables "
        "WHERE database = {database:String} AND name = {table:String}",
        parameters={"database": place.database, "table": local_name(table, place.cluster)},
    )
    if change := ttl_change(row["engine_full"], days):
        servers.questions.query(
            f"ALTER TABLE {place.local(table)}{place.everywhere} {change}",
            timeout_seconds=MIGRATION_SECONDS,
        )


class _Mutations:
    """The deletions from a table on each replica of a shard. Close it at the end."""

    def __init__(self, servers: Servers, endpoints: Sequence[ServerEndpoint], table: str) -> None:
        self._servers = servers
        self._table = local_name(table, servers.place.cluster)
        now = time.monotonic()
        up = [each for each in endpoints if servers.down.get(each, 0.0) <= now]
        settings = servers.settings
        if len(up) > 1:
            seconds = min(settings.timeout_seconds, _ANSWER_SECONDS)
            settings = replace(settings, timeout_seconds=seconds)
        self._replicas = {
            each: Connections(settings, (each,), database=settings.database)
            for each in up or endpoints
        }
        self._newest = _NONE

    def begin(self, statement: str, parameters: Mapping[str, object]) -> None:
        """Give the statement to the first replica that takes it.

        Raises:
            StoreUnavailableError: None takes it.
        """
        self._newest = max(max(known, default=_NONE) for known in self._known().values())
        for endpoint, connections in list(self._replicas.items()):
            try:
                self._servers.questions.query(
                    statement,
                    parameters=parameters,
                    timeout_seconds=MIGRATION_SECONDS,
                    of=connections,
                )
                return
            except StoreUnavailableError as error:
                self._drop(endpoint, error)  # The statement may come twice: it is idempotent.

    def wait(self, deadline: float) -> None:
        """Return when no replica that answers has rows to delete.

        A replica receives a mutation only after the server that got the statement.
        """
        while True:
            states = {
                endpoint: "has not received the deletion"
                if max(known, default=_NONE) <= self._newest
                else "is still deleting"
                for endpoint, known in self._known().items()
                if max(known, default=_NONE) <= self._newest or not all(known.values())
            }
            if not states:
                return
            if time.monotonic() > deadline:
                said = "; ".join(f"{endpoint} {state}" for endpoint, state in states.items())
                raise StoreUnavailableError(
                    f"rows of {self._table} are not deleted everywhere yet: {said}; look at "
                    "system.mutations there, or repeat the command"
                )
            time.sleep(_POLL_SECONDS)

    def _known(self) -> dict[ServerEndpoint, dict[_Id, int]]:
        """Return, of each replica that answers, its mutations and whether they are done.

        Raises:
            StoreUnavailableError: None answers.
        """
        found: dict[ServerEndpoint, dict[_Id, int]] = {}
        for endpoint, connections in list(self._replicas.items()):
            try:
                if self._servers.settings.cluster and not self._replicates(connections):
                    raise StoreUnavailableError("it is without its ZooKeeper or its table")
                rows = self._ask("mutation_id, is_done FROM system.mutations", connections)
            except StoreUnavailableError as error:
                if error.code:  # It answers, and may do better.
                    found[endpoint] = {}
                else:
                    self._drop(endpoint, error)
                continue
            found[endpoint] = {
                (len(row["mutation_id"]), row["mutation_id"]): row["is_done"] for row in rows
            }
        return found

    def _replicates(self, connections: Connections) -> bool:
        rows = self._ask("is_readonly, is_session_expired FROM system.replicas", connections)
        return any(not row["is_readonly"] and not row["is_session_expired"] for row in rows)

    def _ask(self, what: str, connections: Connections) -> list[dict[str, Any]]:
        return self._servers.questions.query(
            f"SELECT {what} WHERE database = {{database:String}} AND table = {{table:String}}",
            parameters={"database": self._servers.settings.database, "table": self._table},
            of=connections,
        )

    def _drop(self, endpoint: ServerEndpoint, error: StoreUnavailableError) -> None:
        """Leave a replica out for a while, unless it is the last one."""
        if len(self._replicas) == 1:
            raise error
        self._replicas.pop(endpoint).close()
        self._servers.down[endpoint] = time.monotonic() + _DOWN_SECONDS
        logger.warning("replica %s deletes when it is back: %s", endpoint, error)

    def close(self) -> None:
        for each in self._replicas.values():
            each.close()
