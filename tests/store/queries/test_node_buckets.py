"""Series of nodes in buckets of time: by metric, host and device."""

import math

import pytest

from stepwell_store import Store
from stepwell_store.queries import SeriesRequestError, node_buckets
from tests.store.made import START_US, fresh_project, log, writer
from tests.store.queries.exact import Point, assert_equal, expected

SECOND = 1_000_000


def sample(store: Store, host: str, label: str, values: list[float]) -> list[Point]:
    """Store one sample each millisecond and return them."""
    node = writer("", f"node-{host}", label=label, scope="node", host=host)
    log(store, node, list(range(len(values))), **{"memory/used_bytes": values})
    return [Point(step, START_US + step * 1_000, value) for step, value in enumerate(values)]


def test_each_bucket_holds_what_was_sampled_in_it(store: Store):
    host = fresh_project()
    bare = sample(store, host, "", [1.0, 5.0, math.nan, 4.0] * 25)
    disk = sample(store, host, "disk0", [float(number) for number in range(100)])
    sample(store, "another-" + host, "", [0.0])
    (metric,) = node_buckets(
        store, [host], first_time_us=START_US, last_time_us=START_US + 99_999, buckets=20
    )
    assert (metric.metric, metric.x, metric.width) == ("memory/used_bytes", "time", 8192)
    assert [(each.host, each.label) for each in metric.series] == [(host, ""), (host, "disk0")]
    for series, points in zip(metric.series, (bare, disk), strict=True):
        assert_equal(series, expected([(point.time, point) for point in points], metric.level))


def test_only_the_span_and_the_metrics_that_are_asked_for(store: Store):
    host = fresh_project()
    sample(store, host, "", [1.0] * 1_000)
    span = {"first_time_us": START_US + 10_000, "last_time_us": START_US + 19_999}
    (metric,) = node_buckets(store, [host], buckets=1_000, **span)
    assert metric.series[0].count.sum() == 10
    assert node_buckets(store, [host], metrics=["nosuch"], **span) == ()
    assert node_buckets(store, ["nosuch"], **span) == ()
    assert node_buckets(store, [], **span) == ()
    later = {"first_time_us": START_US + SECOND * 100, "last_time_us": START_US + SECOND * 101}
    assert node_buckets(store, [host], **later) == ()


def test_an_empty_span_is_refused(store: Store):
    with pytest.raises(SeriesRequestError):
        node_buckets(store, ["any"], first_time_us=10, last_time_us=9)
