"""Charts that a script logs with `plot`: drawn on the page, with their values, and as tables."""

import subprocess
import sys

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.axe import findings
from tests.browser.chromium import PHONE, enter, watched
from tests.browser.hostile import HTML
from tests.browser.pictures import panel
from tests.browser.site import Site

_SCRIPT = """
import sys
import stepwell
from stepwell import Table, plot

HTML = sys.argv[1]
points = Table(columns=["epoch", "loss", "split"])
for split in ("train", HTML):
    for epoch in range(5):
        points.add_data(epoch, 1 / (epoch + 1) + (split == HTML), split)
points.add_data(5, None, "train")
points.add_data(5, float("nan"), "train")
classes = Table(columns=["class", "accuracy"], data=[["cat", 0.75], ["dog", -0.5], [HTML, 1]])
rows = Table(columns=["score"], data=[[each % 7] for each in range(12_000)])
truths = [0, 0, 0, 1, 1, 2]
scores = [[8, 1, 1], [7, 2, 1], [1, 8, 1], [1, 7, 2], [1, 8, 1], [1, 1, 8]]
many = list(range(150))
many_names = [f"class {each}" for each in many]
many_rows = [[f"line {each // 1531}", each % 1531, each] for each in range(15_310)]
many_lines = Table(columns=["name", "x", "y"], data=many_rows)
with stepwell.init(project="drawn", id="drawn-1", name="drawn") as run:
    run.log({
        "bars": plot.bar(classes, "class", "accuracy", title="Accuracy"),
        "bins": plot.histogram(rows, "score", title="Scores"),
        "dots": plot.scatter(points, "epoch", "loss", title="Dots"),
        "lines": plot.line(points, "epoch", "loss", stroke="split", title="Loss"),
        "many": plot.confusion_matrix(y_true=many, preds=many, class_names=many_names),
        "thin": plot.line(many_lines, "x", "y", stroke="name"),
        "matrix": plot.confusion_matrix(probs=scores, y_true=truths, class_names=["a", "b", HTML]),
        "one": plot.line(Table(columns=["x", "y"], data=[[3, 4]]), "x", "y"),
        "other": plot.plot_table("me/own", classes, {"x": "class"}),
        "pr": plot.pr_curve(truths, scores, labels=["a", "b", "c"]),
        "roc": plot.roc_curve(truths, scores, labels=["a", "b", "c"]),
        "series": plot.line_series([0, 1], [[1, 2], [2, 1]], ["up", "down"], xname="time"),
    })
"""

_REPORT = """# Charts

```stepwell
panel: media
metric: matrix
```
"""


def drawing(page: Page, metric: str) -> Locator:
    """The chart in a panel, near the screen and drawn."""
    chart = panel(page, metric).locator(".tablechart-area[role=group]")
    panel(page, metric).scroll_into_view_if_needed()
    expect(chart.locator("svg")).to_be_visible()
    return chart


def tip(chart: Locator) -> Locator:
    return chart.locator(".tablechart-tip")


