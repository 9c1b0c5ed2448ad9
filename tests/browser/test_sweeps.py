"""A sweep on the page: made by the hub's API, watched, paused, resumed and canceled."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import assert_fits
from tests.browser.chromium import PHONE, Watch, delete, enter, post, watched
from tests.browser.site import Site

PROJECT = "sweeps"
CONFIG = {
    "method": "grid",
    "name": "rates",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {
        "lr": {"values": [0.1, 0.01, 0.001]},
        "optimizer": {"parameters": {"name": {"value": "adam"}}},
    },
}


def test_a_sweep_is_made_watched_and_changed(
    browser: Browser, site: Site, page: Page, watch: Watch
) -> None:
    sweeps = f"{site.run_path(PROJECT)}/sweeps"
    main = page.get_by_role("main")
    page.goto(f"{site.url}{sweeps}")
    expect(main).to_contain_text("No sweep yet")
    expect(main).to_contain_text("stepwell sweep sweep.yaml --project sweeps")

    sweep = post(page, site, "/sweeps", {"project": PROJECT, "config": CONFIG, "key": "made"})
    page.get_by_role("link", name="rates").click()
    agents = page.get_by_role("region", name="Agents")
    expect(agents).to_contain_text(f'stepwell.agent("{sweep["id"]}", train)')
    expect(agents).to_contain_text("The sweep has no program")
    expect(agents).to_contain_text("No agent has registered yet")
    assert page.url.endswith(f"{sweeps}/{sweep['id']}")

    path = f"/sweeps/{sweep['id']}"
    agent = post(
        page, site, f"{path}/agents", {"key": "a", "host": "n", "pid": 1, "kind": "command"}
    )
    orders = [
        post(page, site, f"{path}/ask", {"agent": agent["agent"], "key": key})["trial"]
        for key in ("first", "second")
    ]
    trainer = site.trainer()
    try:
        for order, losses in zip(orders, ([0.5, 0.25], [0.125]), strict=True):
            trainer.init(PROJECT, id=order["run_id"])
            trainer.log(*({"loss": loss} for loss in losses)).finish()
        site.flush()
    finally:
        trainer.close()
    first, second = page.locator('tr[data-trial="1"]'), page.locator('tr[data-trial="2"]')
    for text in ("running", "0.25", "0.1", "adam"):
        expect(first).to_contain_text(text)
    expect(second).to_contain_text("best")
    facts = page.get_by_role("region", name="Sweep", exact=True)
    expect(facts).to_contain_text("2 of 3: 2 running")
    expect(facts.get_by_role("link", name="trial 2")).to_have_attribute(
        "href", site.run_path(PROJECT, orders[1]["run_id"])
    )
    story = re.compile("the best was 0.25 at trial 1 and is 0.125 at trial 2")
    expect(page.get_by_role("img", name=story)).to_be_visible()

    expect(agents.locator("tr[data-agent]")).to_contain_text("runs a trial")
    importance = page.get_by_role("region", name="Importance")
    expect(importance).to_contain_text("Too few trials: 0 finished or were stopped with a value")

    rows = page.locator("tr[data-trial] th")
    expect(rows).to_have_text([re.compile("^2"), "1"])
    by_rate = page.get_by_role("columnheader").get_by_role("button", name="lr")
    by_rate.click()
    by_rate.click()
    expect(rows).to_have_text(["1", re.compile("^2")])
    assert "s=-params.lr" in page.url

    ranges_filter_the_trials(page)

    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".page-header .badge")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".page-header .badge")).to_have_text("running")

    assert_fits(page)
    with watched(browser, site.url, theme="dark", size=PHONE) as (context, _):
        phone = context.new_page()
        enter(phone, site.link(f"{sweeps}/{sweep['id']}"))
        expect(phone.locator('tr[data-trial="2"]')).to_be_visible()
        assert_fits(phone)

    empty = post(page, site, f"{path}/ask", {"agent": agent["agent"], "key": "third"})["trial"]
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the sweep").click()
    expect(page.locator(".page-header .badge")).to_have_text("canceled")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)

    page.goto(f"{site.url}{site.run_path(PROJECT, orders[1]['run_id'])}")
    page.get_by_role("link", name="rates, trial 2").click()
    expect(page.locator(".page-header .badge")).to_have_text("canceled")

    watch.allow(r"status of 404")
    page.goto(f"{site.url}{site.run_path(PROJECT, empty['run_id'])}")
    expect(main).to_contain_text(f"There is no run {empty['run_id']}")
    expect(page.get_by_role("link", name="rates, trial 3")).to_be_visible()
    page.goto(f"{site.url}{sweeps}/nosuch")
    expect(main).to_contain_text("There is no sweep nosuch")

    page.goto(f"{site.url}{sweeps}/{sweep['id']}")
    expect(second).to_contain_text("best")
    delete(page, site, f"/projects/{PROJECT}/runs/{orders[1]['run_id']}")
    expect(second.get_by_role("rowheader")).to_have_text("2run deleted")
    expect(second.get_by_role("link")).to_have_count(0)
    expect(second).not_to_contain_text("0.125")
    expect(first).to_contain_text("best")
    expect(facts.get_by_role("link", name="trial 1")).to_be_visible()
    expect(facts).to_contain_text("1 run deleted")
    # The third trial has no run yet: its link stays.
    expect(page.locator('tr[data-trial="3"]').get_by_role("link")).to_have_count(1)
    expect(page.get_by_role("link", name="Charts of 2 runs")).to_be_visible()


def ranges_filter_the_trials(page: Page) -> None:
    """A range on an axis, by keys and by the pointer, keeps the trials inside it."""
    rows = page.locator("tr[data-trial] th")
    highest = page.get_by_role("slider", name="lr, highest")
    highest.press("ArrowDown")
    highest.press("ArrowDown")
    expect(highest).to_have_attribute("aria-valuetext", "0.1")
    expect(rows).to_have_text(["1"])
    expect(page).to_have_url(re.compile(r"b=params\.lr:0\.\.0"))
    expect(page.get_by_role("region", name="Trials")).to_contain_text("1 of 2")
    page.reload()
    expect(rows).to_have_text(["1"])
    highest.press("Escape")
    expect(rows).to_have_count(2)

    strip = page.get_by_role("group", name="lr", exact=True).locator(".parallel-strip")
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    assert box is not None
    x, bottom = box["x"] + box["width"] / 2, box["y"] + box["height"]
    page.mouse.move(x, bottom - 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(x, bottom - 0.6 * box["height"], steps=3)
    page.mouse.up()
    expect(rows).to_have_text([re.compile("^2")])
    charts = page.get_by_role("link", name="Charts of 1 run")
    expect(charts).to_have_attribute("href", re.compile(r"\?sel=\w+$"))
    page.get_by_role("button", name="Clear the ranges").click()
    expect(rows).to_have_count(2)
