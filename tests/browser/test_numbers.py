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
