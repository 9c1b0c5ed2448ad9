"""The hub's facts of one project."""

from typing import TYPE_CHECKING, Any, Final

from stepwell.api._names import nearest
from stepwell.errors import NotFoundError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_NAMES_MAX: Final = 1000


def project_facts(hub: "Hub", name: str) -> dict[str, Any]:
    """Return the facts of the project ``name``.

    Raises:
        NotFoundError: There is no such project; the message gives similar names.
    """
    try:
        return _asked(hub, name)
    except NotFoundError as error:
        listed = hub.ask("GET", "projects", query={"limit": _NAMES_MAX})["projects"]
        if any(each["project"] == name for each in listed):  # It has come since.
            return _asked(hub, name)
        raise NotFoundError(
            f"no project {name!r} at {hub.url}"
            f"{nearest(name, [each['project'] for each in listed])}",
            error,
            code=error.code,
            status=error.status,
        ) from error


def _asked(hub: "Hub", name: str) -> dict[str, Any]:
    found: dict[str, Any] = hub.ask("GET", "projects", name)
    return found
