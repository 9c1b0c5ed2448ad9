"""The versions of the schema and their changes. A released version never changes."""

import logging
from collections.abc import Iterator
from typing import Final

from stepwell_store.errors import SchemaTooOldError
from stepwell_store.fill import (
    attributes_by_path,
    node_rollups_of_piece,
    rollups_of_piece,
    run_keys_of_writers,
    statistics_by_run_of_piece,
)
from stepwell_store.migrate import Migration, StoreSchema, apply_migrations
from stepwell_store.store import Store
from stepwell_store.table_spec import TableSpec
from stepwell_store.tables import NODE_POINTS, POINTS

logger = logging.getLogger("stepwell_store")

_PIECES_A_LINE: Final = 64


def _drop_former_rollups(schema: StoreSchema) -> None:
    """From this version on daemons of older releases cannot store points: they wait for their
    upgrade."""
    schema.drop("rollups")


def _fill_attributes_by_path(schema: StoreSchema) -> None:
    schema.fill(attributes_by_path())


def _pieces_left(
    schema: StoreSchema, version: int, points: TableSpec = POINTS
) -> Iterator[tuple[int, int, int]]:
    """Yield number, count and piece of a version's fills, until another daemon has noted the
    version.

    Pieces are those of ``points``. After the note, daemons store new rows, also of pieces that had
    none before.
    """
    pieces = schema.pieces_of(points)
    for number, piece in enumerate(pieces, start=1):
        if schema.found_version() >= version:
            return
        yield number, len(pieces), piece


def _make_rollups_of_points(schema: StoreSchema) -> None:
    for number, count, piece in _pieces_left(schema, 3):
        schema.fill(rollups_of_piece(piece, "migration-3"))
        if number % _PIECES_A_LINE == 0 or number == count:
            logger.info("computing rollups of points piece=%d pieces=%d", number, count)


def _fill_statistics_by_run(schema: StoreSchema) -> None:
    for _, _, piece in _pieces_left(schema, 6):
        schema.fill(statistics_by_run_of_piece(piece, "migration-6"))


def _fill_run_keys(schema: StoreSchema) -> None:
    schema.fill(run_keys_of_writers())


def _make_rollups_of_nodes(schema: StoreSchema) -> None:
    for number, count, piece in _pieces_left(schema, 8, NODE_POINTS):
        schema.fill(node_rollups_of_piece(piece, "migration-8"))
        if number % _PIECES_A_LINE == 0 or number == count:
            logger.info("computing rollups of nodes piece=%d pieces=%d", number, count)


MIGRATIONS: Final = (
    Migration(1, "tables"),
    Migration(2, "step rollups begin", announces=True),
    Migration(
        3,
        "step rollups and attributes by path",
        (_drop_former_rollups, _fill_attributes_by_path, _make_rollups_of_points),
    ),
    Migration(4, "removed writers"),
    Migration(5, "blobs"),
    Migration(6, "statistics by run", (_fill_statistics_by_run, _fill_run_keys)),
    Migration(7, "histograms"),
    Migration(8, "rollups of nodes", (_make_rollups_of_nodes,)),
    Migration(9, "kinds of gaps"),
    Migration(10, "removed runs"),
)

assert [each.version for each in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))

NEWEST: Final = MIGRATIONS[-1].version


def migrate(schema: StoreSchema, *, from_start: bool = False) -> None:
    """Bring ``schema`` to the newest version; see ``apply_migrations``."""
    apply_migrations(schema, MIGRATIONS, from_start=from_start)


def is_between(version: int) -> bool:
    """Return whether a store of ``version`` waits for long steps, or for all steps."""
    return version == 0 or (version <= NEWEST and MIGRATIONS[version - 1].announces)


def check_is_newest(store: Store) -> None:
    """Explain why a query of ``store`` failed, if the tables are those of an older release.

    Raises:
        SchemaTooOldError: They are.
        StoreError: The store does not answer.
    """
    found = store.schema_version()
    if found < NEWEST:
        raise SchemaTooOldError(found, NEWEST)
