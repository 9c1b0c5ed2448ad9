"""`Api`: reads projects, runs, sweeps and artifacts of a hub."""

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from stepwell._argument_names import checks_names_of_calls
from stepwell._hub_client import HUB, Hub
from stepwell._later_names import LaterNames
from stepwell.api._artifacts import ArtifactReads
from stepwell.api._awaiting import await_own_daemon, await_rows
from stepwell.api._names import split_path
from stepwell.api._place import find_place
from stepwell.api._project_facts import project_facts
from stepwell.api._projects import Project, Projects
from stepwell.api._run import Run
from stepwell.api._runs import Runs, find_run
from stepwell.api._sweeps import Sweep, find_sweep
from stepwell.errors import UsageError
from stepwell_wire.hub_access import is_key

TIMEOUT_SECONDS: Final = 60.0
_READ: Final = "read projects with projects(), runs with runs() and run()"
_LATER: Final = {
    **dict.fromkeys(
        (
            *("automation", "automations", "create_automation", "create_custom_chart"),
            *("create_project", "create_registry", "create_run", "create_run_queue"),
            *("create_team", "create_user", "delete_automation", "integrations", "job"),
            *("list_jobs", "load_report", "organization", "queue", "queued_run", "registries"),
            *("registry", "reports", "run_queue", "slack_integrations", "sync_tensorboard"),
            *("team", "update_automation", "upsert_run_queue", "user", "user_agent", "users"),
            *("viewer", "webhook_integrations"),
        ),
        _READ,
    ),
    "artifact_versions": "use artifacts(type, name)",
    "api_key": "set it with Api(api_key=…) or STEPWELL_HUB_KEY",
}


@checks_names_of_calls
class Api(ArtifactReads, LaterNames):
    """Reads projects, runs and artifacts of a hub. It sends no request before the first call.

    Args:
        overrides: ``project``: the project of paths without one. ``entity`` and ``base_url``
            belong to accounts of other services and have no effect.
        timeout: seconds to wait for an answer.
        api_key: the hub's key. A key of another form belongs to another service and is ignored.
        hub: the hub's address. Default: STEPWELL_HUB, or the hub of this node.
    """

    default_entity = ""
    _whose, _later = "Api's", _LATER

    def __init__(
        self,
        overrides: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        api_key: str | None = None,
        *,
        hub: str | None = None,
    ) -> None:
        self.settings = {"entity": "", "project": "", **(overrides or {})}
        if timeout is not None and not timeout > 0:
            raise UsageError(f"timeout: {timeout!r}; expected seconds, more than 0")
        self._timeout = timeout or TIMEOUT_SECONDS
        self._named = (hub, api_key if api_key and is_key(api_key) else None)

    @property
    def _hub(self) -> Hub:
        await_rows(self._found_hub)
        return self._found_hub

    @cached_property
    def _found_hub(self) -> Hub:
        if not self._named[0] and not os.environ.get(HUB):
            await_own_daemon()
        place = find_place(*self._named, environ=os.environ)
        # No patience: the user sees at once that no hub answers, and can repeat the call.
        return Hub(place.url, place.key, timeout_seconds=self._timeout, patience_seconds=0.0)

    @property
    def _project(self) -> str:
        return str(self.settings["project"] or os.environ.get("STEPWELL_PROJECT", ""))

    def projects(self, entity: str | None = None, per_page: int = 200) -> Projects:
        """Return all projects; ``entity`` has no effect."""
        return Projects(self._hub, per_page)

    def project(self, name: str, entity: str | None = None) -> Project:
        """Return a project.

        Raises:
            NotFoundError: No project has this name.
        """
        project, _ = split_path(name, default_project=self._project)
        return Project(self._hub, project_facts(self._hub, project))

    def runs(
        self,
        path: str | None = None,
        filters: Mapping[str, Any] | str | None = None,
        order: str = "+created_at",
        per_page: int = 50,
        include_sweeps: bool = True,
        lazy: bool = True,
    ) -> Runs:
        """Return the runs of a project, read page by page.

        Args:
            path: PROJECT or ENTITY/PROJECT.
            filters: a dict in MongoDB's form, or a text in the language of docs/cli.md.
            order: a key of ``filters``; ``-`` before it puts the greatest first.
            include_sweeps, lazy: have no effect.

        Raises:
            FilterError: ``filters`` or ``order`` is invalid.
        """
        project, _ = split_path(path or "", default_project=self._project)
        return Runs(self._hub, project, filters, order, per_page)

    def run(self, path: str) -> Run:
        """Return one run, of PROJECT/RUN-ID or ENTITY/PROJECT/RUN-ID.

        Raises:
            NotFoundError: There is no such run.
        """
        project, run_id = split_path(path, default_project=self._project, wants_run=True)
        return find_run(self._hub, project, run_id)

    def sweep(self, path: str) -> Sweep:
        """Return one sweep, of ID, PROJECT/ID or ENTITY/PROJECT/ID.

        Raises:
            NotFoundError: There is no such sweep.
        """
        return find_sweep(self._hub, path)

    def from_path(self, path: str) -> Run | Project:
        """Return the run of a path of three parts, the project of a shorter one."""
        parts = [each for each in path.strip("/").split("/") if each]
        return self.run(path) if len(parts) > 2 else self.project(path)

    def flush(self) -> None:
        """No effect: `Api` caches no answers."""

    def __repr__(self) -> str:
        return f"<Api of {self._named[0] or 'the hub of this machine'}>"
