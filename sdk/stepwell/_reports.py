"""`stepwell.report`: reports from code and from the command line."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell._argument_names import checks_names
from stepwell._hub import find_hub
from stepwell._hub_client import Hub
from stepwell._settings import read_settings
from stepwell._terminal import Voice
from stepwell.errors import HubError, UsageError
from stepwell_wire.hub_access import page_path

_SAVES_MAX: Final = 5
"""Attempts of a save while others save, too."""
_PROBLEMS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class SavedReport:
    """A report as the hub stores it.

    Attributes:
        url: its address on the page.
        problems: one text for each wrong panel.
    """

    id: str
    project: str
    title: str
    version: int
    url: str
    problems: tuple[str, ...] = ()


@checks_names
def report(title: str, text: str, project: str | None = None) -> SavedReport:
    """Create the report with this title, or save a new version of it, and print its address.

    An equal text makes no new version. Edits of the page stay among the versions.

    Args:
        title: the name of the report in its project; at most 256 characters.
        text: Markdown, with panels in fenced blocks; see `panel`.
        project: default ``STEPWELL_PROJECT``.

    Raises:
        UsageError: The title is empty or no text.
        HubError: The hub refuses the title or the text.
        HubUnreachableError: No hub answers, or none is known.
    """
    wanted = read_settings({"project": project})
    voice = Voice(silent=wanted.silent)
    hub = find_hub(say=voice.say)
    assert wanted.project is not None
    saved = save_report(hub, title, text, wanted.project)
    for problem in saved.problems[:_PROBLEMS_SHOWN]:
        voice.say(f"invalid panel, not drawn: {problem}")
    voice.say(f"see the report at {saved.url}")
    return saved


def panel(kind: str, **fields: str | float | Sequence[str]) -> str:
    """Return the text of a panel in a report.

    Args:
        kind: ``line``, ``runs``, ``value``, ``media``, ``histogram`` or ``table``.
        fields: the fields of this kind; a list for several names.

    Raises:
        UsageError: A value is neither a text, a number nor a list of texts.
    """
    lines = [f"panel: {json.dumps(kind, ensure_ascii=False)}"]
    for name, value in fields.items():
        if isinstance(value, list | tuple):
            good = all(isinstance(each, str) for each in value)
            value = list(value)
        else:
            good = isinstance(value, str | int | float) and not isinstance(value, bool)
        if not good:
            raise UsageError(
                f"panel({kind!r}, {name}=…): expected a text, a number or a list of texts, "
                f"not {value!r}"
            )
        lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(("```stepwell", *lines, "```", ""))


def save_report(hub: Hub, title: str, text: str, project: str) -> SavedReport:
    """See `report`."""
    if not isinstance(title, str) or not title.strip() or "\0" in title:
        raise UsageError(f"report: expected a title of 1 to 256 characters, not {title!r}")
    named = hashlib.sha256(f"{project}\0{title}".encode()).hexdigest()[:40]
    body = {"key": f"code-{named}", "title": title, "text": text}
    found = hub.ask("POST", "projects", project, "reports", body=body)
    for attempt in range(_SAVES_MAX):
        if found["text"] == text:
            break
        try:
            found = hub.ask(
                "PUT",
                "reports",
                found["id"],
                # A title that was changed on the page stays.
                body={"version": found["version"], "title": found["title"], "text": text},
            )
        except HubError as error:
            if error.code != "report_changed" or attempt + 1 == _SAVES_MAX:
                raise
            found = hub.ask("GET", "reports", found["id"])
    blocks = hub.ask("POST", "report-documents", body={"text": text})["blocks"]
    return SavedReport(
        id=found["id"],
        project=project,
        title=found["title"],
        version=found["version"],
        url=report_url(hub, project, found["id"]),
        problems=tuple(_problems(blocks)),
    )


def report_url(hub: Hub, project: str, report_id: str) -> str:
    """Return the address of a report's page."""
    return f"{hub.url}{page_path(project)}/reports/{report_id}"


def _problems(blocks: Sequence[dict[str, Any]]) -> list[str]:
    return [
        f"line {problem['line']}: {problem['message']}"
        for block in blocks
        for problem in block["problems"]
    ]
