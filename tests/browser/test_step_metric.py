"""Panels over the metric that `define_metric` names, beside panels over the step."""

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.browser.charts import chart_state, panel, wait_until_drawn
from tests.browser.site import Site

EPOCHS = 6
STEPS_AN_EPOCH = 5


def x_of(page: Page, metric: str) -> tuple[float, float]:
    state = chart_state(page, metric)
    assert state is not None
    first, last = state["x"]
    return first, last


def drag_across(page: Page, metric: str) -> None:
    """Zoom in to the middle third of a chart."""
    box = panel(page, metric).locator(".chart").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 2 / 3, middle, steps=4)
    page.mouse.up()


def zooms_in(page: Page) -> set[str]:
    return {"z", "zx"} & set(parse_qs(urlsplit(page.url).query))


def test_panels_are_drawn_over_their_step_metric(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("epochs", id="epochs-1").define("val/*", step_metric="epoch")
        for epoch in range(EPOCHS):
            trainer.log(*({"loss": 1.0 / (1 + at)} for at in range(STEPS_AN_EPOCH - 1)))
            trainer.log({"epoch": 10.0 * epoch, "loss": 0.5, "val/loss": 1.0 - epoch / 10})
        site.flush()
        page.goto(f"{site.url}{site.run_path('epochs', 'epochs-1')}")
        validated = panel(page, "val/loss")
        wait_until_drawn(page, "loss", buckets=EPOCHS * STEPS_AN_EPOCH)
        wait_until_drawn(page, "val/loss", buckets=EPOCHS)
        assert validated.get_attribute("data-x") == "metric:epoch"
        assert panel(page, "loss").get_attribute("data-x") == "step"
        assert panel(page, "epoch").get_attribute("data-x") == "step"
        expect(validated.locator(".panel-foot")).to_contain_text("over epoch")
        expect(panel(page, "loss").locator(".panel-foot")).not_to_contain_text("over")
        assert x_of(page, "val/loss")[1] >= 50.0

        trainer.log({"epoch": 60.0, "val/loss": 0.2})
        wait_until_drawn(page, "val/loss", buckets=EPOCHS + 1)

        whole = x_of(page, "loss")
        drag_across(page, "val/loss")
        page.wait_for_function("() => location.search.includes('zx=')")
        assert zooms_in(page) == {"zx"}
        page.reload()
        expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
        expect(validated).to_have_attribute("data-ready", "true")
        expect(panel(page, "loss")).to_have_attribute("data-ready", "true")
        first, last = x_of(page, "val/loss")
        assert 10.0 < first < last < 50.0
        assert x_of(page, "loss")[1] >= whole[1]

        page.get_by_role("button", name="Reset zoom").click()
        page.wait_for_function("() => !location.search.includes('zx=')")
        page.get_by_role("group", name="x axis").first.get_by_role("button", name="step").click()
        expect(validated).to_have_attribute("data-x", "step")
        expect(validated.locator(".panel-foot")).not_to_contain_text("over epoch")
        assert "x=step" in page.url
    finally:
        trainer.close()
