"""Colours of runs and classes in an exported file, as the page has them, by slot."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

LIGHT: Final = (
    "#2462b1 #de6f11 #760909 #a975e3 #ab3573 #511581 #09a198 #6e5c21 #1e4b47 #ab6d6c "
    "#737cb0 #554589 #7f2c6f #c94848 #8e5793 #97123a #617929 #5c412c #b18a5a #35615b"
)
DARK: Final = (
    "#6aaafe #bd4510 #fea88a #8753be #d56e9e #997ff1 #4dfef9 #a49807 #87d2bf #9a5d65 "
    "#616fa1 #cbbdf6 #d388d9 #f98696 #b463c6 #db5856 #c1f678 #fadbc0 #f4c677 #4b937e"
)
_HEX: Final = re.compile(r"#[0-9a-fA-F]{6}")


def mark_of(slot: int, color: str) -> str:
    """Return the attributes of a run's colour: its own, else its slot's."""
    if _HEX.fullmatch(color):
        return f'style="--c:{color}"'
    return f'style="--c:var(--c{slot % len(LIGHT.split())})"'


def group_marks(groups: Mapping[str, Sequence[Any]], slots: Mapping[str, int]) -> dict[str, str]:
    """Return the attributes of each group's colour, as the page chooses them.

    A group has the colour of its oldest run. The first group of a slot keeps it, later ones get
    free slots while there are some.

    Args:
        groups: the runs of each group.
        slots: the slot of each run, by id.
    """
    count = len(LIGHT.split())
    chosen: dict[str, tuple[int, str]] = {}
    taken: set[int] = set()
    later = []
    for name, runs in groups.items():
        oldest = min(runs, key=lambda run: run.started_at or math.inf)
        slot = slots.get(oldest.run_id, 0)
        chosen[name] = (slot, oldest.color)
        if oldest.color:
            continue
        if slot % count in taken:
            later.append(name)
        taken.add(slot % count)
    free = (slot for slot in range(count) if slot not in taken)
    for name in later:
        chosen[name] = (next(free, chosen[name][0]), "")
    return {name: mark_of(slot, color) for name, (slot, color) in chosen.items()}


def class_color(slot: int) -> str:
    """Return the colour of a class of boxes as #rrggbb: one of those for dark pages in both themes.

    The boxes are over a picture.
    """
    colors = DARK.split()
    return colors[slot % len(colors)]


def ink_on(color: str) -> str:
    """Return black or white, whichever has more contrast with ``color``."""
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def variables(colors: str) -> str:
    """Return the declarations of the slots' colours."""
    return "".join(f"--c{slot}:{color};" for slot, color in enumerate(colors.split()))
