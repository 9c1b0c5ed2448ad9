"""What do statistics and rollups cost: materialized views against partial rows from numpy?

The same points, 8 runs of 10 metrics, in sorted blocks of 400,000; CPU of this process and of the
engine per point. Decision 0002 quotes it.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.harness import table

RUNS, METRICS, ROWS, EXTENTS = 8, 10, 5000, 10

VIEWS = (
    """CREATE MATERIALIZED VIEW to_stats TO series_stats AS
    SELECT toUInt64(1) AS project_id, toUInt64(1) AS metric_id, toUInt64(1) AS run_key, series,
           count() AS count, countIf(isNaN(value)) AS nan_count,
           countIf(value = inf) AS positive_inf_count, countIf(value = -inf) AS negative_inf_count,
           minIf(value, isFinite(value)) AS min, maxIf(value, isFinite(value)) AS max,
           sumIf(value, isFinite(value)) AS sum,
           min((p.step, p.time, p.value))::Tuple(step Int64, time Int64, value Float64) AS first,
           max((p.step, p.time, p.value))::Tuple(step Int64, time Int64, value Float64) AS last,
           min(p.time) AS time_min, max(p.time) AS time_max
    FROM points AS p GROUP BY series""",
    *(
        f"""CREATE MATERIALIZED VIEW to_{width} TO step_rollups AS
        SELECT toUInt32({width}) AS width, series,
               toInt64(floor(p.step / {width})) AS bucket, count() AS count,
               countIf(isNaN(value)) AS nan_count, countIf(value = inf) AS positive_inf_count,
               countIf(value = -inf) AS negative_inf_count,
               minIf(value, isFinite(value)) AS min, maxIf(value, isFinite(value)) AS max,
               sumIf(value, isFinite(value)) AS sum,
               min((p.step, p.time, p.value))::Tuple(step Int64, time Int64, value Float64) AS first,
               max((p.step, p.time, p.value))::Tuple(step Int64, time Int64, value Float64) AS last
        FROM points AS p GROUP BY series, bucket"""  # noqa: E501
        for width in (64, 512, 2048)
    ),
)


def main() -> None:
    rows = []
    for name, views, kept in (
        ("points alone", (), {"points"}),
        ("with materialized views", VIEWS, {"points"}),
        ("with rows from numpy", (), {"points", "series_stats", "step_rollups"}),
    ):
        building, inserting = measure(views, kept)
        rows.append([name, f"{building:.3f}", f"{inserting:.3f}", f"{building + inserting:.3f}"])
    print(table(["", "this process µs/point", "engine µs/point", "together"], rows))


def measure(views: tuple[str, ...], kept: set[str]) -> tuple[float, float]:
    from stepwell_store import BlockBuilder, WriterInfo, open_embedded
    from stepwell_wire.rows import DecodedRecords, Rows

    random = np.random.default_rng(1)
    metrics = tuple(f"metric{number}" for number in range(METRICS))
    with tempfile.TemporaryDirectory() as folder:
        store = open_embedded(Path(folder))
        store.migrate()
        for view in views:
            store.query(view)
        ours, engine = psutil.Process(), psutil.Process(store.engine_pid)
        cpu: Callable[[Any], float] = lambda process: sum(process.cpu_times()[:2])  # noqa: E731
        before = cpu(ours), cpu(engine)
        spent = 0.0
        for extent in range(EXTENTS):
            steps = np.arange(extent * ROWS, (extent + 1) * ROWS)
            parts = []
            for run in range(RUNS):
                values = random.normal(size=(ROWS, METRICS)).astype("f4").astype("f8")
                writer = WriterInfo("bench", f"run{run}", "w", "", "run", "node", 1)
                held = [Rows(1, steps, 1_700_000_000_000_000 + steps * 1000, values)]
                parts.append((writer, DecodedRecords(held, [], ROWS, values.size)))
            started = cpu(ours)
            builder = BlockBuilder()
            for writer, decoded in parts:
                builder.add(writer, decoded, {1: metrics})
            for block in builder.build():
                if block.table in kept:
                    store.insert(block, f"{extent}:{block.digest()}")
            spent += cpu(ours) - started
        points = RUNS * METRICS * ROWS * EXTENTS
        engine_seconds = cpu(engine) - before[1]
        store.close()
    return spent / points * 1e6, engine_seconds / points * 1e6


if __name__ == "__main__":
    main()
