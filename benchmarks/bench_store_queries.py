"""How long do series in buckets take, from embedded ClickHouse, arrays in hand?

100 series of a million points each in 1,000 buckets. Runs: ``bench_run_queries``.
The data is made inside the engine: the questions are measured here, not the way to them.
``STEPWELL_BENCH_SCALE=0.01`` makes it small.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import table

REPEATS = 7


def main() -> None:
    from stepwell_store import open_embedded
    from stepwell_store.queries import buckets

    scale = float(os.environ.get("STEPWELL_BENCH_SCALE", "1"))
    series_count, points = 100, round(1_000_000 * scale)
    with tempfile.TemporaryDirectory() as folder:
        store = open_embedded(Path(folder))
        store.migrate()
        make_series(store, series_count, points)
        every = list(range(series_count))
        questions: list[tuple[str, Callable[[], Any]]] = [
            (
                f"{series_count} series × {points:,} points, 1,000 buckets",
                lambda: buckets(store, every, 0, points - 1, 1000),
            ),
            (
                "the same, a tenth of the steps",
                lambda: buckets(store, every, 0, points // 10 - 1, 1000),
            ),
            ("1 series, 1,000 buckets", lambda: buckets(store, [7], 0, points - 1, 1000)),
            (
                "1 series, 1,000 buckets of raw points",
                lambda: buckets(store, [7], 0, min(points, 60_000) - 1, 1000),
            ),
        ]
        rows = []
        for name, ask in questions:
            ask()
            taken = []
            for _ in range(REPEATS):
                started = time.perf_counter()
                ask()
                taken.append((time.perf_counter() - started) * 1000)
            rows.append([name, f"{statistics.median(taken):.0f}", f"{max(taken):.0f}"])
        store.close()
    print(table(["question", "median ms", "max ms"], rows))


def make_series(store: Any, series_count: int, points: int) -> None:
    """Fill points and rollups with noisy falling losses, a few extents of each series."""
    from stepwell_store.fill import rollups_of_series

    for first in range(0, points, 250_000):
        last = min(first + 250_000, points)
        store.query(
            "INSERT INTO points SELECT intDiv(number, {n:UInt64}) AS series, "
            "{first:Int64} + number % {n:UInt64} AS step, 1700000000000000 + step * 1000, "
            "toFloat32(exp(-step / 300000) + randNormal(0, 0.05)) "
            "FROM numbers({n:UInt64} * {series:UInt64})",
            parameters={"n": last - first, "first": first, "series": series_count},
            timeout_seconds=600,
        )
    for series in range(0, series_count, 10):
        store.fill(rollups_of_series(range(series, series + 10)))


if __name__ == "__main__":
    main()
