"""Media of a run and of a project: live, by step, hostile, failed, on a phone."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.axe import findings
from tests.browser.chromium import PHONE, WIDE, enter, watched
from tests.browser.hostile import FLAG, HTML
from tests.browser.pictures import SIDE, assert_drawn, boxed, panel, part_of, picture
from tests.browser.site import Site


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name="Step", exact=True)


def test_images_appear_live_and_follow_the_slider(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("pictures", id="pictures-1", name="digits")
        trainer.log({"loss": 1.0})
        site.flush()
        page.goto(f"{site.url}{site.run_path('pictures', 'pictures-1', 'media')}")
        expect(page.get_by_text("The run has logged no media")).to_be_visible()
        expect(page.locator("pre")).to_contain_text("stepwell.Image(")

        trainer.media({"digits": [picture(0), picture(1)]})
        shown = panel(page, "digits")
        expect(shown).to_have_attribute("data-step", "1")
        expect(shown.locator("figcaption")).to_have_text(["digit 0", "digit 1"])
        assert_drawn(shown.locator("img").first)
        expect(shown.locator("img").first).to_have_css("image-rendering", "pixelated")

        trainer.media(*({"digits": picture(step)} for step in range(2, 6)))
        expect(shown).to_have_attribute("data-step", "5")
        expect(slider(page)).to_have_attribute("aria-valuetext", "step 5, the newest")
        slider(page).focus()
        page.keyboard.press("ArrowLeft")
        expect(shown).to_have_attribute("data-step", "4")
        assert "step=4" in page.url
        page.keyboard.press("Home")
        expect(shown).to_have_attribute("data-step", "1")
        page.get_by_role("button", name="Next step: Step").click()
        expect(shown).to_have_attribute("data-step", "2")
        trainer.media({"digits": picture(6)})
        page.reload()
        expect(shown).to_have_attribute("data-step", "2")
        expect(slider(page)).to_have_attribute("aria-valuetext", "step 2")
        page.keyboard.press("]")
        expect(shown).to_have_attribute("data-step", "3")
        page.keyboard.press("[")
        expect(shown).to_have_attribute("data-step", "2")
        assert findings(page) == []

        shown.get_by_role("button", name="Open digit 2").click()
        box = page.get_by_role("dialog", name="digits")
        expect(box).to_contain_text("step 2")
        expect(box).to_contain_text("28 × 28")
        assert box.locator("img").bounding_box()["width"] > 2 * SIDE  # type: ignore[index]
        box.get_by_role("button", name="1:1").click()
        expect(box.locator("img")).to_have_css("width", f"{SIDE}px")
        page.keyboard.press("]")
        expect(box).to_contain_text("step 3")
        assert findings(page) == []
        with page.expect_download() as saved:
            box.get_by_role("link", name="Download").click()
        assert saved.value.suggested_filename.endswith(".png")
        page.keyboard.press("c")
        page.keyboard.press("[")
        expect(box.locator("figcaption")).to_have_text(["A: digits, step 3", "B: digits, step 2"])
        box.get_by_role("button", name="One over the other").click()
        expect(box.get_by_role("slider", name="Edge between A and B")).to_be_visible()
        assert findings(page) == []
        page.keyboard.press("Escape")
        expect(box).to_have_count(0)
    finally:
        trainer.close()


def test_the_large_view_moves_over_the_steps_of_its_own_key(page: Page, site: Site) -> None:
    for number in range(2):
        trainer = site.trainer()
        try:
            trainer.init("rare", id=f"rare-{number}", name=f"run {number}")
            trainer.media(
                *(
                    {"often": picture(step)} | ({} if step % 4 else {"rare": picture(step)})
                    for step in range(9 + 4 * number)
                )
            )
            trainer.finish()
        finally:
            trainer.close()
    site.flush()
    box = page.get_by_role("dialog", name="rare")
    before = box.get_by_role("button", name="Previous step")
    after = box.get_by_role("button", name="Next step")

    def assert_moves() -> None:
        """The box is at step 8, the last one, and moves to 4, 0, and back."""
        expect(box).to_contain_text("step 8")
        expect(before).to_be_enabled()
        expect(after).to_be_disabled()
        page.keyboard.press("[")
        expect(box).to_contain_text("step 4")
        expect(after).to_be_enabled()
        before.click()
        expect(box).to_contain_text("step 0")
        expect(before).to_be_disabled()
        page.keyboard.press("[")
        page.keyboard.press("c")
        page.keyboard.press("]")
        expect(box.locator("figcaption")).to_have_text(["A: run 0, step 0", "B: run 0, step 4"])

    page.goto(f"{site.url}{site.run_path('rare', 'rare-0', 'media')}")
    panel(page, "rare").locator(".media-open").first.click()
    assert_moves()
    assert findings(page) == []
    page.goto(f"{site.url}{site.run_path('rare')}/media")
    page.locator('[data-metric="rare"] [data-cell="rare-0"] .media-open').first.click()
    assert_moves()


def test_a_panel_can_have_a_step_of_its_own(page: Page, site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init("apart", id="apart-1")
        trainer.media(*({"a": picture(step), "b": picture(step)} for step in range(4)))
        site.flush()
        page.goto(f"{site.url}{site.run_path('apart', 'apart-1', 'media')}")
        expect(panel(page, "a")).to_have_attribute("data-step", "3")
        panel(page, "a").get_by_role("button", name="Own step").click()
        page.get_by_role("slider", name="Step of a").focus()
        page.keyboard.press("Home")
        expect(panel(page, "a")).to_have_attribute("data-step", "0")
        expect(panel(page, "b")).to_have_attribute("data-step", "3")
        page.reload()
        expect(panel(page, "a")).to_have_attribute("data-step", "0")
        panel(page, "a").get_by_role("button", name="Own step").click()
        expect(panel(page, "a")).to_have_attribute("data-step", "3")
    finally:
        trainer.close()


def test_a_failed_image_says_why(page: Page, site: Site, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is no picture" * 10)
    trainer = site.trainer()
    try:
        trainer.init("broken", id="broken-1")
        trainer.media({"broken": {"image": str(broken)}, "good": picture(1)})
        site.flush()
        page.goto(f"{site.url}{site.run_path('broken', 'broken-1', 'media')}")
        said = panel(page, "broken").locator(".media-state.failed")
        expect(said).to_have_text(re.compile(r"Failed: \S.+"))
        assert_drawn(panel(page, "good").locator("img"))
    finally:
        trainer.close()


@pytest.fixture(scope="module")
def hostile(site: Site) -> Site:
    """Keys, captions and pages that would do harm."""
    made = "<p id=made></p><script>made.textContent='made by script';try{parent." + FLAG
    made += "=1}catch(error){}</script>"
    trainer = site.trainer()
    try:
        trainer.init("hostile-media", id="hostile-media-1", name=HTML[0])
        captions = [{**picture(at), "caption": text} for at, text in enumerate(HTML)]
        trainer.media({HTML[1]: captions, "page": {"html": made}}).finish()
        site.flush()
    finally:
        trainer.close()
    return site


def assert_harmless(page: Page) -> None:
    assert page.evaluate(f"window.{FLAG}") is None, "a name ran as a script"
    assert page.locator("base, svg[onload], img[onerror]").count() == 0


def test_hostile_captions_and_keys_are_text(page: Page, hostile: Site) -> None:
    page.goto(f"{hostile.url}{hostile.run_path('hostile-media', 'hostile-media-1', 'media')}")
    shown = panel(page, HTML[1])
    expect(shown.locator("figcaption")).to_have_text(list(HTML))
    shown.locator(".media-open").first.click()
    expect(page.locator(".lightbox-caption")).to_have_text(HTML[0])
    assert_harmless(page)
    page.goto(f"{hostile.url}{hostile.run_path('hostile-media')}/media")
    expect(page.locator("[data-cell] img").first).to_be_visible()
    assert_harmless(page)


def test_pages_open_on_a_click_in_an_origin_of_their_own(page: Page, hostile: Site) -> None:
    page.goto(f"{hostile.url}{hostile.run_path('hostile-media', 'hostile-media-1', 'media')}")
    opener = panel(page, "page").get_by_role("button", name="Open html")
    expect(opener).to_be_visible()
    assert page.locator("iframe").count() == 0
    opener.click()
    frame = page.locator("iframe")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    inside = page.frame_locator("iframe").locator("#made")
    expect(inside).to_have_text("made by script")
    assert inside.evaluate("self.origin") == "null"
    assert_harmless(page)


def test_the_wall_shows_each_run_at_the_step(page: Page, site: Site, browser: Browser) -> None:
    for number in range(3):
        trainer = site.trainer()
        try:
            trainer.init("wall", id=f"wall-{number}", name=f"run {number}")
            steps = range(number + 1)
            trainer.media(*({"samples": [picture(step), picture(step + 9)]} for step in steps))
            trainer.finish()
        finally:
            trainer.close()
    site.flush()

    def cell(page: Page, number: int) -> Locator:
        return page.locator(f'[data-metric="samples"] [data-cell="wall-{number}"]')

    page.goto(f"{site.url}{site.run_path('wall')}/media")
    for number in range(3):
        expect(cell(page, number)).to_have_attribute("data-step", str(number))
    assert_drawn(cell(page, 2).locator("img").nth(1))
    slider(page).focus()
    page.keyboard.press("Home")
    for number in range(3):
        expect(cell(page, number)).to_have_attribute("data-step", "0")
    assert findings(page) == []
    page.get_by_role("button", name="Draw run 1").click()
    expect(cell(page, 1)).to_have_count(0)
    page.reload()
    expect(cell(page, 0)).to_have_attribute("data-step", "0")
    expect(cell(page, 1)).to_have_count(0)

    with watched(browser, site.url, size=PHONE, theme="dark") as (context, _):
        phone = context.new_page()
        enter(phone, site.link(f"{site.run_path('wall')}/media"))
        expect(cell(phone, 2).locator("img").first).to_be_visible()
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert findings(phone) == []
        phone.goto(f"{site.url}{site.run_path('wall', 'wall-2', 'media')}")
        assert_drawn(panel(phone, "samples").locator("img").first)
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert findings(phone) == []


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")])
def test_boxes_are_drawn_over_the_picture(
    browser: Browser, site: Site, size: tuple[int, int], theme: str
) -> None:
    name = f"boxes-{theme}"
    trainer = site.trainer()
    try:
        trainer.init(name, id=f"{name}-1", name="detector")
        trainer.media({"street": boxed(HTML[0]), "plain": picture(1)})
        trainer.media({"street": [boxed("car"), boxed("bus")]})
        site.flush()
    finally:
        trainer.close()
    predicted, true = [0.0, 0.25, 0.5, 0.75], [0.5, 0.25, 1.0, 0.75]
    with watched(browser, site.url, size=size, theme=theme) as (context, _):
        page = context.new_page()
        enter(page, site.link(site.run_path(name, tab="media")))
        cell = page.get_by_role("group", name="street of detector")
        expect(cell.locator(".box")).to_have_count(6)
        first = cell.locator(".media-item").first
        labels = first.locator(".box-label").all()
        words = ["car", "true one", "true one"]
        assert [each.get_attribute("data-label") for each in labels] == words
        image = first.locator("img")
        assert part_of(first.locator(".box").first, image) == pytest.approx(predicted, abs=0.02)
        assert findings(page) == []

        page.goto(f"{site.url}{site.run_path(name, f'{name}-1', 'media')}?step=0")
        shown = panel(page, "street")
        expect(shown.locator(".box")).to_have_count(3)
        expect(panel(page, "plain").locator(".box")).to_have_count(0)
        expect(shown.locator(".box-label").first).to_have_attribute("data-label", HTML[0])
        assert_harmless(page)
        shown.get_by_role("button", name="Open street").click()
        large = page.get_by_role("dialog", name="street")
        boxes = large.get_by_role("listitem")
        expect(boxes).to_have_text([f"{HTML[0]} · acc 0.875", "true one", "true one"])
        for zoom in ("Fit", "1:1", "Zoom in"):
            large.get_by_role("button", name=zoom).click()
            for box, expected in ((boxes.nth(0), predicted), (boxes.nth(1), true)):
                assert part_of(box, large.locator("img")) == pytest.approx(expected, abs=0.02)
        large.get_by_role("button", name="Fit").click()
        colors = [each.evaluate("(box) => getComputedStyle(box).color") for each in boxes.all()]
        assert len(set(colors)) == 3
        assert findings(page) == []
        switches = large.get_by_role("group", name="Boxes")
        switches.get_by_role("button", name="predictions (1)").click()
        expect(boxes).to_have_text(["true one", "true one"])
        page.keyboard.press("]")
        expect(large).to_contain_text("step 1")
        expect(boxes).to_have_text(["true one", "true one"])
        switches.get_by_role("button", name="predictions (1)").click()
        expect(boxes.first).to_have_text("car · acc 0.875")


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")])
def test_boxes_are_drawn_over_two_compared_pictures(
    browser: Browser, site: Site, size: tuple[int, int], theme: str
) -> None:
    name = f"compared-{theme}"
    trainer = site.trainer()
    try:
        trainer.init(name, id=f"{name}-1").media({"street": [boxed("car"), boxed("bus")]})
        site.flush()
    finally:
        trainer.close()
    with watched(browser, site.url, size=size, theme=theme) as (context, _):
        page = context.new_page()
        enter(page, site.link(site.run_path(name, f"{name}-1", "media")))
        panel(page, "street").get_by_role("button", name="Open street").first.click()
        large = page.get_by_role("dialog", name="street")
        large.get_by_role("button", name="Compare").click()
        large.get_by_role("button", name="Next item").click()
        a, b = (large.get_by_role("figure").nth(at) for at in range(2))
        for way in ("Side by side", "One over the other"):
            large.get_by_role("button", name=way).click()
            for side, word in ((a, "car"), (b, "bus")):
                boxes = side.get_by_role("listitem")
                words = [f"{word} · acc 0.875", "true one", "true one"]
                expect(boxes).to_have_text(words)
                found = part_of(boxes.first, side.locator("img"))
                assert found == pytest.approx([0.0, 0.25, 0.5, 0.75], abs=0.02)
            assert findings(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        # The part of A beyond the edge is cut off, with its boxes.
        assert "50%" in a.locator(".boxed").evaluate("(e) => getComputedStyle(e).clipPath")
        colors = [
            side.get_by_role("listitem").first.evaluate("(box) => getComputedStyle(box).color")
            for side in (a, b)
        ]
        assert colors[0] == colors[1]
        switches = large.get_by_role("group", name="Boxes")
        switches.get_by_role("button", name="predictions (2)").click()
        for side in (a, b):
            expect(side.get_by_role("listitem")).to_have_text(["true one", "true one"])
        large.get_by_role("button", name="Compare").click()
        expect(large.get_by_role("listitem")).to_have_text(["true one", "true one"])


MASKS = """
import os, tempfile
import numpy as np, stepwell
from PIL import Image
picture = np.full((100, 200, 3), 200, np.uint8)
truth = np.zeros((100, 200), np.uint8)
truth[:, :50] = 1
truth[50:, 100:] = 7
guess = np.where(truth == 7, 3, 0)
palette = Image.fromarray(truth)
palette.putpalette([200, 10, 20] * 256)
path = os.path.join(tempfile.mkdtemp(), "palette.png")
palette.save(path)
masks = {
    "truth": {"mask_data": truth, "class_labels": {0: "background", 1: "road", 7: HOSTILE}},
    "guess": {"mask_data": guess, "class_labels": {3: "sky"}},
}
by_path = {
    "file": {"path": path},
    "other": {"mask_data": truth, "class_labels": ["background", "street"]},
    "truth": masks["truth"],
}
with stepwell.init(project=PROJECT, id="r", settings={"metadata": False}) as run:
    image = stepwell.Image(picture, masks=masks)
    run.log({"street": [image, stepwell.Image(picture, masks=masks)],
             "by path": stepwell.Image(picture, masks=by_path),
             "cells": stepwell.Table(columns=["picture"], data=[[image]])})
