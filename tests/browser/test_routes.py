"""Every route, in light and dark, wide and on a phone: no fault, and usable with aids."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from benchmarks.seed import seed
from stepwell_store import connect_embedded
from tests.browser.axe import findings
from tests.browser.chromium import PHONE, WIDE, enter, watched
from tests.browser.site import Site

PROJECT = "routes"


@pytest.fixture(scope="module")
def routes(site: Site) -> Iterator[dict[str, str]]:
    """Names of routes to paths, in a project of seeded runs and one that is running."""
    store = connect_embedded(site.node.data)
    try:
        seed(store, PROJECT, runs=30, steps=200, further=4)
    finally:
        store.close()
    trainer = site.trainer()
    try:
        trainer.init(PROJECT, id="routes-live", name="live", tags=["a", "b"], config={"lr": 0.1})
        trainer.print("a line").print("a warning", error=True)
        trainer.log(*({"train/loss": 1.0 / step, "val/loss": 2.0 / step} for step in range(1, 50)))
        trainer.summary({"best": 0.1})
        site.flush()
        run = site.run_path(PROJECT, "routes-live")
        yield {
            "projects": "/",
            "charts": site.run_path(PROJECT),
            "table": f"{site.run_path(PROJECT)}/table",
            "media": f"{site.run_path(PROJECT)}/media",
            "run charts": run,
            "run media": f"{run}/media",
            "run overview": f"{run}/overview",
            "run logs": f"{run}/logs",
            "run system": f"{run}/system",
            "status": "/status",
            "missing run": site.run_path(PROJECT, "no-such-run"),
            "missing project": "/p/no-such-project",
            "missing page": "/no/such/page/at/all",
        }
    finally:
        trainer.close()


ROUTES = (
    *("projects", "charts", "table", "run charts", "run overview", "run logs", "run system"),
    *("media", "run media", "status", "missing run", "missing project", "missing page"),
)


def opened(page: Page, site: Site, path: str) -> None:
    """Open a path and wait until nothing is loading."""
    enter(page, site.link(path))
    expect(page.locator("main")).to_be_visible()
    expect(page.locator("[aria-busy=true], .skeleton")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ROUTES)
def test_a_route_has_no_fault_and_no_serious_finding_of_axe(
    browser: Browser, site: Site, routes: dict[str, str], name: str, theme: str
) -> None:
    with watched(browser, site.url, theme=theme) as (context, watch):
        if name.startswith("missing"):
            watch.allow(r"status of 404")
        page = context.new_page()
        opened(page, site, routes[name])
        found = findings(page)
        assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_fits_a_phone(
    browser: Browser, site: Site, routes: dict[str, str], name: str
) -> None:
    with watched(browser, site.url, size=PHONE) as (context, watch):
        if name.startswith("missing"):
            watch.allow(r"status of 404")
        page = context.new_page()
        opened(page, site, routes[name])
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{wide} CSS pixels lie beside the screen"
        found = findings(page)
        assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_can_be_used_with_the_keyboard(
    browser: Browser, site: Site, routes: dict[str, str], name: str
) -> None:
    with watched(browser, site.url, size=WIDE) as (context, watch):
        if name.startswith("missing"):
            watch.allow(r"status of 404")
        page = context.new_page()
        opened(page, site, routes[name])
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement !== document.body")
        assert focused, "Tab reaches nothing"
        outline = page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement);"
            " return s.outlineStyle !== 'none' || s.boxShadow !== 'none'; })()"
        )
        assert outline, "the focus cannot be seen"


@pytest.mark.parametrize("name", ["charts", "media"])
def test_a_filter_that_leaves_no_run_says_so_in_place_of_empty_panels(
    page: Page, site: Site, routes: dict[str, str], name: str
) -> None:
    page.goto(f"{site.url}{routes[name]}?q=name%3Anone-of-them")
    main = page.locator("main")
    expect(main.get_by_text("No run matches the filter.")).to_be_visible()
    expect(main.locator(".panel-place, .wall")).to_have_count(0)
    main.get_by_role("button", name="Clear the filter").click()
    expect(main.get_by_text("No run matches the filter.")).to_have_count(0)
    assert "q=" not in page.url


def test_the_wall_says_nothing_of_media_while_it_does_not_know_the_runs(
    page: Page, site: Site, routes: dict[str, str]
) -> None:
    held: list[Route] = []
    page.route("**/runs/query", lambda route: held.append(route))
    page.goto(f"{site.url}{routes['media']}")
    expect(page.locator("main .skeleton")).to_be_visible()
    page.evaluate("fetch('/api/v1/status').then((answer) => answer.text())")  # A while.
    expect(page.get_by_text("has logged media")).to_have_count(0)
    for each in held:
        each.continue_()
    page.unroute("**/runs/query")
    expect(page.get_by_text("has logged media")).to_be_visible()


def test_a_search_typed_before_the_projects_are_there_counts(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("typed early", id="early").log({"loss": 1.0}).finish()
        trainer.init("another project", id="other").log({"loss": 1.0}).finish()
        site.flush()
    finally:
        trainer.close()
    held: list[Route] = []
    page.route(re.compile("/api/v1/projects\\?limit=200$"), lambda route: held.append(route))
    page.goto(f"{site.url}/")
    with page.expect_request(re.compile("search=EARLY")):
        page.get_by_label("Search projects").fill("EARLY")
    for each in held:
        each.continue_()
    expect(page.get_by_role("link", name="typed early")).to_be_visible()
    expect(page.get_by_role("link", name="another project")).to_have_count(0)


def test_a_runs_summary_has_moments_that_people_read(
    page: Page, site: Site, routes: dict[str, str]
) -> None:
    page.goto(f"{site.url}{routes['run overview']}")
    summary = page.get_by_role("region", name="Summary")
    expect(summary).to_contain_text(re.compile(r"_timestamp\s*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"))
