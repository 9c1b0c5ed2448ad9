"""The sizes of the tables, and the numbers of their rows."""

from dataclasses import dataclass
from typing import Final

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store

_SIZES: Final = """
SELECT table, toUInt64(sum(p.rows)) AS rows, toUInt64(sum(p.bytes_on_disk)) AS bytes
FROM system.parts AS p
WHERE active AND database = currentDatabase()
GROUP BY table
ORDER BY table
"""


_TOTALS: Final = """
SELECT (SELECT count() FROM points) AS points,
       (SELECT uniqExact(project, run_id) FROM writers) AS runs,
       (SELECT max(version) FROM schema_versions) AS version,
       (SELECT max(w.last_seen) FROM writers AS w) AS last_seen
"""


@dataclass(frozen=True, slots=True)
class StoreTotals:
    """All of a store; ``last_seen`` is the newest moment of a writer, in s since 1970 UTC."""

    points: int
    runs: int
    schema_version: int
    last_seen: float


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table's rows and its bytes on disk; rows that a merge will combine count separately."""

    table: str
    rows: int
    bytes: int


def table_sizes(store: Store, *, limits: Limits = DEFAULT) -> tuple[TableSize, ...]:
    """Return the size of each table; in a cluster, on the server that answers."""
    rows = Question(store, limits).rows(_SIZES)
    return tuple(TableSize(row["table"], row["rows"], row["bytes"]) for row in rows)


def store_totals(store: Store, *, limits: Limits = DEFAULT) -> StoreTotals:
    """Return the totals of the store."""
    (row,) = Question(store, limits).rows(_TOTALS)
    return StoreTotals(row["points"], row["runs"], row["version"], row["last_seen"] / 1e6)
