"""The console of a run on the page: all lines are reached, found and shown as text."""

from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import Watch
from tests.browser.site import Site

PROJECT = "logs"
RUN = "logs-1"
LINES = 3000
AT_ONCE = 1000
"""More at once are left out by the SDK."""


@pytest.fixture(scope="module")
def console(site: Site) -> str:
    """The path of the logs of a run that printed LINES lines and two others."""
    trainer = site.trainer()
    try:
        trainer.init(PROJECT, id=RUN, name="printing")
        for start in range(0, LINES, AT_ONCE):
            numbers = range(start, start + AT_ONCE)
            trainer.print("\n".join(f"line {number} of the run" for number in numbers))
            trainer.log({"printed": start})
        trainer.print("\x1b[1;31mred\x1b[0m plain <i>text</i>")
        trainer.print("a warning", error=True)
        trainer.finish()
    finally:
        trainer.close()
    site.flush()
    return site.run_path(PROJECT, RUN, "logs")


def opened(page: Page, site: Site, path: str) -> None:
    page.goto(f"{site.url}{path}")
    expect(page.get_by_text("a warning")).to_be_visible()


def test_it_opens_at_the_end_and_jumps_to_a_moment(page: Page, site: Site, console: str) -> None:
    opened(page, site, console)
    expect(page.get_by_text(f"{LINES + 2:,} lines")).to_be_visible()
    assert page.locator(".log-line").count() < 200
    early = datetime.now() - timedelta(hours=1)
    page.get_by_label("Show the lines of this moment").fill(f"{early:%Y-%m-%dT%H:%M:%S}")
    expect(page.get_by_text("line 0 of the run", exact=True)).to_be_visible()
    page.get_by_role("button", name="To the end").click()
    expect(page.get_by_text("a warning")).to_be_visible()


def test_the_hub_searches_all_lines(page: Page, site: Site, console: str, watch: Watch) -> None:
    watch.allow("status of 400")
    opened(page, site, console)
    box = page.get_by_role("searchbox", name="Search the console")
    box.fill(r"line 1\d of")
    expect(page.get_by_text("10 lines")).to_be_visible()
    expect(page.locator("mark").first).to_have_text("line 10 of")
    box.fill("((")
    expect(page.locator(".search-error")).to_contain_text("((")
    expect(page.get_by_text("line 10 of the run")).to_be_visible()
    box.fill("no such line")
    page.get_by_role("button", name="Show all lines").click()
    expect(page.get_by_text("a warning")).to_be_visible()
    expect(box).to_have_value("")


def test_codes_of_a_terminal_become_colours_and_marks_stay_text(
    page: Page, site: Site, console: str
) -> None:
    opened(page, site, console)
    expect(page.locator(".log-line .ansi-red.ansi-bold")).to_have_text("red")
    expect(page.get_by_text("plain <i>text</i>")).to_be_visible()


def test_one_stream_alone_is_shown(page: Page, site: Site, console: str) -> None:
    opened(page, site, console)
    page.get_by_label("Stream").select_option("stderr")
    expect(page.locator(".log-line")).to_have_count(1)
    expect(page.locator(".log-line")).to_contain_text("a warning")
    page.reload()
    expect(page.locator(".log-line")).to_have_count(1)
