"""Reading artifacts: types, collections and versions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from stepwell._artifacts.artifact import Artifact
from stepwell._artifacts.versions import (
    ArtifactPath,
    find_version,
    not_found,
    parse_artifact_path,
)
from stepwell._hub_client import path_of
from stepwell._later_names import LaterNames
from stepwell.api._names import nearest, split_path
from stepwell.api._pages import Pages
from stepwell.api._times import moment_text
from stepwell.api._versions import PAGE_MAX, Artifacts
from stepwell.errors import ArtifactPathError, NotFoundError, UnavailableError
from stepwell_wire.artifact_names import LATEST
from stepwell_wire.hub_access import page_path

if TYPE_CHECKING:
    from stepwell._hub_client import Hub


_COLLECTION_LATER: Final = {
    "change_type": "log its versions under another name",
    "delete": "delete each of its versions()",
    "description": "use the description of a version",
    "id": "use qualified_name",
    "load": "read it again with Api().artifact_collection(type, name)",
    "organization": "a hub has no organizations",
    **dict.fromkeys(("project_id", "project_internal_id"), "use project"),
    "save": "save() of a version saves its description, metadata and aliases",
    "tags": "versions have aliases",
}
_TYPE_LATER: Final = {"id": "use name", "load": "read it again with Api().artifact_type(name)"}


class ArtifactCollection(LaterNames):
    """All versions of one name.

    Attributes:
        version_count: number of committed versions.
        size: bytes of all versions; files that versions share count in each.
        created_at, updated_at: ISO 8601 in UTC.
    """

    entity = ""
    _whose, _later = "an ArtifactCollection's", _COLLECTION_LATER

    def __init__(self, hub: "Hub", facts: dict[str, Any]) -> None:
        self._hub = hub
        self.name, self.type = str(facts["name"]), str(facts["type"])
        self.project, self.size = str(facts["project"]), int(facts["size"])
        self.version_count = int(facts["versions"])
        self.created_at = moment_text(facts["created_at"])
        self.updated_at = moment_text(facts["updated_at"])
        self._latest = str(facts["latest"])

    @property
    def qualified_name(self) -> str:
        return f"{self.project}/{self.name}"

    def is_sequence(self) -> bool:
        """Return True: it has versions of its own, not links."""
        return True

    @property
    def aliases(self) -> list[str]:
        """The aliases that versions of it have."""
        return sorted({alias for each in self.versions() for alias in each.aliases})

    @property
    def url(self) -> str:
        """The page of its latest version."""
        place = path_of("artifacts", self.name, self._latest or LATEST)
        return f"{self._hub.url}{page_path(self.project)}{place}"

    def versions(self, per_page: int = 50) -> Artifacts[Artifact]:
        """Return its versions, the newest first."""
        return versions_of(self._hub, self.project, self.name, per_page)

    artifacts = versions

    def __len__(self) -> int:
        return self.version_count

    def __repr__(self) -> str:
        return f"<ArtifactCollection {self.qualified_name} ({self.type})>"


class Collections(Pages[ArtifactCollection]):
    """The artifacts of a project by name."""

    def __init__(self, hub: "Hub", project: str, kind: str | None, per_page: int) -> None:
        super().__init__(min(per_page, PAGE_MAX))
        self._hub, self._project, self._kind = hub, project, kind

    def _page(
        self, cursor: str | None, limit: int
    ) -> tuple[list[ArtifactCollection], str | None, None]:
        place = path_of("projects", self._project, "artifacts")
        found = self._hub.get(place, type=self._kind, limit=limit, cursor=cursor)
        made = [ArtifactCollection(self._hub, each) for each in found["collections"]]
        return made, found["next_cursor"], None


class ArtifactType(LaterNames):
    """A type that artifacts of a project have."""

    entity = ""
    _whose, _later = "an ArtifactType's", _TYPE_LATER

    def __init__(self, hub: "Hub", project: str, name: str) -> None:
        self._hub, self.project, self.name = hub, project, name

    @property
    def type(self) -> str:
        return self.name

    def collections(self, filters: Any = None, per_page: int = 50) -> Collections:
        """Return the artifacts of this type.

        Raises:
            UsageError: ``filters`` are given; they are not supported.
        """
        refuse("filters", filters)
        return Collections(self._hub, self.project, self.name, per_page)

    def collection(self, name: str) -> ArtifactCollection:
        """Return one artifact of this type."""
        return find_collection(self._hub, self.project, name, kind=self.name)

    def __repr__(self) -> str:
        return f"<ArtifactType {self.project}/{self.name}>"


class ArtifactReads:
    """The calls of `Api` that read artifacts; `Api` is the only subclass."""

    @property
    def _hub(self) -> "Hub":
        raise NotImplementedError

    @property
    def _project(self) -> str:
        raise NotImplementedError

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """Return the version PROJECT/NAME:v3 or PROJECT/NAME:ALIAS.

        Raises:
            NotFoundError: There is no such version; the message names similar ones.
            ArtifactPathError: The name is invalid, or the version has another type.
        """
        path = parse_artifact_path(name, default_project=self._project)
        return Artifact._of(find_version(self._hub, path, kind=type), self._hub)

    def artifacts(
        self, type_name: str, name: str, per_page: int = 50, tags: Sequence[str] | None = None
    ) -> Artifacts[Artifact]:
        """Return all versions of an artifact, the newest first.

        Raises:
            UsageError: ``tags`` are given: versions have aliases.
            NotFoundError: There is no such artifact.
            ArtifactPathError: It has another type.
        """
        refuse("tags", tags)
        path = parse_artifact_path(name, default_project=self._project)
        find_collection(self._hub, path.project, path.name, kind=type_name)
        return versions_of(self._hub, path.project, path.name, per_page)

    def artifact_exists(self, name: str, type: str | None = None) -> bool:
        """Return whether there is such a version."""
        path = parse_artifact_path(name, default_project=self._project)
        try:
            find_version(self._hub, path, kind=type)
        except (NotFoundError, ArtifactPathError):
            return False
        return True

    def artifact_types(self, project: str | None = None) -> list[ArtifactType]:
        """Return the types of a project's artifacts."""
        found, _ = split_path(project or "", default_project=self._project)
        return types_of(self._hub, found)

    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """Return one type.

        Raises:
            NotFoundError: No artifact has this type.
        """
        found, _ = split_path(project or "", default_project=self._project)
        known = self.artifact_types(found)
        for each in known:
            if each.name == type_name:
                return each
        raise NotFoundError(
            f"project {found!r} has no artifact of type "
            f"{type_name!r}{nearest(type_name, [each.name for each in known])}",
            code="not_found",
        )

    def artifact_collections(
        self, project_name: str, type_name: str | None = None, per_page: int = 50
    ) -> Collections:
        """Return the artifacts of a project by name."""
        project, _ = split_path(project_name or "", default_project=self._project)
        return Collections(self._hub, project, type_name, per_page)

    def artifact_collection(self, type_name: str, name: str) -> ArtifactCollection:
        """Return one artifact with all its versions.

        Raises:
            NotFoundError: There is no such artifact.
            ArtifactPathError: It has another type.
        """
        path = parse_artifact_path(name, default_project=self._project)
        return find_collection(self._hub, path.project, path.name, kind=type_name)

    def artifact_collection_exists(self, name: str, type: str) -> bool:
        """Return whether there is an artifact of this name and type."""
        path = parse_artifact_path(name, default_project=self._project)
        try:
            find_collection(self._hub, path.project, path.name, kind=type)
        except (NotFoundError, ArtifactPathError):
            return False
        return True


