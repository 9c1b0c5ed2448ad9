"""The code for servers before 23.3, back to 18.16. Decision 4 lists what to delete with this file.

They have no codecs, comments, aggregating columns, tokens, 128-bit numbers, TTL or names in tuples.
Their tables keep partial rows separately, which every query merges anyway. Queries are adapted as
text.

Exactly once: rows of append-only tables have a column ``batch``, a hash of their insert's token. If
an insert may be a repetition, the store asks the server whether an earlier one still runs, and then
for the block's first row with its ``batch``. An insert is stored as a whole or not at all, so one
row is enough.
"""

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from clickhouse_driver import Client
from numpy.typing import NDArray

from stepwell_store.ddl import column_definition
from stepwell_store.errors import StoreUnavailableError
from stepwell_store.fill import Fill
from stepwell_store.server.dialect import AgedTables
from stepwell_store.server.literals import with_literals
from stepwell_store.table_spec import ColumnSpec, MergeEngine, TableSpec, tuple_members

_BATCH: Final = ColumnSpec("batch", "UInt64", codec="")
_POLL_SECONDS: Final = 0.2
_DAY_SECONDS: Final = 86_400.0

_NEWEST: Final = re.compile(r"bitShiftLeft\(toInt128\(([\w.]+)\), 64\) \+ ([\w.]+)")
_ELEMENT: Final = re.compile(
    r"(\b(?:last|first)|\bm(?:ax|in)\((?:last|first)\))\.(step|time|value)\b"
)
_PLACES: Final = {"step": 1, "time": 2, "value": 3}
_IN_ORDER: Final = re.compile(r"\s*SETTINGS optimize_aggregation_in_order = 1\s*")


class OldDialect:
    """Servers from 18.16 to before 23.3; see ``Dialect``."""

    name: Final = "baseline"
    has_windows: Final = False

    def declared(self, table: TableSpec) -> TableSpec:
        columns = tuple(map(_plain, table.columns))
        return replace(
            table,
            columns=columns if table.replaces else (*columns, _BATCH),
            engine=MergeEngine.PLAIN if table.engine is MergeEngine.AGGREGATING else table.engine,
            granule_rows=0,  # See table_settings: they know one of the two settings.
        )

    def table_settings(self, table: TableSpec, *, is_replicated: bool) -> dict[str, int]:
        return {"index_granularity": table.granule_rows} if table.granule_rows else {}

    def add_column(self, place: str, column: ColumnSpec, on_cluster: str) -> str:
        # They know no IF NOT EXISTS there: if two daemons do it at once, one gets an error.
        return f"ALTER TABLE {place}{on_cluster} ADD COLUMN {column_definition(column)}"

    def expire(self, tables: AgedTables, table: str, days: int) -> None:
        if not days:
            return
        before = {"before": round((time.time() - days * _DAY_SECONDS) * 1e6)}
        condition = "time < {before:Int64}"
        if tables.query(f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1", parameters=before):
            tables.delete_rows(table, condition, before)

    def adapted(self, sql: str) -> str:
        sql = _NEWEST.sub(r"(\1, \2)", sql)
        sql = _ELEMENT.sub(lambda found: f"tupleElement({found[1]}, {_PLACES[found[2]]})", sql)
        return _IN_ORDER.sub("\n", sql)

    def sent_columns(
        self, table: TableSpec, columns: dict[str, NDArray[Any]], token: str
    ) -> dict[str, NDArray[Any]]:
        if table.replaces:
            return columns
        rows = len(next(iter(columns.values())))
        return {**columns, _BATCH.name: np.full(rows, _batch_of(token), dtype="<u8")}

    def insert_settings(self, token: str) -> dict[str, Any]:
        return {}

    def has_block(
        self,
        client: Client,
        table: TableSpec,
        place: str,
        columns: Mapping[str, NDArray[Any]],
        *,
        query_id: str,
        timeout_seconds: float,
    ) -> bool:
        if table.replaces:
            return False
        _wait_until_ended(client, query_id, timeout_seconds)
        first = {name: columns[name][:1].tolist()[0] for name in (*table.key, _BATCH.name)}
        condition = " AND ".join(
            f"{name} = {{{name}:{'String' if isinstance(value, str) else _type_of(columns[name])}}}"
            for name, value in first.items()
        )
        return _has_row(client, place, with_literals(condition, first))

    def fill_settings(self, token: str) -> dict[str, Any]:
        return {}

    def has_fill(
        self, client: Client, fill: Fill, place: str, *, query_id: str, timeout_seconds: float
    ) -> bool:
        if fill.table.replaces:
            return False
        _wait_until_ended(client, query_id, timeout_seconds)
        return _has_row(client, place, f"batch = toUInt64({_batch_of(query_id)})")

    def fill_statement(self, fill: Fill, place: str, select: str, query_id: str) -> str:
        if fill.table.replaces:
            return fill.statement(place, select)
        batch = _batch_of(query_id)
        select = f"SELECT *, toUInt64({batch}) AS batch FROM (\n{select}\n)"
        if fill.token:
            # No two queries of one name run at once, and this one checks when it starts.
            select += f" WHERE (SELECT count() FROM {place} WHERE batch = {batch}) = 0"
        return replace(fill, table=self.declared(fill.table)).statement(place, select)


OLD: Final = OldDialect()


def _plain(column: ColumnSpec) -> ColumnSpec:
    members = tuple_members(column.type)
    # 18.16 cannot send aggregates of tuples whose elements have names.
    inner = f"Tuple({', '.join(inner for _, inner in members)})" if members else column.type
    return ColumnSpec(column.name, inner, codec="", default=column.default)


def _batch_of(token: str) -> int:
    """Return the value of the column ``batch`` in rows of ``token``."""
    digest = hashlib.sha1(token.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "little")


def _wait_until_ended(client: Client, query_id: str, timeout_seconds: float) -> None:
    """Wait until the server has finished an earlier insert of the same id.

    Raises:
        StoreUnavailableError: It still runs.
    """
    deadline = time.monotonic() + timeout_seconds
    question = with_literals(
        "SELECT count() FROM system.processes WHERE query_id = {query_id:String}",
        {"query_id": query_id},
    )
    while int(client.execute(question, columnar=True)[0][0]):
        if time.monotonic() > deadline:
            raise StoreUnavailableError(
                "the server is still processing an earlier insert of this block "
                f"({query_id}); it is sent again after that"
            )
        time.sleep(_POLL_SECONDS)


def _has_row(client: Client, place: str, condition: str) -> bool:
    question = f"SELECT toUInt8(1) FROM {place} WHERE {condition} LIMIT 1"
    return bool(client.execute(question, columnar=True))


def _type_of(values: NDArray[Any]) -> str:
    return f"{'U' if values.dtype.kind == 'u' else ''}Int{8 * values.dtype.itemsize}"
