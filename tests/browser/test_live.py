"""What is logged appears by itself, and what was chosen is there after a reload."""

import re
import subprocess
import sys

from playwright.sync_api import Locator, Page, expect

from tests.browser.charts import panel, wait_until_drawn
from tests.browser.chromium import Watch
from tests.browser.site import Site, Trainer


def row(page: Page, run_id: str) -> Locator:
    return page.locator(f'[data-run="{run_id}"]').first


def test_points_runs_and_metrics_appear_without_a_reload(page: Page, site: Site) -> None:
    first, second = site.trainer(), site.trainer()
    try:
        first.init("live", id="live-1", name="first")
        first.log(*({"train/loss": 1.0 / step} for step in range(1, 11)))
        site.flush()
        page.goto(f"{site.url}{site.run_path('live')}")
        wait_until_drawn(page, "train/loss", buckets=10)
        expect(row(page, "live-1")).to_contain_text("first")

        first.log({"train/loss": 0.01})
        state = wait_until_drawn(page, "train/loss", buckets=11)
        assert state["x"] == [0, 10]

        first.log({"val/accuracy": 0.5})
        wait_until_drawn(page, "val/accuracy", buckets=1)

        second.init("live", id="live-2", name="second").log({"train/loss": 3.0})
        expect(row(page, "live-2")).to_contain_text("second")
        wait_until_drawn(page, "train/loss", buckets=12, lines=2)

        assert page.evaluate("performance.getEntriesByType('navigation').length") == 1
    finally:
        first.close()
        second.close()


