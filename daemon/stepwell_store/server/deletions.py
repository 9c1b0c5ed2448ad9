"""Deletion of rows: by a condition, on all servers, and by age."""

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from stepwell_store.errors import StoreUnavailableError
from stepwell_store.expiry import ttl_change
from stepwell_store.server.place import local_name
from stepwell_store.server.schema import MIGRATION_SECONDS
from stepwell_store.server.servers import Servers
from stepwell_store.server.settings import ServerEndpoint

logger = logging.getLogger("stepwell_store")

_POLL_SECONDS: Final = 0.1

_Id: TypeAlias = tuple[int, str]
"""Length and text: `mutation_9.txt` is before `mutation_10.txt`."""

_NONE: Final[_Id] = (0, "")


def delete_rows(
    servers: Servers, table: str, condition: str, parameters: Mapping[str, object]
) -> None:
    """See ``Store.delete_rows``.

    One replica of each shard gets the statement, and the others take it from there. A statement
    ``ON CLUSTER`` would wait for every server, and so for one that is down.
    """
    place = servers.place
    for shard in servers.shards:
        with contextlib.closing(_Mutations(servers, shard.endpoints, table)) as mutations:
            mutations.note_newest()
            servers.questions.query(
                f"ALTER TABLE {place.local(table)} DELETE WHERE {place.localised(condition)}",
                parameters=parameters,
                timeout_seconds=MIGRATION_SECONDS,
                of=shard,
            )
            mutations.wait_for_a_newer()


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
        self._questions = servers.questions
        self._database = servers.settings.database
        self._local = local_name(table, servers.place.cluster)
        self._replicas = {each: servers.questions.connections((each,)) for each in endpoints}
        self._newest = _NONE

    def note_newest(self) -> None:
        """Note the mutations up to now: the one to wait for comes later."""
        self._newest = max((max(known, default=_NONE) for _, known in self._known()), default=_NONE)

    def wait_for_a_newer(self) -> None:
        """Return when no replica that answers has rows to delete.

        A replica hears of a mutation only after the server that got the statement.
        """
        deadline = time.monotonic() + MIGRATION_SECONDS
        while waiting := [
            endpoint
            for endpoint, known in self._known()
            if max(known, default=_NONE) <= self._newest or not all(known.values())
        ]:
            if time.monotonic() > deadline:
                raise StoreUnavailableError(
                    f"{', '.join(map(str, waiting))}: still deleting rows of {self._local}, and "
                    "continues to do so"
                )
            time.sleep(_POLL_SECONDS)

    def _known(self) -> list[tuple[ServerEndpoint, dict[_Id, int]]]:
        """Return, of each replica that answers, its mutations and whether they are done.

        Raises:
            StoreUnavailableError: None answers.
        """
        found, problems = [], []
        for endpoint, connections in list(self._replicas.items()):
            try:
                rows = self._questions.query(
                    "SELECT mutation_id, is_done FROM system.mutations "
                    "WHERE database = {database:String} AND table = {table:String}",
                    parameters={"database": self._database, "table": self._local},
                    of=connections,
                )
            except StoreUnavailableError as error:
                problems.append(str(error))
                logger.info(
                    "a replica deletes when it is back table=%s reason=%s", self._local, error
                )
                self._replicas.pop(endpoint).close()
                continue
            done = {(len(row["mutation_id"]), row["mutation_id"]): row["is_done"] for row in rows}
            found.append((endpoint, done))
        if not found:
            raise StoreUnavailableError("; ".join(problems) or "no replica answers")
        return found

    def close(self) -> None:
        for each in self._replicas.values():
            each.close()
