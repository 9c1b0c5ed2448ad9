"""The page: whether its catalog answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.page import catalog_problem


def catalog(fields: dict[str, Any]) -> Iterator[Finding]:
    """Yield what the daemon's hub reports about its catalog."""
    url, folder = fields.get("page_url"), fields.get("hub_folder")
    if not url or not folder:
        return
    if problem := catalog_problem(str(url), Path(folder)):
        yield Finding("page", Level.FAIL, *problem)