def test_values_beside_the_runs_follow_their_points(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("values", id="values-1").log({"loss": 0.5})
        site.flush()
        page.goto(f"{site.url}{site.run_path('values')}")
        expect(row(page, "values-1")).to_contain_text("0.5")
        trainer.log({"loss": 0.125})
        expect(row(page, "values-1")).to_contain_text("0.125")
    finally:
        trainer.close()


def test_answers_that_are_complete_are_not_reported_as_aborted(page: Page, site: Site) -> None:
    trainer = site.trainer()
    failures: list[str | None] = []
    page.on("requestfailed", lambda request: failures.append(request.failure))
    try:
        trainer.init("complete", id="complete-1").log({"loss": 1.0})
        site.flush()
        page.goto(f"{site.url}{site.run_path('complete')}")
        for count in range(2, 12):
            trainer.log({"loss": 1.0 / count})
            wait_until_drawn(page, "loss", buckets=count)
        assert failures == []
    finally:
        trainer.close()


def test_a_late_rank_is_listed_on_the_open_overview(page: Page, site: Site) -> None:
    environment = site.node.environment
    ranks = [
        Trainer(
            environment | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
            site.node.folder / "late.log",
        )
        for rank in range(2)
    ]
    try:
        ranks[0].init("late", id="late-1").log({"loss": 1.0})
        site.flush()
        page.goto(f"{site.url}{site.run_path('late', 'late-1', 'overview')}")
        writers = page.get_by_role("region", name="Writers").locator("tbody tr")
        expect(writers).to_have_count(1)
        ranks[1].init("late", id="late-1").log({"loss": 2.0})
        expect(writers).to_have_count(2)
        ranks[1].finish()
        expect(writers.filter(has_text="1 of 2")).to_contain_text("finished")
    finally:
        for each in ranks:
            each.close()


def test_two_tabs_keep_the_edits_of_each_other(page: Page, site: Site, watch: Watch) -> None:
    watch.allow("status of 409")
    trainer = site.trainer()
    try:
        trainer.init("tabs", id="tabs-1", tags=["old"], notes="first").log({"loss": 1.0})
        site.flush()
        path = f"{site.url}{site.run_path('tabs', 'tabs-1', 'overview')}"
        other = page.context.new_page()
        fields = {}
        for what in ("tags", "notes"):
            for tab in (page, other):
                tab.goto(path)
                tab.get_by_role("button", name=f"Edit the {what}").click()
                fields[tab] = tab.get_by_role("textbox", name=f"Edit the {what}")
            own = ("old, one", "two, old") if what == "tags" else ("second", "third")
            for tab, text in zip((page, other), own, strict=True):
                fields[tab].fill(text)
                fields[tab].press("Control+Enter")
                if tab is page:
                    expect(fields[tab]).to_have_count(0)
                    expect(tab.get_by_label("Run", exact=True)).to_contain_text(text[-3:])
            if what == "tags":
                expect(other.locator("dd .tag")).to_have_text(["old", "one", "two"])
        expect(fields[other]).to_have_value("third")
        expect(other.get_by_text('changed meanwhile, to "second"')).to_be_visible()
        fields[other].blur()
        expect(fields[other]).to_have_value("third")
        expect(page.locator(".notes")).to_have_text("second")
        fields[other].press("Control+Enter")
        expect(page.locator(".notes")).to_have_text("third")
        other.close()
    finally:
        trainer.close()


def test_ranks_are_drawn_together_or_apart(page: Page, site: Site) -> None:
    environment = site.node.environment
    ranks = [
        Trainer(
            environment | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"},
            site.node.folder / "ranks.log",
        )
        for rank in range(2)
    ]
    try:
        for rank, each in enumerate(ranks):
            each.init("ranks", id="ranks-1").log({"loss": 1.0 + rank}, {"loss": 2.0 + rank})
        site.flush()
        page.goto(f"{site.url}{site.run_path('ranks')}")
        wait_until_drawn(page, "loss", buckets=2)
        row(page, "ranks-1").hover()
        expect(panel(page, "loss").locator(".panel-value")).to_have_text("2.5000")
        page.get_by_role("button", name="View settings").click()
        page.get_by_label("Ranks of a run").select_option("apart")
        wait_until_drawn(page, "loss", buckets=4, lines=2)
        assert "r=apart" in page.url
        page.reload()
        wait_until_drawn(page, "loss", buckets=4, lines=2)
    finally:
        for each in ranks:
            each.close()


def delete(site: Site, *words: str) -> None:
    command = [sys.executable, "-m", "stepwell", "rm", *words, "--yes", "--force"]
    done = subprocess.run(
        command, env=site.node.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_run_that_was_deleted_and_started_again_is_drawn_anew(
    page: Page, site: Site, watch: Watch
) -> None:
    watch.allow("404 .*/again")
    first, second, third = site.trainer(), site.trainer(), site.trainer()
    try:
        first.init("again", id="again-1").log(*({"loss": 1.0 + step} for step in range(5)))
        first.finish()
        site.flush()
        page.goto(f"{site.url}{site.run_path('again', 'again-1')}")
        value = panel(page, "loss").locator(".panel-value")
        expect(value).to_have_text("5")

        delete(site, "again/again-1")
        expect(page.locator("main")).to_contain_text("There is no run again-1")
        second.init("again", id="again-1").log(*({"loss": 11.0 + step} for step in range(5)))
        expect(value).to_have_text("15")
        # Of the five points, those before the last one are new too.
        state = wait_until_drawn(page, "loss", buckets=5)
        assert state["y"][0] > 10
        second.finish()

        # The list of the project, whose run is another one at once.
        site.flush()
        page.goto(f"{site.url}{site.run_path('again')}")
        wait_until_drawn(page, "loss", buckets=5)
        delete(site, "again/again-1")
        third.init("again", id="again-1").log(*({"loss": 101.0 + step} for step in range(5)))
        page.wait_for_function(
            "() => document.querySelector('[data-metric=loss] .chart')"
            "?.chart.debugState().y[0] > 90"
        )
    finally:
        for each in (first, second, third):
            each.close()


def test_a_table_that_is_open_before_the_first_metrics_gets_their_columns_and_values(
    page: Page, site: Site
) -> None:
    trainer = site.trainer()
    try:
        trainer.init("early", id="early-1")
        site.flush()
        page.goto(f"{site.url}{site.run_path('early', '', 'table')}")
        expect(page.get_by_role("row").filter(has_text="running")).to_be_visible()
        trainer.log({"loss": 2.5})
        expect(page.get_by_role("columnheader", name="loss")).to_be_visible()
        expect(page.get_by_role("cell", name="2.5")).to_be_visible()
        trainer.log({"loss": 1.25})
        expect(page.get_by_role("cell", name="1.25")).to_be_visible()
    finally:
        trainer.close()


def test_a_project_that_was_deleted_and_is_used_again_has_its_new_columns(
    page: Page, site: Site, watch: Watch
) -> None:
    watch.allow("404 .*/reused")
    first, second = site.trainer(), site.trainer()
    try:
        first.init("reused", id="reused-1").log({"old_loss": 1.0}).finish()
        site.flush()
        page.goto(f"{site.url}{site.run_path('reused', '', 'table')}")
        header = page.get_by_role("columnheader", name="old_loss")
        expect(header).to_be_visible()
        delete(site, "--project", "reused")
        second.init("reused", id="reused-2").log({"new_loss": 2.0})
        expect(page.get_by_role("columnheader", name="new_loss")).to_be_visible()
        expect(header).to_have_count(0)
    finally:
        first.close()
        second.close()


def test_the_end_of_a_run_is_seen(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("ends", id="ends-1").log({"loss": 1.0})
        site.flush()
        page.goto(f"{site.url}{site.run_path('ends', 'ends-1', 'overview')}")
        expect(page.locator("main")).to_contain_text(re.compile("running|live", re.I))
        trainer.finish(exit_code=1)
        expect(page.locator("main")).to_contain_text(re.compile("failed|crashed", re.I))
    finally:
        trainer.close()


def test_console_lines_arrive_while_the_run_prints(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("prints", id="prints-1").print("the first line")
        site.flush()
        page.goto(f"{site.url}{site.run_path('prints', 'prints-1', 'logs')}")
        expect(page.get_by_text("the first line")).to_be_visible()
        trainer.print("the second line", error=True)
        expect(page.get_by_text("the second line")).to_be_visible()
    finally:
        trainer.close()


def test_the_last_console_lines_arrive_after_the_end_of_the_run(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("ends", id="ends-2").print("the first line")
        site.flush()
        page.goto(f"{site.url}{site.run_path('ends', 'ends-2', 'logs')}")
        expect(page.get_by_text("the first line")).to_be_visible()
        # In a hidden page, the console of a running run is not read.
        hidden = "{value: 'hidden', configurable: true}"
        page.evaluate(f"Object.defineProperty(document, 'visibilityState', {hidden})")
        trainer.print("the last line")
        trainer.finish()
        expect(page.get_by_text("the last line")).to_be_visible()
    finally:
        trainer.close()


def test_a_reload_keeps_filter_and_charts(page: Page, site: Site) -> None:
    for name in ("kept", "left"):
        trainer = site.trainer()
        try:
            trainer.init("reload", id=f"reload-{name}", name=name, config={"kind": name})
            trainer.log({"loss": 1.0}, {"loss": 0.5}).finish()
        finally:
            trainer.close()
    site.flush()
    page.goto(f"{site.url}{site.run_path('reload')}")
    expect(row(page, "reload-left")).to_be_visible()
    page.get_by_role("searchbox", name="Filter runs").fill("config.kind:kept")
    expect(row(page, "reload-left")).to_have_count(0)
    address = page.url
    assert "kept" in address, "the filter is not in the address"
    page.reload()
    expect(row(page, "reload-kept")).to_be_visible()
    expect(row(page, "reload-left")).to_have_count(0)
    expect(page.get_by_role("searchbox", name="Filter runs")).to_have_value("config.kind:kept")
    wait_until_drawn(page, "loss", buckets=2)
    assert page.url == address


def test_the_theme_is_kept(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Change to the dark theme").click()
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    assert page.evaluate(background) == dark
    page.get_by_role("button", name="Change to the light theme").click()
    assert page.evaluate(background) == light


def test_a_link_opened_before_the_run_is_stored_shows_it_when_it_is(
    page: Page, site: Site, watch: Watch
) -> None:
    watch.allow(r"status of 404")
    page.goto(f"{site.url}{site.run_path('early', 'early-1', 'overview')}")
    expect(page.locator("main")).to_contain_text("early-1")
    trainer = site.trainer()
    try:
        trainer.init("early", id="early-1", name="the early one").log({"loss": 1.0})
        expect(page.locator("main")).to_contain_text("the early one")
    finally:
        trainer.close()
