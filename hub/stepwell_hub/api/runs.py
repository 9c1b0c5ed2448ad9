"""Runs: lists, one run with its facts, and changes."""

import dataclasses
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from stepwell_hub.api.forms import ForceForm, Limit, Moment, Name, Text
from stepwell_hub.context import Context
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError
from stepwell_store import Store, queries
from stepwell_store.queries import changes
from stepwell_wire.run_holds import runs_held
from stepwell_wire.run_notes import forget_runs


def _with_slot(kind: type, name: str) -> type:
    """Return the answer's type: ``kind`` with the run's colour slot."""
    fields = [(each.name, each.type) for each in dataclasses.fields(kind)]
    made = dataclasses.make_dataclass(name, [*fields, ("slot", int)], frozen=True)
    made.__doc__ = f"{kind.__doc__ or ''}\n\n``slot`` numbers its colour, 0 to 19."
    return made


def _slotted(kind: Any, run: Any, slot: int) -> Any:
    """Return ``run`` as ``kind``, which has a slot besides."""
    own = {each.name: getattr(run, each.name) for each in dataclasses.fields(run)}
    return kind(**own, slot=slot)


Run: Any = _with_slot(queries.RunOverview, "Run")
Detail: Any = _with_slot(queries.RunDetail, "Detail")

_SortKeys = Annotated[tuple[Name, ...], Meta(max_length=8)]
_Columns = Annotated[tuple[Name, ...], Meta(max_length=500)]
VALUES_MAX: Final = 500_000
"""Values in one page: runs times columns."""


class RunsForm(Form):
    """Filter and order of the runs, and the paths whose values are returned.

    ``logged``: only runs that logged one of these metrics, of any kind.
    """

    filter: Text = ""
    sort: _SortKeys = ("-created",)
    columns: _Columns = ()
    limit: Limit = 100
    cursor: Text | None = None
    archived: bool = False
    logged: _Columns = ()


@dataclass(frozen=True, slots=True)
class RunsPage:
    """Runs.

    ``color_problem``: why slots are computed from the runs' ids, "" if the catalog has them.
    ``hints``: if no run matches the filter, its names that no run has, with the nearest names.
    """

    runs: tuple[Run, ...]
    next_cursor: str | None
    total: int | None
    color_problem: str
    hints: tuple[str, ...]


@endpoint("POST", "/projects/{project}/runs/query", body=RunsForm, answer=RunsPage)
async def list_runs(call: Call) -> Any:
    """List runs."""
    form: RunsForm = call.body
    if form.limit * len(form.columns) > VALUES_MAX:
        raise ApiError(
            400,
            "page_too_large",
            f"{form.limit:,} runs with {len(form.columns)} columns are more than "
            f"{VALUES_MAX:,} values; request {VALUES_MAX // len(form.columns):,} runs at a "
            "time, or fewer columns",
            field="limit",
        )
    page = await call.ask(
        queries.list_runs,
        call.project,
        filter=form.filter,
        sort=form.sort or ("-created",),
        columns=form.columns,
        limit=form.limit,
        cursor=form.cursor,
        archived=form.archived,
        logged=form.logged,
    )
    slots = await call.context.colors.slots(call.project, page.items)
    hints: tuple[str, ...] = ()
    if not page.items and form.filter and form.cursor is None:
        hints = await call.ask(queries.filter_hints, call.project, form.filter)
    return RunsPage(
        tuple(_slotted(Run, run, slots.by_run[run.run_id]) for run in page.items),
        page.next_cursor,
        page.total,
        slots.problem,
        hints,
    )


class FindForm(Form, kw_only=True):
    reference: Name


@endpoint("GET", "/find", query=FindForm, answer=queries.RunRef, failures=(409,))
async def find_run(call: Call) -> Any:
    """Find the run, or else the project, that a user calls ``reference``."""
    return await call.ask(queries.find_run_or_project, call.query.reference)


