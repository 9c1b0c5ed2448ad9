"""A page whose hub goes away says so, keeps what it shows, and goes on when the hub is back."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.charts import wait_until_drawn
from tests.browser.chromium import enter, watched
from tests.browser.site import Site, site_running

AWAY = "The hub does not answer"


@pytest.fixture
def lone() -> Iterator[Site]:
    with site_running(own_hub=True) as site:
        yield site


def test_a_page_recovers_from_the_death_of_its_hub(browser: Browser, lone: Site) -> None:
    trainer = lone.trainer()
    try:
        trainer.init("killed", id="killed-1").log({"loss": 1.0})
        lone.flush()
        url = lone.url
        with watched(browser, url) as (context, watch):
            watch.allow(
                r"ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE"
            )
            page = context.new_page()
            enter(page, lone.link(lone.run_path("killed")))
            wait_until_drawn(page, "loss", buckets=1)
            lone.kill_hub()
            expect(page.get_by_text(AWAY)).to_be_visible()
            wait_until_drawn(page, "loss", buckets=1)
            trainer.log({"loss": 0.5})
            lone.start_hub()
            assert lone.url == url
            expect(page.get_by_text(AWAY)).to_have_count(0)
            wait_until_drawn(page, "loss", buckets=2)
    finally:
        trainer.close()