"""


def colors_at(canvas: Locator) -> list[list[int]]:
    """Return the colours of a mask at its top left, top right and bottom right."""
    found: list[list[int]] = canvas.evaluate(
        """(canvas) => [[5, 5], [195, 5], [195, 95]].map(([x, y]) =>
          [...canvas.getContext("2d").getImageData(x, y, 1, 1).data])"""
    )
    return found


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")])
def test_masks_are_drawn_over_the_picture(
    browser: Browser, site: Site, size: tuple[int, int], theme: str
) -> None:
    name = f"masks-{theme}"
    values = {"PROJECT": repr(name), "HOSTILE": repr(HTML[0])}
    script = MASKS
    for word, value in values.items():
        script = script.replace(word, value)
    site.node.python(script)
    site.flush()
    with watched(browser, site.url, size=size, theme=theme) as (context, _):
        page = context.new_page()
        enter(page, site.link(site.run_path(name, "r", "media")))
        expect(panel(page, "street").locator("canvas")).to_have_count(4)
        expect(panel(page, "cells").locator("canvas")).to_have_count(2)
        panel(page, "street").get_by_role("button", name="Open image 1 of 2").click()
        large = page.get_by_role("dialog", name="street")
        classes = large.get_by_role("list", name="Classes of the masks").get_by_role("listitem")
        expect(classes).to_have_text(["road", "sky", HTML[0]])
        truth, guess = (large.locator(f'[data-mask="{each}"]') for each in ("truth", "guess"))
        (road, nothing, car), (_, _, sky) = colors_at(truth), colors_at(guess)
        assert nothing == [0, 0, 0, 0]
        assert [each[3] for each in (road, car, sky)] == [255] * 3
        assert len({tuple(each) for each in (road, car, sky)}) == 3
        for zoom in ("Fit", "1:1", "Zoom in"):
            large.get_by_role("button", name=zoom).click()
            found = part_of(truth, large.locator("img"))
            assert found == pytest.approx([0.0, 0.0, 1.0, 1.0], abs=0.02)
        assert findings(page) == []
        switches = large.get_by_role("group", name="Masks")
        switches.get_by_role("button", name="truth").click()
        expect(truth).to_have_count(0)
        expect(classes).to_have_text(["sky"])
        large.get_by_role("button", name="Compare").click()
        large.get_by_role("button", name="Next item").click()
        expect(large.locator("canvas")).to_have_count(2)
        switches.get_by_role("button", name="truth").click()
        expect(large.locator("canvas")).to_have_count(4)
        expect(classes).to_have_text(["road", "sky", HTML[0]])
        assert findings(page) == []
        page.keyboard.press("Escape")
        panel(page, "by path").get_by_role("button", name="Open image").click()
        large = page.get_by_role("dialog", name="by path")
        both = "street (file, other), road (truth)"
        legend = large.get_by_role("list", name="Classes of the masks")
        expect(legend.get_by_role("listitem")).to_have_text([both, HTML[0]])
        file, other = (large.locator(f'[data-mask="{each}"]') for each in ("file", "other"))
        assert colors_at(file) == colors_at(other) == [road, nothing, car]
        assert findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


FIGURE = """
import plotly.graph_objects as go, stepwell
with stepwell.init(project=PROJECT, id="r", settings={"metadata": False}) as run:
    for step in range(2):
        layout = {"title": {"text": HOSTILE}}
        run.log({"drawn": go.Figure(go.Scatter(y=[1, 4, step]), layout=layout)})
    run.log({"solid": go.Figure(go.Surface(z=[[1, 2], [3, 4]]))})
