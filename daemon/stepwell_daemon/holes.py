"""Holes: what of a writer's stream lies before its mark and is not here. Pure, no I/O.

A gateway that lets a writer's frame jump remembers what the jump went past: another daemon may
hold it still, because the writer's journal has moved on from there. What comes late and lies in a
hole is taken once; what lies beside all holes is known.
"""

from typing import Final

Hole = tuple[int, int]
"""Positions: the first byte that is missing, and the first behind it that is not."""

HOLES_MAX: Final = 64
"""Holes of one writer; the oldest is given up for one more, and what comes for it is known."""


def note_frame(
    holes: tuple[Hole, ...], *, mark: int, position: int, end: int, jumps: bool
) -> tuple[Hole, ...]:
    """Return the holes after a frame was taken from ``position`` to ``end`` at ``mark``."""
    if position > mark and jumps:
        holes = (*holes, (mark, position))[-HOLES_MAX:]
    return tuple(
        (start, stop)
        for hole in holes
        for start, stop in ((hole[0], min(hole[1], position)), (max(hole[0], end), hole[1]))
        if start < stop
    )


def parts_in(holes: tuple[Hole, ...], position: int, end: int) -> list[Hole]:
    """Return what of ``position`` to ``end`` lies in a hole, in order."""
    return [
        (max(start, position), min(stop, end))
        for start, stop in holes
        if max(start, position) < min(stop, end)
    ]
