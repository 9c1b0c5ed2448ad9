"""Missing ranges of a writer's stream before its high-water mark. Pure, no I/O.

A gateway that accepts a frame beyond the mark remembers the range that it skipped: another daemon
may still have its bytes, because the writer's journal has moved from there. Late bytes inside a
missing range are taken once. Bytes outside every missing range are duplicates.
"""

from typing import Final

Hole = tuple[int, int]
"""Positions: the first missing byte, and the first byte after the range."""

HOLES_MAX: Final = 64
"""Missing ranges of one writer; a further one replaces the oldest, whose bytes count as
duplicates."""


def note_frame(
    holes: tuple[Hole, ...], *, mark: int, position: int, end: int, jumps: bool
) -> tuple[Hole, ...]:
    """Return the ranges after a frame was taken from ``position`` to ``end`` at ``mark``."""
    if position > mark and jumps:
        holes = (*holes, (mark, position))[-HOLES_MAX:]
    return tuple(
        (start, stop)
        for hole in holes
        for start, stop in ((hole[0], min(hole[1], position)), (max(hole[0], end), hole[1]))
        if start < stop
    )


def parts_in(holes: tuple[Hole, ...], position: int, end: int) -> list[Hole]:
    """Return the parts of ``position`` to ``end`` inside missing ranges, in order."""
    return [
        (max(start, position), min(stop, end))
        for start, stop in holes
        if max(start, position) < min(stop, end)
    ]
