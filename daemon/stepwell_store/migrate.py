"""Bring a store to the newest schema: numbered SQL files, applied once each, in order.

A file is never changed after a release. Every statement can be run twice, because a crash may
come between a statement and the note that its version is done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Final

from stepwell_store.errors import SchemaTooNewError, TableMissingError

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

VERSIONS_TABLE: Final = """\
CREATE TABLE IF NOT EXISTS schema_versions
(
    version UInt32,
    name String,
    applied_at DateTime DEFAULT now()
)
ENGINE = ReplacingMergeTree ORDER BY version
SETTINGS {durable}
"""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    statements: tuple[str, ...]


def load_migrations() -> list[Migration]:
    """Return the migrations that come with this package, by version."""
    found = []
    for entry in (resources.files("stepwell_store") / "schema").iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, split_statements(entry.read_text("utf-8"))))
    found.sort(key=lambda migration: migration.version)
    assert [each.version for each in found] == list(range(1, len(found) + 1))
    return found


def split_statements(script: str) -> tuple[str, ...]:
    """Return the statements of ``script`` with their settings filled in."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    parts = "\n".join(lines).split(";\n")
    whole = (part.strip().removesuffix(";") for part in parts)
    return tuple(_with_settings(part) for part in whole if part)


def check_version(found: int) -> int:
    """Return the newest version that this package knows.

    Raises:
        SchemaTooNewError: ``found`` is beyond it.
    """
    newest = load_migrations()[-1].version
    if found > newest:
        raise SchemaTooNewError(found, newest)
    return newest


def apply_migrations(
    execute: Callable[[str], None],
    found_version: Callable[[], int],
    record: Callable[[int, str], None],
    *,
    from_start: bool = False,
) -> int:
    """Apply what is missing and return the schema's version.

    Any number of processes may do so at once: each statement can be run twice.

    Args:
        execute: runs one statement of a migration.
        found_version: returns the newest version that was recorded; raises TableMissingError
            where there is no table of versions.
        record: notes that a version, by its name, is complete.
        from_start: run every statement again, to make anew what somebody dropped.

    Raises:
        SchemaTooNewError: The store has a version that this package does not know.
    """
    migrations = load_migrations()
    try:
        found = found_version()
    except TableMissingError:
        execute(_with_settings(VERSIONS_TABLE))
        found = found_version()
    newest = check_version(found)
    for migration in migrations:
        if migration.version <= found and not from_start:
            continue
        for statement in migration.statements:
            execute(statement)
        record(migration.version, migration.name)
    return newest


def _with_settings(statement: str) -> str:
    settings = ", ".join(f"{name} = {value}" for name, value in DURABLE_SETTINGS.items())
    return statement.replace("{durable}", settings)
