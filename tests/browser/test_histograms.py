"""Histograms of a run: a heat map and ridges over steps, the one at the cursor, live."""

import math
import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.axe import findings
from tests.browser.charts import panel
from tests.browser.chromium import PATIENCE_MS
from tests.browser.site import Site

BINS = 32
_STATE = """
(metric) => [...document.querySelectorAll("[data-metric]")]
  .find((each) => each.dataset.metric === metric)
  ?.querySelector(".chart")?.histograms?.debugState() ?? null
"""


def histogram(step: int) -> tuple[list[float], list[float]]:
    """Counts of a bell that moves up and becomes narrower."""
    width = 1.0 / (1 + step / 10)
    edges = [-1 + 4 * at / BINS for at in range(BINS + 1)]
    counts = [round(1000 * math.exp(-(((edge - step / 20) / width) ** 2))) for edge in edges[:-1]]
    return [float(count) for count in counts], edges


def wait_until_drawn(page: Page, metric: str, *, rows: int, mode: str = "heat") -> dict[str, Any]:
    page.wait_for_function(
        f"([metric, rows, mode]) => {{ const state = ({_STATE})(metric);"
        " return state !== null && state.rows === rows && state.mode === mode"
        " && state.drawn > 0; }",
        arg=[metric, rows, mode],
        timeout=PATIENCE_MS,
    )
    state: dict[str, Any] = page.evaluate(_STATE, metric)
    return state


def colors(page: Page, metric: str) -> int:
    """Return how many colours the chart of ``metric`` shows."""
    count: int = page.evaluate(
        """(metric) => {
          const found = [...document.querySelectorAll("[data-metric]")]
            .find((each) => each.dataset.metric === metric).querySelector("canvas");
          const data = found.getContext("2d").getImageData(0, 0, found.width, found.height).data;
          return new Set(new Uint32Array(data.buffer)).size;
        }""",
        metric,
    )
    return count


def test_histograms_are_drawn_read_and_followed(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("shapes", id="shapes-1", name="bell")
        trainer.log({"loss": 1.0})
        trainer.histograms(*({"weights/w": histogram(step)} for step in range(30)))
        site.flush()
        page.goto(f"{site.url}{site.run_path('shapes', 'shapes-1')}")
        wait_until_drawn(page, "weights/w", rows=30)
        assert colors(page, "weights/w") > 30
        shown = panel(page, "weights/w")
        expect(shown.locator(".panel-foot")).to_contain_text("30 steps · in 64 equal bins")

        trainer.histograms({"weights/w": histogram(30)})
        wait_until_drawn(page, "weights/w", rows=31)
        trainer.histograms({"weights/v": histogram(3)})
        wait_until_drawn(page, "weights/v", rows=1)

        shown.locator(".chart").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        tip = shown.locator(".histogram-tip")
        expect(tip).to_contain_text("step 2")
        expect(tip).to_contain_text(re.compile(r"k values"))
        expect(shown.locator("[aria-live]")).to_contain_text("step 2")

        shown.get_by_role("button", name="weights/w as ridges").click()
        wait_until_drawn(page, "weights/w", rows=31, mode="ridge")
        shown.get_by_role("button", name="weights/w, log scale").click()
        assert "hm=ridge" in page.url
        page.reload()
        wait_until_drawn(page, "weights/w", rows=31, mode="ridge")
        assert findings(page) == []

        shown.get_by_role("button", name="weights/w as table").click()
        expect(shown.locator("tbody tr")).to_have_count(31)
    finally:
        trainer.close()


def test_a_project_shows_the_histograms_of_one_run_at_a_time(page: Page, site: Site) -> None:
    first, second = site.trainer(), site.trainer()
    try:
        first.init("pair", id="pair-1", name="one").histograms({"w": histogram(1)})
        second.init("pair", id="pair-2", name="two").histograms(
            {"w": histogram(1)}, {"w": histogram(2)}
        )
        third = site.trainer()
        third.init("pair", id="pair-3", name="bare").log({"loss": 1.0})
        third.close()
        site.flush()
        page.goto(f"{site.url}{site.run_path('pair')}")
        choice = panel(page, "w").get_by_role("combobox", name="Run of w")
        choice.select_option("pair-2")
        wait_until_drawn(page, "w", rows=2)
        choice.select_option("pair-1")
        wait_until_drawn(page, "w", rows=1)
        choice.select_option("pair-3")
        expect(panel(page, "w")).to_contain_text("This run has no histograms here")
    finally:
        first.close()
        second.close()
