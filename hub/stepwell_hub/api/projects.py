"""Projects, and the names that a project's runs use."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from stepwell_hub.api.artifacts import plain
from stepwell_hub.api.forms import ForceForm, Limit, Name, RunIds, Text
from stepwell_hub.artifacts.project_deletion import delete_project as delete_with_artifacts
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError, CatalogUnavailableError
from stepwell_store import queries

_WITHOUT_RUNS_MAX: Final = 200
_LOOKED_AT: Final = 2000


class ProjectsForm(Form):
    search: Text = ""
    sort: Name = "-last_activity"
    limit: Limit = 50
    cursor: Text | None = None


@dataclass(frozen=True, slots=True)
class ProjectsPage:
    """
    Attributes:
        without_runs: names of projects that have only sweeps, reports or artifacts, 200 at most;
            on the first page alone.
    """

    projects: tuple[queries.ProjectOverview, ...]
    next_cursor: str | None
    total: int | None
    without_runs: tuple[str, ...] = ()


@endpoint("GET", "/projects", query=ProjectsForm, answer=ProjectsPage)
async def list_projects(call: Call) -> Any:
    """List projects."""
    form: ProjectsForm = call.query
    page = await call.ask(
        queries.list_projects,
        search=form.search,
        sort=form.sort,
        limit=form.limit,
        cursor=form.cursor,
    )
    others = () if form.cursor is not None else await _without_runs(call, form.search)
    return ProjectsPage(page.items, page.next_cursor, page.total, others)


async def _without_runs(call: Call, search: str) -> tuple[str, ...]:
    from stepwell_hub.catalog.projects import known_projects

    try:
        known = await call.context.catalog.do(known_projects)
    except CatalogUnavailableError:  # Runs are listed without it.
        return ()
    found = [name for name in known if search.casefold() in name.casefold()]
    if not found:
        return ()
    found = found[:_LOOKED_AT]
    with_runs = await call.ask(queries.projects_with_runs, found)
    return tuple(name for name in found if name not in with_runs)[:_WITHOUT_RUNS_MAX]


@endpoint("GET", "/projects/{project}", answer=queries.ProjectOverview)
async def get_project(call: Call) -> Any:
    """Get a project."""
    return await call.ask(_project, call.project)


@endpoint("DELETE", "/projects/{project}", query=ForceForm, failures=(409,))
async def delete_project(call: Call) -> None:
    """Delete a project with all its runs, artifacts, sweeps, reports and saved views."""
    project = plain(call.project)
    await delete_with_artifacts(call.context, project, force=call.query.force)
    await call.context.colors.forget_project(project)


def _project(store: Any, project: str, *, limits: queries.Limits) -> queries.ProjectOverview:
    # The search matches parts of names, so ours may come after others that contain it.
    cursor = None
    while True:
        page = queries.list_projects(
            store, search=project, sort="project", limit=1000, cursor=cursor, limits=limits
        )
        for each in page.items:
            if each.project == project:
                return each
        if (cursor := page.next_cursor) is None:
            raise ApiError(404, "not_found", f"project {project} not found; it has no run")


# ---------------------------------------------------------------------- names


class MetricsForm(Form):
    search: Text = ""
    run_id: RunIds = ()
    limit: Limit = 1000
    cursor: Text | None = None


@dataclass(frozen=True, slots=True)
class MetricsPage:
    metrics: tuple[queries.MetricName, ...]
    next_cursor: str | None


@endpoint("GET", "/projects/{project}/metrics", query=MetricsForm, answer=MetricsPage)
async def list_metrics(call: Call) -> Any:
    """List metric names."""
    form: MetricsForm = call.query
    page = await call.ask(
        queries.list_metrics,
        call.project,
        run_ids=list(form.run_id) or None,
        search=form.search,
        limit=form.limit,
        cursor=form.cursor,
    )
    return MetricsPage(page.items, page.next_cursor)


class AttributesForm(Form):
    kind: Literal["config", "summary", "metadata", "run"] = "config"
    search: Text = ""
    limit: Limit = 1000
    cursor: Text | None = None


@dataclass(frozen=True, slots=True)
class AttributesPage:
    attributes: tuple[queries.AttributeKey, ...]
    next_cursor: str | None


@endpoint("GET", "/projects/{project}/attributes", query=AttributesForm, answer=AttributesPage)
async def list_attributes(call: Call) -> Any:
    """List the keys of configs or summaries."""
    form: AttributesForm = call.query
    page = await call.ask(
        queries.list_attribute_keys,
        call.project,
        kind=form.kind,
        search=form.search,
        limit=form.limit,
        cursor=form.cursor,
    )
    return AttributesPage(page.items, page.next_cursor)
