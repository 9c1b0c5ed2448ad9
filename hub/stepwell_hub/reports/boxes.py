"""The boxes of an image, as `Image(boxes=…)` keeps them, for an exported file. Pure.

The page's `boxes.ts` reads them in the same way: `hub/web/tests/pages/boxes.json` has cases that
both are tested with. A script may log anything there. Only valid boxes are drawn.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from stepwell_hub.reports.palette import class_color, ink_on
from stepwell_hub.reports.values import number_text
from stepwell_wire.box_places import box_ends, is_in_pixels, number_of

SHOWN_MAX: Final = 1000
"""Boxes of one picture that are drawn."""
_LINES: Final = ("solid", "dashed", "dotted")
_SLOT_MAX: Final = 2**53 - 1
_HIGH, _RIGHT = 0.1, 0.6


@dataclass(frozen=True, slots=True)
class Box:
    """One box.

    Attributes:
        left, top, width, height: parts of the picture, 0 to 1, cut at its edges.
        label: its caption, else the name of its class, else "class 3"; "" without all of these.
        scores: "acc 0.9, iou 0.7".
        slot: boxes of one class have one, also in other pictures if the class is a number.
    """

    left: float
    top: float
    width: float
    height: float
    label: str
    scores: str
    slot: int


@dataclass(frozen=True, slots=True)
class BoxGroup:
    name: str
    boxes: tuple[Box, ...]


def box_groups(about: Mapping[str, Any], width: int, height: int) -> list[BoxGroup]:
    """Return the groups that have boxes, in the order of the script.

    Args:
        width, height: of the picture in pixels; without them, boxes in pixels are left out.
    """
    given = about.get("boxes")
    if not isinstance(given, Mapping):
        return []
    names = class_names(about)
    slots: dict[str, int] = {}
    groups = []
    for name, group in given.items():
        if not isinstance(group, Mapping) or not isinstance(group.get("box_data"), list):
            continue
        labels = names | labels_of(group.get("class_labels"))
        boxes = []
        for each in group["box_data"]:
            place = _place(each, width, height) if isinstance(each, Mapping) else None
            if place is not None:
                slot = _slot(each.get("class_id"), slots)
                boxes.append(Box(*place, _label(each, labels), _scores(each), slot))
        if boxes:
            groups.append(BoxGroup(name, tuple(boxes)))
    return groups


def boxes_html(groups: Sequence[BoxGroup], most: int) -> tuple[str, int]:
    """Return HTML of the first ``most`` boxes, which is laid over a picture, and their number."""
    parts: list[str] = []
    for at, group in enumerate(groups):
        line = _LINES[at % len(_LINES)]
        parts += [_box_html(box, group.name, line) for box in group.boxes[: most - len(parts)]]
    if not parts:
        return "", 0
    inner = "".join(parts)
    return f'<span class="boxes" role="list" aria-label="Boxes">{inner}</span>', len(parts)


def class_names(about: Mapping[str, Any]) -> dict[str, str]:
    """Return the names in `Image(classes=[{"id": 1, "name": "cat"}])`."""
    classes = about.get("classes")
    return {
        _text(each.get("id")): _text(each.get("name"))
        for each in (classes if isinstance(classes, list) else ())
        if isinstance(each, Mapping)
    }


def labels_of(given: Any) -> dict[str, str]:
    """Return the names of classes of a group of boxes, or of a mask."""
    if not isinstance(given, Mapping):
        return {}
    return {str(id_): _text(label) for id_, label in given.items()}


def _box_html(box: Box, group: str, line: str) -> str:
    color = class_color(box.slot)
    words = " · ".join(filter(None, (box.label, box.scores)))
    title = ": ".join(filter(None, (group, words)))
    kinds = f"box{' high' if box.top < _HIGH else ''}{' right' if box.left > _RIGHT else ''}"
    place = ";".join(
        f"{side}:{part * 100:.6g}%"
        for side, part in (
            ("left", box.left),
            ("top", box.top),
            ("width", box.width),
            ("height", box.height),
        )
    )
    label = ""
    if box.label:
        paint = f"background:{color};color:{ink_on(color)}"
        label = f'<span class="box-label" style="{paint}">{escape(box.label)}</span>'
    return (
        f'<span class="{kinds}" role="listitem" title="{escape(title)}" '
        f'style="{place};color:{color};border-style:{line}">{label}</span>'
    )


def _place(
    box: Mapping[str, Any], width: int, height: int
) -> tuple[float, float, float, float] | None:
    ends = box_ends(box)
    across, down = (width, height) if is_in_pixels(box) else (1, 1)
    if ends is None or not (across > 0 and down > 0):
        return None
    x1, x2, y1, y2 = ends
    left, top = _cut(min(x1, x2) / across), _cut(min(y1, y2) / down)
    wide, tall = _cut(max(x1, x2) / across) - left, _cut(max(y1, y2) / down) - top
    return (left, top, wide, tall) if wide > 0 and tall > 0 else None


def _cut(part: float) -> float:
    return min(1.0, max(0.0, part))


def _label(box: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    id_ = _text(box.get("class_id"))
    return _text(box.get("box_caption")) or labels.get(id_) or (f"class {id_}" if id_ else "")


def _scores(box: Mapping[str, Any]) -> str:
    scores = box.get("scores")
    if not isinstance(scores, Mapping):
        return ""
    numbers = ((name, number_of(value)) for name, value in scores.items())
    return ", ".join(
        f"{name} {number_text(value)}" for name, value in numbers if not math.isnan(value)
    )


def _slot(value: Any, slots: dict[str, int]) -> int:
    """Return the number of the class itself, else one for each other class in turn."""
    number = number_of(value)
    if 0 <= number <= _SLOT_MAX and number == int(number):
        return int(number)
    return slots.setdefault(_text(value), len(slots))


def _text(value: Any) -> str:
    """Return a text or a number as the page writes it: 1.0 is "1"."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    is_whole = isinstance(value, float) and abs(value) <= _SLOT_MAX and value == int(value)
    return str(int(value) if is_whole else value)
