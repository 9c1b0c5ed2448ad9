"""Ticks of an axis of moments, in microseconds since 1970 UTC, and their labels."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from stepwell_hub.reports.svg import TICKS, nice_ticks

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_DAY: Final = 24 * 60 * _MINUTE
_STEPS: Final = tuple(
    [seconds * _SECOND for seconds in (1, 2, 5, 10, 15, 30)]
    + [minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)]
    + [days * _DAY for days in (1, 2, 4, 7, 14)]
)
_MONTHS: Final = (1, 2, 3, 6, *(12 * years for years in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)))
_MONTH: Final = 28 * _DAY  # The shortest one.
_YEAR: Final = 365 * _DAY


def moment_ticks(first: float, last: float) -> list[float]:
    """Return round moments from ``first`` to ``last``: whole minutes, days, months and so on."""
    rough = (last - first) / TICKS
    if not rough >= _SECOND:
        return nice_ticks(first, last)
    for step in _STEPS:
        if step >= rough:
            return _multiples(first, last, step)
    try:
        found = list(_starts_of_months(first, last, rough))
        return found if len(found) > 1 else _multiples(first, last, _STEPS[-1])
    except (OverflowError, ValueError):  # Years that a datetime does not have.
        return nice_ticks(first, last)


def moment_label(micros: float, step: float) -> str:
    """Return the label of a tick; ``step`` is the distance of ticks, or 0."""
    try:
        moment = datetime.fromtimestamp(micros / _SECOND, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{micros:g}"
    if step >= _YEAR:
        return f"{moment:%Y}"
    if step >= _MONTH:
        return f"{moment:%Y-%m}"
    if step >= _DAY:
        return f"{moment:%Y-%m-%d}"
    if step <= 0:
        return f"{moment:%Y-%m-%d %H:%M}"
    if step >= _MINUTE:
        return f"{moment:%m-%d %H:%M}"
    digits = 0 if step >= _SECOND else 4 if step >= 1000 else 7
    return f"{moment:%H:%M:%S}" + f".{moment:%f}"[:digits]


def _multiples(first: float, last: float, step: int) -> list[float]:
    start = -int(-first // step)
    return [float(number * step) for number in range(start, int(last // step) + 1)]


def _starts_of_months(first: float, last: float, rough: float) -> Iterator[float]:
    months = next((each for each in _MONTHS if each * 30.4 * _DAY >= rough), _MONTHS[-1])
    number = datetime.fromtimestamp(first / _SECOND, UTC).year * 12 // months * months
    while True:
        moment = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp() * _SECOND
        if moment > last:
            return
        if moment >= first:
            yield moment
        number += months
