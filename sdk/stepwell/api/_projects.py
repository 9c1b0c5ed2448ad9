"""Projects: a list of them, read a page at a time, and one."""

from typing import TYPE_CHECKING, Any, Final

from stepwell.api._names import nearest
from stepwell.api._pages import Pages
from stepwell.api._times import moment_text
from stepwell.errors import NotFoundError
from stepwell_wire.hub_access import page_path

if TYPE_CHECKING:
    from stepwell.api._api import Api
    from stepwell.api._runs import Runs
    from stepwell.api._sweeps import Sweeps

_NAMES_MAX: Final = 1000


class Project:
    """A project that has runs.

    Attributes:
        run_count, running_count: number of its runs, of its running runs.
        created_at: start of its first run, ISO 8601 in UTC; None if unknown.
    """

    entity = ""

    def __init__(self, api: "Api", facts: dict[str, Any]) -> None:
        self._api = api
        self.name = self.id = str(facts["project"])
        self.run_count, self.running_count = facts["run_count"], facts["running_count"]
        self.created_at = moment_text(facts["started_at"])

    @property
    def url(self) -> str:
        return self._api._hub.url + page_path(self.name)

    def runs(self, *args: Any, **named: Any) -> "Runs":
        """Return its runs, as `Api.runs` does."""
        return self._api.runs(self.name, *args, **named)

    def sweeps(self, per_page: int = 50) -> "Sweeps":
        """Return its sweeps, the newest first."""
        from stepwell.api._sweeps import Sweeps

        return Sweeps(self._api, self.name, per_page)

    def delete(self, *, force: bool = False) -> None:
        """Delete the project and all its content. ``force``: also running runs."""
        query = {"force": "true"} if force else None
        self._api._hub.ask("DELETE", "projects", self.name, query=query)

    def __repr__(self) -> str:
        return f"<Project {self.name}>"


class Projects(Pages[Project]):
    """All projects, those with the latest activity first."""

    def __init__(self, api: "Api", per_page: int) -> None:
        super().__init__(per_page)
        self._api = api

    def _page(self, cursor: str | None, limit: int) -> tuple[list[Project], str | None, int | None]:
        query = {"limit": limit, "cursor": cursor}
        found = self._api._hub.ask("GET", "projects", query=query)
        made = [Project(self._api, each) for each in found["projects"]]
        return made, found["next_cursor"], found["total"]


def find_project(api: "Api", name: str) -> Project:
    """Return the project ``name``.

    Raises:
        NotFoundError: There is none; the message names those that are near.
    """
    try:
        return Project(api, api._hub.ask("GET", "projects", name))
    except NotFoundError as error:
        query = {"limit": _NAMES_MAX}
        listed = api._hub.ask("GET", "projects", query=query)["projects"]
        raise NotFoundError(
            f"no project {name!r} at {api._hub.url}"
            f"{nearest(name, [each['project'] for each in listed])}",
            error,
            code=error.code,
            status=error.status,
        ) from error
