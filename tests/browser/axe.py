"""axe-core, run in the page that a test looks at."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "hub" / "web" / "node_modules" / "axe-core" / "axe.min.js"


@cache
def _source() -> str:
    if not AXE.is_file():
        pytest.skip("no axe-core here; `npm ci --ignore-scripts` in hub/web installs it")
    return AXE.read_text("utf-8")


def findings(page: Page) -> list[str]:
    """Return one line for each place where axe finds something serious or critical."""
    page.evaluate(_source())
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} ({node['failureSummary']})"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:5]
    ]


def assert_fits(page: Page) -> None:
    """Nothing lies beside the screen, and axe finds nothing serious."""
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{wide} CSS pixels lie beside the screen"
    found = findings(page)
    assert not found, "\n".join(found)
