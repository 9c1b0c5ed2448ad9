"""Versions of artifacts, from begin to deletion. Each function is one transaction.

    begin ── pending ── commit ── committed ── delete ── deleted
                 │         └───── same: an earlier version has this content, and stands for it
                 └── fail, or a week ── failed

Numbers and aliases change only while the collection's row is locked, so writers of one name take
turns. Every function may be repeated: a version that has left a state does not enter it again, and
aliases move with the first commit alone.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete as delete_rows
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stepwell_hub.artifacts.answers import Version
from stepwell_hub.catalog.artifact_rows import (
    COMMITTED,
    DELETED,
    FAILED,
    PENDING,
    SAME,
    add_once,
    answer_of,
    find_collection,
    find_version,
    is_live,
    lock_collection,
    move_alias,
    note_run,
    stands_for,
    version_by_id,
)
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import ArtifactAlias, ArtifactCollection, ArtifactVersion
from stepwell_hub.errors import ApiError
from stepwell_wire.artifact_names import LATEST

PENDING_SECONDS: Final = 7 * 86_400.0
"""A version that is not committed for so long fails."""
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a version is begun with.

    Attributes:
        key: of the request; the same key is the same version.
        digest: of the packed manifest.
    """

    key: str
    project: str
    name: str
    type: str
    digest: str
    size: int
    file_count: int
    description: str
    metadata: dict[str, Any]
    run_id: str


def begin(catalog: Catalog, new: NewVersion, *, now: float) -> Version:
    """Make a pending version, or return the one that the same key began.

    Raises:
        ApiError: The key began another one, or the artifact has another type.
    """
    try:
        return _begin(catalog, new, now)
    except (IntegrityError, _CollectionGoneError):
        # Another hub was first with this key, or removed the rest of a deleted project.
        return _begin(catalog, new, now)


def commit(catalog: Catalog, version_id: str, *, aliases: Sequence[str], now: float) -> Version:
    """Give a version its number and move aliases to it; return the version that stands for it.

    Raises:
        ApiError: It failed, was deleted, or never existed.
    """
    with catalog.changing() as session:
        version = version_by_id(session, version_id)
        collection = lock_collection(session, version)
        if version.state == PENDING:
            _commit(session, collection, version, aliases, now)
        elif version.state in (FAILED, DELETED):
            raise ApiError(
                409,
                "version_ended",
                f"version {version_id} of {collection.name} is {version.state}"
                f"{version.reason and f' ({version.reason})'}; log the artifact again",
            )
        return answer_of(session, stands_for(session, version))


def fail(catalog: Catalog, version_id: str, *, reason: str) -> Version:
    """Mark a pending version as failed.

    Raises:
        ApiError: It was committed, or never existed.
    """
    with catalog.changing() as session:
        version = version_by_id(session, version_id)
        collection = lock_collection(session, version)
        if version.state in (COMMITTED, SAME):
            raise ApiError(
                409,
                "version_committed",
                f"version {version_id} of {collection.name} is already committed",
            )
        if version.state == PENDING:
            version.state, version.reason = FAILED, reason
        return answer_of(session, version)


def delete(catalog: Catalog, project: str, name: str, asked: str, *, force: bool) -> Version:
    """Delete a version; ``latest`` moves to the newest one that is left.

    Raises:
        ApiError: An alias names it and ``force`` is not given, or there is none.
    """
    with catalog.changing() as session:
        collection = find_collection(session, project, name, lock=True)
        version = find_version(session, collection, asked)
        named = ArtifactAlias.version_id == version.id
        aliases = list(session.execute(select(ArtifactAlias.name).where(named)).scalars())
        if aliases and not force:
            raise ApiError(
                409,
                "version_aliased",
                f"{name}:v{version.number} has the aliases {', '.join(sorted(aliases))}; move them "
                "first, or delete with force=true",
            )
        version.state = DELETED
        session.execute(delete_rows(ArtifactAlias).where(named))
        session.flush()
        newest = _newest(session, collection)
        if LATEST in aliases and newest is not None:
            move_alias(session, newest, LATEST)
        return answer_of(session, version)