def types_of(hub: "Hub", project: str) -> list[ArtifactType]:
    """Return the types of a project's artifacts."""
    kinds = hub.get(path_of("projects", project, "artifacts"), limit=1)["types"]
    return [ArtifactType(hub, project, kind) for kind in kinds]


def versions_of(hub: "Hub", project: str, name: str, per_page: int) -> Artifacts[Artifact]:
    """Return the versions of an artifact, the newest first."""
    place = path_of("projects", project, "artifacts", name, "versions")
    return Artifacts(hub, place, per_page, Artifact._of)


def find_collection(
    hub: "Hub", project: str, name: str, *, kind: str | None = None
) -> ArtifactCollection:
    """Return an artifact with all its versions.

    Raises:
        NotFoundError: There is no such artifact.
        ArtifactPathError: It has another type.
    """
    try:
        found = hub.get(path_of("projects", project, "artifacts", name))
    except NotFoundError as error:
        raise not_found(hub, ArtifactPath(project, name, ""), error) from error
    if kind and found["type"] != kind:
        raise ArtifactPathError(f"{project}/{name} is of type {found['type']!r}, not {kind!r}")
    return ArtifactCollection(hub, found)


def refuse(name: str, given: Any) -> None:
    """Raise UnavailableError if a list of artifacts is asked for with this."""
    if given:
        raise UnavailableError(
            f"{name} of artifacts", "list them without it, then filter the result"
        )
