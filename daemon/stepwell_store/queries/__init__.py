"""All queries of a store, in one module to import from.

The engine does the filters, the order and the limits. Lists come in pages. Each query takes
``limits``: time, memory, and the name by which ``Store.cancel`` ends it.
"""

from stepwell_store.deletion import delete_runs
from stepwell_store.queries.attribute_keys import AttributeKey, list_attribute_keys
from stepwell_store.queries.axis import SeriesRequestError, XAxis
from stepwell_store.queries.bands import Band, MetricBands, group_bands
from stepwell_store.queries.bucket_series import (
    HeldBuckets,
    MetricSeries,
    Series,
    without_known_head,
)
from stepwell_store.queries.changes import delete_project, delete_run, edit_run
from stepwell_store.queries.console import ConsoleLine, ConsolePage, console_lines
from stepwell_store.queries.detail import RunDetail, get_run
from stepwell_store.queries.filter_hints import filter_hints, path_hints
from stepwell_store.queries.find import find_run, find_run_or_project
from stepwell_store.queries.gaps import Gap, list_gaps
from stepwell_store.queries.histograms import (
    HistogramMatrix,
    HistogramName,
    histogram_matrix,
    list_histograms,
)
from stepwell_store.queries.history import (
    HistoryPlan,
    column_name,
    history,
    history_rows,
    plan_history,
    runs_with_several_labels,
)
from stepwell_store.queries.history_columns import (
    Columns,
    ColumnsPlan,
    plan_columns,
    read_columns,
)
from stepwell_store.queries.history_sample import sampled
from stepwell_store.queries.limits import Limits
from stepwell_store.queries.logged import LoggedMetric, logged_metrics, logged_runs
from stepwell_store.queries.media import (
    MediaItem,
    MediaKey,
    MediaMask,
    MediaSteps,
    MediaValue,
    list_media,
    media_items,
    media_keys,
    media_steps,
)
from stepwell_store.queries.media_at import media_at, media_versions
from stepwell_store.queries.metric_counts import metric_counts
from stepwell_store.queries.metric_progress import (
    MetricProgress,
    metric_progress,
    metric_values_at,
)
from stepwell_store.queries.metrics import (
    MetricName,
    MetricStatistics,
    list_metrics,
    run_metrics,
    run_series,
)
from stepwell_store.queries.node_buckets import node_buckets
from stepwell_store.queries.nodes import Device, NodeMetric, RunNode, run_nodes
from stepwell_store.queries.overview import RunOverview, RunRef
from stepwell_store.queries.page import Page
from stepwell_store.queries.projects import ProjectOverview, list_projects, projects_with_runs
from stepwell_store.queries.removed import removed_at
from stepwell_store.queries.run_devices import RunDevice, RunDevices, run_devices
from stepwell_store.queries.runs import list_runs, runs_by_id
from stepwell_store.queries.series import series_buckets
from stepwell_store.queries.signs_of_life import last_signs
from stepwell_store.queries.sizes import StoreTotals, TableSize, store_totals, table_sizes
from stepwell_store.queries.states import existing_runs, projects_pulse, run_states
from stepwell_store.queries.texts import Text, list_texts
from stepwell_store.queries.versions import ProjectPulse, project_pulse, series_versions
from stepwell_store.queries.writers import Writer, list_writers

__all__ = [
    "AttributeKey",
    "Band",
    "Columns",
    "ColumnsPlan",
    "ConsoleLine",
    "ConsolePage",
    "Device",
    "Gap",
    "HeldBuckets",
    "HistogramMatrix",
    "HistogramName",
    "HistoryPlan",
    "Limits",
    "LoggedMetric",
    "MediaItem",
    "MediaKey",
    "MediaMask",
    "MediaSteps",
    "MediaValue",
    "MetricBands",
    "MetricName",
    "MetricProgress",
    "MetricSeries",
    "MetricStatistics",
    "NodeMetric",
    "Page",
    "ProjectOverview",
    "ProjectPulse",
    "RunDetail",
    "RunDevice",
    "RunDevices",
    "RunNode",
    "RunOverview",
    "RunRef",
    "Series",
    "SeriesRequestError",
    "StoreTotals",
    "TableSize",
    "Text",
    "Writer",
    "XAxis",
    "column_name",
    "console_lines",
    "delete_project",
    "delete_run",
    "delete_runs",
    "edit_run",
    "existing_runs",
    "filter_hints",
    "find_run",
    "find_run_or_project",
    "get_run",
    "group_bands",
    "histogram_matrix",
    "history",
    "history_rows",
    "last_signs",
    "list_attribute_keys",
    "list_gaps",
    "list_histograms",
    "list_media",
    "list_metrics",
    "list_projects",
    "list_runs",
    "list_texts",
    "list_writers",
    "logged_metrics",
    "logged_runs",
    "media_at",
    "media_items",
    "media_keys",
    "media_steps",
    "media_versions",
    "metric_counts",
    "metric_progress",
    "metric_values_at",
    "node_buckets",
    "path_hints",
    "plan_columns",
    "plan_history",
    "project_pulse",
    "projects_pulse",
    "projects_with_runs",
    "read_columns",
    "removed_at",
    "run_devices",
    "run_metrics",
    "run_nodes",
    "run_series",
    "run_states",
    "runs_by_id",
    "runs_with_several_labels",
    "sampled",
    "series_buckets",
    "series_versions",
    "store_totals",
    "table_sizes",
    "without_known_head",
]
