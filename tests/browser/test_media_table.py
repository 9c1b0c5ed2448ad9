"""A logged table on the page: sorted, filtered, searched, with pictures in cells, on a phone."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.axe import findings
from tests.browser.chromium import PHONE, WIDE, enter, post, watched
from tests.browser.hostile import FLAG, HTML
from tests.browser.pictures import assert_drawn, boxed, panel, part_of, picture
from tests.browser.site import Site

ROWS = 300


def cells(shown: Locator, column: int) -> Locator:
    return shown.locator(f"tbody td:nth-child({column})")


def assert_begins(shown: Locator, column: int, texts: list[str]) -> None:
    """The first rows of a column show ``texts``."""
    for at, text in enumerate(texts):
        expect(cells(shown, column).nth(at)).to_have_text(text)


def test_a_long_text_of_a_table_is_read_in_its_row(page: Page, site: Site) -> None:
    """In the run's media, and in a report; the cells have the beginning alone."""
    answer = "line one\n<b>line</b> two 🙂\n" * 100 + "END"
    trainer = site.trainer()
    try:
        trainer.init("prompts", id="prompts-1", name="answers")
        rows = [["first", answer, 1.0], ["second", "short", 0.123456789], [None, "END2", None]]
        trainer.media({"samples": {"columns": ["prompt", "answer", "score"], "rows": rows}})
        site.flush()
        page.goto(f"{site.url}{site.run_path('prompts', 'prompts-1', 'media')}")
        panel(page, "samples").get_by_role("button", name="line one").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading")).to_have_text("samples, row 1")
        assert dialog.locator("dd").nth(1).inner_text() == answer
        assert findings(page) == []
        dialog.get_by_role("button", name="Next row").click()
        expect(dialog.locator("dd")).to_have_text(["second", "short", "0.123456789"])
        dialog.get_by_role("button", name="Next row").click()
        expect(dialog.locator("dd")).to_have_text(["–", "END2", "–"])
        expect(dialog.get_by_role("button", name="Next row")).to_be_disabled()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)

        text = "```stepwell\npanel: table\nmetric: samples\n```\n"
        body = {"title": "Answers", "text": text, "key": "answers-report"}
        report = post(page, site, "/projects/prompts/reports", body)
        page.goto(f"{site.url}{site.run_path('prompts')}/reports/{report['id']}")
        page.get_by_role("table").get_by_role("button", name="line one").click()
        assert dialog.locator("dd").nth(1).inner_text() == answer
        assert findings(page) == []
    finally:
        trainer.close()


def test_a_table_is_sorted_filtered_and_searched(page: Page, site: Site, browser: Browser) -> None:
    trainer = site.trainer()
    try:
        trainer.init("tables", id="tables-1", name="guesses")
        rows = [
            [f"digit {n:03}", n % 7, n / 8, None if n == 2 else n % 2 == 0, picture(n % 5)]
            for n in range(ROWS)
        ]
        columns = ["name", HTML[1], "score", "right", "shown"]
        trainer.media({"guesses": {"columns": columns, "rows": rows}})
        site.flush()
        page.goto(f"{site.url}{site.run_path('tables', 'tables-1', 'media')}")
        shown = panel(page, "guesses")
        expect(shown.get_by_role("status")).to_have_text(f"{ROWS} rows")
        assert_begins(shown, 1, ["digit 000", "digit 001", "digit 002"])
        expect(cells(shown, 4).nth(2)).to_have_attribute("title", "no value")
        assert_drawn(cells(shown, 5).nth(0).locator("img"))
        expect(cells(shown, 5).nth(0).locator("img")).to_have_css("image-rendering", "pixelated")
        assert findings(page) == []

        shown.get_by_role("button", name="score").first.click()
        shown.get_by_role("button", name="score").first.click()
        assert_begins(shown, 1, ["digit 299", "digit 298"])
        shown.get_by_role("button", name="Filter: score").click()
        page.get_by_placeholder("cat, >= 0.5").fill("< 1")
        page.keyboard.press("Enter")
        expect(shown.get_by_role("status")).to_contain_text("8 of 300")
        page.keyboard.press("Escape")
        assert_begins(shown, 1, ["digit 007", "digit 006"])
        shown.get_by_role("button", name="Filter: right").click()
        page.get_by_role("button", name="Hide the column").click()
        expect(shown.locator("thead th")).to_have_count(4)
        page.go_back()
        expect(shown.locator("thead th")).to_have_count(5)
        page.go_forward()
        page.reload()
        expect(shown.locator("thead th")).to_have_count(4)
        assert_begins(shown, 1, ["digit 007", "digit 006"])
        shown.get_by_role("button", name="Show 1 hidden column").click()
        box = shown.get_by_role("searchbox")
        box.press_sequentially("digit ")  # No Enter: it searches while one types.
        expect(page).to_have_url(re.compile("digit"))
        box.press_sequentially("003")
        expect(shown.get_by_role("status")).to_contain_text("1 of 300")
        expect(box).to_have_value("digit 003")
        page.go_back()
        expect(shown.get_by_role("status")).to_have_text("8 of 300 rows")
        expect(box).to_have_value("")
        box.fill("digit 003")
        expect(shown.get_by_role("status")).to_contain_text("1 of 300")
        shown.get_by_role("button", name="Reset").click()
        expect(shown.get_by_role("status")).to_have_text(f"{ROWS} rows")
        assert findings(page) == []
        with page.expect_download() as saved:
            shown.get_by_role("link", name="CSV").click()
        assert saved.value.path().read_text().count('\n"digit ') == ROWS
        assert not page.evaluate(f"'{FLAG}' in window")

        page.goto(f"{site.url}{site.run_path('tables')}/media")
        preview = page.get_by_role("table", name="First rows of guesses")
        expect(preview.locator("tbody tr").nth(1)).to_contain_text("digit 001")
        assert findings(page) == []
        page.get_by_role("button", name="Open table guesses").click()
        opened = page.get_by_role("dialog", name="guesses")
        expect(opened.get_by_role("status")).to_have_text(f"{ROWS} rows")
        assert_begins(opened, 1, ["digit 000", "digit 001"])

        with watched(browser, site.url, size=PHONE, theme="dark") as (context, _):
            phone = context.new_page()
            enter(phone, site.link(site.run_path("tables", "tables-1", "media")))
            assert_begins(panel(phone, "guesses"), 1, ["digit 000"])
            assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
            assert findings(phone) == []
    finally:
        trainer.close()


