"""The boxes of images in an exported file, which are those of the page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stepwell_hub.reports.boxes import box_groups, boxes_html
from stepwell_hub.reports.palette import DARK, LIGHT, class_color, ink_on

WEB = Path(__file__).parents[3] / "hub" / "web"
CASES = json.loads((WEB / "tests" / "pages" / "boxes.json").read_text())
"""The page's own tests have these cases too."""
WHOLE = {"minX": 0.0, "maxX": 1.0, "minY": 0.0, "maxY": 1.0}


def about(*boxes: Any, group: str = "p") -> dict[str, Any]:
    return {"boxes": {group: {"box_data": list(boxes)}}}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_boxes_are_read_as_on_the_page(case: Any) -> None:
    size = case["size"]
    found = [
        {
            "name": group.name,
            "boxes": [
                {
                    "place": [round(x, 6) for x in (box.left, box.top, box.width, box.height)],
                    "label": box.label,
                    "scores": box.scores,
                    "slot": box.slot,
                }
                for box in group.boxes
            ],
        }
        for group in box_groups(case["about"], size["width"], size["height"])
    ]
    assert found == case["groups"]


def test_numbers_that_json_has_besides_are_no_places() -> None:
    odd = [{**WHOLE, "maxX": value} for value in (float("nan"), float("inf"), 10**400)]
    assert box_groups(about(*({"position": each} for each in odd)), 2, 2) == []
    [group] = box_groups(about({"position": WHOLE, "class_id": float("nan")}), 2, 2)
    assert group.boxes[0].slot == 0


def test_a_picture_of_unknown_size_has_no_boxes_in_pixels() -> None:
    found = box_groups(
        about({"position": WHOLE, "domain": "pixel"}, {"position": WHOLE, "class_id": 4}), 0, 0
    )
    assert [box.slot for group in found for box in group.boxes] == [4]


def test_boxes_beyond_the_limit_are_not_drawn() -> None:
    one = {"position": WHOLE}
    groups = box_groups(
        {"boxes": {"a": {"box_data": [one] * 4}, "b": {"box_data": [one] * 4}}}, 2, 2
    )
    drawn, count = boxes_html(groups, 5)
    assert count == drawn.count('class="box high"') == 5
    assert drawn.count("dashed") == 1
    assert boxes_html(groups, 0) == ("", 0)


def test_texts_of_boxes_are_escaped() -> None:
    hostile = '"><script>x</script>'
    box = {"position": WHOLE, "box_caption": hostile, "scores": {hostile: 1.0}}
    drawn, _ = boxes_html(box_groups(about(box, group=hostile), 2, 2), 5)
    assert "<script" not in drawn
    assert drawn.count("&lt;script&gt;") == 4


def test_colours_of_runs_and_classes_are_those_of_the_page() -> None:
    source = (WEB / "src" / "state" / "palette.ts").read_text()
    for name, colors in (("LIGHT", LIGHT), ("DARK", DARK)):
        [listed] = re.findall(rf"const {name} = \[(.*?)\]", source, re.DOTALL)
        assert re.findall("#[0-9a-f]{6}", listed) == colors.split()
    assert class_color(23) == class_color(3) == DARK.split()[3]
    assert [ink_on("#fadbc0"), ink_on("#551111")] == ["#000000", "#ffffff"]
