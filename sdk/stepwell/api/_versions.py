"""Versions of artifacts: a list that is read a page at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from stepwell._artifacts.versions import COMMITTED, VersionFacts, facts_of
from stepwell.api._pages import Pages

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

PAGE_MAX: Final = 1000
MadeArtifact = TypeVar("MadeArtifact")


class Artifacts(Pages[MadeArtifact]):
    """Existing versions: of one artifact, the newest first; or those that a run logged or used."""

    def __init__(
        self,
        hub: "Hub",
        place: str,
        per_page: int,
        make: Callable[[VersionFacts, "Hub"], MadeArtifact],
        **query: Any,
    ) -> None:
        """
        Args:
            make: makes the artifact of a version. Passed in, because artifacts know runs.
        """
        super().__init__(min(per_page, PAGE_MAX))
        self._hub, self._place, self._make, self._query = hub, place, make, query

    def _page(self, cursor: str | None, limit: int) -> tuple[list[MadeArtifact], str | None, None]:
        found = self._hub.get(self._place, limit=limit, cursor=cursor, **self._query)
        # The hub lists deleted versions of a run too, as the page shows them.
        existing = [each for each in found["versions"] if each["state"] == COMMITTED]
        made = [self._make(facts_of(each), self._hub) for each in existing]
        return made, found["next_cursor"], None
