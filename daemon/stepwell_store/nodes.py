"""Series of nodes: what the daemons sampled, by host and time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepwell_store.store import Store


def node_series(
    store: Store,
    *,
    host: str | None = None,
    metrics: Sequence[str] | None = None,
    first_time: float | None = None,
    last_time: float | None = None,
    timeout_seconds: float = 30,
) -> list[dict[str, Any]]:
    """Return ``{"host", "metric", "label", "times", "values"}`` per series, by host and metric.

    Args:
        first_time, last_time: seconds since 1970 UTC, both inside; None for no limit.

    ``times`` are seconds. A series without points in the span is left out.
    """
    names = store.query(
        "SELECT DISTINCT host, metric, label, series FROM node_series "
        "WHERE ({host:String} = '' OR host = {host:String}) "
        "AND (empty({metrics:Array(String)}) OR metric IN {metrics:Array(String)}) "
        "ORDER BY host, metric, label",
        parameters={"host": host or "", "metrics": list(metrics or ())},
    )
    if not names:
        return []
    first = -(2**63) if first_time is None else round(first_time * 1e6)
    last = 2**63 - 1 if last_time is None else round(last_time * 1e6)
    columns = store.arrays(
        "SELECT series, time, value FROM node_points WHERE series IN {series:Array(UInt64)} "
        "AND time BETWEEN {first:Int64} AND {last:Int64}",
        parameters={"series": [row["series"] for row in names], "first": first, "last": last},
        timeout_seconds=timeout_seconds,
    )
    if not columns:
        return []
    order = np.lexsort((columns["time"], columns["series"]))
    series, times = columns["series"][order], columns["time"][order]
    values = columns["value"][order]
    found = []
    for row in names:
        low = int(np.searchsorted(series, np.uint64(row["series"]), side="left"))
        high = int(np.searchsorted(series, np.uint64(row["series"]), side="right"))
        if low < high:
            found.append(
                {
                    "host": row["host"],
                    "metric": row["metric"],
                    "label": row["label"],
                    "times": (times[low:high] / 1e6).tolist(),
                    "values": values[low:high].tolist(),
                }
            )
    return found
