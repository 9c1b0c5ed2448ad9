"""Artifacts read from the catalog: lists in pages, and versions."""

from collections.abc import Sequence

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from stepwell_hub.artifacts.answers import Collection, CollectionsPage, Kind, Version, VersionsPage
from stepwell_hub.catalog.artifact_rows import (
    COMMITTED,
    PENDING,
    answer_of,
    answers_of,
    find_collection,
    find_version,
    is_live,
    stands_for,
    version_by_id,
)
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import (
    ArtifactAlias,
    ArtifactCollection,
    ArtifactRun,
    ArtifactVersion,
)
from stepwell_hub.errors import ApiError
from stepwell_wire.artifact_names import LATEST


def list_collections(
    catalog: Catalog, project: str, *, kind: str, search: str, limit: int, cursor: str | None
) -> CollectionsPage:
    """Return collections in the order of their names; ``search`` is a part of the name.

    Those whose versions were all deleted are not among them.
    """
    is_shown = and_(ArtifactCollection.project == project, is_live(ArtifactCollection.id))
    types = select(ArtifactCollection.type).where(is_shown).distinct()
    wanted = select(ArtifactCollection).where(is_shown)
    if kind:
        wanted = wanted.where(ArtifactCollection.type == kind)
    if search:
        wanted = wanted.where(ArtifactCollection.name.icontains(search, autoescape=True))
    if cursor is not None:
        wanted = wanted.where(ArtifactCollection.name > cursor)
    with catalog.reading() as session:
        found = (
            session.execute(wanted.order_by(ArtifactCollection.name).limit(limit + 1))
            .scalars()
            .all()
        )
        page = found[:limit]
        return CollectionsPage(
            _collection_answers(session, page),
            page[-1].name if len(found) > limit else None,
            tuple(sorted(session.execute(types).scalars())),
        )


def read_collection(catalog: Catalog, project: str, name: str) -> Collection:
    """Return one collection.

    Raises:
        ApiError: There is none.
    """
    with catalog.reading() as session:
        return _collection_answers(session, [find_collection(session, project, name)])[0]


def list_versions(
    catalog: Catalog, project: str, name: str, *, limit: int, cursor: str | None
) -> VersionsPage:
    """Return the committed versions of a collection, the newest first.

    Raises:
        ApiError: There is no such collection, or the cursor is invalid.
    """
    with catalog.reading() as session:
        collection = find_collection(session, project, name)
        wanted = select(ArtifactVersion).where(
            ArtifactVersion.collection_id == collection.id, ArtifactVersion.state == COMMITTED
        )
        if cursor is not None:
            if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
                raise _no_cursor(cursor)
            wanted = wanted.where(ArtifactVersion.number < int(cursor))
        found = (
            session.execute(wanted.order_by(ArtifactVersion.number.desc()).limit(limit + 1))
            .scalars()
            .all()
        )
        page = found[:limit]
        return VersionsPage(
            tuple(answers_of(session, page)),
            str(page[-1].number) if len(found) > limit else None,
        )


def read_version(catalog: Catalog, project: str, name: str, asked: str) -> Version:
    """Return a version by its number or an alias.

    Raises:
        ApiError: There is none.
    """
    with catalog.reading() as session:
        collection = find_collection(session, project, name)
        return answer_of(session, find_version(session, collection, asked))


def read_by_id(catalog: Catalog, version_id: str) -> Version:
    """Return a version by its id, also a pending one; of a duplicate, the version it repeats.

    Raises:
        ApiError: There is none.
    """
    with catalog.reading() as session:
        return answer_of(session, stands_for(session, version_by_id(session, version_id)))


