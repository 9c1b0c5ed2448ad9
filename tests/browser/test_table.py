"""The runs table: filters, edits and deletions go through the hub and stay."""

import re

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.chromium import Watch
from tests.browser.site import Site


def row(page: Page, run_id: str) -> Locator:
    return page.locator(f'tr[data-run="{run_id}"]')


def finished(site: Site, project: str, **rates: float) -> None:
    """Log a finished run per name, with its learning rate."""
    for name, rate in rates.items():
        trainer = site.trainer()
        try:
            trainer.init(project, id=f"{project}-{name}", name=name, config={"lr": rate})
            trainer.log({"val/loss": rate * 10}).finish()
        finally:
            trainer.close()
    site.flush()


def opened(page: Page, site: Site, project: str, query: str = "") -> None:
    page.goto(f"{site.url}{site.run_path(project)}/table{query}")
    expect(page.locator("tr[data-run]").first).to_be_visible()


def edit(page: Page, run_id: str, what: str, text: str) -> None:
    row(page, run_id).hover()
    row(page, run_id).get_by_role("button", name=re.compile(f"^Edit the {what} of")).click()
    field = row(page, run_id).get_by_role("textbox")
    field.fill(text)
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        field.press("Enter")


def test_a_name_and_tags_that_were_edited_stay(page: Page, site: Site) -> None:
    finished(site, "edits", first=0.1)
    opened(page, site, "edits")
    edit(page, "edits-first", "name", "<b>renamed</b>")
    edit(page, "edits-first", "tags", "good, best , good")
    expect(row(page, "edits-first")).to_contain_text("<b>renamed</b>")
    page.reload()
    expect(row(page, "edits-first")).to_contain_text("<b>renamed</b>")
    expect(row(page, "edits-first").locator(".tag")).to_have_text(["good", "best"])


def test_sort_filter_and_columns_are_in_the_address(page: Page, site: Site) -> None:
    finished(site, "sorts", low=0.001, high=0.1, middle=0.01)
    opened(page, site, "sorts")
    page.get_by_role("button", name="lr", exact=True).click()
    expect(page.locator("tr[data-run] a")).to_have_text(["high", "middle", "low"])
    page.get_by_role("searchbox", name="Filter runs").fill("lr<0.05")
    expect(page.locator("tr[data-run] a")).to_have_text(["middle", "low"])
    page.get_by_role("button", name="Columns", exact=True).click()
    page.get_by_role("checkbox", name="duration").first.uncheck()
    expect(page.get_by_role("columnheader", name="duration")).to_have_count(0)
    page.reload()
    expect(page.locator("tr[data-run] a")).to_have_text(["middle", "low"])
    expect(page.get_by_role("columnheader", name="duration")).to_have_count(0)
    expect(page.get_by_role("columnheader", name="lr")).to_have_attribute("aria-sort", "descending")


def test_a_filter_that_cannot_be_read_is_underlined_and_the_rows_stay(
    page: Page, site: Site, watch: Watch
) -> None:
    watch.allow("status of 400")
    finished(site, "filters", only=0.1)
    opened(page, site, "filters")
    box = page.get_by_role("searchbox", name="Filter runs")
    box.fill("state:finished lr<")
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".filter-mirror u")).to_have_text("lr<")
    expect(page.locator(".filter-error")).to_contain_text("lr<")
    expect(row(page, "filters-only")).to_be_visible()
    box.fill("state:finished lr<1")
    expect(box).to_have_attribute("aria-invalid", "false")


def test_columns_of_one_name_and_the_order_of_a_sort_are_told(page: Page, site: Site) -> None:
    finished(site, "twins", first=0.1, second=0.2)
    trainer = site.trainer()
    try:
        trainer.init("twins", id="twins-third", name="third", config={"lr": 0.3})
        trainer.log({"lr": 0.03}).finish()
    finally:
        trainer.close()
    site.flush()
    opened(page, site, "twins", "?c=config.lr,summary.lr")
    page.get_by_role("button", name="lr (config)", exact=True).click()
    page.get_by_role("button", name="Run", exact=True).click(modifiers=["Shift"])
    expect(page.get_by_role("columnheader", name="lr (config)")).to_contain_text("↓1")
    expect(page.get_by_role("columnheader", name="Run", exact=True)).to_contain_text("↓2")
    expect(page.get_by_role("columnheader", name="lr (summary)")).to_be_visible()


def test_an_emptied_name_becomes_the_id(page: Page, site: Site) -> None:
    finished(site, "emptied", first=0.1)
    opened(page, site, "emptied")
    edit(page, "emptied-first", "name", "  ")
    expect(row(page, "emptied-first").get_by_role("link")).to_have_text("emptied-first")
    expect(page.get_by_text("shown by its id, emptied-first")).to_be_visible()
    page.reload()
    expect(row(page, "emptied-first").get_by_role("link")).to_have_text("emptied-first")


def test_a_running_run_is_deleted_only_after_a_second_question(
    page: Page, site: Site, watch: Watch
) -> None:
    watch.allow("status of 409")
    finished(site, "deletes", done=0.1)
    trainer = site.trainer()
    try:
        trainer.init("deletes", id="deletes-live", name="live").log({"loss": 1.0})
        site.flush()
        opened(page, site, "deletes")
        for name in ("live", "done"):
            page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()
        page.get_by_role("button", name="Delete…").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("these 2 runs")
        dialog.get_by_role("button", name="Delete", exact=True).click()
        expect(dialog).to_contain_text("although running")
        expect(row(page, "deletes-done")).to_have_count(0)
        dialog.get_by_role("button", name="Cancel").click()
        expect(row(page, "deletes-live")).to_be_visible()
    finally:
        trainer.close()


def test_archived_runs_leave_the_list_and_are_found_again(page: Page, site: Site) -> None:
    finished(site, "archive", old=0.1, new=0.2)
    opened(page, site, "archive")
    page.get_by_role("checkbox", name="Select old", exact=True).check()
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(row(page, "archive-old")).to_have_count(0)
    page.get_by_role("button", name="Archived", exact=True).click()
    expect(row(page, "archive-old")).to_be_visible()


@pytest.mark.parametrize(("name", "field"), [("=1+1", "'=1+1"), ('a "b", c', '"a ""b"", c"')])
def test_the_copy_is_safe_for_spreadsheets(
    profile: tuple[BrowserContext, Watch], page: Page, site: Site, name: str, field: str
) -> None:
    profile[0].grant_permissions(["clipboard-read", "clipboard-write"])
    project = f"copy-{len(name)}"
    trainer = site.trainer()
    try:
        trainer.init(project, id=project, name=name, config={"lr": 0.1}).log({"loss": 1.0})
        trainer.finish()
    finally:
        trainer.close()
    site.flush()
    opened(page, site, project, "?c=config.lr")
    page.get_by_role("button", name="Copy CSV").click()
    expect(page.get_by_text("1 run is copied as CSV")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"run_id,name,config.lr\r\n{project},{field},0.1\r\n"
