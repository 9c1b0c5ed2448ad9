"""Versions of artifacts: a list that is read a page at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from stepwell._artifacts.versions import VersionFacts, facts_of
from stepwell.api._pages import Pages

if TYPE_CHECKING:
    from stepwell._artifacts.artifact import Artifact
    from stepwell._hub_client import Hub

PAGE_MAX: Final = 1000
MakeArtifact = Callable[[VersionFacts, "Hub"], "Artifact"]
"""Makes the artifact of a version. It is passed in: artifacts know runs, and runs artifacts."""


class Artifacts(Pages["Artifact"]):
    """Versions of one artifact, the newest first; or those that a run logged or used."""

    def __init__(
        self, hub: "Hub", place: str, per_page: int, make: MakeArtifact, **query: Any
    ) -> None:
        super().__init__(min(per_page, PAGE_MAX))
        self._hub, self._place, self._make, self._query = hub, place, make, query

    def _page(self, cursor: str | None, limit: int) -> tuple[list["Artifact"], str | None, None]:
        found = self._hub.get(self._place, limit=limit, cursor=cursor, **self._query)
        made = [self._make(facts_of(each), self._hub) for each in found["versions"]]
        return made, found["next_cursor"], None
