"""Artifacts: those of which the daemon could make no version."""

from collections.abc import Iterator
from typing import Any, Final

from stepwell.cli.checks.finding import Finding, Level

_SHOWN: Final = 5


def failed(status: dict[str, Any]) -> Iterator[Finding]:
    """Yield the last failures that a running daemon names, one finding each."""
    failures = (status.get("artifacts") or {}).get("failures") or []
    for each in failures[:_SHOWN]:
        where = f"{each['project']}/{each['name']} of run {each['run_id']}"
        yield Finding(
            "artifacts",
            Level.WARN,
            f"no version of {where} was made: {each['reason']}",
            "log it again; this is reported for a week, or until a later version of that name",
        )
    if len(failures) > _SHOWN:
        more = f"{len(failures) - _SHOWN} more artifacts failed"
        yield Finding("artifacts", Level.WARN, more, "`stepwell status --json` lists them")
