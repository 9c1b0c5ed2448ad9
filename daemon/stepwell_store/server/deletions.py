"""Deletion of rows: by a condition, on all servers, and by age."""

import time
from collections.abc import Mapping
from typing import Final

from stepwell_store.errors import StoreUnavailableError
from stepwell_store.expiry import ttl_change
from stepwell_store.server.place import local_name
from stepwell_store.server.schema import MIGRATION_SECONDS
from stepwell_store.server.servers import Servers

_POLL_SECONDS: Final = 0.5


def delete_rows(
    servers: Servers, table: str, condition: str, parameters: Mapping[str, object]
) -> None:
    """See ``Store.delete_rows``."""
    place = servers.place
    servers.questions.query(
        f"ALTER TABLE {place.local(table)}{place.everywhere} "
        f"DELETE WHERE {place.localised(condition)}",
        parameters=parameters,
        timeout_seconds=MIGRATION_SECONDS,
    )
    _wait_for_mutations(servers, local_name(table, place.cluster))


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


def _wait_for_mutations(servers: Servers, local: str) -> None:
    """Return when no server has more rows of ``local`` to delete."""
    deadline = time.monotonic() + MIGRATION_SECONDS
    endpoints = {each for shard in servers.shards for each in shard.endpoints}
    for endpoint in sorted(endpoints, key=str):
        one = servers.questions.connections((endpoint,))
        try:
            while servers.questions.query(
                "SELECT 1 FROM system.mutations WHERE database = {database:String} "
                "AND table = {table:String} AND NOT is_done LIMIT 1",
                parameters={"database": servers.settings.database, "table": local},
                of=one,
            ):
                if time.monotonic() > deadline:
                    raise StoreUnavailableError(
                        f"{endpoint} is still deleting rows of {local}, and continues to do so"
                    )
                time.sleep(_POLL_SECONDS)
        finally:
            one.close()
