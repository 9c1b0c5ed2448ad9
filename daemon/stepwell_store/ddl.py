"""SQL that makes and changes tables, from their declarations. No I/O here.

Two kinds of engine: those of today (embedded, or a server since 23.3) and *baseline* servers, back
to 18.16, which have no codecs, comments, aggregating columns, dictionaries or names in tuples.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stepwell_store.table_spec import ColumnSpec, Engine, TableSpec, tuple_members

DURABLE_SETTINGS: Final[dict[str, int]] = {
    # The store remembers this many blocks a table; a resent one among them changes nothing.
    "non_replicated_deduplication_window": 1000,
    # What was acknowledged survives a power loss; without these it may not.
    "fsync_after_insert": 1,
    "fsync_part_directory": 1,
    "min_compressed_bytes_to_fsync_after_merge": 1,
    # Seconds that merged parts stay on disk after their successor; the embedded default is 0.
    "old_parts_lifetime": 480,
}


_VALUE_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Features:
    """What an engine understands of a table."""

    is_baseline: bool = False
    has_dictionaries: bool = True


EMBEDDED: Final = Features()


def column_definition(column: ColumnSpec, features: Features) -> str:
    """Return ``column`` as CREATE TABLE and ADD COLUMN have it."""
    type_name = column.type
    if features.is_baseline:
        if members := tuple_members(type_name):
            # 18.16 cannot send aggregates of tuples whose elements have names.
            type_name = f"Tuple({', '.join(inner for _, inner in members)})"
        return f"{column.name} {type_name}{_default(column)}"
    if column.is_dictionary and features.has_dictionaries:
        type_name = f"LowCardinality({type_name})"
    if column.joined_by:
        type_name = f"SimpleAggregateFunction({column.joined_by}, {type_name})"
    comment = f" COMMENT '{column.comment}'" if column.comment else ""
    codec = f" CODEC({column.codec})" if column.codec else ""
    return f"{column.name} {type_name}{_default(column)}{comment}{codec}"


def _default(column: ColumnSpec) -> str:
    return f" DEFAULT {column.default}" if column.default else ""


def table_columns(table: TableSpec, features: Features) -> tuple[ColumnSpec, ...]:
    """Return the columns that ``table`` has there."""
    if features.is_baseline and not table.replaces:
        return (*table.columns, ColumnSpec("batch", "UInt64"))
    return table.columns


def create_table(
    table: TableSpec,
    features: Features = EMBEDDED,
    *,
    name: str = "",
    on_cluster: str = "",
    replica: tuple[str, ...] = (),
    settings: Mapping[str, int] = DURABLE_SETTINGS,
) -> str:
    """Return the statement that makes ``table`` where it is not there yet.

    Args:
        name: where it is made, the table's own name by default.
        on_cluster: goes behind the name.
        replica: the arguments of a replicated engine, quoted; () for one that is not.
    """
    columns = ",\n    ".join(
        column_definition(column, features) for column in table_columns(table, features)
    )
    engine = "" if features.is_baseline and table.engine is Engine.AGGREGATING else table.engine
    arguments = [*replica, *([table.version_column] if table.version_column else [])]
    given = f"({', '.join(arguments)})" if arguments else ""
    ordered = ", ".join(table.key)
    given_settings = {**settings, **_granules(table, features)}
    held = ", ".join(f"{setting} = {value}" for setting, value in given_settings.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {name or table.name}{on_cluster}\n(\n    {columns}\n)\n"
        f"ENGINE = {'Replicated' if replica else ''}{engine}MergeTree{given} "
        f"ORDER BY {ordered if len(table.key) == 1 else f'({ordered})'}"
        + (f"\nSETTINGS {held}" if held else "")
    )


def _granules(table: TableSpec, features: Features) -> dict[str, int]:
    if not table.granule_rows:
        return {}
    rows = {"index_granularity": table.granule_rows}
    if features.is_baseline:
        return rows
    # What is compressed together is read together: without this 64 KiB of each column.
    return {**rows, "min_compress_block_size": table.granule_rows * _VALUE_BYTES}


def add_column(place: str, column: ColumnSpec, features: Features, on_cluster: str = "") -> str:
    """Return the statement that gives the table at ``place`` a column, where it lacks it.

    Baseline servers know no IF NOT EXISTS there: where two do it at once, one gets an error.
    """
    condition = "" if features.is_baseline else "IF NOT EXISTS "
    definition = column_definition(column, features)
    return f"ALTER TABLE {place}{on_cluster} ADD COLUMN {condition}{definition}"
