"""A report on the page: written beside its preview, saved, read live, kept when two people save."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import findings
from tests.browser.chromium import PHONE, WIDE, Watch, enter, post, watched
from tests.browser.hostile import FLAG, HTML
from tests.browser.pictures import boxed, part_of
from tests.browser.site import Site

PROJECT = "reports"
TEXT = """# Results of the runs

Lower **rates** won <script>window.__pwned = 1</script> [x](javascript:window.__pwned=1)

```stepwell
panel: line
metrics: loss, nosuch
```

```stepwell
panel: runs
columns: config.lr, metric.loss:min
```

```stepwell
panel: runs
limit: 1
title: One
```

```stepwell
panel: value
metric: loss
best: min
```

```stepwell
panel: media
metric: samples
```

```stepwell
panel: table
metric: guesses
rows: 2
```

```stepwell
panel: histogram
metric: gradients
```

```stepwell
panel: line
metrics: loss
limits: 3
```
"""
PICTURE = [[[0, 128, 255]] * 8] * 8


def logged(site: Site) -> None:
    trainer = site.trainer()
    try:
        rows = [[number, {"image": PICTURE, "caption": f"cat {number}"}] for number in range(3)]
        for rate in (0.1, 0.01):
            trainer.init(PROJECT, name=f"rate {rate}", config={"lr": rate})
            trainer.log(*({"loss": rate + 1 / step} for step in range(1, 20)))
            trainer.histograms({"gradients": ([1.0, 2.0], [0.0, 1.0, 2.0])})
            trainer.media({"samples": [{"image": PICTURE, "caption": "blue"}]})
            trainer.media({"guesses": {"columns": ["id", "guess"], "rows": rows}}).finish()
        site.flush()
    finally:
        trainer.close()
    site.flush()


def test_a_report_is_written_saved_read_and_kept_when_two_save(
    browser: Browser, site: Site, page: Page, watch: Watch, tmp_path: Path
) -> None:
    logged(site)
    page.goto(f"{site.url}{site.run_path(PROJECT)}/reports")
    expect(page.get_by_role("main")).to_contain_text("No report yet")
    page.get_by_role("button", name="New report").click()
    text = page.get_by_label("Text of the report")
    page.get_by_label("Title of the report").fill("Rates")
    text.fill(TEXT)
    state = page.locator(".save-state")
    expect(state).to_have_text("Unsaved changes")

    preview = page.get_by_role("region", name="Preview")
    wrong = preview.get_by_role("region", name="A panel that is not drawn")
    expect(wrong).to_contain_text("no field 'limits'")
    line = TEXT.splitlines().index("limits: 3") + 1
    wrong.get_by_role("button", name=f"Line {line}").click()
    assert text.evaluate("e => e.value.slice(e.selectionStart, e.selectionEnd)") == "limits: 3"
    page.keyboard.press("Control+s")
    expect(state).to_have_text(re.compile("^Saved"))
    expect(page.locator("h1.crumbs")).to_contain_text("Rates")
    expect(page).to_have_title(re.compile("^Edit · Rates · "))
    assert findings(page) == []

    page.get_by_role("link", name="Read", exact=True).click()
    shown = page.locator(".report-document")
    expect(shown).to_contain_text("<script>window.__pwned = 1</script> [x](javascript:")
    assert page.evaluate("window.__pwned") is None
    expect(shown.locator('.panel[data-metric="loss"][data-series="2"]')).to_have_attribute(
        "data-ready", "true"
    )
    note = shown.get_by_text("These runs have no metric nosuch")
    charts = shown.locator(".report-charts").first
    expect(charts.locator(".panel-foot")).to_contain_text("over step")
    following = shown.locator('[data-panel="runs"]').first
    tops = [each.bounding_box() for each in (note, charts, following)]
    (above, line, below) = (each for each in tops if each is not None)
    assert above["y"] + above["height"] <= line["y"]
    assert line["y"] + line["height"] <= below["y"]
    rows = shown.locator('[data-panel="runs"]').first.locator("tbody tr")
    expect(rows).to_have_count(2)
    one = shown.get_by_role("region", name="One", exact=True)
    expect(one.locator("tbody tr")).to_have_count(1)
    expect(one).to_contain_text("The newest 1 of 2 runs (limit: 1)")
    expect(rows.first).to_contain_text("rate 0.01")
    number = shown.locator('[data-panel="value"]')
    expect(number).to_contain_text("0.062632")
    expect(number.get_by_role("link")).to_have_text("rate 0.01")
    expect(shown.get_by_role("img", name=re.compile("blue"))).to_have_count(2)
    table = shown.get_by_role("group", name="Table guesses")
    expect(table.locator("tbody tr")).to_have_count(2)
    small = table.get_by_role("img", name="cat 0")
    expect(small).to_have_css("height", "64px")
    expect(small).to_have_css("width", "64px")
    expect(small).to_have_css("image-rendering", "pixelated")
    shown.locator('[data-panel="histogram"]').scroll_into_view_if_needed()
    histogram = shown.locator('.panel[data-metric="gradients"]')
    expect(histogram).to_have_attribute("data-rows", "1")
    expect(shown.get_by_text("This panel is not drawn")).to_be_visible()
    address = page.url
    export(browser, page, tmp_path)
    two_save(page, address, watch)

    with watched(browser, site.url, theme="dark", size=PHONE) as (context, _):
        phone = context.new_page()
        enter(phone, site.link(address.removeprefix(site.url)))
        expect(phone.locator('.panel[data-metric="loss"]')).to_have_attribute("data-ready", "true")
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert findings(phone) == []


def export(browser: Browser, page: Page, folder: Path) -> None:
    """The exported file opens without a hub, and shows the same."""
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export").click()
    assert downloading.value.suggested_filename == "Rates.html"
    target = folder / "rates.html"
    downloading.value.save_as(target)
    for theme in ("light", "dark"):
        with watched(browser, "file://", theme=theme) as (context, _):
            context.set_offline(True)
            shown = context.new_page()
            shown.goto(target.as_uri())
            expect(shown.locator("svg.chart")).to_have_count(2)
            expect(shown.locator("path.line")).to_have_count(2)
            expect(shown.locator("body")).to_contain_text("<script>window.__pwned = 1</script>")
            expect(shown.locator(".media img[src^='data:image/png']")).to_have_count(2)
            expect(shown.locator("td img[src^='data:image/png']")).to_have_count(2)
            assert shown.locator("img").first.evaluate("e => e.naturalWidth") == 8
            assert findings(shown) == []


def two_save(page: Page, address: str, watch: Watch) -> None:
    """Of two editors the later one is told, keeps its text, and saves it over the other's."""
    watch.allow("409")
    page.goto(f"{address}/edit")
    context = page.context
    other = context.new_page()
    other.goto(f"{address}/edit")
    mine, theirs = (each.get_by_label("Text of the report") for each in (page, other))
    theirs.fill("theirs")
    other.get_by_role("button", name="Save", exact=True).click()
    expect(other.locator(".save-state")).to_have_text(re.compile("^Saved"))
    other.close()
    mine.fill("mine")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Your text below is not saved")
    expect(mine).to_have_value("mine")
    page.get_by_role("button", name="Save my text over it").click()
    expect(page.locator(".save-state")).to_have_text(re.compile("^Saved"))

    mine.fill("mine, unsaved")
    watch.allow("dialog")
    page.get_by_role("link", name="Leave", exact=True).click()  # The test's browser says no.
    expect(mine).to_have_value("mine, unsaved")
    page.close()
    page = context.new_page()
    page.goto(f"{address}/edit")
    expect(page.get_by_role("main")).to_contain_text("Unsaved text of")
    mine = page.get_by_label("Text of the report")
    expect(mine).to_have_value("mine, unsaved")
    page.get_by_role("button", name="Discard it").click()
    expect(mine).to_have_value("mine")

    page.goto(address)
    page.get_by_role("button", name="Versions").click()
    page.get_by_role("dialog").get_by_role("link", name="2", exact=True).click()
    expect(page.locator(".report-document")).to_contain_text("Results of the runs")
    page.get_by_role("button", name="Restore this version").click()
    expect(page.get_by_role("button", name="Versions")).to_be_visible()
    expect(page.locator(".report-page .fact").first).to_contain_text("version 5")


