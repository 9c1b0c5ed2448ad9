"""Masks in exported files: painted as the page paints them (hub/web/tests/pages/masks.test.ts)."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepwell_hub.reports import masks
from stepwell_hub.reports.masks import legend_html, names_of, paint
from stepwell_hub.reports.palette import class_color
from stepwell_store.queries import MediaMask


def grey(*rows: list[int]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.array(rows, np.uint8)).save(file, "PNG")
    return file.getvalue()


def mask(name: str = "m", **labels: Any) -> MediaMask:
    return MediaMask(name, "1" * 32, "ready", "d", "image/png", 9, "", labels)


def test_a_mask_has_the_colours_of_its_classes() -> None:
    painted = paint(grey([1, 7], [7, 0]), {"7": "road"})
    assert painted is not None
    assert painted.classes == {1: "", 7: "road"}
    pixels = Image.open(io.BytesIO(painted.png)).convert("RGBA")
    for at, class_ in (((0, 0), 1), ((1, 0), 7), ((0, 1), 7)):
        red, green, blue, alpha = pixels.getpixel(at)  # type: ignore[misc]
        assert (f"#{red:02x}{green:02x}{blue:02x}", alpha) == (class_color(class_).lower(), 255)
    assert pixels.getpixel((1, 1))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(("name", "alpha"), [("", 0), ("background", 0), (" BG", 0), ("cat", 255)])
def test_the_class_0_is_drawn_if_its_name_is_not_one_of_a_background(name: str, alpha: int) -> None:
    painted = paint(grey([0, 1]), {"0": name})
    assert painted is not None
    pixels = Image.open(io.BytesIO(painted.png)).convert("RGBA")
    assert pixels.getpixel((0, 0))[3] == alpha  # type: ignore[index]
    assert list(painted.classes) == ([0, 1] if alpha else [1])


def test_a_mask_has_its_own_names_else_those_of_the_image() -> None:
    about = {"classes": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}
    wolf, bear = mask(**{"2": "wolf"}), mask(**{"1": "bear"})
    assert names_of(wolf, [wolf, bear], about) == {"1": "cat", "2": "wolf"}
    others = [mask(), mask(**{"0": "sky", "1": "road"}), mask(**{"1": "street", "2": "car"})]
    assert names_of(others[0], others, {}) == {"0": "sky", "1": "road", "2": "car"}


def test_a_large_mask_is_painted_smaller_and_what_is_no_picture_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    painted = paint(grey([3] * 4096, [3] * 4096), {})
    assert painted is not None
    assert Image.open(io.BytesIO(painted.png)).size == (1024, 1)
    assert paint(b"no picture", {}) is None
    monkeypatch.setattr(masks, "_PIXELS_MAX", 3)
    assert paint(grey([1, 2], [3, 4]), {}) is None


@pytest.mark.parametrize(
    ("classes", "label"),
    [
        ([("a", {1: ""}), ("b", {1: "road"})], "road"),
        ([("a", {1: ""})], "class 1"),
        ([("a", {1: "street"}), ("b", {1: "road"})], "street (a), road (b)"),
        ([("a", {1: "road"}), ("b", {1: "road"})], "road"),
        ([("a", {1: "<b>"})], "&lt;b&gt;"),
    ],
)
def test_the_legend_names_each_class_once(
    classes: list[tuple[str, dict[int, str]]], label: str
) -> None:
    html = legend_html(classes)
    assert html.count("<li>") == 1
    assert f"</span> {label}</li>" in html


def test_without_classes_there_is_no_legend() -> None:
    assert legend_html([("a", {})]) == ""
