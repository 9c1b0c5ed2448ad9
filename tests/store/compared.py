"""Two stores that should hold the same."""

from collections.abc import Sequence
from typing import Any

from stepwell_store import Store
from tests.store.former import REASONS

_ROLLUPS = """
SELECT width, series, bucket, sum(count) AS n, sum(nan_count) AS nans,
       sum(positive_inf_count) AS ps, sum(negative_inf_count) AS ns, min(min) AS low,
       max(max) AS high, sum(sum) AS total, min(first) AS earliest, max(last) AS latest
FROM step_rollups GROUP BY width, series, bucket ORDER BY width, series, bucket
"""


_NODE_ROLLUPS = """
SELECT width, series, time, sum(count) AS n, sum(nan_count) AS nans,
       sum(positive_inf_count) AS ps, sum(negative_inf_count) AS ns, min(min) AS low,
       max(max) AS high, sum(sum) AS total, min(first) AS earliest, max(last) AS latest
FROM node_rollups WHERE series IN
    (SELECT series FROM node_series WHERE host = 'node-former')
GROUP BY width, series, time ORDER BY width, series, time
"""


_STATISTICS = """
SELECT project_id, metric_id, run_key, series, sum(count) AS n, sum(nan_count) AS nans,
       min(min) AS low, max(max) AS high, sum(sum) AS total, min(first) AS earliest,
       max(last) AS latest, min(time_min) AS since, max(time_max) AS until
FROM {} GROUP BY project_id, metric_id, run_key, series
ORDER BY project_id, metric_id, run_key, series
"""


_RUN_KEYS = """
SELECT DISTINCT w.project, w.run_id, w.run_key AS of_writer, s.run_key AS of_series
FROM (SELECT project, run_id, writer_id, max(k.run_key) AS run_key FROM writers AS k
      GROUP BY project, run_id, writer_id) AS w
ALL INNER JOIN (SELECT DISTINCT project, run_id, run_key FROM series) AS s USING (project, run_id)
"""


_ATTRIBUTES = (
    "SELECT project, run_id, kind, path, type, float, int, text, deleted, version FROM {} FINAL "
    "ORDER BY project, run_id, kind, path"
)
_GAPS = """
SELECT DISTINCT project, run_id, writer_id, label, time, reason, kind, file
FROM gaps WHERE project = 'former'
ORDER BY project, run_id, writer_id, time, reason
"""


def as_text(rows: Sequence[dict[str, Any]]) -> list[str]:
    # NaN differs from itself; baseline servers name no elements.
    return [
        repr([list(value.values()) if isinstance(value, dict) else value for value in row.values()])
        for row in rows
    ]


def assert_same(store: Store, fresh: Store) -> None:
    found, expected = as_text(store.query(_ROLLUPS)), as_text(fresh.query(_ROLLUPS))
    assert len(expected) > 100
    assert found == expected
    of_nodes = as_text(fresh.query(_NODE_ROLLUPS))
    assert len(of_nodes) > 100
    assert as_text(store.query(_NODE_ROLLUPS)) == of_nodes
    statistics = as_text(store.query(_STATISTICS.format("series_stats")))
    assert len(statistics) > 4
    assert as_text(store.query(_STATISTICS.format("series_stats_by_run"))) == statistics
    keys = store.query(_RUN_KEYS)
    assert keys
    assert all(row["of_writer"] == row["of_series"] for row in keys), keys
    attributes = store.query(_ATTRIBUTES.format("attributes"))
    assert len(attributes) > 4
    assert store.query(_ATTRIBUTES.format("attributes_by_path")) == attributes
    assert attributes == fresh.query(_ATTRIBUTES.format("attributes"))
    gaps = store.query(_GAPS)
    assert {row["reason"]: row["kind"] for row in gaps} == REASONS
    assert {row["file"] for row in gaps} == {"", "1-64-points.seg"}
    assert gaps == fresh.query(_GAPS)
