"""The x axis of a series, and the width of its buckets.

    bucket := floor(x / 2**level), so a bucket's borders are the same in every view

Widths are powers of two and start at 0: a new point, a pan or a zoom never moves a bucket's border,
so a curve keeps its shape while it grows. Pure: no store here.
"""

import math
from dataclasses import dataclass
from typing import Final

BUCKETS_MAX: Final = 16_384
"""Maximum for one series in one answer; no screen has more columns."""

LEVEL_MIN: Final = -1074  # Below it the width is too small for a float64.
LEVEL_MAX: Final = 1023
INTEGER_LEVEL_MAX: Final = 62  # For steps and µs, which are 64-bit numbers.
_KINDS: Final = ("step", "time", "relative", "metric")


class SeriesRequestError(ValueError):
    """An invalid request for series."""


@dataclass(frozen=True, slots=True)
class XAxis:
    """An axis of x.

    Attributes:
        kind: ``step``; ``time`` (µs since 1970 UTC); ``relative`` (µs since the run's start);
            ``metric`` (the value of another metric of the same run and label).
        metric: the name of that metric; empty for the other kinds.
    """

    kind: str = "step"
    metric: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise SeriesRequestError(
                f"x axis {self.kind!r}: expected step, time, relative or metric:NAME"
            )
        if (self.kind == "metric") != bool(self.metric):
            raise SeriesRequestError("x axis: only metric:NAME has a name, and it needs one")

    @classmethod
    def parse(cls, text: str) -> "XAxis":
        """Return the axis with the name ``text`` (``step``, ``metric:epoch``).

        Raises:
            SeriesRequestError: There is no such axis.
        """
        kind, _, metric = text.partition(":")
        return cls(kind, metric)

    def __str__(self) -> str:
        return f"metric:{self.metric}" if self.kind == "metric" else self.kind

    @property
    def is_integer(self) -> bool:
        """Whether x has whole numbers only, so that a bucket is never narrower than 1."""
        return self.kind != "metric"


STEP: Final = XAxis()


@dataclass(frozen=True, slots=True)
class SeriesView:
    """The range and the buckets of a request for series.

    Attributes:
        first, last: the range of x, both included; None for the whole series.
        buckets: maximum number, unless ``level`` gives their width.

    Raises:
        SeriesRequestError: The range is empty or not finite, or no bucket has such a width.
    """

    x: XAxis
    first: float | None
    last: float | None
    buckets: int
    level: int | None

    def __post_init__(self) -> None:
        for name, end in (("first", self.first), ("last", self.last)):
            if end is not None and not math.isfinite(end):
                raise SeriesRequestError(f"{name} is {end}; expected a finite number or none")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise SeriesRequestError(
                f"the range {self.first} to {self.last} is empty: first is beyond last"
            )
        low, high = (0, INTEGER_LEVEL_MAX) if self.x.is_integer else (LEVEL_MIN, LEVEL_MAX)
        if self.level is not None and not low <= self.level <= high:
            raise SeriesRequestError(
                f"level is {self.level}; over {self.x} expected {low} to {high}"
            )


def integer_level(first: int, last: int, bucket_count: int) -> int:
    """Return the smallest level, 0 or more, with at most ``bucket_count`` buckets in the range.

    Args:
        first, last: the ends of the range, both included.
    """
    _check(bucket_count)
    if first > last:
        raise SeriesRequestError(f"the range {first} to {last} is empty: first is beyond last")
    level = max(0, ((last - first) // bucket_count).bit_length() - 1)
    while (last >> level) - (first >> level) + 1 > bucket_count:
        level += 1
    return level


def float_level(first: float, last: float, bucket_count: int) -> int:
    """Return the smallest level, also negative, with at most ``bucket_count`` buckets.

    A bucket is never narrower than the distance of two floats there. So its number stays below
    2**53 and is exact in every format.
    """
    _check(bucket_count)
    if not (math.isfinite(first) and math.isfinite(last) and first <= last):
        raise SeriesRequestError(f"the range {first} to {last} is not finite")
    finest = finest_level(first, last)
    if first == last:
        return max(0, finest)
    # Halves first: the difference of two finite numbers may be infinite.
    level = max(finest, math.frexp(last / 2 / bucket_count - first / 2 / bucket_count)[1] - 1)
    while float_bucket(last, level) - float_bucket(first, level) + 1 > bucket_count:
        level += 1
    return level


def finest_level(first: float, last: float) -> int:
    """Return the level whose buckets have the width of the distance between floats there."""
    return max(LEVEL_MIN, math.frexp(max(abs(first), abs(last)))[1] - 53)


def float_bucket(x: float, level: int) -> int:
    """Return the bucket of ``x``, for a level from ``float_level`` for a range."""
    return math.floor(math.ldexp(x, -level))


def check_level(level: int, bucket_count: int) -> None:
    """Raise ``SeriesRequestError`` if a requested level would make too many buckets."""
    if bucket_count > BUCKETS_MAX:
        raise SeriesRequestError(
            f"level {level} divides the range into {bucket_count:,} buckets; the maximum is "
            f"{BUCKETS_MAX:,}: request a higher level or a shorter range"
        )


def _check(bucket_count: int) -> None:
    if not 1 <= bucket_count <= BUCKETS_MAX:
        raise SeriesRequestError(f"buckets is {bucket_count}; expected 1 to {BUCKETS_MAX:,}")