@endpoint("GET", "/projects/{project}/runs/{run_id}", answer=Detail)
async def get_run(call: Call) -> Any:
    """Get a run with its config and summary."""
    run = await call.ask(queries.get_run, call.project, call.run_id)
    slots = await call.context.colors.slots(call.project, [run])
    return _slotted(Detail, run, slots.by_run[run.run_id])


_Named = Annotated[str, Meta(max_length=changes.NAME_CHARACTERS_MAX)]
_Tag = Annotated[str, Meta(max_length=changes.TAG_CHARACTERS_MAX, pattern=r"\S")]


class RunBefore(Form):
    """The values that an editor showed when the change began."""

    notes: str | None = None
    tags: tuple[str, ...] | None = None


class RunChange(Form):
    """Fields to set. Missing fields stay unchanged, an empty text clears a field.

    With ``before``, changes by others are kept: only the added and the removed tags are applied,
    and new notes are refused if the notes are no longer those of ``before``.
    """

    name: _Named | None = None
    notes: Annotated[str, Meta(max_length=changes.NOTES_CHARACTERS_MAX)] | None = None
    tags: Annotated[tuple[_Tag, ...], Meta(max_length=changes.TAGS_MAX)] | None = None
    group: _Named | None = None
    color: str | None = None
    archived: bool | None = None
    before: RunBefore | None = None


@endpoint(
    "PATCH", "/projects/{project}/runs/{run_id}", body=RunChange, answer=Detail, failures=(409,)
)
async def edit_run(call: Call) -> Any:
    """Change a run's name, notes, tags, group, colour, or archive it."""
    if call.body.color is not None:
        try:
            changes.checked_color(call.body.color)
        except ValueError as error:
            raise ApiError(400, "body_invalid", str(error), field="color") from error
    await call.ask(_edit, call.project, call.run_id, call.body)
    return await get_run(call)


_EDITING: Final = threading.Lock()
"""Held from the comparison with the present values until the new ones are stored."""


def _edit(
    store: Store, project: str, run_id: str, form: RunChange, *, limits: queries.Limits
) -> None:
    with _EDITING:
        tags = form.tags
        if form.before is not None:
            now = queries.get_run(store, project, run_id, limits=limits)
            _ensure_same_notes(form, now.notes)
            tags = _merged_tags(form, now.tags)
        queries.edit_run(
            store,
            project,
            run_id,
            name=form.name,
            notes=form.notes,
            tags=tags,
            group=form.group,
            color=form.color,
            archived=form.archived,
            limits=limits,
        )


def _ensure_same_notes(form: RunChange, now: str) -> None:
    before = form.before.notes if form.before is not None else None
    if form.notes is not None and before is not None and now not in (before, form.notes):
        raise ApiError(
            409, "notes_changed", "the notes were changed meanwhile; read them again", field="notes"
        )


def _merged_tags(form: RunChange, now: Sequence[str]) -> tuple[str, ...] | None:
    before = form.before.tags if form.before is not None else None
    if form.tags is None or before is None or tuple(now) == before:
        return form.tags
    # An editor trims the tags that it shows.
    shown, wanted = ({tag.strip() for tag in tags} for tags in (before, form.tags))
    kept = [tag for tag in now if tag.strip() in wanted or tag.strip() not in shown]
    added = [tag for tag in form.tags if tag.strip() not in shown]
    merged = tuple(dict.fromkeys((*kept, *added)))
    if len(merged) > changes.TAGS_MAX:
        message = f"the run would have {len(merged)} tags; the maximum is {changes.TAGS_MAX}"
        raise ApiError(400, "body_invalid", message, field="tags")
    return merged


@endpoint("DELETE", "/projects/{project}/runs/{run_id}", query=ForceForm, failures=(409,))
async def delete_run(call: Call) -> Any:
    """Delete a run permanently."""
    project, run_id = call.project, call.run_id
    await call.ask(_delete, call.context, project, run_id, force=call.query.force)
    await call.context.colors.forget_run(project, run_id)


