"""Artifacts read from the catalog: lists in pages, versions, and the runs around them."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stepwell_hub.artifacts.answers import (
    Collection,
    CollectionsPage,
    Edge,
    Lineage,
    Node,
    Version,
    VersionsPage,
)
from stepwell_hub.catalog.artifact_rows import (
    COMMITTED,
    DELETED,
    answer_of,
    answers_of,
    find_collection,
    find_version,
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

_EDGES_MAX = 10_000


def list_collections(
    catalog: Catalog, project: str, *, kind: str, search: str, limit: int, cursor: str | None
) -> CollectionsPage:
    """Return collections in the order of their names; ``search`` is a part of the name."""
    wanted = select(ArtifactCollection).where(ArtifactCollection.project == project)
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
            _tell_collections(session, page),
            page[-1].name if len(found) > limit else None,
        )


def read_collection(catalog: Catalog, project: str, name: str) -> Collection:
    """Return one collection.

    Raises:
        ApiError: There is none.
    """
    with catalog.reading() as session:
        return _tell_collections(session, [find_collection(session, project, name)])[0]


def list_versions(
    catalog: Catalog, project: str, name: str, *, limit: int, cursor: str | None
) -> VersionsPage:
    """Return the committed versions of a collection, the newest first.

    Raises:
        ApiError: There is no such collection, or the cursor is none.
    """
    with catalog.reading() as session:
        collection = find_collection(session, project, name)
        wanted = select(ArtifactVersion).where(
            ArtifactVersion.collection_id == collection.id, ArtifactVersion.state == COMMITTED
        )
        if cursor is not None:
            if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
                raise ApiError(400, "cursor_invalid", f"{cursor[:80]}: no cursor", field="cursor")
            wanted = wanted.where(ArtifactVersion.number < int(cursor))
        found = (
            session.execute(wanted.order_by(ArtifactVersion.number.desc()).limit(limit + 1))
            .scalars()
            .all()
        )
        page = found[:limit]
        return VersionsPage(
            tuple(answers_of(session, collection, page)),
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
    """Return a version by its id, also a pending one; the one that stands for it.

    Raises:
        ApiError: There is none.
    """
    with catalog.reading() as session:
        return answer_of(session, stands_for(session, version_by_id(session, version_id)))


def read_lineage(
    catalog: Catalog, project: str, name: str, asked: str, *, depth: int, limit: int
) -> Lineage:
    """Return runs and versions around one version, the near ones first.

    Args:
        depth: how many edges away from it.
        limit: of nodes.

    Raises:
        ApiError: There is no such version.
    """
    with catalog.reading() as session:
        collection = find_collection(session, project, name)
        start = find_version(session, collection, asked)
        return _Walk(session, limit).from_version(start.id, depth)


def _tell_collections(
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
    told = []
    for each in collections:
        count, size, updated_at = totals.get(each.id, (0, 0, each.created_at))
        told.append(
            Collection(
                project=each.project,
                name=each.name,
                type=each.type,
                versions=count,
                latest=latest.get(each.id, ""),
                size=int(size),
                created_at=each.created_at,
                updated_at=updated_at or each.created_at,
            )
        )
    return tuple(told)


class _Walk:
    """A walk over edges in both directions, breadth first."""

    def __init__(self, session: Session, limit: int) -> None:
        self._session = session
        self._limit = limit
        self._seen: dict[str, None] = {}  # In the order in which they were found.
        self._runs: dict[str, tuple[str, str]] = {}
        self._edges: dict[Edge, None] = {}
        self._is_cut = False

    def from_version(self, version_id: str, depth: int) -> Lineage:
        versions, runs = [version_id], list[tuple[str, str]]()
        self._seen[_version_node(version_id)] = None
        for _ in range(depth):
            near = self._edges_at(versions, runs)
            versions, runs = [], []
            for row in near:
                self._follow(row, versions, runs)
            if not versions and not runs:
                break
        else:
            self._is_cut = self._is_cut or any(
                self._edge(row) not in self._edges for row in self._edges_at(versions, runs)
            )
        return Lineage(self._nodes(), tuple(self._edges), self._is_cut)

    def _follow(self, row: ArtifactRun, versions: list[str], runs: list[tuple[str, str]]) -> None:
        for node in (_version_node(row.version_id), _run_node(row)):
            if node in self._seen:
                continue
            if len(self._seen) >= self._limit:
                self._is_cut = True
                return
            self._seen[node] = None
            if node.startswith("version:"):
                versions.append(row.version_id)
            else:
                self._runs[node] = (row.project, row.run_id)
                runs.append(self._runs[node])
        self._edges[self._edge(row)] = None

    def _edges_at(self, versions: list[str], runs: list[tuple[str, str]]) -> list[ArtifactRun]:
        found: list[ArtifactRun] = []
        order = (ArtifactRun.created_at, ArtifactRun.version_id, ArtifactRun.run_id)
        if versions:
            wanted = select(ArtifactRun).where(ArtifactRun.version_id.in_(versions))
            found += self._session.execute(wanted.order_by(*order).limit(_EDGES_MAX)).scalars()
        by_project: dict[str, list[str]] = {}
        for project, run_id in runs:
            by_project.setdefault(project, []).append(run_id)
        for project, run_ids in by_project.items():
            wanted = select(ArtifactRun).where(
                ArtifactRun.project == project, ArtifactRun.run_id.in_(run_ids)
            )
            found += self._session.execute(wanted.order_by(*order).limit(_EDGES_MAX)).scalars()
        self._is_cut = self._is_cut or len(found) >= _EDGES_MAX
        return found

    def _edge(self, row: ArtifactRun) -> Edge:
        ends = (_version_node(row.version_id), _run_node(row))
        if row.kind == "used":
            return Edge(*ends, kind="used")
        return Edge(ends[1], ends[0], kind="logged")

    def _nodes(self) -> tuple[Node, ...]:
        ids = [node.removeprefix("version:") for node in self._seen if node.startswith("version:")]
        rows = self._session.execute(
            select(ArtifactVersion, ArtifactCollection)
            .join(ArtifactCollection, ArtifactCollection.id == ArtifactVersion.collection_id)
            .where(ArtifactVersion.id.in_(ids))
        )
        told = {
            _version_node(version.id): Node(
                id=_version_node(version.id),
                kind="version",
                project=collection.project,
                name=f"{collection.name}:v{version.number}",
                type=collection.type,
                is_deleted=version.state == DELETED,
            )
            for version, collection in rows
        }
        return tuple(told.get(node) or self._run(node) for node in self._seen)

    def _run(self, node: str) -> Node:
        project, run_id = self._runs[node]
        return Node(node, "run", project, run_id, type="", is_deleted=False)


def _version_node(version_id: str) -> str:
    return f"version:{version_id}"


def _run_node(row: ArtifactRun) -> str:
    return f"run:{row.project}/{row.run_id}"
