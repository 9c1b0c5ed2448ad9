"""Missing ranges of a writer's stream before its high-water mark. Pure, no I/O.

A gateway that accepts a frame beyond the mark remembers the range that it skipped: another daemon
may still have its bytes, because the writer's journal has moved from there. Late bytes inside a
missing range are taken once. Bytes outside every missing range are duplicates.
"""

from typing import Final

MissingRange = tuple[int, int]
"""Positions: the first missing byte, and the first byte after the range."""

MISSING_RANGES_MAX: Final = 64
"""Missing ranges of one writer; a further one replaces the oldest, whose bytes count as
duplicates."""


def ranges_after(
    ranges: tuple[MissingRange, ...], *, mark: int, position: int, end: int, jumps: bool
) -> tuple[MissingRange, ...]:
    """Return the ranges after a frame was taken from ``position`` to ``end`` at ``mark``."""
    if position > mark and jumps:
        ranges = (*ranges, (mark, position))[-MISSING_RANGES_MAX:]
    return tuple(
        (start, stop)
        for each in ranges
        for start, stop in ((each[0], min(each[1], position)), (max(each[0], end), each[1]))
        if start < stop
    )


def parts_in(ranges: tuple[MissingRange, ...], position: int, end: int) -> list[MissingRange]:
    """Return the parts of ``position`` to ``end`` inside missing ranges, in order."""
    return [
        (max(start, position), min(stop, end))
        for start, stop in ranges
        if max(start, position) < min(stop, end)
    ]
