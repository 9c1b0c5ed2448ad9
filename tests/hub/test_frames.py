"""Series frames: what goes in comes out, bit for bit, and everything else is refused."""

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell_hub.frames import (
    MAGIC,
    FrameError,
    bands_frame,
    decode_column,
    decode_frames,
    error_frame,
    series_frame,
)
from stepwell_store.queries import Band, MetricBands, MetricSeries, Series

COUNTS = st.integers(0, 2**40)
FLOATS = st.floats(width=64) | st.floats(width=32)


@st.composite
def series(draw: st.DrawFn) -> Series:
    start = draw(st.integers(-(2**50), 2**50))
    gaps = draw(st.lists(st.integers(1, 5_000), max_size=20))
    bucket = np.cumsum([start, *gaps], dtype=np.int64)[: len(gaps)]
    size = len(bucket)

    def column(elements: st.SearchStrategy[float], dtype: str) -> np.ndarray:
        return np.array(draw(st.lists(elements, min_size=size, max_size=size)), dtype=dtype)

    counts = ("count", "nan_count", "positive_inf_count", "negative_inf_count")
    floats = ("min", "max", "mean", "first", "last")
    places = st.floats(allow_nan=False, allow_infinity=False)
    return Series(
        run_id=draw(st.text('aé/\0"', max_size=4)),
        metric="loss",
        label=draw(st.text('aé/\0"', max_size=4)),
        host=draw(st.sampled_from(["", "node-a"])),
        version=draw(COUNTS),
        is_tail=draw(st.booleans()),
        bucket=bucket,
        **{name: column(COUNTS, "<i8") for name in counts},
        **{name: column(FLOATS, "<f8") for name in floats},
        **{name: column(places, "<f8") for name in ("first_x", "last_x")},
    )


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.array_equal(one.astype(np.float64), other.astype(np.float64), equal_nan=True))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(series(), max_size=3), st.integers(0, 40), st.sampled_from(["step", "time"]))
@pytest.mark.slow
def test_series_come_out_as_they_went_in(held: list[Series], level: int, x: str):
    answer = MetricSeries("loss", x, level, 2.0**level, tuple(held))
    data = series_frame(7, answer)
    assert len(data) % 8 == 0
    ((header, body),) = decode_frames(data)
    assert (header["item"], header["metric"], header["x"], header["level"]) == (7, "loss", x, level)
    assert header["points"] == sum(int(each.count.sum()) for each in held)
    for told, each in zip(header["series"], held, strict=True):
        assert (told["run_id"], told["label"]) == (each.run_id, each.label)
        assert (told["version"], told["tail"]) == (each.version, each.is_tail)
        assert told.get("host", "") == each.host
        assert (told["base"] == each.bucket[0]) if len(each.bucket) else told["n"] == 0
        columns = {
            name: decode_column(body, place, told["n"]) for name, place in told["columns"].items()
        }
        assert [told["base"] + int(at) for at in columns["bucket"]] == each.bucket.tolist()
        assert same(columns["count"], each.count)
        for name in ("min", "max", "mean", "first", "last"):
            assert same(columns[name], getattr(each, name))
        assert ("first_x" in columns) == (x != "step" or level > 0)
        for name, counts in (
            ("nan", each.nan_count),
            ("positive_inf", each.positive_inf_count),
            ("negative_inf", each.negative_inf_count),
        ):
            assert (name in columns) == bool(counts.any())
            assert name not in columns or same(columns[name], counts)


def band(mean: list[float]) -> Band:
    size = len(mean)
    ones = np.ones(size, dtype=np.int64)
    values = np.array(mean)
    bucket = np.arange(5, 5 + size)
    none = ones * 0
    nans = np.isnan(values).astype(np.int64)
    return Band("g", 3, 9, bucket, ones, ones * 4, values, values, values, values, nans, none, none)


@pytest.mark.parametrize(
    ("mean", "type_name"),
    [([0.5, math.nan, math.inf], "f4"), ([0.1], "f8"), ([1e300], "f8"), ([16_777_217.0], "f8")],
)
def test_a_column_is_short_only_where_that_is_exact(mean: list[float], type_name: str):
    data = bands_frame(0, MetricBands("loss", "step", 3, 8.0, (band(mean),)))
    ((header, body),) = decode_frames(data)
    (told,) = header["series"]
    assert (told["group"], told["group_runs"], told["version"], told["base"]) == ("g", 3, 9, 5)
    assert told["columns"]["mean"][1] == type_name
    assert same(decode_column(body, told["columns"]["std"], len(mean)), np.array(mean))
    nans = np.isnan(mean)
    assert ("nan" in told["columns"]) == nans.any()
    assert not {"positive_inf", "negative_inf"} & set(told["columns"])
    if nans.any():
        assert same(decode_column(body, told["columns"]["nan"], len(mean)), nans)


def test_an_item_that_failed_says_why():
    ((header, body),) = decode_frames(error_frame(2, "lö\udcffss", "query_timeout", "too slow"))
    assert header["item"] == 2
    assert header["error"] == {"code": "query_timeout", "message": "too slow"}
    assert body == b""


def test_a_cut_at_any_byte_is_refused():
    whole = bands_frame(0, MetricBands("loss", "step", 0, 1.0, (band([1.0, 2.0]),)))
    for cut in range(1, len(whole)):
        with pytest.raises(FrameError):
            list(decode_frames(whole[:cut]))
    assert len(list(decode_frames(whole * 3))) == 3


def test_other_bytes_are_refused():
    header = json.dumps({}).encode().ljust(8)
    with pytest.raises(FrameError, match="0xdeadbeef"):
        list(decode_frames(struct.pack("<IIII", 0xDEADBEEF, 8, 0, 0) + header))
    assert int.from_bytes(b"SWF1", "little") == MAGIC
