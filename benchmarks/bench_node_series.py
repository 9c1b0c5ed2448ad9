"""How long does a run's system view take to read, by its length?

A node with 8 GPUs × 25 metrics and 60 series of its own, sampled every 5 seconds. Node points have
no rollups: each is read as it is. Embedded engine; the median of three after one warm-up.
"""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.harness import table
from stepwell_store import open_embedded
from stepwell_store.fill import Fill
from stepwell_store.queries import node_buckets
from stepwell_store.tables import NODE_POINTS, NODE_SERIES

DAYS = 7
SAMPLE_US = 5_000_000
SERIES = 8 * 25 + 60
ROUNDS = 3
BEGIN_US = 1_760_000_000_000_000
SAMPLES = DAYS * 86_400_000_000 // SAMPLE_US

_NAMES = f"""
SELECT 'node' AS host, concat('gpu/metric_', toString(number % 25)) AS metric,
       if(number < 200, concat('gpu', toString(intDiv(number, 25))), toString(number)) AS label,
       toUInt64(number + 1) AS series
FROM numbers({SERIES})
"""
_POINTS = f"""
SELECT toUInt64(number % {SERIES} + 1) AS series,
       toInt64({BEGIN_US} + (intDiv(number, {SERIES}) + {{first}}) * {SAMPLE_US}) AS time,
       round(300 + 50 * sin(number / 7919.), 1) AS value
FROM numbers({{count}})
"""
_AT_ONCE = 20_000


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = open_embedded(Path(folder) / "store", memory_bytes_max=2 << 30)
        try:
            store.migrate()
            store.fill(Fill(NODE_SERIES, NODE_SERIES, _NAMES, "names"))
            for first in range(0, SAMPLES, _AT_ONCE):
                count = min(_AT_ONCE, SAMPLES - first) * SERIES
                select = _POINTS.format(first=first, count=count)
                store.fill(Fill(NODE_POINTS, NODE_POINTS, select, f"points-{first}"))
            for hours in (1, 24, 24 * DAYS):
                last = BEGIN_US + hours * 3_600_000_000 - 1
                taken = []
                for _ in range(ROUNDS + 1):
                    began = time.perf_counter()
                    found = node_buckets(
                        store, ["node"], first_time_us=BEGIN_US, last_time_us=last, buckets=512
                    )
                    taken.append(time.perf_counter() - began)
                points = sum(int(each.count.sum()) for metric in found for each in metric.series)
                median = statistics.median(taken[1:])
                rows.append((f"{hours} h", f"{points:,}", f"{median * 1e3:,.0f} ms"))
        finally:
            store.close()
    print(table(("run", "points read", "system view"), rows))
