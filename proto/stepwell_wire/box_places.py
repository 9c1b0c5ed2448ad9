"""The place of a box of an image, as `Image(boxes=…)` keeps it with the row. Pure.

The page's `boxes.ts` reads it in the same way.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

_SIDES: Final = ("minX", "maxX", "minY", "maxY")


def box_ends(box: object) -> tuple[float, float, float, float] | None:
    """Return two x and two y of a box, in either order; None if one is no finite number.

    They are in pixels if the box is `is_in_pixels`, else parts of the picture's width and height.
    """
    position = box.get("position") if isinstance(box, Mapping) else None
    if not isinstance(position, Mapping):
        return None
    middle = position.get("middle")
    if isinstance(middle, list):
        x, y, *_ = [*middle, None, None]
        ends = [*_around(x, position.get("width")), *_around(y, position.get("height"))]
    else:
        ends = [number_of(position.get(side)) for side in _SIDES]
    if not all(map(math.isfinite, ends)):
        return None
    x1, x2, y1, y2 = ends
    return x1, x2, y1, y2


def is_in_pixels(box: Mapping[str, Any]) -> bool:
    return box.get("domain") == "pixel"


def number_of(value: object) -> float:
    """Return a number as a float: NaN for other values, infinity for an integer beyond floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _around(middle: object, length: object) -> tuple[float, float]:
    half = number_of(length) / 2
    return number_of(middle) - half, number_of(middle) + half
