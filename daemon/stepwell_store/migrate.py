"""Bring a store to the newest schema: declared tables first, then numbered migrations, in order.

    make tables, add columns → for each version that is missing: its steps → note it as complete

Tables and columns come from their declarations, so a migration has only the steps that move or drop
data. Every step can be run twice and by several processes at once, because a crash may happen
anywhere and many daemons share a server. A version without steps may precede one with steps: it is
noted first and stops daemons of older releases. These create tables that they miss, but not in a
newer store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stepwell_store.errors import SchemaTooNewError, TableMissingError
from stepwell_store.fill import Fill
from stepwell_store.table_spec import TableSpec
from stepwell_store.tables import SCHEMA_VERSIONS, TABLES


class StoreSchema(Protocol):
    """The tables of one store, for migrations."""

    def found_version(self) -> int:
        """Return the newest noted version, 0 without one.

        Raises:
            TableMissingError: The table of versions does not exist.
        """

    def note_version(self, version: int, name: str) -> None: ...

    def create(self, table: TableSpec) -> None:
        """Create ``table`` if it is missing."""

    def add_missing_columns(self, tables: Sequence[TableSpec]) -> None:
        """Add columns that were declared after the tables were created."""

    def drop(self, name: str) -> None:
        """Remove a table and its rows, if it exists."""

    def pieces_of(self, points: TableSpec) -> list[int]:
        """Return the pieces of ``fill.py`` with rows of ``points``."""

    def fill(self, fill: Fill) -> None:
        """Store the rows of ``fill``, once under its token."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One version of the schema.

    Attributes:
        announces: the next version's steps take a while, and older releases are stopped meanwhile.
    """

    version: int
    name: str
    steps: tuple[Callable[[StoreSchema], None], ...] = ()
    announces: bool = False


def check_version(found: int, newest: int) -> None:
    """Refuse a store of a newer stepwell.

    Raises:
        SchemaTooNewError: ``found`` is beyond ``newest``.
    """
    if found > newest:
        raise SchemaTooNewError(found, newest)


def apply_migrations(
    schema: StoreSchema, migrations: Sequence[Migration], *, from_start: bool = False
) -> None:
    """Apply missing migrations. Any number of processes may do so at once.

    Args:
        migrations: all of them, by version.
        from_start: create dropped tables again, also in a store of the newest version.

    Raises:
        SchemaTooNewError: The store has a version that this package does not know.
    """
    try:
        found = schema.found_version()
    except TableMissingError:
        schema.create(SCHEMA_VERSIONS)
        found = schema.found_version()
    check_version(found, migrations[-1].version)
    missing = [each for each in migrations if each.version > found]
    if not missing and not from_start:
        return
    for table in TABLES:
        schema.create(table)
    schema.add_missing_columns(TABLES)
    for migration in missing:
        if schema.found_version() >= migration.version:
            continue  # Another process was faster, and may store new rows already.
        for step in migration.steps:
            step(schema)
        schema.note_version(migration.version, migration.name)
