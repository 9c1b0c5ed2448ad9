"""A random walk over train, kill, resume, ranks and rm, seen in the browser."""

import time

import pytest
from playwright.sync_api import Browser, expect

from stepwell_wire.hub_access import hub_dir, login_link, page_path, read_key
from tests.browser.chromium import enter, watched
from tests.system.walk.moves import Walk
from tests.system.walk.once import walk

SEED = 11


@pytest.mark.holds("every-value-is-shown")
def test_the_page_has_every_run_of_a_walk_and_none_that_was_removed(browser: Browser) -> None:
    def look(walking: Walk) -> None:
        site, model = walking.site, walking.model
        url, key = site.hub_url, read_key(hub_dir(site.store.data))
        with watched(browser, url) as (context, watch):
            watch.allow(r"status of 404")
            page = context.new_page()
            enter(page, login_link(f"{url}/", key, now=time.time()))
            for project in {run.project for run in model.runs.values()}:
                page.goto(f"{url}{page_path(project)}/table")
                for run in model.of_project(project):
                    expect(page.get_by_role("main")).to_contain_text(run.name)
            for run in model.runs.values():
                page.goto(f"{url}{page_path(run.project, run.run_id)}/overview")
                facts = page.get_by_role("region", name="Run", exact=True)
                points = sum(map(len, run.points().values()))
                expect(facts).to_contain_text(f"Logged{points:,} points of")
                for tag in run.tags:
                    expect(facts).to_contain_text(tag)
                expect(facts).to_contain_text(run.notes)
                for name in run.config:
                    expect(page.get_by_role("main")).to_contain_text(name)
            removed = walking.removed - model.runs.keys()
            assert removed, "this seed removes no run: take another one"
            for project, run_id in removed:
                page.goto(f"{url}{page_path(project, run_id)}/overview")
                expect(page.get_by_role("main")).to_contain_text("It was deleted, or no program")
                expect(page.get_by_role("region", name="Run", exact=True)).to_have_count(0)

    walk(SEED, moves=15, look=look)