def test_a_page_in_a_cell_opens_in_an_origin_of_its_own(page: Page, site: Site) -> None:
    made = "<p id=made></p><script>made.textContent='made by script';try{parent." + FLAG
    made += "=1}catch(error){}</script>"
    trainer = site.trainer()
    try:
        trainer.init("cell-pages", id="cell-pages-1", name="pages")
        trainer.media({"pages": {"columns": ["page"], "rows": [[{"html": made}]]}})
        site.flush()
    finally:
        trainer.close()
    page.goto(f"{site.url}{site.run_path('cell-pages', 'cell-pages-1', 'media')}")
    cell = cells(panel(page, "pages"), 1).nth(0)
    expect(cell).to_have_text("HTML page")
    assert page.locator("iframe").count() == 0
    cell.get_by_role("button", name="Open HTML page").click()
    expect(page.locator("iframe")).to_have_attribute("sandbox", "allow-scripts")
    inside = page.frame_locator("iframe").locator("#made")
    expect(inside).to_have_text("made by script")
    assert inside.evaluate("self.origin") == "null"
    assert page.evaluate(f"window.{FLAG}") is None
    height = page.locator("iframe").bounding_box()["height"]  # type: ignore[index]
    assert height > 300, "the page is small"
    assert findings(page) == []


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")])
def test_boxes_are_drawn_over_pictures_in_cells(
    browser: Browser, site: Site, size: tuple[int, int], theme: str
) -> None:
    name = f"cells-{theme}"
    trainer = site.trainer()
    try:
        trainer.init(name, id=f"{name}-1", name="one")
        wide = {**boxed("car"), "image": [[x % 256 for x in range(900)] for _ in range(60)]}
        rows = [[boxed(HTML[0]), 1], [picture(1), 2], [boxed("car"), 3], [wide, 4]]
        trainer.media({"found": {"columns": ["shown", "number"], "rows": rows}})
        site.flush()
    finally:
        trainer.close()

    def assert_boxed(cell: Locator) -> None:
        """The cell has boxes, which are at their places and have no words."""
        expect(cell.locator(".box")).to_have_count(3)
        expect(cell.locator(".box-label")).to_have_count(0)
        found = part_of(cell.locator(".box").first, cell.locator("img"))
        assert found == pytest.approx([0.0, 0.25, 0.5, 0.75], abs=0.03)

    with watched(browser, site.url, size=size, theme=theme) as (context, _):
        page = context.new_page()
        enter(page, site.link(site.run_path(name, f"{name}-1", "media")))
        shown = panel(page, "found")
        assert_boxed(cells(shown, 1).nth(0))
        assert_boxed(cells(shown, 1).nth(2))
        assert_boxed(cells(shown, 1).nth(3))
        expect(cells(shown, 1).nth(1).locator(".box")).to_have_count(0)
        expect(cells(shown, 1).nth(0).locator("img")).to_have_css("height", "32px")
        assert findings(page) == []
        cells(shown, 1).nth(0).get_by_role("button").click()
        large = page.get_by_role("dialog", name="street")
        boxes = large.get_by_role("listitem")
        expect(boxes).to_have_text([f"{HTML[0]} · acc 0.875", "true one", "true one"])
        found = part_of(boxes.first, large.locator("img"))
        assert found == pytest.approx([0.0, 0.25, 0.5, 0.75], abs=0.02)
        assert findings(page) == []
        assert not page.evaluate(f"'{FLAG}' in window")

        page.goto(f"{site.url}{site.run_path(name, tab='media')}")
        preview = page.get_by_role("table", name="First rows of found")
        assert_boxed(cells(preview, 1).nth(0))
        assert_boxed(cells(preview, 1).nth(3))
        expect(cells(preview, 1).nth(0).locator("img")).to_have_css("height", "20px")
        assert findings(page) == []
