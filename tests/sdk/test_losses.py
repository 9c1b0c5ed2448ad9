"""Losses: rows, console lines and events that found no room, counted for the user."""

import pytest

from stepwell._losses import Losses


@pytest.mark.parametrize(
    ("points", "lines", "events", "text"),
    [
        (0, 0, 0, ""),
        (1, 0, 0, "1 point"),
        (44_256, 0, 1, "44,256 points, 1 event"),
        (2, 1, 3, "2 points, 1 console line, 3 events"),
    ],
)
def test_only_kinds_that_were_dropped_are_counted_in_the_text(
    points: int, lines: int, events: int, text: str
) -> None:
    losses = Losses()
    losses.points, losses.lines, losses.events = points, lines, events
    assert losses.text() == text
