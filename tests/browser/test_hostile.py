"""Names, tags, values and log lines come from anybody: they are shown as text and do nothing."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.charts import panel, wait_until_drawn
from tests.browser.chromium import Watch, text_of
from tests.browser.hostile import FLAG, HTML, TEXTS
from tests.browser.site import Site

PROJECT = HTML[1]
RUN = HTML[0]


@pytest.fixture(scope="module")
def hostile(site: Site) -> Iterator[Site]:
    """A project in which everything that a user may name has a name that would do harm."""
    trainer = site.trainer()
    try:
        trainer.init(
            PROJECT,
            id="hostile-1",
            name=RUN,
            notes="\n".join(HTML),
            tags=[text[:60] for text in HTML],
            group=HTML[2],
            job_type=HTML[3],
            config={**{text: text for text in TEXTS}, "nested": {HTML[0]: {HTML[1]: HTML[2]}}},
        )
        trainer.log({name: 1.0 for name in HTML}, {name: 0.5 for name in HTML})
        trainer.log({f"text/{number}": text for number, text in enumerate(HTML)})
        trainer.summary({f"summary {text}": text for text in HTML})
        for text in TEXTS:
            trainer.print(text)
            trainer.print(text, error=True)
        trainer.finish()
        site.flush()
    finally:
        trainer.close()
    return site  # type: ignore[return-value]


def assert_harmless(page: Page, site: Site) -> None:
    assert page.evaluate(f"window.{FLAG}") is None, "a name ran as a script"
    assert page.url.startswith(f"{site.url}/"), "a name led away"
    assert page.locator("iframe, base, svg[onload], img[onerror], meta[http-equiv]").count() == 0
    assert page.locator("a[href^='javascript:' i]").count() == 0


def test_the_project_and_its_runs_are_shown_as_text(page: Page, hostile: Site) -> None:
    page.goto(f"{hostile.url}/")
    page.get_by_role("link", name=PROJECT, exact=True).click()
    expect(page.locator('[data-run="hostile-1"]').first).to_contain_text(RUN)
    assert_harmless(page, hostile)


@pytest.mark.parametrize("name", HTML)
def test_metrics_are_drawn_under_their_names(page: Page, hostile: Site, name: str) -> None:
    page.goto(f"{hostile.url}{hostile.run_path(PROJECT, 'hostile-1')}")
    page.get_by_role("searchbox", name="Search metrics").fill(re.escape(name))
    wait_until_drawn(page, name, buckets=2)
    expect(panel(page, name)).to_contain_text(name)
    assert_harmless(page, hostile)


@pytest.mark.parametrize("tab", ["", "overview", "media", "logs", "system"])
def test_every_tab_of_the_run_is_harmless(page: Page, hostile: Site, tab: str) -> None:
    page.goto(f"{hostile.url}{hostile.run_path(PROJECT, 'hostile-1', tab)}")
    expect(page.locator("main")).to_contain_text(RUN)
    assert_harmless(page, hostile)


def test_the_log_shows_every_line_as_it_was_printed(page: Page, hostile: Site) -> None:
    page.goto(f"{hostile.url}{hostile.run_path(PROJECT, 'hostile-1', 'logs')}")
    for text in HTML:
        expect(page.get_by_text(text, exact=True).first).to_be_attached()
    assert_harmless(page, hostile)


def test_the_overview_shows_config_and_tags_as_text(page: Page, hostile: Site) -> None:
    page.goto(f"{hostile.url}{hostile.run_path(PROJECT, 'hostile-1', 'overview')}")
    for text in HTML[:8]:
        expect(page.get_by_text(text[:60]).first).to_be_attached()
    assert_harmless(page, hostile)


def test_the_table_with_every_config_column_is_harmless(page: Page, hostile: Site) -> None:
    page.goto(f"{hostile.url}{hostile.run_path(PROJECT)}/table")
    expect(page.locator('[data-run="hostile-1"]').first).to_contain_text(RUN)
    assert_harmless(page, hostile)


@pytest.mark.parametrize("text", [*HTML, "%", "%00", "\\", "((((", '"', "a|", 'name~"("'])
def test_a_hostile_address_opens_the_page(
    page: Page, hostile: Site, watch: Watch, text: str
) -> None:
    watch.allow(r"status of 4(00|04|22)")  # The filter is wrong, and there is no such project.
    path = hostile.run_path(PROJECT)
    page.goto(f"{hostile.url}{path}?q={quote(text, safe='')}")
    expect(page.get_by_role("searchbox", name="Filter runs")).to_have_value(text)
    assert_harmless(page, hostile)
    page.goto(f"{hostile.url}{hostile.run_path(text)}")
    expect(page.locator("main")).not_to_be_empty()
    assert_harmless(page, hostile)
    assert text_of(page)
