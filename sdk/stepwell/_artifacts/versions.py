"""Versions of artifacts in the hub's answers, and the names of versions.

name    name:alias    name:v3    project/name:v3    entity/project/name:v3
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepwell._hub_client import path_of
from stepwell.errors import ArtifactPathError, NotFoundError
from stepwell_wire.artifact_names import LATEST, check_alias, check_name, version_number
from stepwell_wire.commands import command_text
from stepwell_wire.errors import ArtifactNameError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_NEAR_MAX: Final = 1000
_SCHEME: Final = "wandb-artifact://"
_FORMS: Final = "NAME, NAME:ALIAS, PROJECT/NAME:v3 or ENTITY/PROJECT/NAME:v3"
COMMITTED: Final = "committed"
_FIRST: Final = "v0"


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """An existing version.

    Attributes:
        id: id of the version, for `/artifact-versions/{id}`.
        version: ``v3``.
        digest: digest of its manifest.
        size: bytes of all its files whose size is known.
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

    @property
    def path(self) -> str:
        """Its address in the hub, by number: an alias may move to another version."""
        return version_path(self.project, self.name, self.version)

    @property
    def is_stand_in(self) -> bool:
        """Whether they are made up for a disabled run: no hub has this version."""
        return not self.id


class ArtifactPath(NamedTuple):
    """A parsed name of a version.

    Attributes:
        project: "" without one.
        asked: a version's number (``v3``) or an alias.
    """

    project: str
    name: str
    asked: str


def stand_in(project: str, name: str, type: str, asked: str = "", **facts: Any) -> VersionFacts:
    """Return facts for a disabled run, which has no versions.

    Args:
        asked: the number or the alias of the version.
        facts: other fields of the facts.
    """
    number = version_number(asked) if asked else None
    return VersionFacts(
        id="",
        project=project,
        name=name,
        type=type,
        version=_FIRST if number is None else f"v{number}",
        digest="",
        created_at=time.time(),
        committed_at=time.time(),
        **facts,
    )


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


def parse_artifact_path(text: str, *, default_project: str = "") -> ArtifactPath:
    """Return the parsed ``text``; the default alias is ``latest``.

    The entity is not kept: a hub has no entities.

    Raises:
        ArtifactPathError: It has none of the forms, or lacks a project where one is needed.
    """
    if not isinstance(text, str):
        raise ArtifactPathError(f"expected {_FORMS}, not {text!r}"[:300])
    place, _, last = text.removeprefix(_SCHEME).strip("/").rpartition("/")
    name, colon, asked = last.partition(":")
    parts = place.split("/") if place else []
    if len(parts) > 2 or not all(parts) or (colon and not asked):
        raise ArtifactPathError(f"artifact {text[:200]!r}: expected {_FORMS}")
    try:
        check_name(name)
        if asked and version_number(asked) is None:
            check_alias(asked)
    except ArtifactNameError as error:
        raise ArtifactPathError(f"artifact {text[:200]!r}: {error}; expected {_FORMS}") from error
    project = parts[-1] if parts else default_project
    if not project:
        raise ArtifactPathError(
            f"artifact {text[:200]!r}: no project; expected PROJECT/NAME:ALIAS, or set "
            "STEPWELL_PROJECT"
        )
    return ArtifactPath(project, name, asked or LATEST)


def version_path(project: str, name: str, asked: str) -> str:
    """Return the address of a version in the hub."""
    return path_of("projects", project, "artifacts", name, "versions", asked)


def find_version(hub: "Hub", path: ArtifactPath, *, kind: str | None = None) -> VersionFacts:
    """Return the committed version of this number or alias.

    Args:
        kind: the type that it must have; None: any.

    Raises:
        NotFoundError: There is no such version; the message gives similar names.
        ArtifactPathError: It is of another type.
    """
    try:
        answer = hub.get(version_path(*path))
    except NotFoundError as error:
        raise not_found(hub, path, error) from error
    if answer["state"] != COMMITTED:
        raise NotFoundError(
            f"{path.project}/{path.name}:{path.asked} was deleted; "
            f"{command_text('artifact', 'ls', f'{path.project}/{path.name}')} lists the existing "
            "versions",
            code="not_found",
            status=404,
        )
    facts = facts_of(answer)
    if kind and facts.type != kind:
        raise ArtifactPathError(
            f"{facts.project}/{facts.name}:{facts.version} is of type {facts.type!r}, not {kind!r}"
        )
    return facts


def not_found(hub: "Hub", path: ArtifactPath, error: NotFoundError) -> NotFoundError:
    """Return the error, with similar names that exist."""
    from stepwell.api._names import nearest

    project, name, asked = path
    place = path_of("projects", project, "artifacts")
    listed = hub.get(place, limit=_NEAR_MAX)["collections"]
    if all(each["name"] != name for each in listed):
        hint = nearest(name, [each["name"] for each in listed])
        what = f"no artifact {name!r} in project {project!r}{hint}"
    else:
        versions = hub.get(f"{place}/{name}/versions", limit=_NEAR_MAX)["versions"]
        known = [word for each in versions for word in (*each["aliases"], each["version"])]
        what = f"{project}/{name} has no version {asked!r}{nearest(asked, known)}"
    return NotFoundError(what, error, code=error.code, status=error.status)
