"""Series of nodes in buckets of time: by metric, host and device."""

import math

import pytest

from stepwell_store import Store
from stepwell_store.queries import SeriesRequestError, node_buckets, run_nodes
from tests.store.made import (
    START_US,
    build,
    decoded,
    event,
    fresh_project,
    insert,
    log,
    rows,
    tell,
    writer,
)
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


MINUTE = 60 * SECOND


@pytest.fixture
def hour(store: Store) -> tuple[str, list[Point]]:
    """A host and what was sampled of it each 2 seconds; one half of it arrived after the other."""
    host = fresh_project()
    node = writer("", "node", scope="node", host=host)
    begin = (START_US >> 30 << 30) + 7 * MINUTE
    values = [math.nan, math.inf, -math.inf, *(number % 97 / 8 for number in range(1_797))]
    points = [Point(at, begin + at * 2 * SECOND, value) for at, value in enumerate(values)]
    for half in (1, 0):
        made = points[half::2]
        told = rows(1, [0] * len(made), [p.value for p in made], times=[p.time for p in made])
        insert(store, build((node, decoded([told])), schemas={1: ("cpu/use",)}), f"{host}-{half}")
    return host, points


def without_points(store: Store, host: str) -> None:
    """Leave only what is computed of the points of ``host``."""
    of_host = "series IN (SELECT series FROM node_series WHERE host = {host:String})"
    store.delete_rows("node_points", of_host, {"host": host})


@pytest.mark.parametrize("buckets", [40, 3])
def test_long_spans_are_answered_from_rollups_as_from_points(
    store: Store, hour: tuple[str, list[Point]], buckets: int
) -> None:
    host, points = hour
    span = {"first_time_us": points[0].time, "last_time_us": points[-1].time}
    without_points(store, host)
    (metric,) = node_buckets(store, [host], buckets=buckets, **span)
    assert metric.width >= 1 << 26
    wanted = expected([(point.time, point) for point in points], metric.level)
    assert_equal(metric.series[0], wanted)


def test_a_run_whose_time_holds_whole_buckets_has_the_metrics_of_its_time(
    store: Store, hour: tuple[str, list[Point]]
) -> None:
    host, points = hour
    project = fresh_project()
    who = writer(project, host=host)
    inside = points[5:-3]
    tell(store, who, event("start", {"started_at": inside[0].time}, time_us=inside[0].time))
    tell(store, who, event("finish", {"state": "finished"}, time_us=inside[-1].time))
    (node,) = run_nodes(store, project, "run")
    (found,) = node.metrics
    values = [point.value for point in inside]
    assert (found.count, found.min, found.max) == (len(values), min(values), max(values))
    assert (found.mean, found.last) == (pytest.approx(sum(values) / len(values)), values[-1])


def test_an_empty_span_is_refused(store: Store):
    with pytest.raises(SeriesRequestError):
        node_buckets(store, ["any"], first_time_us=10, last_time_us=9)
