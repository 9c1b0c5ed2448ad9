"""The level of a view: the narrowest power of two with at most so many buckets, anchored at 0."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_store.queries.axis import (
    BUCKETS_MAX,
    SeriesRequestError,
    XAxis,
    float_bucket,
    float_level,
    integer_level,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(1, BUCKETS_MAX)


def spanned(first: int, last: int, level: int) -> int:
    return (last >> level) - (first >> level) + 1


@given(INT64, INT64, st.integers(2, BUCKETS_MAX))
def test_the_level_of_whole_numbers_is_the_smallest_that_fits(one: int, other: int, count: int):
    first, last = sorted((one, other))
    level = integer_level(first, last, count)
    assert spanned(first, last, level) <= count
    assert level == 0 or spanned(first, last, level - 1) > count


@given(FLOATS, FLOATS, st.integers(2, BUCKETS_MAX))
def test_the_level_of_floats_fits_and_numbers_buckets_exactly(one: float, other: float, count: int):
    first, last = sorted((one, other))
    level = float_level(first, last, count)
    assert float_bucket(last, level) - float_bucket(first, level) + 1 <= count
    for x in (first, last):
        assert abs(float_bucket(x, level)) <= 2**53


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 4096))
def test_the_level_of_floats_is_the_smallest_that_fits(first: float, span: float, count: int):
    last = first + span
    level = float_level(first, last, count)
    finer = math.floor(last / 2.0 ** (level - 1)) - math.floor(first / 2.0 ** (level - 1)) + 1
    assert finer > count


def test_a_range_that_grows_changes_its_level_only_when_it_has_doubled():
    levels = [integer_level(0, last, 512) for last in range(1, 100_000, 7)]
    assert levels == sorted(levels)
    assert len(set(levels)) == 9


@pytest.mark.parametrize("text", ["", "steps", "metric", "metric:", "step:loss"])
def test_an_axis_that_does_not_exist_is_refused(text: str):
    with pytest.raises(SeriesRequestError):
        XAxis.parse(text)


@pytest.mark.parametrize("text", ["step", "time", "relative", "metric:epoch", "metric:a:b"])
def test_an_axis_reads_back_as_it_is_written(text: str):
    assert str(XAxis.parse(text)) == text


@pytest.mark.parametrize("count", [0, -1, BUCKETS_MAX + 1])
def test_a_number_of_buckets_out_of_range_is_refused(count: int):
    with pytest.raises(SeriesRequestError):
        integer_level(0, 10, count)