def list_run_versions(
    catalog: Catalog,
    project: str,
    run_id: str,
    *,
    kind: Kind,
    limit: int,
    cursor: str | None,
    since: float = 0.0,
) -> VersionsPage:
    """Return the versions that a run logged or used, in the order in which it last did.

    Versions that were deleted since are among them.

    Args:
        since: when an earlier run with this id was deleted, in seconds since 1970 UTC.

    Raises:
        ApiError: The cursor is invalid.
    """
    wanted = (
        select(ArtifactVersion, ArtifactRun.created_at)
        .join(ArtifactRun, ArtifactRun.version_id == ArtifactVersion.id)
        .where(
            ArtifactRun.project == project,
            ArtifactRun.run_id == run_id,
            ArtifactRun.kind == kind,
            ArtifactRun.created_at >= since,
        )
    )
    if cursor is not None:
        at, version_id = _run_place(cursor)
        is_later = and_(ArtifactRun.created_at == at, ArtifactVersion.id > version_id)
        wanted = wanted.where(or_(ArtifactRun.created_at > at, is_later))
    wanted = wanted.order_by(ArtifactRun.created_at, ArtifactVersion.id).limit(limit + 1)
    with catalog.reading() as session:
        found = session.execute(wanted).all()
        page = found[:limit]
        following = f"{page[-1][1]!r} {page[-1][0].id}" if len(found) > limit else None
        return VersionsPage(tuple(answers_of(session, [each for each, _ in page])), following)


def logged_at(catalog: Catalog, versions: Sequence[Version]) -> dict[str, float]:
    """Return when the run of each version (``run_id``) last logged it, by the version's id."""
    wanted = (
        select(ArtifactRun.version_id, ArtifactRun.created_at)
        .join(ArtifactVersion, ArtifactVersion.id == ArtifactRun.version_id)
        .join(ArtifactCollection, ArtifactCollection.id == ArtifactVersion.collection_id)
        .where(
            ArtifactRun.version_id.in_([each.id for each in versions]),
            ArtifactRun.project == ArtifactCollection.project,
            ArtifactRun.run_id == ArtifactVersion.run_id,
            ArtifactRun.kind == "logged",
        )
    )
    with catalog.reading() as session:
        return {version_id: at for version_id, at in session.execute(wanted)}


def _run_place(cursor: str) -> tuple[float, str]:
    at, _, version_id = cursor.partition(" ")
    try:
        return float(at), version_id
    except ValueError as error:
        raise _no_cursor(cursor) from error


def _no_cursor(cursor: str) -> ApiError:
    return ApiError(
        400, "cursor_invalid", f"invalid cursor {cursor[:80]}; begin without one", field="cursor"
    )


def _collection_answers(
    session: Session, collections: Sequence[ArtifactCollection]
) -> tuple[Collection, ...]:
    ids = [each.id for each in collections]
    totals = {
        row[0]: row[1:]
        for row in session.execute(
            select(
                ArtifactVersion.collection_id,
                func.count(),
                func.sum(ArtifactVersion.size),
                func.max(ArtifactVersion.committed_at),
            )
            .where(ArtifactVersion.collection_id.in_(ids), ArtifactVersion.state == COMMITTED)
            .group_by(ArtifactVersion.collection_id)
        )
    }
    latest = {
        collection_id: f"v{number}"
        for collection_id, number in session.execute(
            select(ArtifactVersion.collection_id, ArtifactVersion.number)
            .join(ArtifactAlias, ArtifactAlias.version_id == ArtifactVersion.id)
            .where(ArtifactAlias.collection_id.in_(ids), ArtifactAlias.name == LATEST)
        )
    }
    counts = session.execute(
        select(ArtifactVersion.collection_id, func.count())
        .where(ArtifactVersion.collection_id.in_(ids), ArtifactVersion.state == PENDING)
        .group_by(ArtifactVersion.collection_id)
    )
    pending = {collection_id: count for collection_id, count in counts}
    answers = []
    for each in collections:
        count, size, updated_at = totals.get(each.id, (0, 0, each.created_at))
        answers.append(
            Collection(
                project=each.project,
                name=each.name,
                type=each.type,
                versions=count,
                pending=pending.get(each.id, 0),
                latest=latest.get(each.id, ""),
                size=int(size),
                created_at=each.created_at,
                updated_at=updated_at or each.created_at,
            )
        )
    return tuple(answers)
