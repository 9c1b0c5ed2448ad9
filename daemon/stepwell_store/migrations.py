"""The versions of the schema and what each changes. One that was released is never changed."""

from typing import Final

from stepwell_store.migrate import Migration, Schema, apply_migrations

MIGRATIONS: Final = (Migration(1, "tables"),)

assert [each.version for each in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))

NEWEST: Final = MIGRATIONS[-1].version


def migrate(schema: Schema, *, from_start: bool = False) -> None:
    """Bring ``schema`` to the newest version; see ``apply_migrations``."""
    apply_migrations(schema, MIGRATIONS, from_start=from_start)


def is_between(version: int) -> bool:
    """Return whether a store of ``version`` waits for steps that take a while, or for all."""
    return version == 0 or (version <= NEWEST and MIGRATIONS[version - 1].announces)
