"""The declaration of a table, as data: its SQL, its blocks, its deletion and its retention follow.

The declarations themselves are in ``tables.py``. No I/O here.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from stepwell_store.native import split_types

POINT_TYPE: Final = "Tuple(step Int64, time Int64, value Float64)"
"""A point inside a row of statistics."""
SAMPLE_TYPE: Final = "Tuple(time Int64, value Float64)"
"""A node's point inside a row of its rollups."""


class MergeEngine(StrEnum):
    """The engine's treatment of rows with one key; the value is the prefix of ``MergeTree``."""

    PLAIN = ""
    REPLACING = "Replacing"
    """The newest by ``version_column`` is kept."""
    AGGREGATING = "Aggregating"
    """They are merged, column by column."""


class DeletionOrder(IntEnum):
    """The way to find the rows of a run. Deletions go in this order, then in that of the tables.

    The rows that name a run are deleted last, so that an interrupted deletion can be repeated.
    """

    BY_SERIES = 1
    """``series`` is one of the run's."""
    BY_RUN_KEY = 2
    """``project_id`` and ``run_key``."""
    BY_NAME = 3
    """``project`` and ``run_id``."""
    BY_NAME_LAST = 4


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column.

    Attributes:
        type: the type in blocks.
        joined_by: in an aggregating table, the function that merges the values of one key.
        is_dictionary: few different texts; stored as LowCardinality if the engine can.
        default: the value in rows without the column, as SQL.
    """

    name: str
    type: str
    codec: str = "ZSTD(1)"
    comment: str = ""
    joined_by: str = ""
    is_dictionary: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table.

    Attributes:
        key: the columns that sort the rows, in the tables and in blocks.
        version_column: of a replacing table, "" if the last stored row is kept.
        sent: the columns of a block, in the order of its bytes; () means all, as declared.
        is_of_events: its rows come from events (``event_rows.py``).
        rows_of: the table whose rows it has too, in another order.
        deletion: None if no row belongs to a run.
        kept_days: the setting of retention that limits the age of rows by their ``time``.
        is_on_every_server: in a cluster each server holds all of it, instead of its shard.
        granule_rows: the minimum number of rows that the engine reads at once, 0 for its default
            (8,192). Small if queries need few rows in each of many places.
    """

    name: str
    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...]
    engine: MergeEngine = MergeEngine.PLAIN
    version_column: str = ""
    sent: tuple[str, ...] = ()
    is_of_events: bool = False
    rows_of: str = ""
    deletion: DeletionOrder | None = None
    kept_days: str = ""
    is_on_every_server: bool = False
    granule_rows: int = 0

    @property
    def replaces(self) -> bool:
        """Whether rows of one key are one row, so that storing them twice has no effect."""
        return self.engine is MergeEngine.REPLACING

    def column(self, name: str) -> ColumnSpec:
        return next(column for column in self.columns if column.name == name)

    def block_columns(self) -> tuple[ColumnSpec, ...]:
        """Return the columns of a block, in order."""
        return tuple(map(self.column, self.sent)) if self.sent else self.columns


def tuple_members(type_name: str) -> tuple[tuple[str, str], ...]:
    """Return name and type of each element of a named Tuple, () for any other type."""
    if not type_name.startswith("Tuple("):
        return ()
    members = split_types(type_name.removeprefix("Tuple(").removesuffix(")"))
    return tuple((name, inner) for name, _, inner in (each.partition(" ") for each in members))


def layout(table: TableSpec) -> tuple[tuple[str, str], ...]:
    """Return name and type of each value of a row; a Tuple's are ``name.element``."""
    found: list[tuple[str, str]] = []
    for column in table.block_columns():
        members = tuple_members(column.type)
        found += [(f"{column.name}.{name}", inner) for name, inner in members] or [
            (column.name, column.type)
        ]
    return tuple(found)


def sort_positions(table: TableSpec) -> tuple[int, ...]:
    """Return the positions of the key's columns in a row of ``layout``."""
    names = [name for name, _ in layout(table)]
    return tuple(names.index(name) for name in table.key)
