"""Only the printed link signs a browser in, once; everybody else sees how to get one."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import Watch, watched
from tests.browser.site import Site

REFUSED = r"status of 401"


@pytest.mark.parametrize("path", ["/", "/p/some", "/p/some/table", "/p/some/runs/one", "/status"])
def test_a_browser_that_is_not_signed_in_gets_the_login_page(
    browser: Browser, site: Site, path: str
) -> None:
    with watched(browser, site.url) as (context, watch):
        watch.allow(REFUSED)
        page = context.new_page()
        page.goto(f"{site.url}{path}")
        expect(page.locator("body")).to_contain_text("stepwell open")
        assert context.request.get(f"{site.url}/api/v1/projects").status == 401


def test_a_link_signs_in_leaves_a_clean_address_and_works_once(
    browser: Browser, site: Site
) -> None:
    link = site.link("/status")
    with watched(browser, site.url) as (context, _):
        page = context.new_page()
        page.goto(link)
        page.wait_for_url(f"{site.url}/status")
        expect(page.get_by_role("navigation").first).to_be_visible()
        (cookie,) = context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert site.key not in cookie["value"]
        assert page.evaluate("document.cookie") == ""
    with watched(browser, site.url) as (context, watch):
        watch.allow(REFUSED)
        page = context.new_page()
        page.goto(link)
        expect(page.locator("body")).to_contain_text("stepwell open")
        assert context.cookies() == []


def test_a_page_whose_cookie_is_gone_says_how_to_sign_in(
    page: Page, site: Site, watch: Watch
) -> None:
    watch.allow(REFUSED)
    page.context.clear_cookies()
    page.goto(f"{site.url}/")
    expect(page.locator("body")).to_contain_text("stepwell open")


def test_log_out_ends_the_session_of_this_browser(page: Page, site: Site, watch: Watch) -> None:
    watch.allow(REFUSED)
    page.goto(f"{site.url}/status")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="This browser is not signed in")).to_be_visible()
    assert page.context.cookies() == []
    page.goto(f"{site.url}/")
    expect(page.locator("body")).to_contain_text("stepwell open")
