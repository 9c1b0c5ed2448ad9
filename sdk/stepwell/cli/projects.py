"""The error of a command for an unknown project."""

import difflib
from typing import TYPE_CHECKING, Final

from stepwell.cli.errors import NOT_FOUND, CommandError

if TYPE_CHECKING:
    from stepwell_store import Store

_LOOKED_AT: Final = 1000
_NEAREST: Final = 3


class NoProjectError(CommandError):
    """No project is called ``project``."""

    def __init__(self, project: str, hint: str) -> None:
        super().__init__(f"no project has the name {project!r}{hint}", NOT_FOUND)
        self.project = project


def no_project(store: "Store", project: str) -> NoProjectError:
    """Return the error, with similar names among the latest projects."""
    names = [each for each in _names(store) if each != project]  # It may have come since.
    if not names:
        return NoProjectError(project, ": the store has no runs yet")
    nearest = _nearest(project, names)
    hint = f"did you mean {', '.join(map(repr, nearest))}?"
    if not nearest:
        hint = f"the latest are {', '.join(map(repr, names[:_NEAREST]))};"
    return NoProjectError(project, f"; {hint} `stepwell runs` lists all")


def nearest_projects(store: "Store", name: str) -> list[str]:
    """Return names of projects that are similar to ``name``."""
    return _nearest(name, _names(store))


def _names(store: "Store") -> list[str]:
    from stepwell_store.queries import list_projects

    return [each.project for each in list_projects(store, limit=_LOOKED_AT).items]


def _nearest(name: str, names: list[str]) -> list[str]:
    return difflib.get_close_matches(name, names, _NEAREST)
