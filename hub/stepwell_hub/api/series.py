"""Series in buckets, bands over groups of runs, and node series: answered as series frames.

Items are asked some at a time, so that a page paints the first while the rest is on its way. When
the first ones cannot be answered the whole answer is a failure; later each item says so itself.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, Literal

from msgspec import Meta
from starlette.responses import Response, StreamingResponse

from stepwell_hub.api.forms import Moment, Name, RunIds
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError, Failure, failure_of
from stepwell_hub.frames import MEDIA_TYPE, bands_frame, error_frame, series_frame
from stepwell_store import Store, StoreError, queries
from stepwell_store.queries import HeldBuckets, Limits, XAxis, without_known_head

ITEMS_AT_ONCE: Final = 8
_ITEMS_MAX: Final = 200
_BUCKETS_MAX: Final = 4096
_SECOND_US: Final = 1_000_000
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_Buckets = Annotated[int, Meta(ge=1, le=_BUCKETS_MAX)]
_INTEGER_MAX: Final = 2**63 - 1
_Integer = Annotated[int, Meta(ge=-_INTEGER_MAX, le=_INTEGER_MAX)]
_Level = Annotated[int, Meta(ge=-1074, le=1023)]


class HeldSeries(Form):
    """A series that the client holds at this level.

    ``head_count`` is the sum of ``count`` over its buckets before ``tail``. If it is unchanged,
    the answer has only the buckets from ``tail`` on.
    """

    run_id: Name
    level: _Level
    tail: _Integer
    head_count: Annotated[int, Meta(ge=0, le=_INTEGER_MAX)]
    label: Name = ""
    version: int = 0


class SeriesItem(Form):
    metric: Name
    have: Annotated[tuple[HeldSeries, ...], Meta(max_length=2000)] = ()


class SeriesForm(Form):
    """Series, their x axis, and the maximum number of buckets."""

    runs: RunIds
    items: Annotated[tuple[SeriesItem, ...], Meta(max_length=_ITEMS_MAX)]
    x: Name = "step"
    first: float | None = None
    last: float | None = None
    buckets: _Buckets = 512
    level: _Level | None = None
    labels: Literal["join", "apart"] = "join"


class BandItem(Form):
    metric: Name


class BandsForm(Form):
    """Groups of runs; each group has one band for each metric."""

    groups: Annotated[dict[Name, RunIds], Meta(max_length=200)]
    items: Annotated[tuple[BandItem, ...], Meta(max_length=_ITEMS_MAX)]
    x: Name = "step"
    first: float | None = None
    last: float | None = None
    buckets: _Buckets = 512
    level: _Level | None = None


class SystemForm(Form):
    """The range in seconds since 1970 UTC; without it the run's own.

    ``devices``: the GPUs of the run's processes, or all of its nodes.
    """

    first: Moment | None = None
    last: Moment | None = None
    buckets: _Buckets = 512
    devices: Literal["run", "all"] = "run"


@endpoint("POST", "/projects/{project}/series", body=SeriesForm, media=MEDIA_TYPE)
async def ask_series(call: Call) -> Any:
    """Get series in buckets."""
    form: SeriesForm = call.body

    async def frames(start: int, items: Sequence[SeriesItem]) -> bytes:
        return bytes(await call.ask(_series_frames, call.project, form, start, items))

    return await _answer(form.items, frames)


@endpoint("POST", "/projects/{project}/bands", body=BandsForm, media=MEDIA_TYPE)
async def ask_bands(call: Call) -> Any:
    """Get bands over groups of runs."""
    form: BandsForm = call.body

    async def frames(start: int, items: Sequence[BandItem]) -> bytes:
        return bytes(await call.ask(_bands_frames, call.project, form, start, items))

    return await _answer(form.items, frames)


@endpoint("POST", "/projects/{project}/runs/{run_id}/system", body=SystemForm, media=MEDIA_TYPE)
async def ask_system(call: Call) -> Any:
    """Get the samples of a run's nodes during the run."""
    data = await call.ask(_system_frames, call.project, call.run_id, call.body)
    return Response(data, media_type=MEDIA_TYPE, headers=_HEADERS)


async def _answer(
    items: Sequence[Any], frames: Callable[[int, Sequence[Any]], Awaitable[bytes]]
) -> Response:
    first = await frames(0, items[:ITEMS_AT_ONCE])
    if len(items) <= ITEMS_AT_ONCE:
        return Response(first, media_type=MEDIA_TYPE, headers=_HEADERS)

    async def stream() -> AsyncIterator[bytes]:
        yield first
        for start in range(ITEMS_AT_ONCE, len(items), ITEMS_AT_ONCE):
            some = items[start : start + ITEMS_AT_ONCE]
            try:
                yield await frames(start, some)
            except (ApiError, StoreError) as error:
                failure = error.failure if isinstance(error, ApiError) else failure_of(error)
                yield _error_frames(start, some, failure)

    return StreamingResponse(stream(), media_type=MEDIA_TYPE, headers=_HEADERS)


def _error_frames(start: int, items: Sequence[Any], failure: Failure) -> bytes:
    return b"".join(
        error_frame(number, item.metric, failure.code, failure.message)
        for number, item in enumerate(items, start)
    )


# ---------------------------------------------------------------------- in a query's thread


def _series_frames(
    store: Store,
    project: str,
    form: SeriesForm,
    start: int,
    items: Sequence[SeriesItem],
    *,
    limits: Limits,
) -> bytes:
    found = queries.series_buckets(
        store,
        project,
        form.runs,
        [item.metric for item in items],
        x=XAxis.parse(form.x),
        first=form.first,
        last=form.last,
        buckets=form.buckets,
        level=form.level,
        labels=form.labels,
        limits=limits,
    )
    return b"".join(
        series_frame(number, without_known_head(answer, [_held(each) for each in item.have]))
        for number, (item, answer) in enumerate(zip(items, found, strict=True), start)
    )


def _bands_frames(
    store: Store,
    project: str,
    form: BandsForm,
    start: int,
    items: Sequence[BandItem],
    *,
    limits: Limits,
) -> bytes:
    found = queries.group_bands(
        store,
        project,
        form.groups,
        [item.metric for item in items],
        x=XAxis.parse(form.x),
        first=form.first,
        last=form.last,
        buckets=form.buckets,
        level=form.level,
        limits=limits,
    )
    return b"".join(bands_frame(number, answer) for number, answer in enumerate(found, start))


def _system_frames(
    store: Store, project: str, run_id: str, form: SystemForm, *, limits: Limits
) -> bytes:
    devices = queries.run_devices(store, project, run_id, limits=limits)
    writers = devices.writers
    if not writers:
        raise ApiError(404, "not_found", f"run {project}/{run_id} not found")
    first, last = form.first, form.last
    if first is None:
        first = min((each.started_at for each in writers if each.started_at), default=0.0)
    if last is None:
        runs_on = any(each.state == "running" for each in writers)
        seen = max((each.last_seen or 0.0 for each in writers), default=0.0)
        last = time.time() if runs_on else max(seen, first)
    found = queries.node_buckets(
        store,
        sorted({each.host for each in writers if each.host}),
        first_time_us=int(first * _SECOND_US),
        last_time_us=int(last * _SECOND_US),
        devices=devices,
        all_devices=form.devices == "all",
        buckets=form.buckets,
        limits=limits,
    )
    return b"".join(series_frame(number, answer) for number, answer in enumerate(found))


def _held(each: HeldSeries) -> HeldBuckets:
    return HeldBuckets(each.run_id, each.label, each.level, each.tail, each.head_count)
