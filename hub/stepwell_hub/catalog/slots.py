"""Which colour a new run gets: pure."""

from collections.abc import Sequence
from typing import Final

SLOTS: Final = 20


def next_slot(recent: Sequence[int]) -> int:
    """Return the slot that was not used for longest.

    Args:
        recent: the slots of the project's last runs, oldest first.
    """
    last_used = {slot: place for place, slot in enumerate(recent)}
    return min(range(SLOTS), key=lambda slot: (last_used.get(slot, -1), slot))
