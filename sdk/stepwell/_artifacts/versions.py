"""Facts of a version of an artifact, as the hub answers them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version that exists.

    Attributes:
        id: of the version, for `/artifact-versions/{id}`.
        version: ``v3``.
        digest: of its manifest.
        size: bytes of all its files, as far as they are known.
        run_id: the run that logged it, "" for none.
        created_at, committed_at: seconds since 1970 UTC.
    """

    id: str
    project: str
    name: str
    type: str
    version: str
    digest: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0
    file_count: int = 0
    run_id: str = ""
    created_at: float = 0.0
    committed_at: float | None = None


def facts_of(answer: Mapping[str, Any]) -> VersionFacts:
    """Return the facts in the hub's answer of a version (docs/formats/hub-api.md)."""
    return VersionFacts(
        id=str(answer["id"]),
        project=str(answer["project"]),
        name=str(answer["name"]),
        type=str(answer["type"]),
        version=str(answer["version"]),
        digest=str(answer["digest"]),
        aliases=tuple(map(str, answer["aliases"])),
        description=str(answer["description"]),
        metadata=dict(answer["metadata"]),
        size=int(answer["size"]),
        file_count=int(answer["file_count"]),
        run_id=str(answer["run_id"]),
        created_at=float(answer["created_at"]),
        committed_at=answer["committed_at"],
    )
