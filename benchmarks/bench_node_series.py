"""How long does a run's system view take to read, by its length?

A node with 8 GPUs × 25 metrics and 60 series of its own, sampled every 5 seconds. Short spans are
read from points, longer ones from rollups. Embedded engine; the median of three after one warm-up.
The last line is what a migration pays to make the rollups of all these points.
"""

import importlib
import statistics
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from benchmarks.harness import table
from stepwell_store import open_embedded
from stepwell_store.aggregates import NODE_ROLLUP_WIDTHS
from stepwell_store.fill import Fill, node_rollups_of_series
from stepwell_store.tables import NODE_POINTS, NODE_SERIES

DAYS = 7
SAMPLE_US = 5_000_000
SERIES = 8 * 25 + 60
ROUNDS = 3
BEGIN_US = 1_760_000_000_000_000
SAMPLES = DAYS * 86_400_000_000 // SAMPLE_US

# The package has a function of that name.
asked = importlib.import_module("stepwell_store.queries.node_buckets")

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
            began = time.perf_counter()
            store.fill(node_rollups_of_series(range(1, SERIES + 1)))
            filled = time.perf_counter() - began
            for hours in (1, 24, 24 * DAYS):
                last = BEGIN_US + hours * 3_600_000_000 - 1
                taken: dict[tuple[int, ...], list[float]] = {(): [], NODE_ROLLUP_WIDTHS: []}
                for _ in range(ROUNDS + 1):
                    for widths, seconds in taken.items():  # In turn: machines are noisy.
                        with patch.object(asked, "NODE_ROLLUP_WIDTHS", widths):
                            began = time.perf_counter()
                            found = asked.node_buckets(
                                store, ["node"], first_time_us=BEGIN_US, last_time_us=last
                            )
                            seconds.append(time.perf_counter() - began)
                points = sum(int(each.count.sum()) for metric in found for each in metric.series)
                medians = [statistics.median(each[1:]) for each in taken.values()]
                shown = [f"{median * 1e3:,.0f} ms" for median in medians]
                rows.append((f"{hours} h", f"{points:,}", *shown))
            rows.append(("making rollups", f"{SAMPLES * SERIES:,}", "", f"{filled:,.1f} s"))
        finally:
            store.close()
    print(table(("run", "points", "from points alone", "system view"), rows))
