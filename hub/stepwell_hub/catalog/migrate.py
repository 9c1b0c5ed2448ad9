"""Bring the catalog's tables up to date. Alembic is loaded only where there is something to do."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from stepwell_hub.errors import CatalogUnavailableError

NEWEST: Final = "0008"
_LOCK: Final = 0x57E9_3311  # An arbitrary number: hubs that start together take turns.


class CatalogTooNewError(CatalogUnavailableError):
    """A newer stepwell wrote the catalog."""


def migrate(connection: Connection) -> None:
    """Upgrade the tables inside the caller's transaction.

    Raises:
        CatalogTooNewError: A newer stepwell wrote it; nothing was changed.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    found = _version(connection)
    if found == NEWEST:
        return
    if found is not None and found > NEWEST:
        raise CatalogTooNewError(
            f"the catalog has version {found}, but this stepwell reads versions up to "
            f"{NEWEST}; nothing was changed: upgrade stepwell"
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