def _delete(
    store: Store,
    context: Context,
    project: str,
    run_id: str,
    *,
    force: bool,
    limits: queries.Limits,
) -> None:
    forget = partial(
        forget_runs, context.config.journals_dirs(), project, [run_id], removed_at=time.time()
    )
    with runs_held(context.daemon_socket(), [(project, run_id)]):
        queries.delete_run(store, project, run_id, force=force, begins=forget, limits=limits)


# ---------------------------------------------------------------------- facts of one run


@dataclass(frozen=True, slots=True)
class RunMetrics:
    metrics: tuple[queries.MetricStatistics, ...]


@endpoint("GET", "/projects/{project}/runs/{run_id}/metrics", answer=RunMetrics)
async def list_run_metrics(call: Call) -> Any:
    """List a run's metrics with their statistics."""
    return {"metrics": await call.ask(queries.run_metrics, call.project, call.run_id)}


@dataclass(frozen=True, slots=True)
class Writers:
    writers: tuple[queries.Writer, ...]


@endpoint("GET", "/projects/{project}/runs/{run_id}/writers", answer=Writers)
async def list_writers(call: Call) -> Any:
    """List the processes that wrote a run."""
    return {"writers": await call.ask(queries.list_writers, call.project, call.run_id)}


@dataclass(frozen=True, slots=True)
class Gaps:
    gaps: tuple[queries.Gap, ...]


@endpoint("GET", "/projects/{project}/runs/{run_id}/gaps", answer=Gaps)
async def list_gaps(call: Call) -> Any:
    """List the missing data of a run."""
    return {"gaps": await call.ask(queries.list_gaps, call.project, [call.run_id])}


class TextsForm(Form):
    metric: Name | None = None
    limit: Limit = 1000
    cursor: Text | None = None


@dataclass(frozen=True, slots=True)
class TextsPage:
    texts: tuple[queries.Text, ...]
    next_cursor: str | None


@endpoint("GET", "/projects/{project}/runs/{run_id}/texts", query=TextsForm, answer=TextsPage)
async def list_texts(call: Call) -> Any:
    """List the texts that a run logged."""
    form: TextsForm = call.query
    page = await call.ask(
        queries.list_texts,
        call.project,
        call.run_id,
        metric=form.metric,
        limit=form.limit,
        cursor=form.cursor,
    )
    return TextsPage(page.items, page.next_cursor)


@dataclass(frozen=True, slots=True)
class Nodes:
    nodes: tuple[queries.RunNode, ...]


@dataclass(frozen=True, slots=True)
class Devices:
    """``source``: how the run's own GPUs are known; ``node``: all GPUs of the node may be."""

    devices: tuple[queries.RunDevice, ...]
    source: Literal["processes", "environment", "node"]


@endpoint("GET", "/projects/{project}/runs/{run_id}/devices", answer=Devices)
async def list_devices(call: Call) -> Any:
    """List the GPUs of a run's nodes, and mark those that the run uses."""
    found = await call.ask(queries.run_devices, call.project, call.run_id)
    return Devices(found.devices, found.source)


@endpoint("GET", "/projects/{project}/runs/{run_id}/nodes", answer=Nodes)
async def list_nodes(call: Call) -> Any:
    """List the nodes that a run ran on, with their devices."""
    return {"nodes": await call.ask(queries.run_nodes, call.project, call.run_id)}


class ConsoleForm(Form):
    search: Text = ""
    stream: Name | None = None
    label: Name | None = None
    before: Text | None = None
    after: Text | None = None
    around_time: Moment | None = None
    limit: Limit = 1000


@endpoint(
    "GET",
    "/projects/{project}/runs/{run_id}/console",
    query=ConsoleForm,
    answer=queries.ConsolePage,
)
async def read_console(call: Call) -> Any:
    """Read console lines."""
    form: ConsoleForm = call.query
    if sum(each is not None for each in (form.before, form.after, form.around_time)) > 1:
        raise ApiError(400, "parameter_invalid", "set only one of before, after and around_time")
    return await call.ask(
        queries.console_lines,
        call.project,
        call.run_id,
        search=form.search,
        stream=form.stream,
        label=form.label,
        before=form.before,
        after=form.after,
        around_time=form.around_time,
        limit=form.limit,
    )
