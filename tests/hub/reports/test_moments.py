"""Ticks of moments in exported charts: round moments, labels that tell them apart and have room."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from stepwell_hub.reports.moments import moment_label, moment_ticks
from stepwell_hub.reports.svg import Line, line_chart

START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def micros(moment: datetime) -> float:
    return moment.timestamp() * 1e6


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (timedelta(seconds=40), ["22:13:20", "22:13:30", "22:13:40", "22:13:50", "22:14:00"]),
        (
            timedelta(minutes=7),
            ["11-14 22:14", "11-14 22:16", "11-14 22:18", "11-14 22:20"],
        ),
        (timedelta(hours=20), ["11-15 00:00", "11-15 06:00", "11-15 12:00", "11-15 18:00"]),
        (timedelta(days=4), ["2023-11-15", "2023-11-16", "2023-11-17", "2023-11-18"]),
        (timedelta(days=300), ["2024-01", "2024-03", "2024-05", "2024-07", "2024-09"]),
        (timedelta(days=6000), ["2025", "2030", "2035", "2040"]),
    ],
)
def test_ticks_are_round_moments(span: timedelta, labels: list[str]) -> None:
    ticks = moment_ticks(micros(START), micros(START + span))
    step = ticks[1] - ticks[0]
    assert [moment_label(each, step) for each in ticks] == labels
    assert all(micros(START) <= each <= micros(START + span) for each in ticks)


def test_moments_beyond_those_of_a_datetime_have_ticks() -> None:
    ticks = moment_ticks(-9e18, 9e18)
    assert len(ticks) > 1
    assert all(moment_label(each, 1e18) for each in ticks)
    assert moment_ticks(5.0, 5.0) == [5.0]
    assert moment_label(micros(START), 0.0) == "2023-11-14 22:13"


@pytest.mark.parametrize("days", range(5, 60))
def test_an_axis_of_days_has_several_labels(days: int) -> None:
    first = micros(datetime(2026, 1, 2, tzinfo=UTC))
    assert 2 <= len(moment_ticks(first, first + days * 86_400e6)) <= 6


def test_moments_within_a_millisecond_are_told_apart() -> None:
    ticks = moment_ticks(micros(START), micros(START) + 1000)
    assert len({moment_label(each, ticks[1] - ticks[0]) for each in ticks}) == len(ticks) > 1


def test_the_last_label_is_within_the_chart() -> None:
    x = np.array([micros(START + timedelta(days=each)) for each in range(5)])
    y = np.arange(5.0)
    line = Line("a", "", x, y, y, y)
    labels = {"x_text": moment_label, "x_ticks": moment_ticks}
    drawn = line_chart([line], label="x", y_scale="linear", **labels)
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', drawn)[1])
    for at, text in re.findall(r'<text class="x" x="([\d.]+)"[^>]*>([^<]+)', drawn):
        assert float(at) + len(text) * 6.2 / 2 <= width + 0.1
