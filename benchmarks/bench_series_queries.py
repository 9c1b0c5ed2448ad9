"""How long does the page's view of many curves take, from embedded ClickHouse, arrays in hand?

12 metrics of 100 runs of a million steps in 512 buckets: as buckets of each run, as bands over the
runs, as the tail that a reader lacks, and as frames ready to send. Beside it, in the same turn, the
way before stable buckets: widths that follow the view's edges, from the rollup of 512 steps.

1.2 billion points would take an hour to make. So only what these questions read is made, inside the
engine: statistics, names and the rollups of every width, as a daemon would compute them of points
that arrived in four extents, merged. ``STEPWELL_BENCH_SCALE=0.01`` makes fewer runs.
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
METRICS = 12
STEPS = 1_000_000
BUCKETS = 512
PROJECT = "bench"

FORMER = """
SELECT series, intDiv(bucket, 4) AS drawn, sum(count) AS points, sum(nan_count) AS nans,
       sum(count - nan_count - positive_inf_count - negative_inf_count) AS finite,
       min(min) AS minimum, max(max) AS maximum, sum(sum) AS total,
       argMax(last.value, bitShiftLeft(toInt128(last.step), 64) + last.time) AS newest
FROM step_rollups
WHERE width = 512 AND series IN {series:Array(UInt64)} AND bucket BETWEEN 0 AND {last:Int64}
GROUP BY series, drawn
"""


def main() -> None:
    from stepwell_hub.frames import series_frame
    from stepwell_store import open_embedded
    from stepwell_store.identity import series_fingerprint
    from stepwell_store.queries import HeldBuckets, group_bands, series_buckets, without_known_head

    scale = float(os.environ.get("STEPWELL_BENCH_SCALE", "1"))
    runs = [f"run-{number:04}" for number in range(max(2, round(100 * scale)))]
    metrics = [f"train/metric{number}" for number in range(METRICS)]
    with tempfile.TemporaryDirectory() as folder:
        store = open_embedded(Path(folder))
        store.migrate()
        make(store, runs, metrics)
        every = [series_fingerprint(PROJECT, run, metric, "") for metric in metrics for run in runs]
        groups = {"even": runs[::2], "odd": runs[1::2]}

        def former() -> Any:
            return store.arrays(FORMER, parameters={"series": every, "last": STEPS // 512})

        def now() -> Any:
            return series_buckets(store, PROJECT, runs, metrics, buckets=BUCKETS)

        answer = now()
        held = [
            HeldBuckets(
                each.run_id, "", answer[0].level, int(each.bucket[-1]), int(each.count[:-1].sum())
            )
            for each in answer[0].series
        ]
        questions: list[tuple[str, Callable[[], Any]]] = [
            ("before: widths of the view, rollup of 512, rows unsorted", former),
            ("stable buckets of each run", now),
            (
                "the same, as frames ready to send",
                lambda: [series_frame(item, each) for item, each in enumerate(now())],
            ),
            (
                "the same, tails only",
                lambda: [
                    series_frame(item, without_known_head(each, held))
                    for item, each in enumerate(now())
                ],
            ),
            (
                "zoomed to a sixteenth of the steps",
                lambda: series_buckets(
                    store, PROJECT, runs, metrics, first=500_000, last=562_499, buckets=BUCKETS
                ),
            ),
            (
                "bands over two groups",
                lambda: group_bands(store, PROJECT, groups, metrics, buckets=BUCKETS),
            ),
            (
                "1 metric, 12 runs",
                lambda: series_buckets(store, PROJECT, runs[:12], metrics[:1], buckets=BUCKETS),
            ),
        ]
        rows = timed(questions)
        points = sum(each.points for each in answer)
        store.close()
    print(f"{len(metrics)} metrics × {len(runs)} runs, {points:,} points behind the buckets\n")
    print(table(["question", "median ms", "max ms", "against before"], rows))


def timed(questions: list[tuple[str, Callable[[], Any]]]) -> list[list[object]]:
    """Ask each question once unmeasured, then all of them in turn, seven times."""
    taken: dict[str, list[float]] = {name: [] for name, _ in questions}
    for number in range(REPEATS + 1):
        for name, ask in questions:
            started = time.perf_counter()
            ask()
            if number:
                taken[name].append((time.perf_counter() - started) * 1000)
    former = statistics.median(next(iter(taken.values())))
    return [
        [
            name,
            f"{statistics.median(each):.0f}",
            f"{max(each):.0f}",
            f"{statistics.median(each) / former:.2f}",
        ]
        for name, each in taken.items()
    ]


def make(store: Any, runs: list[str], metrics: list[str]) -> None:
    """Fill names, statistics and rollups."""
    from stepwell_store.aggregates import ROLLUP_WIDTHS
    from stepwell_store.identity import fingerprint, series_fingerprint

    for metric in metrics:
        series = [series_fingerprint(PROJECT, run, metric, "") for run in runs]
        keys = [fingerprint(PROJECT, run) for run in runs]
        common = {"series": series, "keys": keys, "runs": runs, "metric": metric}
        common |= {"project_id": fingerprint(PROJECT), "metric_id": fingerprint(metric)}
        store.query(
            "INSERT INTO series SELECT 'bench', run, {metric:String}, '', id, "
            "{project_id:UInt64}, {metric_id:UInt64}, key FROM (SELECT "
            "arrayJoin(arrayZip({runs:Array(String)}, {series:Array(UInt64)}, "
            "{keys:Array(UInt64)})) AS one, one.1 AS run, one.2 AS id, one.3 AS key)",
            parameters=common,
        )
        store.query(
            f"INSERT INTO series_stats (project_id, metric_id, run_key, series, count, nan_count, "
            "positive_inf_count, negative_inf_count, min, max, sum, first, last, time_min, "
            "time_max) SELECT {project_id:UInt64}, {metric_id:UInt64}, key, id, "
            f"{STEPS}, 0, 0, 0, 0.0, 1.0, {STEPS / 2}, (0, 1, 1.0), ({STEPS - 1}, {STEPS}, 0.1), "
            f"1, {STEPS} FROM (SELECT arrayJoin(arrayZip({{series:Array(UInt64)}}, "
            "{keys:Array(UInt64)})) AS one, one.1 AS id, one.2 AS key)",
            parameters=common,
        )
        for width in ROLLUP_WIDTHS:
            for part in range(4):
                store.query(
                    "INSERT INTO step_rollups (width, series, bucket, count, nan_count, "
                    "positive_inf_count, negative_inf_count, min, max, sum, first, last) "
                    "SELECT {width:UInt32}, id, number, n, 0, 0, 0, v - 0.1, v + 0.1, v * n, "
                    "(number * {width:UInt32}, number, v), "
                    "((number + 1) * {width:UInt32} - 1, number + 1, v) FROM ("
                    "SELECT arrayJoin({series:Array(UInt64)}) AS id, number, "
                    f"least({{width:UInt32}}, {STEPS} - number * {{width:UInt32}}) AS n, "
                    "toFloat32(exp(-number / 9000) + rand(number) / 4e10) AS v "
                    "FROM numbers({first:UInt64}, {count:UInt64})) ORDER BY id, number",
                    parameters={"series": series, "width": width, **_piece(part, width)},
                    timeout_seconds=600,
                )
    # Merges come in time by themselves; begun in the middle of a question they would be counted.
    store.query("OPTIMIZE TABLE step_rollups FINAL", timeout_seconds=600)


def _piece(part: int, width: int) -> dict[str, int]:
    buckets = -(-STEPS // width)
    first, end = buckets * part // 4, buckets * (part + 1) // 4
    return {"first": first, "count": end - first}


if __name__ == "__main__":
    main()
