"""The boxes of an `Image`, kept with its row; those that cannot be drawn are counted."""

import math
from collections.abc import Mapping
from typing import Any, Final

from stepwell._json_conversion import Conversion
from stepwell._masks import labels_by_class
from stepwell._names import Warn
from stepwell_wire.box_places import box_ends, is_in_pixels

_NOT_A_PLACE: Final = "the position has missing values, or values that are no finite numbers"
_OUTSIDE: Final = "the position is outside the picture, or has no area"
_IN_PIXELS: Final = (
    "the position is outside the picture: values are parts of it, from 0 to 1; for pixels add "
    "'domain': 'pixel' to each box"
)


def kept_boxes(given: Mapping[str, Any] | None, size: tuple[int, int] | None, warn: Warn) -> Any:
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
    kept = Conversion(warn).convert(groups)
    for name, group in kept.items() if isinstance(kept, dict) else ():
        _warn_undrawn(f"Image: the boxes {name!r}", group, size, warn)
    return kept


def why_not_drawn(box: Any, size: tuple[int, int] | None) -> str:
    """Return why the page does not draw a box of a row, "" if it does; as the page's `boxes.ts`."""
    ends = box_ends(box)
    if ends is None:
        return _NOT_A_PLACE
    in_pixels = is_in_pixels(box)
    width, height = (size or (math.inf, math.inf)) if in_pixels else (1, 1)
    x1, x2, y1, y2 = ends
    if _overlaps(x1, x2, width) and _overlaps(y1, y2, height):
        return ""
    return _OUTSIDE if in_pixels or max(ends) <= 2 else _IN_PIXELS


def _warn_undrawn(where: str, group: Any, size: tuple[int, int] | None, warn: Warn) -> None:
    if not isinstance(group, Mapping) or not isinstance(group.get("box_data"), list):
        return
    if any(isinstance(each, str) for each in group["box_data"]):
        return  # The conversion cut it, with a warning of its own.
    reasons = [why_not_drawn(each, size) for each in group["box_data"]]
    if found := [each for each in reasons if each]:
        count = f"{len(found)} of {len(reasons)} cannot be drawn"
        warn(f"{where} {found[0]}", f"{where}: {count}: {found[0]}")


def _overlaps(one: float, other: float, length: float) -> bool:
    """Return whether some of ``one`` to ``other`` lies between 0 and ``length``."""
    return max(0.0, min(one, other)) < min(length, max(one, other))
