"""Projects: a list of them, read a page at a time, and one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from stepwell._later_names import LaterNames, in_browser
from stepwell.api._artifacts import ArtifactType, Collections, refuse, types_of
from stepwell.api._pages import Pages
from stepwell.api._runs import Runs
from stepwell.api._sweeps import Sweeps
from stepwell.api._times import moment_text
from stepwell_wire.hub_access import page_path

if TYPE_CHECKING:
    from stepwell._hub_client import Hub


_LATER: Final = {
    **in_browser("project.url"),
    **dict.fromkeys(("entity_name", "owner", "user"), "a hub has no accounts"),
    "is_benchmark": "a hub has no benchmarks",
}


class Project(LaterNames):
    """A project that has runs.

    Attributes:
        run_count, running_count: number of its runs, of its running runs, without archived runs.
        created_at: start of its first run, ISO 8601 in UTC; None if unknown.
    """

    entity = ""
    _whose, _later = "a project's", _LATER

    def __init__(self, hub: "Hub", facts: dict[str, Any]) -> None:
        self._hub = hub
        self.name = self.id = str(facts["project"])
        self.run_count, self.running_count = facts["run_count"], facts["running_count"]
        self.created_at = moment_text(facts["started_at"])

    @property
    def url(self) -> str:
        return self._hub.url + page_path(self.name)

    @property
    def path(self) -> list[str]:
        return [self.entity, self.name]

    def runs(
        self,
        filters: Mapping[str, Any] | str | None = None,
        order: str = "+created_at",
        per_page: int = 50,
        include_sweeps: bool = True,
        lazy: bool = True,
    ) -> Runs:
        """Return its runs, as `Api.runs` does."""
        return Runs(self._hub, self.name, filters, order, per_page)

    def sweeps(self, per_page: int = 50) -> Sweeps:
        """Return its sweeps, the newest first."""
        return Sweeps(self._hub, self.name, per_page)

    def artifacts_types(self, per_page: int = 50) -> list[ArtifactType]:
        """Return the types of its artifacts, as `Api.artifact_types` does."""
        return types_of(self._hub, self.name)

    def collections(
        self, filters: Any = None, order: str | None = None, per_page: int = 50
    ) -> Collections:
        """Return its artifacts by name.

        Raises:
            UnavailableError: ``filters`` or an ``order`` are given.
        """
        refuse("filters", filters)
        refuse("order", order)
        return Collections(self._hub, self.name, None, per_page)

    def delete(self, *, force: bool = False) -> None:
        """Delete the project and all its content. ``force``: also running runs."""
        query = {"force": "true"} if force else None
        self._hub.ask("DELETE", "projects", self.name, query=query)

    def __repr__(self) -> str:
        return f"<Project {self.name}>"


class Projects(Pages[Project]):
    """All projects, those with the latest activity first."""

    def __init__(self, hub: "Hub", per_page: int) -> None:
        super().__init__(per_page)
        self._hub = hub

    def _page(self, cursor: str | None, limit: int) -> tuple[list[Project], str | None, int | None]:
        query = {"limit": limit, "cursor": cursor}
        found = self._hub.ask("GET", "projects", query=query)
        made = [Project(self._hub, each) for each in found["projects"]]
        return made, found["next_cursor"], found["total"]
