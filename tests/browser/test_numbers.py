"""Numbers at the ends of what a float can be, in charts on all scales."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.charts import panel
from tests.browser.site import Site, Trainer


@pytest.fixture
def trainer(site: Site) -> Iterator[Trainer]:
    trainer = site.trainer()
    yield trainer
    trainer.close()


def test_the_largest_and_smallest_numbers_are_drawn_on_every_scale(
    page: Page, site: Site, trainer: Trainer
) -> None:
    trainer.init("extremes", id="extremes-1").log(
        *(
            {"large": 1e308, "small": 5e-324, "both": 1e308 * (-1) ** step, "x": 1.7e308 * step}
            for step in range(-1, 2)
        )
    )
    site.flush()
    for choice in ("y=log", "y=symlog", "y=linear", "x=metric:x&y=log", "x=metric:small&y=log"):
        page.goto(f"{site.url}{site.run_path('extremes', 'extremes-1')}?{choice}")
        for name in ("large", "small", "both"):
            panel(page, name).scroll_into_view_if_needed()
            expect(panel(page, name)).to_have_attribute("data-ready", "true")


def test_the_table_of_a_chart_has_all_rows_and_says_that_they_are_not_smoothed(
    page: Page, site: Site, trainer: Trainer
) -> None:
    trainer.init("rows", id="rows-1").log(*({"loss": 1 / (step + 1)} for step in range(300)))
    site.flush()
    page.goto(f"{site.url}{site.run_path('rows', 'rows-1')}?sm=10")
    shown = panel(page, "loss")
    expect(shown.locator(".panel-foot")).to_contain_text("smoothed")
    shown.get_by_role("button", name="loss as table").click()
    expect(shown.locator("tbody tr")).to_have_count(300)
    expect(shown.locator(".chart-table-note")).to_have_text("values are not smoothed")
    expect(shown.locator(".panel-foot")).not_to_contain_text("smoothed")


def test_a_panel_whose_logarithmic_axis_shows_nothing_says_so(
    page: Page, site: Site, trainer: Trainer
) -> None:
    trainer.init("negative", id="negative-1").log(*({"loss": -1.0 - step} for step in range(5)))
    site.flush()
    page.goto(f"{site.url}{site.run_path('negative', 'negative-1')}?y=log")
    shown = panel(page, "loss")
    expect(shown).to_have_attribute("data-ready", "true")
    text = shown.get_by_text("No positive values for the logarithmic y axis")
    expect(text).to_be_visible()
    page.goto(f"{site.url}{site.run_path('negative', 'negative-1')}?y=symlog")
    expect(shown).to_have_attribute("data-ready", "true")
    expect(text).to_have_count(0)
