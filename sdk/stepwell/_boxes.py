"""The boxes of an `Image`: what is kept with the row, and which of them cannot be drawn."""

import math
from collections.abc import Mapping
from typing import Any, Final

from stepwell._json_conversion import Conversion
from stepwell._masks import labels_by_class
from stepwell._names import Warn

_SIDES: Final = ("minX", "maxX", "minY", "maxY")
_NOT_A_PLACE: Final = "the position has missing values, or values that are no finite numbers"
_OUTSIDE: Final = "the position is outside the picture, or has no area"
_IN_PIXELS: Final = (
    "the position is outside the picture: values are parts of it, from 0 to 1; for pixels add "
    "'domain': 'pixel' to each box"
)


def kept_boxes(
    given: Mapping[str, Any] | None, size: tuple[int, int] | None, warn: Warn
) -> dict[str, Any] | None:
    """Return the groups of boxes for the row, their names of classes by class; None if not given.

    Boxes that the page does not draw are kept too, and a warning counts them.

    Args:
        size: width and height of the picture in pixels, None if they are not known.
    """
    if given is None:
        return None
    groups = dict(given)
    for name, group in groups.items():
        if isinstance(group, Mapping) and "class_labels" in group:
            where = f"Image: the boxes {str(name)!r}"
            labels = labels_by_class(group["class_labels"], where, warn)
            groups[name] = {**group, "class_labels": labels}
    kept: dict[str, Any] = Conversion(warn).convert(groups)
    for name, group in kept.items():
        _warn_undrawn(f"Image: the boxes {name!r}", group, size, warn)
    return kept


def why_not_drawn(box: Any, size: tuple[int, int] | None) -> str:
    """Return why the page does not draw a box of a row, "" if it does; as the page's `boxes.ts`."""
    position = box.get("position") if isinstance(box, Mapping) else None
    if not isinstance(position, Mapping):
        return _NOT_A_PLACE
    middle = position.get("middle")
    if isinstance(middle, list):
        centre = [*middle, None, None]
        ends = [
            *_around(centre[0], position.get("width")),
            *_around(centre[1], position.get("height")),
        ]
    else:
        ends = [_number(position.get(side)) for side in _SIDES]
    if not all(map(math.isfinite, ends)):
        return _NOT_A_PLACE
    in_pixels = box.get("domain") == "pixel"
    width, height = (size or (math.inf, math.inf)) if in_pixels else (1, 1)
    x1, x2, y1, y2 = ends
    if _overlaps(x1, x2, width) and _overlaps(y1, y2, height):
        return ""
    return _OUTSIDE if in_pixels or max(ends) <= 2 else _IN_PIXELS


def _warn_undrawn(where: str, group: Any, size: tuple[int, int] | None, warn: Warn) -> None:
    if not isinstance(group, Mapping) or not isinstance(group.get("box_data"), list):
        return
    reasons = [why_not_drawn(each, size) for each in group["box_data"]]
    if found := [each for each in reasons if each]:
        count = f"{len(found)} of {len(reasons)} cannot be drawn"
        warn(f"{where} {found[0]}", f"{where}: {count}: {found[0]}")


def _around(middle: Any, length: Any) -> tuple[float, float]:
    half = _number(length) / 2
    return _number(middle) - half, _number(middle) + half


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _overlaps(one: float, other: float, length: float) -> bool:
    """Return whether some of ``one`` to ``other`` lies between 0 and ``length``."""
    return max(0.0, min(one, other)) < min(length, max(one, other))
