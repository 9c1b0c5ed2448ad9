"""Histograms: which there are, and those of a run over steps as matrices in histogram frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Meta
from starlette.responses import Response

from stepwell_hub.api.forms import Limit, Name, RunIds, Text
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.frames import MEDIA_TYPE
from stepwell_hub.histogram_frames import histogram_frame
from stepwell_store import Store, queries
from stepwell_store.queries import Limits
from stepwell_store.queries.histograms import BINS_MAX, ROWS_MAX, ROWS_MIN

_STEP_MAX: Final = 2**63 - 1
_Step = Annotated[int, Meta(ge=-_STEP_MAX, le=_STEP_MAX)]
_METRICS_MAX: Final = 32
_HEADERS: Final = {"Cache-Control": "no-store"}


class HistogramNamesForm(Form):
    search: Text = ""
    run_id: RunIds = ()
    limit: Limit = 1000
    cursor: Text | None = None


@dataclass(frozen=True, slots=True)
class HistogramNamesPage:
    histograms: tuple[queries.HistogramName, ...]
    next_cursor: str | None


@endpoint(
    "GET", "/projects/{project}/histograms", query=HistogramNamesForm, answer=HistogramNamesPage
)
async def list_histograms(call: Call) -> Any:
    """List the metrics that have histograms."""
    form: HistogramNamesForm = call.query
    page = await call.ask(
        queries.list_histograms,
        call.project,
        run_ids=list(form.run_id) or None,
        search=form.search,
        limit=form.limit,
        cursor=form.cursor,
    )
    return HistogramNamesPage(page.items, page.next_cursor)


class HistogramsForm(Form):
    """Metrics, from step ``first`` to ``last``, as ``rows`` histograms of ``bins`` bins each.

    ``label`` is the writer's; without it, the first label by name with histograms is used.
    """

    metrics: Annotated[tuple[Name, ...], Meta(max_length=_METRICS_MAX)]
    label: Name | None = None
    first: _Step | None = None
    last: _Step | None = None
    rows: Annotated[int, Meta(ge=ROWS_MIN, le=ROWS_MAX)] = 256
    bins: Annotated[int, Meta(ge=1, le=BINS_MAX)] = 64


@endpoint(
    "POST",
    "/projects/{project}/runs/{run_id}/histograms",
    body=HistogramsForm,
    media=MEDIA_TYPE,
)
async def ask_histograms(call: Call) -> Any:
    """Get histograms over steps, each metric on one grid."""
    data = await call.ask(_frames, call.project, call.run_id, call.body)
    return Response(data, media_type=MEDIA_TYPE, headers=_HEADERS)


def _frames(
    store: Store, project: str, run_id: str, form: HistogramsForm, *, limits: Limits
) -> bytes:
    return b"".join(
        histogram_frame(
            number,
            run_id,
            queries.histogram_matrix(
                store,
                project,
                run_id,
                metric,
                label=form.label,
                first=form.first,
                last=form.last,
                rows_max=form.rows,
                bins=form.bins,
                limits=limits,
            ),
        )
        for number, metric in enumerate(_distinct(form.metrics))
    )


def _distinct(metrics: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(metrics))
