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


def boxed(label: str) -> dict[str, Any]:
    """A picture twice as wide as high, with a predicted box in its left half and two true ones."""
    whole = {"minX": 0.0, "maxX": 0.5, "minY": 0.25, "maxY": 0.75}
    predicted = {"position": whole, "class_id": 1, "scores": {"acc": 0.875}}
    pixels = {"middle": [150, 50], "width": 100, "height": 50}
    true = {"position": pixels, "domain": "pixel", "class_id": 2, "box_caption": "true one"}
    no_box = {"position": {"minX": "0"}, "class_id": 1}
    return {
        "image": [[60 + x // 2 for x in range(200)] for _ in range(100)],
        "caption": "street",
        "boxes": {
            "predictions": {"box_data": [predicted, no_box], "class_labels": {"1": label}},
            "ground_truth": {"box_data": [true, {**true, "class_id": "van"}]},
        },
    }


def part_of(box: Locator, picture: Locator) -> list[float]:
    """Return left, top, right and bottom of ``box`` as parts of the drawn picture."""
    found: list[float] = picture.evaluate(
        """(image, box) => {
          const area = image.getBoundingClientRect(), placed = box.getBoundingClientRect();
          const { naturalWidth, naturalHeight } = image;
          const scale = Math.min(area.width / naturalWidth, area.height / naturalHeight);
          const [wide, high] = [naturalWidth * scale, naturalHeight * scale];
          const [x, y] = [area.x + (area.width - wide) / 2, area.y + (area.height - high) / 2];
          return [(placed.left - x) / wide, (placed.top - y) / high,
                  (placed.right - x) / wide, (placed.bottom - y) / high];
        }""",
        box.element_handle(),
    )
    return found