"""


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")])
def test_a_figure_of_plotly_is_drawn_in_a_frame_without_access(
    browser: Browser, site: Site, size: tuple[int, int], theme: str
) -> None:
    name = f"figures-{theme}"
    script = FIGURE.replace("PROJECT", repr(name))
    script = script.replace("HOSTILE", repr("<img src=x onerror=window.__hostile_ran=1>title"))
    site.node.python(script)
    site.flush()
    with watched(browser, site.url, size=size, theme=theme) as (context, _):
        page = context.new_page()
        enter(page, site.link(site.run_path(name, "r", "media")))
        drawn = panel(page, "drawn")
        frame = drawn.frame_locator("iframe")
        expect(frame.locator("path.js-line")).to_have_count(1, timeout=60_000)
        expect(drawn.locator(".figure-frame")).to_have_attribute("data-drawn", "true")
        assert page.evaluate("window.__hostile_ran") is None
        inside = page.frames[-1] if len(page.frames) > 1 else page.main_frame
        assert inside.evaluate("origin") == "null"
        solid = panel(page, "solid")
        solid.scroll_into_view_if_needed()
        expect(solid.locator(".figure-frame")).to_have_attribute(
            "data-drawn", "true", timeout=60_000
        )
        drawn.get_by_role("button", name="Open figure").click()
        large = page.get_by_role("dialog", name="drawn")
        expect(large.frame_locator("iframe").locator("path.js-line")).to_have_count(
            1, timeout=60_000
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
