"""Changes to committed versions: aliases, descriptions and metadata, runs that use them.

Each function is one transaction.
"""

import json
from typing import Any

from sqlalchemy.orm import Session

from stepwell_hub.artifacts.answers import Version
from stepwell_hub.catalog.artifact_rows import (
    COMMITTED,
    answer_of,
    find_collection,
    find_version,
    move_alias,
    note_run,
)
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import ArtifactAlias, ArtifactVersion
from stepwell_hub.errors import ApiError
from stepwell_wire.artifact_names import LATEST


def set_alias(catalog: Catalog, project: str, name: str, alias: str, *, version: str) -> Version:
    """Let an alias name a version, and no other version of the collection.

    Raises:
        ApiError: There is no such version, or the alias moves by itself.
    """
    _refuse_latest(alias)
    with catalog.changing() as session:
        found = _committed(session, project, name, version)
        move_alias(session, found, alias)
        return answer_of(session, found)


def remove_alias(catalog: Catalog, project: str, name: str, alias: str) -> None:
    """Remove an alias, if there is one.

    Raises:
        ApiError: There is no such collection, or the alias moves by itself.
    """
    _refuse_latest(alias)
    with catalog.changing() as session:
        collection = find_collection(session, project, name, lock=True)
        found = session.get(ArtifactAlias, (collection.id, alias))
        if found is not None:
            session.delete(found)


def describe(
    catalog: Catalog,
    project: str,
    name: str,
    version: str,
    *,
    description: str | None,
    metadata: dict[str, Any] | None,
) -> Version:
    """Change the description or the metadata of a version; None keeps it.

    Raises:
        ApiError: There is no such version.
    """
    with catalog.changing() as session:
        found = _committed(session, project, name, version)
        if description is not None:
            found.description = description
        if metadata is not None:
            found.attached = json.dumps(metadata)
        return answer_of(session, found)


def note_use(
    catalog: Catalog,
    project: str,
    name: str,
    version: str,
    *,
    run_project: str,
    run_id: str,
    now: float,
) -> Version:
    """Record that a run uses a version.

    Raises:
        ApiError: There is no such version.
    """
    with catalog.changing() as session:
        found = _committed(session, project, name, version)
        note_run(session, found, project=run_project, run_id=run_id, kind="used", now=now)
        return answer_of(session, found)


def _committed(session: Session, project: str, name: str, asked: str) -> ArtifactVersion:
    collection = find_collection(session, project, name, lock=True)
    found = find_version(session, collection, asked)
    if found.state != COMMITTED:
        raise ApiError(409, "version_ended", f"{name}:{asked} was deleted")
    return found


def _refuse_latest(alias: str) -> None:
    if alias == LATEST:
        raise ApiError(
            409,
            "alias_reserved",
            f"{LATEST} always names the newest version; use another alias",
            field="alias",
        )
