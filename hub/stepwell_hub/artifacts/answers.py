"""What is answered about artifacts."""

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["pending", "committed", "failed", "deleted"]
Kind = Literal["logged", "used"]
"""What a run did with a version."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an artifact.

    Attributes:
        version: ``v3``; "" until it is committed.
        digest: of its manifest.
        size: bytes of all its files whose size is known.
        run_id: the run of this project that logged it first, "" for none. A request for one
            version or a list has "" also if the run was deleted.
        reason: why it failed.
    """

    id: str
    project: str
    name: str
    type: str
    version: str
    digest: str
    state: State
    aliases: tuple[str, ...]
    description: str
    metadata: dict[str, Any]
    size: int
    file_count: int
    run_id: str
    reason: str
    created_at: float
    committed_at: float | None


@dataclass(frozen=True, slots=True)
class Begun:
    """A version, and the blobs that the hub misses for it.

    Attributes:
        missing: digests, the first 10,000.
        missing_count: number of all missing blobs.
    """

    version: Version
    missing: tuple[str, ...]
    missing_count: int


@dataclass(frozen=True, slots=True)
class Collection:
    """All versions of one name.

    Attributes:
        versions: number of committed versions.
        pending: number of versions that are not committed yet.
        latest: the version that has the alias ``latest``, "" for none.
        size: bytes of the committed versions, each counted whole.
    """

    project: str
    name: str
    type: str
    versions: int
    pending: int
    latest: str
    size: int
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class CollectionsPage:
    """``types``: the types of all artifacts of the project."""

    collections: tuple[Collection, ...]
    next_cursor: str | None
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionsPage:
    versions: tuple[Version, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Node:
    """A run or a version in a lineage graph.

    Attributes:
        id: ``run:PROJECT/RUN`` or ``version:ID``; edges name it. ``former-run:PROJECT/RUN`` is a
            deleted run, whose id a later run may have.
        name: a run's id, or ``NAME:vN``.
        type: of the artifact, "" for a run.
        is_deleted: it was deleted, and only its name is known.
        title: a run's display name, or ``NAME:vN``.
        state: of a run, "" for a version.
        last_seen: of a run.
    """

    id: str
    kind: Literal["run", "version"]
    project: str
    name: str
    type: str
    is_deleted: bool
    title: str
    state: str = ""
    last_seen: float | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """From a run to a version that it logged, or from a version to a run that used it."""

    source: str
    target: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Lineage:
    """Runs and versions around one version.

    Attributes:
        is_cut: the graph has more nodes, beyond the requested depth or number of nodes.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    is_cut: bool
