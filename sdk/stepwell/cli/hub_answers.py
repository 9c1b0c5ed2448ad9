"""Converts errors of the SDK's calls to the hub to errors of a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from stepwell.cli.errors import FAILED, NOT_FOUND, UNREACHABLE, USAGE, CommandError
from stepwell.errors import (
    HubError,
    HubUnreachableError,
    SettingsError,
    StepwellError,
    SweepError,
    UsageError,
)
from stepwell_wire.errors import ArtifactNameError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_NOT_FOUND_STATUS: Final = 404
_PAGE: Final = 200


@contextmanager
def hub_errors() -> Iterator[None]:
    """Convert errors of the hub, and of requests to it, to those of a command."""
    try:
        yield
    except HubUnreachableError as error:
        raise CommandError(str(error), UNREACHABLE) from error
    except HubError as error:
        is_missing = error.status == _NOT_FOUND_STATUS
        raise CommandError(str(error), NOT_FOUND if is_missing else FAILED) from error
    except (SweepError, SettingsError, UsageError, ArtifactNameError) as error:
        raise CommandError(str(error), USAGE) from error
    except StepwellError as error:
        raise CommandError(str(error), FAILED) from error


def check_project(hub: "Hub", project: str) -> None:
    """Raise if the hub knows no run of ``project`` either."""
    if not has_runs(hub, project):
        hint = names_near(hub, project)
        raise CommandError(f"no project {project!r} at {hub.url}{hint}", NOT_FOUND)


def has_runs(hub: "Hub", project: str) -> bool:
    """Return whether the hub knows a run of ``project``."""
    try:
        hub.ask("GET", "projects", project)
    except HubError as error:
        if error.code != "not_found":
            raise
        return False
    return True


def names_near(hub: "Hub", project: str) -> str:
    """Return the end of a sentence with the projects that have a name like ``project``."""
    from stepwell.api._names import nearest

    listed = hub.get("/projects", limit=_PAGE)["projects"]
    return nearest(project, [each["project"] for each in listed])
