"""Inserts: blocks, and rows that the servers compute. Each is stored once under its token."""

import logging
import math
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from stepwell_store.blocks import Block
from stepwell_store.errors import StoreUnavailableError, insert_error
from stepwell_store.fill import FILL_SECONDS, FILL_SETTINGS, Fill
from stepwell_store.native import array_of
from stepwell_store.server.connections import FAILURES, reason_of
from stepwell_store.server.place import local_name
from stepwell_store.server.servers import Servers
from stepwell_store.tables import BY_NAME

logger = logging.getLogger("stepwell_store")


def insert_block(servers: Servers, block: Block, token: str, *, may_repeat: bool) -> None:
    """Store ``block`` on the first replica of its shard that answers; see ``Store.insert``."""
    settings, dialect = servers.settings, servers.dialect
    table = BY_NAME[block.table]
    columns = {column.name: array_of(column, block.rows) for column in block.columns}
    columns = dialect.sent_columns(table, columns, token)
    local = local_name(block.table, settings.cluster)
    query_id = f"stepwell-{token}"
    with (
        _errors(block.table, f"insert into {block.table}"),
        servers.shards[block.shard].client() as client,
    ):
        if may_repeat and dialect.has_block(
            client,
            table,
            local,
            columns,
            query_id=query_id,
            timeout_seconds=settings.timeout_seconds,
        ):
            logger.info("a block is stored already token=%s", token)
            return
        client.execute(
            f"INSERT INTO {local} ({', '.join(columns)}) VALUES",
            list(columns.values()),
            columnar=True,
            query_id=query_id,
            settings=_insert_settings(servers, token),
        )


def fill_table(servers: Servers, fill: Fill) -> None:
    """Fill each shard's own part, on the first replica that answers; see ``Store.fill``."""
    for number, shard in enumerate(servers.shards):
        token = f"{fill.token}-{number}" if fill.token else ""
        with _errors(fill.table.name, f"filling {fill.table.name}"), shard.client() as client:
            _fill_shard(servers, client, fill, token)


def _insert_settings(servers: Servers, token: str) -> dict[str, Any]:
    settings = servers.dialect.insert_settings(token)
    if servers.settings.insert_quorum:
        settings["insert_quorum"] = servers.settings.insert_quorum
    return settings


def _fill_shard(servers: Servers, client: Client, fill: Fill, token: str) -> None:
    place, dialect = servers.place, servers.dialect
    local = place.local(fill.table.name)
    if place.cluster:  # A part that another replica stored may not be replicated yet.
        client.execute(f"SYSTEM SYNC REPLICA {place.local(fill.source.name)}")
    query_id = f"stepwell-{token or uuid.uuid4()}"
    if token and dialect.has_fill(
        client, fill, local, query_id=query_id, timeout_seconds=servers.settings.timeout_seconds
    ):
        return
    select = dialect.adapted(place.localised(fill.select))
    client.execute(
        dialect.fill_statement(fill, local, select, query_id),
        query_id=query_id,
        settings={
            **FILL_SETTINGS,
            "max_execution_time": math.ceil(FILL_SECONDS),
            **dialect.fill_settings(token),
        },
    )


@contextmanager
def _errors(table: str, work: str) -> Iterator[None]:
    """Convert the driver's exceptions into errors of the store."""
    try:
        yield
    except ServerException as error:
        raise insert_error(table, error.code, reason_of(error)) from error
    except FAILURES as error:
        raise StoreUnavailableError(
            f"{work}: {reason_of(error)}; retrying until it succeeds"
        ) from error
