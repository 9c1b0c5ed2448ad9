"""Server-sent events of what changed.

event: hello     {"subscription"}                    first; its id goes into POST /live/…
event: runs      {"runs_version"}                    the list of runs changed: ask again
event: series    {"series": [{"run_id", "metric", "version"}]}
event: run       {"run_id", "state", "last_seen"}
event: metrics   {"run_ids"}                         these runs have more metrics than before
event: media     {"run_ids"}                         these runs logged media, or bytes are ready
event: projects  {"version"}                         the list of projects changed
"""

from typing import Annotated, Any, Final

from msgspec import Meta
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stepwell_hub.answers import failure_answer
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError
from stepwell_hub.live import Feeds, events_of
from stepwell_hub.subscription import Interest

MEDIA: Final = "text/event-stream"
# The last one asks proxies to pass each event on at once.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_RUNS_MAX: Final = 2000
_METRICS_MAX: Final = 1000
Names = Annotated[tuple[str, ...], Meta(max_length=_RUNS_MAX)]
MetricNames = Annotated[tuple[str, ...], Meta(max_length=_METRICS_MAX)]


class LiveForm(Form):
    runs: Names = ()
    metrics: MetricNames = ()
    media: bool = False


class LiveChange(Form):
    """The runs and metrics of a subscription from now on."""

    runs: Names = ()
    metrics: MetricNames = ()
    media: bool = False


@endpoint("GET", "/live", media=MEDIA)
async def listen_to_projects(call: Call) -> Any:
    """Stream changes of the list of projects."""
    return _stream(call, Interest(None))


@endpoint("GET", "/projects/{project}/live", query=LiveForm, media=MEDIA)
async def listen_to_project(call: Call) -> Any:
    """Stream changes of runs and series of a project."""
    form: LiveForm = call.query
    return _stream(call, _interest(call.project, form))


@endpoint("POST", "/live/{subscription}", body=LiveChange, failures=(404,))
async def change_subscription(call: Call) -> Any:
    """Change the runs and metrics of a live subscription."""
    form: LiveChange = call.body
    call.context.feeds.change(
        str(call.request.path_params["subscription"]),
        lambda project: _interest(project, form),
    )


def _interest(project: str | None, form: LiveForm | LiveChange) -> Interest:
    return Interest(project, frozenset(form.runs), frozenset(form.metrics), form.media)


class EventStream(Response):
    """A listener's stream, from its first event to the end of either side."""

    def __init__(self, feeds: Feeds, interest: Interest, last_event_id: str) -> None:
        super().__init__(media_type=MEDIA)
        self._feeds = feeds
        self._interest = interest
        self._last_event_id = last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._feeds.listening(
                self._interest, last_event_id=self._last_event_id
            ) as subscription:
                stream = StreamingResponse(
                    events_of(subscription), media_type=MEDIA, headers=_HEADERS
                )
                await stream(scope, receive, send)
        except ApiError as error:  # There are too many listeners.
            await failure_answer(error.failure)(scope, receive, send)


def _stream(call: Call, interest: Interest) -> EventStream:
    last_event_id = call.request.headers.get("last-event-id", "")
    return EventStream(call.context.feeds, interest, last_event_id)
