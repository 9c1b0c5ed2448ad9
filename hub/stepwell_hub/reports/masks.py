"""The masks of an image, as `Image(masks=…)` keeps them, for an exported file.

The page's `masks.ts` reads and paints them in the same way.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import numpy as np
from PIL import Image

from stepwell_hub.reports.boxes import class_names, labels_of
from stepwell_hub.reports.palette import class_color
from stepwell_store.queries import MediaMask

_SIDE_MAX: Final = 1024
"""Longest side of a painted mask, in pixels."""
_PIXELS_MAX: Final = 8192 * 8192
_CLASSES: Final = 256
_BACKGROUND: Final = frozenset(
    {"background", "bg", "void", "none", "unlabeled", "unlabelled", "ignore"}
)


@dataclass(frozen=True, slots=True)
class Painted:
    """A mask in the colours of its classes.

    Attributes:
        png: the picture; pixels of the background are transparent.
        classes: the name of each painted class, "" without one.
    """

    png: bytes
    classes: Mapping[int, str]


def names_of(
    mask: MediaMask, masks: Sequence[MediaMask], about: Mapping[str, Any]
) -> dict[str, str]:
    """Return the names of classes by class: those of the mask, else of the image.

    A mask without names has those of the image's other masks; the first that names a class counts.
    """
    names = class_names(about)
    for each in (mask,) if mask.labels else reversed(masks):
        names |= labels_of(each.labels)
    return names


def paint(content: bytes, names: Mapping[str, str]) -> Painted | None:
    """Return a grey picture with the colours of its classes; None if it is none or too large.

    The class 0 without a name, or with that of a background, becomes transparent.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > _PIXELS_MAX:
                return None
            grey = picture.convert("L")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    scale = min(1.0, _SIDE_MAX / max(grey.width, grey.height))
    if scale < 1:
        sides = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
        grey = grey.resize(sides, Image.Resampling.NEAREST)
    counts = np.bincount(np.asarray(grey).ravel(), minlength=_CLASSES)
    colors = [class_color(id_) for id_ in range(_CLASSES)]
    painted = grey.copy()
    painted.putpalette([int(color[at : at + 2], 16) for color in colors for at in (1, 3, 5)])
    is_clear = _is_background(names.get("0", ""))
    file = io.BytesIO()
    painted.save(file, "PNG", **({"transparency": 0} if is_clear else {}))
    shown = (int(id_) for id_ in np.flatnonzero(counts) if id_ > 0 or not is_clear)
    return Painted(file.getvalue(), {id_: names.get(str(id_), "") for id_ in shown})


def legend_html(classes: Iterable[tuple[str, Mapping[int, str]]]) -> str:
    """Return the colours of the classes of masks, by class; "" without any.

    Args:
        classes: of each mask its name and the names of its classes.
    """
    found: dict[int, dict[str, list[str]]] = {}
    for mask, names in classes:
        for id_, name in names.items():
            of_class = found.setdefault(id_, {})
            if name:
                of_class.setdefault(name, []).append(mask)
    lines = (
        f'<li><span class="swatch" style="background:{class_color(id_)}"></span> '
        f"{escape(_label(id_, names))}</li>"
        for id_, names in sorted(found.items())
    )
    return f'<ul class="legend">{"".join(lines)}</ul>' if found else ""


def _label(id_: int, names: Mapping[str, Sequence[str]]) -> str:
    """Return "road"; "road (truth), street (prediction)" if masks differ; else "class 3"."""
    if len(names) <= 1:
        return next(iter(names), f"class {id_}")
    return ", ".join(f"{name} ({', '.join(masks)})" for name, masks in names.items())


def _is_background(name: str) -> bool:
    """Return whether the class 0 is one that is not drawn."""
    return not name or name.strip().lower() in _BACKGROUND
