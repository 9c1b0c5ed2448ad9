"""Series frames of a hub, as rows: samples of a run's nodes (docs/formats/hub-api.md)."""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

from stepwell.errors import HubError

_MAGIC: Final = 0x31465753
_PREFIX: Final = struct.Struct("<IIII")
_TYPES: Final = {"u4": "I", "f4": "f", "f8": "d"}
_SECOND_US: Final = 1_000_000


def system_rows(data: bytes, started_at: float | None) -> list[dict[str, Any]]:
    """Return a row for each time: means as ``system.METRIC[.LABEL]``, ``_timestamp``, ``_runtime``.

    If a run has several nodes, the node's name is before the metric.
    """
    found = list(_series(data))
    several = len({series["host"] for _, series, _ in found}) > 1
    rows: dict[float, dict[str, Any]] = {}
    for header, series, body in found:
        name = f"{series['host']}/{header['metric']}" if several else header["metric"]
        key = f"system.{name}" + (f".{series['label']}" if series["label"] else "")
        width = header["width"] / _SECOND_US
        buckets = _column(body, series, "bucket")
        for bucket, mean in zip(buckets, _column(body, series, "mean"), strict=True):
            at = (series["base"] + bucket) * width
            rows.setdefault(at, {"_timestamp": at})[key] = mean
    for at, row in rows.items():
        row["_runtime"] = at - started_at if started_at is not None else None
    return [rows[at] for at in sorted(rows)]


def _series(data: bytes) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], bytes]]:
    start = 0
    while start < len(data):
        if start + _PREFIX.size > len(data):
            raise HubError(
                "the hub's answer is not a series frame; upgrade the hub to this release"
            )
        magic, header_bytes, body_bytes, _ = _PREFIX.unpack_from(data, start)
        if magic != _MAGIC:
            raise HubError(
                "the hub's answer is not a series frame; upgrade the hub to this release"
            )
        body_at = start + _PREFIX.size + header_bytes
        header = json.loads(data[start + _PREFIX.size : body_at])
        body = data[body_at : body_at + body_bytes]
        for series in header.get("series", ()):
            yield header, series, body
        start = body_at + body_bytes


def _column(body: bytes, series: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    offset, kind = series["columns"][name]
    return struct.unpack_from(f"<{series['n']}{_TYPES[kind]}", body, offset)