def test_each_kind_of_chart_is_drawn_with_its_values(
    page: Page, site: Site, browser: Browser
) -> None:
    subprocess.run(
        [sys.executable, "-c", _SCRIPT, HTML[0]],
        env=site.node.environment,
        check=True,
        timeout=120,
    )
    site.flush()
    page.set_viewport_size({"width": 1440, "height": 6000})  # All panels are near the screen.
    page.goto(f"{site.url}{site.run_path('drawn', 'drawn-1', 'media')}")

    lines = drawing(page, "lines")
    expect(lines).to_have_attribute("aria-label", "Lines Loss")
    expect(lines.locator("path.line")).to_have_count(2)
    expect(lines.locator(".axis-title")).to_have_text(["epoch", "loss"])
    legend = panel(page, "lines").get_by_role("list", name="Lines")
    expect(legend.get_by_role("listitem")).to_have_text(["train", HTML[0]])
    expect(panel(page, "lines")).to_contain_text("2 rows without a number")
    lines.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(tip(lines).locator("p")).to_have_text(["train", "epoch 1", "loss 0.5"])
    expect(lines.locator("[aria-live]")).to_have_text("train, epoch 1, loss 0.5")
    page.keyboard.press("ArrowUp")
    expect(tip(lines).locator("p")).to_have_text([HTML[0], "epoch 1", "loss 1.5"])

    series = drawing(page, "series")
    expect(series.locator("path.line")).to_have_count(2)
    expect(series.locator(".axis-title")).to_have_text(["time", "y"])
    expect(drawing(page, "one").locator("path.dots")).to_have_count(1)
    dots = drawing(page, "dots").locator("path.dots")
    assert (dots.get_attribute("d") or "").count("M") == 10

    roc = drawing(page, "roc")
    expect(roc.locator("path.line")).to_have_count(3)
    expect(roc.locator("path.diagonal")).to_have_count(1)
    expect(roc.locator(".axis-title")).to_have_text(["False positive rate", "True positive rate"])
    pr = drawing(page, "pr")
    expect(pr.locator("path.line")).to_have_count(3)
    expect(pr.locator("path.diagonal")).to_have_count(0)
    expect(pr.locator(".axis-title")).to_have_text(["Recall", "Precision"])

    bars = drawing(page, "bars")
    expect(bars.locator(".bar .value")).to_have_text(["0.75", "-0.5", "1"])
    bars.locator(".bar rect").nth(1).hover()
    expect(tip(bars).locator("p")).to_have_text(["class dog", "accuracy -0.5"])

    bins = drawing(page, "bins")
    expect(bins.locator("rect.bin")).to_have_count(7)
    expect(panel(page, "bins")).to_contain_text("10,000 of 12,000 rows, evenly spread")
    bins.locator("rect.bin").nth(0).hover()
    expect(tip(bins).locator("p")).to_have_text(["score 0 to 1", "1,439 rows"])

    matrix = drawing(page, "matrix")
    expect(matrix.locator(".cell text")).to_have_text(["2", "1", "0", "0", "2", "0", "0", "0", "1"])
    matrix.locator(".cell text").nth(1).hover()
    expect(tip(matrix).locator("p")).to_have_text(
        ["Actual a", "Predicted b", "1, 33.3 % of actual a"]
    )
    many = drawing(page, "many")
    expect(many.locator(".cell")).to_have_count(150)
    many.focus()
    page.keyboard.press("End")
    expect(tip(many).locator("p").last).to_have_text("1, 100 % of actual class 149")
    expect(drawing(page, "thin").locator("path.line")).to_have_count(10)
    expect(panel(page, "other").get_by_role("status")).to_have_text("3 rows")
    assert findings(page) == []

    panel(page, "bars").get_by_role("button", name="Table").click()
    expect(panel(page, "bars").get_by_role("status")).to_have_text("3 rows")
    page.reload()
    expect(panel(page, "bars").get_by_role("status")).to_have_text("3 rows")
    panel(page, "bars").get_by_role("button", name="Chart").click()
    drawing(page, "bars")

    page.set_viewport_size({"width": 1440, "height": 900})
    panel(page, "bars").get_by_role("button", name="Enlarge bars").click()
    opened = page.get_by_role("dialog", name="bars")
    expect(opened.locator(".bar")).to_have_count(3)
    expect(opened.get_by_text("Accuracy", exact=True)).to_be_visible()
    assert findings(page) == []

    page.goto(f"{site.url}{site.run_path('drawn')}/media")
    cell = page.get_by_role("group", name="lines of drawn")
    expect(cell.locator("path.line")).to_have_count(2)
    wall_lines = page.get_by_role("group", name="thin of drawn")
    expect(wall_lines.locator("path.line")).to_have_count(10)
    wall_bins = page.get_by_role("group", name="bins of drawn")
    expect(wall_bins).to_contain_text("4,000 of 12,000 rows")
    assert findings(page) == []
    cell.get_by_role("button", name="Open chart lines: Loss").click()
    expect(page.get_by_role("dialog", name="lines").locator("path.line")).to_have_count(2)

    page.goto(f"{site.url}{site.run_path('drawn')}/reports")
    page.get_by_role("button", name="New report").click()
    page.get_by_label("Text of the report").fill(_REPORT)
    preview = page.get_by_role("region", name="Preview")
    expect(preview.get_by_role("group", name="Confusion matrix").locator(".cell")).to_have_count(9)
    preview.get_by_role("button", name="Table").click()
    expect(preview.get_by_role("status")).to_have_text("9 rows")
    assert findings(page) == []

    with watched(browser, site.url, size=PHONE, theme="dark") as (context, _):
        phone = context.new_page()
        enter(phone, site.link(site.run_path("drawn", "drawn-1", "media")))
        drawing(phone, "bars")
        drawing(phone, "bins")
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert findings(phone) == []
