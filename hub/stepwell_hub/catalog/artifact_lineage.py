"""Lineage: the runs and versions that a version came from and went into, walked edge by edge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from stepwell_hub.artifacts.answers import Edge, Kind, Lineage, Node
from stepwell_hub.catalog.artifact_rows import DELETED, find_collection, find_version
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import ArtifactCollection, ArtifactRun, ArtifactVersion
from stepwell_store.deletion import RunKey

_EDGES_MAX: Final = 10_000
_AT_ONCE: Final = 1000
"""Databases bound the parameters of one statement."""
_FORMER: Final = "former-"
_NONE: Final[Mapping[RunKey, float]] = {}


def read_lineage(
    catalog: Catalog,
    project: str,
    name: str,
    asked: str,
    *,
    depth: int,
    limit: int,
    is_direct: bool = False,
    removed: Mapping[RunKey, float] = _NONE,
) -> Lineage:
    """Return runs and versions around one version, the near ones first.

    Runs have no title and no state here; the store knows those.

    Args:
        depth: how many edges away from it.
        limit: of nodes.
        is_direct: only its ancestors and its descendants; not other descendants of its ancestors,
            and not other ancestors of its descendants.
        removed: when runs were deleted last, in seconds since 1970 UTC. What a run did before is
            of a deleted run with the same id, which is a node of its own.

    Raises:
        ApiError: There is no such version.
    """
    with catalog.reading() as session:
        collection = find_collection(session, project, name)
        start = find_version(session, collection, asked)
        return _Walk(session, limit, removed).from_version(start.id, depth, is_direct=is_direct)


@dataclass(slots=True)
class _Front:
    """Nodes to visit next, and which of their edges to follow: "" is every kind."""

    at_version: Kind | str = ""
    at_run: Kind | str = ""
    versions: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)


class _Walk:
    """A walk over edges, breadth first."""

    def __init__(self, session: Session, limit: int, removed: Mapping[RunKey, float]) -> None:
        self._session = session
        self._limit = limit
        self._removed = removed
        self._seen: dict[str, None] = {}  # In the order in which they were found.
        self._runs: dict[str, RunKey] = {}
        self._edges: dict[Edge, None] = {}
        self._is_cut = False

    def from_version(self, version_id: str, depth: int, *, is_direct: bool) -> Lineage:
        self._seen[_version_node(version_id)] = None
        fronts = [_Front()]
        if is_direct:
            fronts = [_Front("logged", "used"), _Front("used", "logged")]
        for front in fronts:
            front.versions.append(version_id)
        for _ in range(depth):
            if not any(front.versions or front.runs for front in fronts):
                break
            fronts = [self._step(front) for front in fronts]
        else:
            self._is_cut = self._is_cut or any(
                self._edge(row) not in self._edges
                for front in fronts
                for row in self._edges_at(front)
            )
        return Lineage(self._nodes(), tuple(self._edges), self._is_cut)

    def _step(self, front: _Front) -> _Front:
        after = _Front(front.at_version, front.at_run)
        for row in self._edges_at(front):
            self._follow(row, after)
        return after

    def _follow(self, row: ArtifactRun, after: _Front) -> None:
        for node in (_version_node(row.version_id), self._run_node(row)):
            if node in self._seen:
                continue
            if len(self._seen) >= self._limit:
                self._is_cut = True
                return
            self._seen[node] = None
            if node.startswith("version:"):
                after.versions.append(row.version_id)
            else:
                self._runs[node] = (row.project, row.run_id)
                after.runs.append(node)
        self._edges[self._edge(row)] = None

    def _edges_at(self, front: _Front) -> list[ArtifactRun]:
        found: list[ArtifactRun] = []
        order = (ArtifactRun.created_at, ArtifactRun.version_id, ArtifactRun.run_id)
        for start in range(0, len(front.versions), _AT_ONCE):
            some = front.versions[start : start + _AT_ONCE]
            wanted = select(ArtifactRun).where(ArtifactRun.version_id.in_(some))
            if front.at_version:
                wanted = wanted.where(ArtifactRun.kind == front.at_version)
            found += self._session.execute(wanted.order_by(*order).limit(_EDGES_MAX)).scalars()
        by_project: dict[str, list[str]] = {}
        for project, run_id in dict.fromkeys(self._runs[node] for node in front.runs):
            by_project.setdefault(project, []).append(run_id)
        nodes = set(front.runs)
        for project, run_ids in by_project.items():
            wanted = select(ArtifactRun).where(
                ArtifactRun.project == project, ArtifactRun.run_id.in_(run_ids)
            )
            if front.at_run:
                wanted = wanted.where(ArtifactRun.kind == front.at_run)
            rows = self._session.execute(wanted.order_by(*order).limit(_EDGES_MAX)).scalars()
            found += [row for row in rows if self._run_node(row) in nodes]
        self._is_cut = self._is_cut or len(found) >= _EDGES_MAX
        return found

    def _edge(self, row: ArtifactRun) -> Edge:
        ends = (_version_node(row.version_id), self._run_node(row))
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
        nodes = {}
        for version, collection in rows:
            node, name = _version_node(version.id), f"{collection.name}:v{version.number}"
            nodes[node] = Node(
                id=node,
                kind="version",
                project=collection.project,
                name=name,
                type=collection.type,
                is_deleted=version.state == DELETED,
                title=name,
            )
        return tuple(nodes.get(node) or self._run(node) for node in self._seen)

    def _run(self, node: str) -> Node:
        project, run_id = self._runs[node]
        is_deleted = node.startswith(_FORMER)
        return Node(node, "run", project, run_id, type="", is_deleted=is_deleted, title=run_id)

    def _run_node(self, row: ArtifactRun) -> str:
        is_former = row.created_at < self._removed.get((row.project, row.run_id), 0.0)
        return f"{_FORMER if is_former else ''}run:{row.project}/{row.run_id}"


def _version_node(version_id: str) -> str:
    return f"version:{version_id}"