def expire(catalog: Catalog, *, now: float) -> list[str]:
    """Fail versions that were pending too long; return versions whose manifests are not needed."""
    with catalog.changing() as session:
        session.execute(
            update(ArtifactVersion)
            .where(
                ArtifactVersion.state == PENDING,
                ArtifactVersion.created_at < now - PENDING_SECONDS,
            )
            .values(state=FAILED, reason="not committed within a week")
        )
        wanted = select(ArtifactVersion.id).where(
            ArtifactVersion.state.in_((FAILED, DELETED, SAME)), ArtifactVersion.has_manifest
        )
        return list(session.execute(wanted.limit(_AT_ONCE)).scalars())


def note_dropped(catalog: Catalog, version_ids: Sequence[str]) -> None:
    """Note that the blob store no longer has these versions' manifests."""
    with catalog.changing() as session:
        session.execute(
            update(ArtifactVersion)
            .where(ArtifactVersion.id.in_(version_ids))
            .values(has_manifest=False)
        )


# ---------------------------------------------------------------------- within one transaction


def _begin(catalog: Catalog, new: NewVersion, now: float) -> Version:
    with catalog.changing() as session:
        known = session.execute(
            select(ArtifactVersion).where(ArtifactVersion.key == new.key)
        ).scalar_one_or_none()
        if known is not None:
            _check_same(session, known, new)
            return answer_of(session, stands_for(session, known))
        add_once(
            session,
            ArtifactCollection,
            project=new.project,
            name=new.name,
            type=new.type,
            next_number=0,
            created_at=now,
        )
        collection = session.execute(
            select(ArtifactCollection)
            .where(ArtifactCollection.project == new.project, ArtifactCollection.name == new.name)
            .with_for_update()
        ).scalar_one_or_none()
        if collection is None:
            raise _CollectionGoneError
        if collection.type != new.type and not _has_live(session, collection):
            collection.type = new.type  # Only the names of its versions are left.
        if collection.type != new.type:
            raise ApiError(
                409,
                "type_wrong",
                f"artifact {new.name} has the type {collection.type}, not {new.type}; use that "
                "type, or another name",
                field="type",
            )
        version = ArtifactVersion(
            id=secrets.token_hex(16),
            key=new.key,
            collection_id=collection.id,
            number=None,
            digest=new.digest,
            state=PENDING,
            same_as="",
            reason="",
            description=new.description,
            attached=json.dumps(new.metadata),
            size=new.size,
            file_count=new.file_count,
            run_id=new.run_id,
            has_manifest=True,
            created_at=now,
            committed_at=None,
        )
        session.add(version)
        return answer_of(session, version)


class _CollectionGoneError(Exception):
    """It was removed between two statements."""


def _has_live(session: Session, collection: ArtifactCollection) -> bool:
    return bool(session.execute(select(is_live(collection.id))).scalar())


def _check_same(session: Session, known: ArtifactVersion, new: NewVersion) -> None:
    collection = session.get_one(ArtifactCollection, known.collection_id)
    facts = (collection.project, collection.name, collection.type, known.digest)
    if facts != (new.project, new.name, new.type, new.digest):
        raise ApiError(
            409,
            "key_reused",
            f"this key was used for a version of {collection.name} with other content; use a "
            "new key for each version",
            field="key",
        )


def _commit(
    session: Session,
    collection: ArtifactCollection,
    version: ArtifactVersion,
    aliases: Sequence[str],
    now: float,
) -> None:
    earlier = session.execute(
        select(ArtifactVersion).where(
            ArtifactVersion.collection_id == collection.id,
            ArtifactVersion.digest == version.digest,
            ArtifactVersion.state == COMMITTED,
        )
    ).scalar_one_or_none()
    target = earlier or version
    if earlier is not None:
        version.state, version.same_as = SAME, earlier.id
    else:
        version.state, version.committed_at = COMMITTED, now
        version.number = collection.next_number
        collection.next_number += 1
    if version.run_id:
        note_run(
            session,
            target,
            project=collection.project,
            run_id=version.run_id,
            kind="logged",
            now=now,
        )
    for alias in {LATEST, *aliases}:
        move_alias(session, target, alias)


def _newest(session: Session, collection: ArtifactCollection) -> ArtifactVersion | None:
    wanted = select(ArtifactVersion).where(
        ArtifactVersion.collection_id == collection.id, ArtifactVersion.state == COMMITTED
    )
    return session.execute(
        wanted.order_by(ArtifactVersion.number.desc()).limit(1)
    ).scalar_one_or_none()
