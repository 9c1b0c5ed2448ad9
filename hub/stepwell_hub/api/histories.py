"""Whole histories: of one run as rows in JSON lines, of many runs as columns in Arrow.

Both are read in parts, each a query of its own with the limits of every query, and sent while the
next part is read. Only the first part's failure can be answered as one; later the connection is
broken off, and the client sees that its answer is not whole: JSON lines end with a line
``{"end": true}``, Arrow with its end of stream.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from starlette.responses import StreamingResponse

from stepwell_hub.answers import plain
from stepwell_hub.api.forms import Name, Text
from stepwell_hub.arrow_columns import MEDIA_TYPE, ArrowColumns
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError
from stepwell_store import Store, StoreError, queries
from stepwell_store.queries import ColumnsPlan, HistoryPlan, Limits
from stepwell_store.queries.history_columns import Part
from stepwell_store.queries.history_sample import SAMPLES_MAX

logger = logging.getLogger("stepwell_hub")

LINES: Final = "application/x-ndjson"
RUNS_MAX: Final = 10_000
_END: Final = b'{"end": true}\n'
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_STEP_MAX: Final = 2**63 - 1

_Step = Annotated[int, Meta(ge=-_STEP_MAX, le=_STEP_MAX)]
_Metrics = Annotated[tuple[Name, ...], Meta(max_length=1000)]
_Labels = Literal["auto", "apart", "join"]


class HistoryForm(Form):
    """Rows of ``metrics`` (null: all), from step ``first`` to ``last``, both included.

    ``samples``: maximum of rows, evenly among the steps that have all of ``metrics``.
    ``labels``: a row for each writer at a step (apart), or one (join); auto: apart where the run
    has several labels.
    """

    metrics: _Metrics | None = None
    first: _Step | None = None
    last: _Step | None = None
    samples: Annotated[int, Meta(ge=1, le=SAMPLES_MAX)] | None = None
    labels: _Labels = "auto"


@endpoint("POST", "/projects/{project}/runs/{run_id}/history", body=HistoryForm, media=LINES)
async def read_history(call: Call) -> Any:
    """Read a run's history, whole or a sample of it."""
    plan: HistoryPlan = await call.ask(_plan, call.project, call.run_id, call.body)

    async def piece(window: tuple[int, int]) -> bytes:
        return bytes(await call.ask(_lines, plan, window))

    return await _streamed(call, plan.windows, piece, end=lambda: _END, media=LINES)


class HistoriesForm(Form):
    """Columns: ``metrics`` of ``runs``, or of the runs of ``filter`` if ``runs`` is null.

    Rows come in the order of ``runs``, or of ``sort``, then by step; ``first`` and ``last`` are
    included. ``labels`` as in a run's history.
    """

    metrics: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=1000)]
    runs: Annotated[tuple[Name, ...], Meta(max_length=RUNS_MAX)] | None = None
    filter: Text = ""
    sort: Annotated[tuple[Name, ...], Meta(max_length=8)] = ("-created",)
    archived: bool = False
    first: _Step | None = None
    last: _Step | None = None
    labels: _Labels = "auto"


@endpoint("POST", "/projects/{project}/histories", body=HistoriesForm, media=MEDIA_TYPE)
async def read_histories(call: Call) -> Any:
    """Read the histories of many runs as an Arrow stream."""
    form: HistoriesForm = call.body
    if form.runs is not None and form.filter:
        raise ApiError(
            400, "value_invalid", "filter: set either runs or filter, not both", field="filter"
        )
    runs = form.runs if form.runs is not None else await _found(call, form)
    plan: ColumnsPlan = await call.ask(
        queries.plan_columns,
        call.project,
        list(dict.fromkeys(runs)),
        list(dict.fromkeys(form.metrics)),
        labels=form.labels,
        first_step=form.first,
        last_step=form.last,
    )
    if plan.no_numbers:
        raise ApiError(
            400,
            "value_invalid",
            f"metrics: {', '.join(plan.no_numbers)}: no numbers in these runs; request texts "
            "and histograms by the history of each run",
            field="metrics",
        )
    made = await asyncio.to_thread(ArrowColumns, plan)

    async def piece(part: Part) -> bytes:
        return bytes(await call.ask(_columns, plan, part, made))

    return await _streamed(call, plan.parts, piece, end=made.end, media=MEDIA_TYPE)


async def _found(call: Call, form: HistoriesForm) -> list[str]:
    page = await call.ask(
        queries.list_runs,
        call.project,
        filter=form.filter,
        sort=form.sort or ("-created",),
        limit=RUNS_MAX,
        archived=form.archived,
    )
    if page.next_cursor is not None:
        raise ApiError(
            400,
            "page_too_large",
            f"more than {RUNS_MAX:,} runs; narrow the filter, or request the runs in several parts",
            field="filter",
        )
    return [each.run_id for each in page.items]


async def _streamed(
    call: Call,
    parts: Sequence[Any],
    piece: Callable[[Any], Awaitable[bytes]],
    *,
    end: Callable[[], bytes],
    media: str,
) -> StreamingResponse:
    """Return an answer of all pieces; each is read while the one before is sent."""
    first = await piece(parts[0]) if parts else b""

    async def stream() -> AsyncIterator[bytes]:
        held = first
        for part in parts[1:]:
            following = asyncio.ensure_future(piece(part))
            try:
                yield held
                held = await following
            except (ApiError, StoreError) as error:
                logger.warning(
                    "streaming a history failed path=%s: %s", call.request.url.path, error
                )
                raise
            finally:
                if not following.done():
                    following.cancel()
                    with suppress(asyncio.CancelledError, ApiError, StoreError):
                        await following
        yield held
        yield end()

    return StreamingResponse(stream(), media_type=media, headers=_HEADERS)


# ---------------------------------------------------------------------- in a query's thread


def _plan(
    store: Store, project: str, run_id: str, form: HistoryForm, *, limits: Limits
) -> HistoryPlan:
    plan = queries.plan_history(
        store,
        project,
        run_id,
        metrics=form.metrics,
        labels=form.labels,
        first_step=form.first,
        last_step=form.last,
        limits=limits,
    )
    if form.samples is None:
        return plan
    return queries.sampled(store, plan, form.samples, limits=limits)


def _lines(store: Store, plan: HistoryPlan, window: tuple[int, int], *, limits: Limits) -> bytes:
    rows = queries.history_rows(store, plan, window, limits=limits)
    return b"".join(msgspec.json.encode(plain(row)) + b"\n" for row in rows)


def _columns(
    store: Store, plan: ColumnsPlan, part: Part, made: ArrowColumns, *, limits: Limits
) -> bytes:
    columns = queries.read_columns(store, plan, part, limits=limits)
    return b"" if columns is None else made.piece(columns)
