"""Media: their metrics, steps and values, of one run or of many.

The bytes are at ``url`` once an item is ready (`blobs.py`).
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Meta

from stepwell_hub.answers import plain
from stepwell_hub.api.blobs import blob_url
from stepwell_hub.api.forms import Name, Text
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_store import queries

_RUNS_MAX: Final = 1000
_METRICS_MAX: Final = 1000
_Limit = Annotated[int, Meta(ge=1, le=1000)]
_RunIds = Annotated[tuple[Name, ...], Meta(max_length=_RUNS_MAX)]
_Step = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


def _derived(kind: type, name: str, **more: Any) -> type:
    """Return the answer's type: ``kind`` with the fields ``more``, some of another type."""
    fields = {each.name: each.type for each in dataclasses.fields(kind)} | more
    made = dataclasses.make_dataclass(name, list(fields.items()), frozen=True)
    made.__doc__ = kind.__doc__
    return made


Mask: Any = _derived(queries.MediaMask, "Mask", url=str)
Item: Any = _derived(queries.MediaItem, "Item", url=str, masks=tuple[Mask, ...], library_url=str)
Value: Any = _derived(queries.MediaValue, "Value", items=tuple[Item, ...])


@dataclass(frozen=True, slots=True)
class MediaKeys:
    keys: tuple[queries.MediaKey, ...]


@dataclass(frozen=True, slots=True)
class MediaAt:
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class MediaPage:
    values: tuple[Value, ...]
    next_cursor: str | None


class StepsForm(Form):
    """Steps of one metric, or of all."""

    metric: Name | None = None


class MediaForm(Form):
    """Media of one metric or of all, in a range of steps that includes both ends."""

    metric: Name | None = None
    first_step: _Step | None = None
    last_step: _Step | None = None
    newest_first: bool = False
    limit: _Limit = 100
    cursor: Text | None = None


class RunsKeysForm(Form):
    """Of which runs; null: of all runs of the project."""

    runs: _RunIds | None = None


class RunsStepsForm(StepsForm):
    """Of which runs; null: of all runs of the project."""

    runs: _RunIds | None = None


class MediaAtForm(Form):
    """Metrics of runs at ``step`` or before it; without ``step``, the newest values."""

    runs: _RunIds
    metrics: Annotated[tuple[Name, ...], Meta(max_length=_METRICS_MAX)]
    step: _Step | None = None


class RunsMediaForm(MediaForm):
    """Media of runs; null: of all runs of the project."""

    runs: _RunIds | None = None


@endpoint("GET", "/projects/{project}/runs/{run_id}/media/keys", answer=MediaKeys)
async def list_run_media_keys(call: Call) -> Any:
    """List the metrics of a run that hold media."""
    return {"keys": await call.ask(queries.media_keys, call.project, [call.run_id])}


@endpoint(
    "GET",
    "/projects/{project}/runs/{run_id}/media/steps",
    query=StepsForm,
    answer=queries.MediaSteps,
)
async def list_run_media_steps(call: Call) -> Any:
    """List the steps at which a metric of a run has media."""
    return await call.ask(
        queries.media_steps, call.project, [call.run_id], metric=call.query.metric
    )


@endpoint("GET", "/projects/{project}/runs/{run_id}/media", query=MediaForm, answer=MediaPage)
async def list_run_media(call: Call) -> Any:
    """List the media of a run by step."""
    return await _page(call, call.query, (call.run_id,))


@endpoint("POST", "/projects/{project}/media/keys", body=RunsKeysForm, answer=MediaKeys)
async def list_media_keys(call: Call) -> Any:
    """List the metrics of several runs that hold media."""
    return {"keys": await call.ask(queries.media_keys, call.project, call.body.runs)}


@endpoint("POST", "/projects/{project}/media/steps", body=RunsStepsForm, answer=queries.MediaSteps)
async def list_media_steps(call: Call) -> Any:
    """List the steps at which a metric of several runs has media."""
    form: RunsStepsForm = call.body
    return await call.ask(queries.media_steps, call.project, form.runs, metric=form.metric)


@endpoint("POST", "/projects/{project}/media/query", body=RunsMediaForm, answer=MediaPage)
async def list_media(call: Call) -> Any:
    """List the media of several runs by step."""
    return await _page(call, call.body, call.body.runs)


@endpoint("POST", "/projects/{project}/media/at", body=MediaAtForm, answer=MediaAt)
async def list_media_at(call: Call) -> Any:
    """List the newest value of each metric, run and label at a step or before it."""
    form: MediaAtForm = call.body
    values = await call.ask(queries.media_at, call.project, form.runs, form.metrics, step=form.step)
    return {"values": _shown(values)}


async def _page(call: Call, form: MediaForm, run_ids: tuple[str, ...] | None) -> dict[str, Any]:
    page = await call.ask(
        queries.list_media,
        call.project,
        run_ids,
        metric=form.metric,
        first_step=form.first_step,
        last_step=form.last_step,
        newest_first=form.newest_first,
        limit=form.limit,
        cursor=form.cursor,
    )
    return {"values": _shown(page.items), "next_cursor": page.next_cursor}


def _shown(values: Sequence[queries.MediaValue]) -> list[dict[str, Any]]:
    return [plain(value) | {"items": [with_url(item) for item in value.items]} for value in values]


def with_url(item: queries.MediaItem) -> dict[str, Any]:
    """Return ``item`` with the address of its bytes."""
    shown: dict[str, Any] = plain(item)
    masks = [plain(mask) | {"url": _url(mask)} for mask in item.masks]
    library_url = blob_url(item.library, "text/javascript") if item.library else ""
    return shown | {"url": _url(item), "masks": masks, "library_url": library_url}


def _url(item: queries.MediaItem | queries.MediaMask) -> str:
    return blob_url(item.digest, item.media_type) if item.digest else ""
