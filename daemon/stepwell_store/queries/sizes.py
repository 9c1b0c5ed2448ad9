"""How large the tables are."""

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


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table's rows and its bytes on disk; rows that a merge will join count apart."""

    table: str
    rows: int
    bytes: int


def table_sizes(store: Store, *, limits: Limits = DEFAULT) -> tuple[TableSize, ...]:
    """Return the size of each table; of a cluster, on the server that answers."""
    rows = Question(store, limits).rows(_SIZES)
    return tuple(TableSize(row["table"], row["rows"], row["bytes"]) for row in rows)
