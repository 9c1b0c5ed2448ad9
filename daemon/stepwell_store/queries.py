"""Every question that is asked of a store, in one place to import from."""

from stepwell_store.charts import Buckets, SeriesBuckets, buckets
from stepwell_store.deletion import delete_run
from stepwell_store.gaps import gaps_of
from stepwell_store.history import console_lines, history
from stepwell_store.nodes import node_series
from stepwell_store.runs import RunRef, find_run, list_runs, run_detail
from stepwell_store.statistics import (
    SeriesStatistics,
    TableColumn,
    metrics_of,
    series_statistics,
    table_statistics,
)

__all__ = [
    "Buckets",
    "RunRef",
    "SeriesBuckets",
    "SeriesStatistics",
    "TableColumn",
    "buckets",
    "console_lines",
    "delete_run",
    "find_run",
    "gaps_of",
    "history",
    "list_runs",
    "metrics_of",
    "node_series",
    "run_detail",
    "series_statistics",
    "table_statistics",
]
