"""SQL that makes and changes tables, from their declarations. No I/O here."""

from collections.abc import Mapping
from typing import Final

from stepwell_store.table_spec import ColumnSpec, TableSpec

DURABLE_SETTINGS: Final[dict[str, int]] = {
    # The store remembers this many blocks of a table; a resent one of them has no effect.
    "non_replicated_deduplication_window": 1000,
    # Acknowledged rows survive a power loss; without these settings they may not.
    "fsync_after_insert": 1,
    "fsync_part_directory": 1,
    "min_compressed_bytes_to_fsync_after_merge": 1,
    # Seconds that merged parts stay on disk after their successor; the embedded default is 0.
    "old_parts_lifetime": 480,
}
_VALUE_BYTES: Final = 8


def column_definition(column: ColumnSpec) -> str:
    """Return ``column`` in the form of CREATE TABLE and ADD COLUMN."""
    type_name = f"LowCardinality({column.type})" if column.is_dictionary else column.type
    if column.joined_by:
        type_name = f"SimpleAggregateFunction({column.joined_by}, {type_name})"
    comment = f" COMMENT '{column.comment}'" if column.comment else ""
    codec = f" CODEC({column.codec})" if column.codec else ""
    return f"{column.name} {type_name}{_default(column)}{comment}{codec}"


def _default(column: ColumnSpec) -> str:
    return f" DEFAULT {column.default}" if column.default else ""


def create_table(
    table: TableSpec,
    *,
    name: str = "",
    on_cluster: str = "",
    replica: tuple[str, ...] = (),
    settings: Mapping[str, int] = DURABLE_SETTINGS,
) -> str:
    """Return the statement that creates ``table`` if it does not exist.

    Args:
        name: its name in the store, the table's own name by default.
        on_cluster: is appended to the name.
        replica: the arguments of a replicated engine, quoted; () for an engine without replicas.
    """
    columns = ",\n    ".join(map(column_definition, table.columns))
    arguments = [*replica, *([table.version_column] if table.version_column else [])]
    given = f"({', '.join(arguments)})" if arguments else ""
    ordered = ", ".join(table.key)
    given_settings = {**settings, **_granules(table)}
    held = ", ".join(f"{setting} = {value}" for setting, value in given_settings.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {name or table.name}{on_cluster}\n(\n    {columns}\n)\n"
        f"ENGINE = {'Replicated' if replica else ''}{table.engine}MergeTree{given} "
        f"ORDER BY {ordered if len(table.key) == 1 else f'({ordered})'}"
        + (f"\nSETTINGS {held}" if held else "")
    )


def _granules(table: TableSpec) -> dict[str, int]:
    if not table.granule_rows:
        return {}
    # A compressed block is read as a whole: without this, 64 KiB of each column.
    return {
        "index_granularity": table.granule_rows,
        "min_compress_block_size": table.granule_rows * _VALUE_BYTES,
    }


def add_column(place: str, column: ColumnSpec, on_cluster: str = "") -> str:
    """Return the statement that adds a column to the table at ``place``, if it is missing."""
    definition = column_definition(column)
    return f"ALTER TABLE {place}{on_cluster} ADD COLUMN IF NOT EXISTS {definition}"
