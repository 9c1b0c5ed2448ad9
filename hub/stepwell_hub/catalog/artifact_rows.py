"""Rows of artifacts: find, lock, and make answers of them. Inside a caller's transaction."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from stepwell_hub.artifacts.answers import Version
from stepwell_hub.catalog.models import (
    ArtifactAlias,
    ArtifactCollection,
    ArtifactRun,
    ArtifactVersion,
    Base,
)
from stepwell_hub.errors import ApiError
from stepwell_wire.artifact_names import version_number

COMMITTED = "committed"
DELETED = "deleted"
FAILED = "failed"
PENDING = "pending"
SAME = "same"
LIVE = (COMMITTED, PENDING)
"""States in which a version's files are kept."""


def find_collection(
    session: Session, project: str, name: str, *, lock: bool = False
) -> ArtifactCollection:
    """Return a collection, on request locked until the transaction's end.

    Raises:
        ApiError: There is none.
    """
    wanted = select(ArtifactCollection).where(
        ArtifactCollection.project == project, ArtifactCollection.name == name
    )
    # SQLite has no such lock and needs none: its transactions that write take turns.
    found = session.execute(wanted.with_for_update() if lock else wanted).scalar_one_or_none()
    if found is None:
        raise ApiError(404, "not_found", f"artifact {name} not found in project {project}")
    return found


def lock_collection(session: Session, version: ArtifactVersion) -> ArtifactCollection:
    """Lock the collection of ``version``, then read the version anew."""
    wanted = select(ArtifactCollection).where(ArtifactCollection.id == version.collection_id)
    found = session.execute(wanted.with_for_update()).scalar_one()
    session.refresh(version)
    return found


def is_live(collection_id: Any) -> Any:
    """Return the condition that a collection has a version whose files are kept."""
    return exists().where(
        ArtifactVersion.collection_id == collection_id, ArtifactVersion.state.in_(LIVE)
    )


def find_version(session: Session, collection: ArtifactCollection, asked: str) -> ArtifactVersion:
    """Return a committed or deleted version by its number (``v3``), else by an alias.

    Raises:
        ApiError: There is none.
    """
    wanted = select(ArtifactVersion).where(ArtifactVersion.collection_id == collection.id)
    number = version_number(asked)
    if number is not None:
        wanted = wanted.where(ArtifactVersion.number == number)
    else:
        wanted = wanted.join(ArtifactAlias, ArtifactAlias.version_id == ArtifactVersion.id).where(
            ArtifactAlias.collection_id == collection.id, ArtifactAlias.name == asked
        )
    found = session.execute(wanted).scalar_one_or_none()
    if found is None:
        what = "version" if number is not None else "alias"
        raise ApiError(404, "not_found", f"artifact {collection.name} has no {what} {asked}")
    return found


def version_by_id(session: Session, version_id: str) -> ArtifactVersion:
    """Return a version by its id.

    Raises:
        ApiError: There is none.
    """
    found = session.get(ArtifactVersion, version_id)
    if found is None:
        raise ApiError(404, "not_found", f"version with the id {version_id} not found")
    return found


def stands_for(session: Session, version: ArtifactVersion) -> ArtifactVersion:
    """Return ``version``, or the one that had its content before."""
    return version_by_id(session, version.same_as) if version.state == SAME else version


def add_once(session: Session, row: type[Base], **values: object) -> None:
    """Insert a row unless its key is taken, also by a transaction that runs beside this one."""
    session.execute(_insert(session, row).values(**values).on_conflict_do_nothing())


def _insert(session: Session, row: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Return an insert with the conflict clauses of the session's database."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    return sqlite.insert(row) if is_sqlite else postgresql.insert(row)


def note_run(
    session: Session, version: ArtifactVersion, *, project: str, run_id: str, kind: str, now: float
) -> None:
    """Note that a run logged or used a version, or did so again."""
    inserted = _insert(session, ArtifactRun).values(
        version_id=version.id, project=project, run_id=run_id, kind=kind, created_at=now
    )
    newer = {"created_at": inserted.excluded.created_at}
    key = ArtifactRun.__mapper__.primary_key
    session.execute(inserted.on_conflict_do_update(index_elements=key, set_=newer))


def move_alias(session: Session, version: ArtifactVersion, alias: str) -> None:
    """Let ``alias`` name ``version``; its collection is locked."""
    found = session.get(ArtifactAlias, (version.collection_id, alias))
    if found is None:
        session.add(
            ArtifactAlias(collection_id=version.collection_id, name=alias, version_id=version.id)
        )
    else:
        found.version_id = version.id


def answer_of(session: Session, version: ArtifactVersion) -> Version:
    """Return the answer for one version."""
    return answers_of(session, [version])[0]


def answers_of(session: Session, versions: Sequence[ArtifactVersion]) -> list[Version]:
    """Return the answers for versions, in their order."""
    session.flush()
    ids = {each.collection_id for each in versions}
    collections = {
        each.id: each
        for each in session.execute(
            select(ArtifactCollection).where(ArtifactCollection.id.in_(ids))
        ).scalars()
    }
    aliases = defaultdict(list)
    wanted = select(ArtifactAlias.version_id, ArtifactAlias.name).where(
        ArtifactAlias.version_id.in_([each.id for each in versions])
    )
    for version_id, alias in session.execute(wanted.order_by(ArtifactAlias.name)):
        aliases[version_id].append(alias)
    return [_answer(collections[each.collection_id], each, aliases[each.id]) for each in versions]


def _answer(
    collection: ArtifactCollection, version: ArtifactVersion, aliases: list[str]
) -> Version:
    return Version(
        id=version.id,
        project=collection.project,
        name=collection.name,
        type=collection.type,
        version="" if version.number is None else f"v{version.number}",
        digest=version.digest,
        state=version.state,  # type: ignore[arg-type]
        aliases=tuple(aliases),
        description=version.description,
        metadata=json.loads(version.attached),
        size=version.size,
        file_count=version.file_count,
        run_id=version.run_id,
        reason=version.reason,
        created_at=version.created_at,
        committed_at=version.committed_at,
    )
