"""Reports: made, read, saved, deleted, and taken apart for the page."""

import re
import time
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Meta
from starlette.responses import Response

from stepwell_hub.artifacts.project_deletion import clear_at_times
from stepwell_hub.endpoints import Call, Form, endpoint
from stepwell_hub.errors import ApiError
from stepwell_hub.reports.answers import (
    Document,
    PanelKinds,
    Report,
    ReportsPage,
    ReportVersions,
)

TITLE_CHARACTERS_MAX: Final = 256
TEXT_BYTES_MAX: Final = 256 << 10
_BODY_BYTES_MAX: Final = 2 << 20
"""A text whose every character is an escape in JSON."""
_FILE_NAME_CHARACTERS_MAX: Final = 80
_NO_NUL: Final = r"^[^\x00]*$"
_Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
_Title = Annotated[
    str, Meta(max_length=TITLE_CHARACTERS_MAX, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")
]
_Text = Annotated[str, Meta(max_length=TEXT_BYTES_MAX, pattern=_NO_NUL)]
_Version = Annotated[int, Meta(ge=1, lt=1 << 31)]


class NewReport(Form):
    """``key``: made by the client for this report; a repeated key returns the same report."""

    key: _Key
    title: _Title
    text: _Text = ""


class ReportChange(Form):
    """``version``: the version on which this text is based."""

    version: _Version
    title: _Title
    text: _Text


class ReportsForm(Form):
    limit: Annotated[int, Meta(ge=1, le=200)] = 100
    cursor: Annotated[str, Meta(max_length=128, pattern=_NO_NUL)] | None = None


class DraftForm(Form):
    text: _Text


@endpoint("GET", "/projects/{project}/reports", query=ReportsForm, answer=ReportsPage)
async def list_reports(call: Call) -> Any:
    """List the reports of a project, the last saved first."""
    from stepwell_hub.catalog import reports

    form: ReportsForm = call.query
    await clear_at_times(call.context)
    listing = partial(
        reports.listed, project=_named(call.project), limit=form.limit, cursor=form.cursor
    )
    return await call.context.catalog.do(listing)


@endpoint("GET", "/reports", query=ReportsForm, answer=ReportsPage)
async def list_all_reports(call: Call) -> Any:
    """List the reports of all projects, the last saved first."""
    from stepwell_hub.catalog import reports

    form: ReportsForm = call.query
    await clear_at_times(call.context)
    listing = partial(reports.listed, project=None, limit=form.limit, cursor=form.cursor)
    return await call.context.catalog.do(listing)


@endpoint(
    "POST",
    "/projects/{project}/reports",
    body=NewReport,
    answer=Report,
    status=201,
    failures=(409,),
    body_bytes_max=_BODY_BYTES_MAX,
)
async def create_report(call: Call) -> Any:
    """Create a report."""
    from stepwell_hub.catalog import reports

    form: NewReport = call.body
    making = partial(
        reports.create,
        project=_named(call.project),
        title=form.title,
        text=_sized(form.text),
        key=form.key,
        now=time.time(),
    )
    return await call.context.catalog.do(making)


@endpoint("GET", "/reports/{report}", answer=Report)
async def get_report(call: Call) -> Any:
    """Get a report."""
    from stepwell_hub.catalog import reports

    return await call.context.catalog.do(partial(reports.read, report_id=_id(call)))


@endpoint(
    "PUT",
    "/reports/{report}",
    body=ReportChange,
    answer=Report,
    failures=(409,),
    body_bytes_max=_BODY_BYTES_MAX,
)
async def save_report(call: Call) -> Any:
    """Save a report, unless another version was saved meanwhile."""
    from stepwell_hub.catalog import reports

    form: ReportChange = call.body
    saving = partial(
        reports.save,
        report_id=_id(call),
        version=form.version,
        title=form.title,
        text=_sized(form.text),
        now=time.time(),
    )
    return await call.context.catalog.do(saving)


@endpoint("DELETE", "/reports/{report}")
async def delete_report(call: Call) -> Any:
    """Delete a report with all its versions."""
    from stepwell_hub.catalog import reports

    await call.context.catalog.do(partial(reports.delete, report_id=_id(call)))


@endpoint("GET", "/reports/{report}/versions", answer=ReportVersions)
async def list_report_versions(call: Call) -> Any:
    """List the versions of a report, the newest first."""
    from stepwell_hub.catalog import reports

    return await call.context.catalog.do(partial(reports.versions, report_id=_id(call)))


@endpoint("GET", "/reports/{report}/versions/{version}", answer=Report)
async def get_report_version(call: Call) -> Any:
    """Get one version of a report."""
    from stepwell_hub.catalog import reports

    said = str(call.request.path_params["version"])
    if not (said.isascii() and said.isdigit() and 0 < int(said[:12]) < 1 << 31):
        raise ApiError(404, "not_found", "a version is a number of at least 1", field="version")
    reading = partial(reports.read_version, report_id=_id(call), version=int(said))
    return await call.context.catalog.do(reading)


@endpoint("GET", "/reports/{report}/export", answer=str, media="text/html")
async def export_report(call: Call) -> Any:
    """Export a report as one HTML file with the current numbers."""
    from stepwell_hub.reports import exporting
    from stepwell_hub.reports.file import POLICY

    report = await get_report(call)
    content = await exporting.export_report(call, report)
    headers = {
        "Content-Disposition": f'attachment; filename="{_file_name(report.title)}.html"',
        "Content-Security-Policy": f"sandbox; {POLICY}",
        "Cache-Control": "no-store",
    }
    return Response(content, media_type="text/html", headers=headers)


@endpoint(
    "POST", "/report-documents", body=DraftForm, answer=Document, body_bytes_max=_BODY_BYTES_MAX
)
async def read_draft(call: Call) -> Any:
    """Parse the text of a report into blocks."""
    # Imported here: a hub that shows no report does not load the parser.
    from stepwell_hub.reports.document import document_of

    return await document_of(_sized(call.body.text))


@endpoint("GET", "/report-panels", answer=PanelKinds)
async def list_report_panels(call: Call) -> Any:
    """List the kinds of panels and their fields."""
    from stepwell_hub.reports.panels import KINDS

    return PanelKinds(tuple(KINDS.values()))


# ---------------------------------------------------------------------- checks


def _id(call: Call) -> str:
    return _named(str(call.request.path_params["report"]))


def _named(text: str) -> str:
    """Refuse a text with a character that PostgreSQL does not store."""
    if "\0" in text:
        raise ApiError(404, "not_found", "a name must not contain a NUL character")
    return text


def _file_name(title: str) -> str:
    """Return a name that every file system and every header takes."""
    words = "-".join(re.findall(r"[A-Za-z0-9._-]+", title))[:_FILE_NAME_CHARACTERS_MAX]
    return words.strip(".-") or "report"


def _sized(text: str) -> str:
    size = len(text.encode())
    if size > TEXT_BYTES_MAX:
        raise ApiError(
            413,
            "report_too_large",
            f"the text has {size:,} bytes, the maximum is {TEXT_BYTES_MAX:,}; split it into "
            "two reports, and link them",
            field="text",
        )
    return text
