"""Series frames: how buckets travel to the page.

    answer := frame*
    frame  := magic u32 | header bytes u32 | body bytes u32 | 0 u32 | header | body
    header := JSON in UTF-8, padded with spaces to a multiple of 8 bytes
    body   := columns, each at a multiple of 8 bytes, little endian

docs/formats/hub-api.md describes the header. A column of floats is f4 where that holds every
value exactly, else f8. No I/O here.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.queries import Band, MetricBands, MetricSeries, Series

MEDIA_TYPE: Final = "application/vnd.stepwell.frames"
MAGIC: Final = 0x31465753  # "SWF1"
VERSION: Final = 1
_PREFIX: Final = struct.Struct("<IIII")
_U4_MAX: Final = 2**32 - 1


class FrameError(ValueError):
    """Bytes that are not a series frame."""


def series_frame(item: int, answer: MetricSeries) -> bytes:
    """Return one frame with the series of one metric; ``item`` is its place in the question."""
    body = Body()
    described = [_described(series, answer, body) for series in answer.series]
    return packed({**_head(item, answer), "series": described}, body)


def bands_frame(item: int, answer: MetricBands) -> bytes:
    """Return one frame with the bands of one metric."""
    body = Body()
    described = [_described_band(band, body) for band in answer.bands]
    return packed({**_head(item, answer), "series": described}, body)


def error_frame(item: int, metric: str, code: str, message: str) -> bytes:
    """Return the frame of an item that could not be answered."""
    error = {"code": code, "message": message}
    return packed({"v": VERSION, "item": item, "metric": metric, "error": error}, Body())


def decode_frames(data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the header and the body of each frame.

    Raises:
        FrameError: The bytes are not frames, or end within one.
    """
    start = 0
    while start < len(data):
        if start + _PREFIX.size > len(data):
            raise FrameError(f"the answer ends within the frame at byte {start}")
        magic, header_bytes, body_bytes, _ = _PREFIX.unpack_from(data, start)
        if magic != MAGIC:
            raise FrameError(f"no frame at byte {start}: it begins with 0x{magic:08x}")
        header_at = start + _PREFIX.size
        body_at = header_at + header_bytes
        start = body_at + body_bytes
        if start > len(data):
            raise FrameError(f"the frame at byte {header_at - _PREFIX.size} is truncated")
        yield json.loads(data[header_at:body_at]), data[body_at:start]


def decode_column(body: bytes, place: list[Any], length: int) -> NDArray[Any]:
    """Return a column of ``length`` numbers from its place in a header, ``[offset, type]``."""
    offset, type_name = place
    return np.frombuffer(body, dtype=f"<{type_name}", count=length, offset=offset)


class Body:
    """Columns, one after the other."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0

    def add(self, values: NDArray[Any]) -> list[Any]:
        """Append a column and return its place."""
        place = [self.size, values.dtype.str[1:]]
        data = values.tobytes()
        padding = -len(data) % 8
        self.pieces += [data, b"\0" * padding]
        self.size += len(data) + padding
        return place

    def add_floats(self, values: NDArray[np.float64]) -> list[Any]:
        with np.errstate(over="ignore"):
            short = values.astype("<f4")
        # NaN is exact in both; all NaN bit patterns count as the same.
        exact = (short == values) | np.isnan(values)
        return self.add(short if exact.all() else values.astype("<f8"))

    def add_counts(self, values: NDArray[np.int64]) -> list[Any]:
        fits = not len(values) or int(values.max()) <= _U4_MAX
        return self.add(values.astype("<u4" if fits else "<f8"))


def _head(item: int, answer: MetricSeries | MetricBands) -> dict[str, Any]:
    return {
        "v": VERSION,
        "item": item,
        "metric": answer.metric,
        "x": answer.x,
        "level": answer.level,
        "width": answer.width,
        "points": answer.points,
    }


def _described(series: Series, answer: MetricSeries, body: Body) -> dict[str, Any]:
    base, columns = _buckets(series.bucket, body)
    columns["count"] = body.add_counts(series.count)
    for name in ("min", "max", "mean", "first", "last"):
        columns[name] = body.add_floats(getattr(series, name))
    if answer.x != "step" or answer.level > 0:
        columns["first_x"] = body.add(series.first_x.astype("<f8"))
        columns["last_x"] = body.add(series.last_x.astype("<f8"))
    if series.newest is not None and series.newest_step is not None:
        columns["newest"] = body.add_floats(series.newest)
        columns["newest_step"] = body.add(series.newest_step.astype("<f8"))
    columns |= _non_finite(series, body)
    named = {"run_id": series.run_id, "label": series.label}
    if series.host:
        named["host"] = series.host
    return {
        **named,
        "version": series.version,
        "n": len(series.bucket),
        "tail": series.is_tail,
        "base": base,
        "columns": columns,
    }


def _described_band(band: Band, body: Body) -> dict[str, Any]:
    base, columns = _buckets(band.bucket, body)
    columns["run_count"] = body.add_counts(band.run_count)
    columns["count"] = body.add_counts(band.count)
    for name in ("mean", "std", "min", "max"):
        columns[name] = body.add_floats(getattr(band, name))
    if band.first_x is not None and band.last_x is not None:
        columns["first_x"] = body.add(band.first_x.astype("<f8"))
        columns["last_x"] = body.add(band.last_x.astype("<f8"))
    columns |= _non_finite(band, body)
    return {
        "group": band.group,
        "group_runs": band.group_runs,
        "version": band.version,
        "n": len(band.bucket),
        "tail": False,
        "base": base,
        "columns": columns,
    }


def _non_finite(held: Series | Band, body: Body) -> dict[str, list[Any]]:
    counts = {
        "nan": held.nan_count,
        "positive_inf": held.positive_inf_count,
        "negative_inf": held.negative_inf_count,
    }
    return {name: body.add_counts(each) for name, each in counts.items() if each.any()}


def _buckets(bucket: NDArray[np.int64], body: Body) -> tuple[int, dict[str, list[Any]]]:
    base = int(bucket[0]) if len(bucket) else 0
    return base, {"bucket": body.add_counts(bucket - base)}


def packed(header: Mapping[str, Any], body: Body) -> bytes:
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    text += b" " * (-len(text) % 8)
    return b"".join((_PREFIX.pack(MAGIC, len(text), body.size, 0), text, *body.pieces))
