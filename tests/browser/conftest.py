"""One browser and one site for this folder; a profile of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="no playwright here; `pip install '.[dev]'` installs it")

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.chromium import CHROMIUM, PATIENCE_MS, Watch, enter, launched, watched
from tests.browser.site import Site, site_running

PAGE = Path(__file__).parents[2] / "hub" / "stepwell_hub" / "static" / "index.html"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.processes)


# Of the package: Playwright's loop lives in this thread, and other packages' tests run their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(
            "NO BROWSER TEST RUNS: no chromium; scripts/install_test_packages.sh installs it"
        )
    if not PAGE.exists():
        pytest.skip("NO BROWSER TEST RUNS: the page is not built; `make page` builds it")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    """A daemon with its hub, shared: a test takes projects of its own."""
    with site_running("--sample-seconds", "1") as site:
        yield site


@pytest.fixture
def profile(browser: Browser, site: Site) -> Iterator[tuple[BrowserContext, Watch]]:
    with watched(browser, site.url) as found:
        yield found


@pytest.fixture
def watch(profile: tuple[BrowserContext, Watch]) -> Watch:
    return profile[1]


@pytest.fixture
def page(profile: tuple[BrowserContext, Watch], site: Site) -> Page:
    """A page of a browser that is signed in, at the hub's status."""
    page = profile[0].new_page()
    enter(page, site.link("/status"))
    return page
