"""Artifacts: those of which the daemon could make no version."""

from collections.abc import Iterator
from typing import Any, Final

from stepwell.cli.checks.finding import Finding, Level

_SHOWN: Final = 5


def failed(status: dict[str, Any]) -> Iterator[Finding]:
    """Yield the last failures that a running daemon names: one finding for a name in a run."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in (status.get("artifacts") or {}).get("failures") or []:
        where = f"{each['project']}/{each['name']} of run {each['run_id']}"
        groups.setdefault(where, []).append(each)
    for where, failures in list(groups.items())[:_SHOWN]:
        newest = failures[0]
        count = len(failures)
        missing = "no version" if count == 1 else f"{count} versions"
        was = "was made" if count == 1 else "were not made, the last one"
        remedy = "log it again; this is reported for a week"
        if newest.get("has_later"):
            remedy = "a later version of that name was made; this is reported for a week"
        yield Finding(
            "artifacts", Level.WARN, f"{missing} of {where} {was}: {newest['reason']}", remedy
        )
    if len(groups) > _SHOWN:
        more = f"{len(groups) - _SHOWN} more artifacts failed"
        yield Finding("artifacts", Level.WARN, more, "`stepwell status --json` lists them")