def test_a_project_with_only_a_report_is_found_in_the_list(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("with a run").log({"loss": 1.0}).finish()
        site.flush()
    finally:
        trainer.close()
    body = {"title": "Plan", "text": "# Plan", "key": "plan-of-no-run"}
    post(page, site, "/projects/plans%20alone/reports", body)
    page.goto(f"{site.url}/")
    others = page.get_by_role("region", name="Projects without runs")
    expect(others.get_by_role("link", name="with a run")).to_have_count(0)
    page.get_by_label("Search projects").fill("PLANS")
    expect(page.get_by_role("link", name="with a run")).to_have_count(0)
    others.get_by_role("link", name="plans alone").click()
    page.get_by_role("link", name="Reports", exact=True).click()
    # Exactly: the name of the project contains it.
    expect(page.get_by_role("link", name="Plan", exact=True)).to_be_visible()
    assert findings(page) == []


BOXED = """```stepwell
panel: media
metric: street
```

```stepwell
panel: table
metric: found
```
"""


def test_boxes_are_in_the_exported_file(
    browser: Browser, site: Site, page: Page, tmp_path: Path
) -> None:
    trainer = site.trainer()
    try:
        trainer.init("boxed reports", name="detector")
        trainer.histograms(*({"gradients": ([1.0, float(at)], [0.0, 1.0, 2.0])} for at in range(9)))
        table = {"columns": ["shown"], "rows": [[boxed("car")]]}
        trainer.media({"street": [boxed(HTML[0]), boxed("car")], "found": table})
        site.flush()
    finally:
        trainer.close()
    body = {"title": "Boxes", "text": BOXED, "key": "boxes-of-a-report"}
    report = post(page, site, "/projects/boxed%20reports/reports", body)
    page.goto(f"{site.url}{site.run_path('boxed reports')}/reports/{report['id']}")
    predicted = [0.0, 0.25, 0.5, 0.75]
    cell = page.get_by_role("group", name="Table found").locator("tbody td").first
    expect(cell.locator(".box")).to_have_count(3)
    expect(cell.locator("img")).to_have_css("height", "64px")
    assert part_of(cell.locator(".box").first, cell.locator("img")) == pytest.approx(
        predicted, abs=0.03
    )
    live = page.locator(".report-media .box")
    expect(live).to_have_count(6)
    colors = [each.evaluate("e => getComputedStyle(e).color") for each in live.all()]
    lines = [each.evaluate("e => getComputedStyle(e).borderStyle") for each in live.all()]
    assert findings(page) == []

    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export").click()
    target = tmp_path / "boxes.html"
    downloading.value.save_as(target)
    for theme, size in (("light", WIDE), ("dark", WIDE), ("dark", PHONE)):
        with watched(browser, "file://", theme=theme, size=size) as (context, _):
            context.set_offline(True)
            shown = context.new_page()
            shown.goto(target.as_uri())
            picture = shown.get_by_role("figure").filter(has=shown.get_by_role("img")).first
            boxes = picture.get_by_role("listitem")
            expect(boxes).to_have_text([HTML[0], "true one", "true one"])
            expect(boxes.first).to_have_attribute("title", f"predictions: {HTML[0]} · acc 0.875")
            found = part_of(boxes.first, picture.locator("img"))
            assert found == pytest.approx(predicted, abs=0.02)
            cell_box = shown.locator("td .box")
            expect(cell_box).to_have_count(3)
            found = part_of(cell_box.first, shown.locator("td img"))
            assert found == pytest.approx(predicted, abs=0.03)
            drawn = shown.locator(".media .box").all()
            assert [each.evaluate("e => getComputedStyle(e).color") for each in drawn] == colors
            styles = [each.evaluate("e => getComputedStyle(e).borderStyle") for each in drawn]
            assert styles == lines
            assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert not shown.evaluate(f"'{FLAG}' in window")
            assert findings(shown) == []


def test_ridges_are_in_the_exported_file(
    browser: Browser, site: Site, page: Page, tmp_path: Path
) -> None:
    trainer = site.trainer()
    try:
        trainer.init("ridges", name="shapes")
        rows = [([10.0, float(at), 1.0], [0.0, 1.0, 2.0, 3.0]) for at in range(9)]
        trainer.histograms(*({"gradients": row} for row in rows))
        site.flush()
    finally:
        trainer.close()
    text = "```stepwell\npanel: histogram\nmetric: gradients\nmode: ridge\n```\n"
    report = post(
        page,
        site,
        "/projects/ridges/reports",
        {"title": "Ridges", "text": text, "key": "ridges-of-a-report"},
    )
    page.goto(f"{site.url}{site.run_path('ridges')}/reports/{report['id']}")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export").click()
    target = tmp_path / "ridges.html"
    downloading.value.save_as(target)
    for theme, size in (("light", WIDE), ("dark", PHONE)):
        with watched(browser, "file://", theme=theme, size=size) as (context, _):
            context.set_offline(True)
            shown = context.new_page()
            shown.goto(target.as_uri())
            chart = shown.get_by_role("img", name="9 histograms of gradients over steps")
            expect(chart.locator("path.ridge")).to_have_count(9)
            expect(chart.locator("rect")).to_have_count(0)
            expect(chart.locator("text.y").last).to_have_text("8")
            expect(shown.locator("body")).to_contain_text("9 of 9 steps")
            # The first bin of the first ridge, 10 of 11 values, rises to the top of the chart.
            assert chart.locator("path.ridge").first.evaluate("e => e.getBBox().y") < 11
            assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert findings(shown) == []
