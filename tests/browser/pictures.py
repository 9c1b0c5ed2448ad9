"""Panels of media, and the pictures drawn in them."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

SIDE = 28


def picture(shade: int) -> dict[str, Any]:
    """A picture of 28 × 28: a bright square that moves with ``shade``."""
    rows = [[20] * SIDE for _ in range(SIDE)]
    for y in range(8):
        for x in range(8):
            rows[(y + shade) % SIDE][(x + shade) % SIDE] = 230
    return {"image": rows, "caption": f"digit {shade}"}


def panel(page: Page, metric: str) -> Locator:
    return page.get_by_role("region", name=metric, exact=True)


def assert_drawn(picture: Locator) -> None:
    """The picture's bytes were read and are as wide as they were logged."""
    expect(picture).to_be_visible()
    picture.evaluate("(each) => each.decode()")
    assert picture.evaluate("(each) => each.naturalWidth") == SIDE
