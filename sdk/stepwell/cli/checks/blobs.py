"""Blobs: the daemon's queue, what failed, and what dead writers left staged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.errors import CommandError
from stepwell.cli.extras import require_store
from stepwell.cli.text import bytes_text, count_text, counted


def queue(data: Path, status: dict[str, Any] | None) -> Iterator[Finding]:
    """Yield how the blob queue of ``data`` does; ``status`` is a running daemon's."""
    try:
        require_store()
    except CommandError:
        return  # Another check says so.
    from stepwell_daemon.blobs.inspection import inspect_queue

    folder = data / "blobs"
    if not folder.is_dir():
        return
    report = inspect_queue(folder)
    queue = (status or {}).get("blobs") or {}
    waiting = f"{counted(report.waiting, 'blob')} to store, {bytes_text(report.waiting_bytes)}"
    if problem := queue.get("problem"):
        remedy = "fix this; rows are still stored, blobs are stored after the fix"
        yield Finding("blobs", Level.WARN, f"{waiting}: {problem}", remedy)
    elif report.waiting and status is None:
        remedy = "start the daemon; it stores them"
        yield Finding("blobs", Level.WARN, f"{waiting} in {folder}", remedy)
    else:
        yield Finding("blobs", Level.OK, f"{waiting} in {folder}")
    if report.failed:
        yield Finding(
            "blobs",
            Level.WARN,
            f"{count_text(report.failed)} failed; kept in {folder / 'failed'}",
            f"the page gives the reason; delete them if you do not need them{_last(queue)}",
        )


def _last(queue: dict[str, Any]) -> str:
    last = queue.get("last_failure")
    return f". The last one: {last}" if last else ""
