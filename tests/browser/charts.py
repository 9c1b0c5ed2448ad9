"""What a chart has drawn, as the page's own engine says it after the drawing."""

from typing import Any

from playwright.sync_api import Locator, Page

from tests.browser.chromium import PATIENCE_MS

_STATE = """
(metric) => {
  const panel = [...document.querySelectorAll("[data-metric]")]
    .find((each) => each.dataset.metric === metric);
  const chart = panel?.querySelector(".chart")?.chart;
  return chart === undefined ? null : chart.debugState();
}
"""


def panel(page: Page, metric: str) -> Locator:
    """Return the panel of ``metric``, which may have any characters."""
    quoted = metric.replace("\\", "\\\\").replace('"', '\\"')
    return page.locator(f'[data-metric="{quoted}"]')


def chart_state(page: Page, metric: str) -> dict[str, Any] | None:
    """Return lines, buckets, the range of x and what else was drawn last; None without a chart."""
    state: dict[str, Any] | None = page.evaluate(_STATE, metric)
    return state


def wait_until_drawn(page: Page, metric: str, *, buckets: int, lines: int = 1) -> dict[str, Any]:
    """Wait until so much is drawn. Below 512 steps a bucket is a step, so each point is one."""
    page.wait_for_function(
        f"([metric, buckets, lines]) => {{ const state = ({_STATE})(metric);"
        " return state !== null && state.buckets === buckets && state.lines === lines; }",
        arg=[metric, buckets, lines],
        timeout=PATIENCE_MS,
    )
    state = chart_state(page, metric)
    assert state is not None
    return state
