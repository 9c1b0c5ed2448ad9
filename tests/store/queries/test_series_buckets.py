"""Series in buckets: each equals what its points say, on every axis, at every level, and what
arrives later changes only the buckets that it falls into."""

import itertools
import math

import numpy as np
import pytest

from stepwell_store import Store
from stepwell_store.queries import (
    HeldBuckets,
    MetricSeries,
    Series,
    SeriesRequestError,
    XAxis,
    series_buckets,
    without_known_head,
)
from stepwell_store.queries import metric_axis as metric_axis_module
from stepwell_store.queries import series as series_module
from tests.store.made import (
    START_US,
    event,
    fresh_project,
    tell,
    writer,
)
from tests.store.queries.exact import Point, assert_equal, expected
from tests.store.queries.points import made_points, store_points


def only(answer: tuple[MetricSeries, ...]) -> tuple[MetricSeries, Series]:
    (metric,) = answer
    (series,) = metric.series
    return metric, series


@pytest.mark.parametrize("buckets", [4, 60, 500, 4000, 16_384])
def test_over_steps_each_bucket_holds_what_its_points_say(store: Store, buckets: int):
    project = fresh_project()
    points = made_points(buckets, 3_000, steps=12_000)
    for part in (points[:1_000], points[1_000:]):  # Rollups of several blocks are joined.
        store_points(store, project, part)
    metric, series = only(series_buckets(store, project, ["run"], ["loss"], buckets=buckets))
    assert_equal(series, expected([(point.step, point) for point in points], metric.level))
    assert len(series.bucket) <= buckets
    assert series.version == metric.points == len(points)


def test_over_steps_a_range_is_cut_at_the_borders_of_buckets(store: Store):
    project = fresh_project()
    points = made_points(3, 3_000, steps=12_000)
    store_points(store, project, points)
    for first, last, level in ((1_000, 9_000, 7), (0, 5_000, 10), (4_090, 4_101, 0)):
        metric, series = only(
            series_buckets(store, project, ["run"], ["loss"], first=first, last=last, level=level)
        )
        inside = [
            (point.step, point)
            for point in points
            if first >> level <= point.step >> level <= last >> level
        ]
        assert metric.level == level
        assert_equal(series, expected(inside, level))


@pytest.mark.parametrize("kind", ["time", "relative"])
def test_over_time_each_bucket_holds_what_its_points_say(store: Store, kind: str):
    project = fresh_project()
    points = made_points(5, 2_000, steps=5_000)
    store_points(store, project, points)
    start = 0
    if kind == "relative":
        start = START_US - 12_345
        tell(store, writer(project), event("start", {"started_at": start}))
    metric, series = only(
        series_buckets(store, project, ["run"], ["loss"], x=XAxis(kind), buckets=300)
    )
    assert_equal(series, expected([(p.time - start, p) for p in points], metric.level))


def test_over_relative_time_a_run_without_a_start_begins_at_its_first_point(store: Store):
    project = fresh_project()
    points = [Point(step, START_US + step * 500, float(step)) for step in range(100)]
    store_points(store, project, points)
    _, series = only(series_buckets(store, project, ["run"], ["loss"], x=XAxis("relative")))
    assert series.first_x[0] == 0
    assert series.last_x[-1] == 99 * 500


@pytest.mark.parametrize("kind", ["time", "relative"])
def test_long_series_over_time_keep_all_points_and_extremes(
    store: Store, monkeypatch: pytest.MonkeyPatch, kind: str
):
    """From rollups: a point may be one eighth of a bucket late, and is never lost."""
    monkeypatch.setattr(series_module, "RAW_POINTS_MAX", 1_000)
    project = fresh_project()
    points = [Point(step, START_US + step * 1_000, math.sin(step / 900)) for step in range(40_000)]
    store_points(store, project, points)
    metric, series = only(
        series_buckets(store, project, ["run"], ["loss"], x=XAxis(kind), buckets=40)
    )
    start = 0 if kind == "time" else START_US
    wanted = expected([(point.time - start, point) for point in points], metric.level)
    assert series.count.sum() == len(points)
    assert series.min.min() == min(point.value for point in points)
    assert series.max.max() == max(point.value for point in points)
    assert series.first_x[0] == points[0].time - start
    assert series.last_x[-1] == points[-1].time - start
    assert sorted(wanted) == series.bucket.tolist()
    moved = [
        abs(int(n) - wanted[int(b)]["count"])
        for b, n in zip(series.bucket, series.count, strict=True)
    ]
    assert max(moved) <= 2 * series.count.max() / series_module._SHORT


def test_over_a_metric_points_are_where_it_was_last(store: Store):
    project = fresh_project()
    points = [Point(step, START_US + step, math.cos(step / 50)) for step in range(5, 1_000)]
    epochs = [Point(step, START_US + step, step / 100) for step in range(10, 1_000, 10)]
    store_points(store, project, points)
    store_points(store, project, epochs, metric="epoch")
    metric, series = only(
        series_buckets(store, project, ["run"], ["loss"], x=XAxis("metric", "epoch"), buckets=50)
    )
    placed = [((point.step // 10) / 10, point) for point in points if point.step >= 10]
    assert_equal(series, expected(placed, metric.level))
    assert metric.width == 2.0**metric.level
    assert metric.level == -2


@pytest.mark.parametrize("buckets", [2, 100])
def test_over_a_metric_that_falls_the_newest_value_is_known(store: Store, buckets: int):
    project = fresh_project()
    loss = [10.0, 9.0, 5.0, 4.0, 1.0, 2.0]
    falling = [0.5, 0.4, 0.3, 0.2, 0.1, 0.1]
    for name, values in (("loss", loss), ("lr", falling)):
        points = [Point(step, START_US + step, value) for step, value in enumerate(values)]
        store_points(store, project, points, metric=name)
    x = XAxis("metric", "lr")
    _, found = only(series_buckets(store, project, ["run"], ["loss"], x=x, buckets=buckets))
    assert found.newest is not None
    assert found.newest_step is not None
    assert found.newest[np.argmax(found.newest_step)] == 2.0
    assert found.newest_step.max() == 5
    assert set(found.newest.tolist()) <= set(loss)


def test_over_a_metric_long_series_keep_all_points_and_extremes(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(metric_axis_module, "ROWS_MAX", 1_000)
    project = fresh_project()
    points = [Point(step, START_US + step, math.sin(step / 900)) for step in range(20_000)]
    store_points(store, project, points)
    tokens = [Point(step, START_US + step, 1e6 + 1024.0 * step) for step in range(20_000)]
    store_points(store, project, tokens, metric="tokens")
    _, series = only(
        series_buckets(store, project, ["run"], ["loss"], x=XAxis("metric", "tokens"), buckets=64)
    )
    assert series.count.sum() == len(points)
    assert series.max.max() == max(point.value for point in points)
    assert len(series.bucket) <= 64


def test_over_a_metric_that_no_run_has_there_is_nothing(store: Store):
    project = fresh_project()
    store_points(store, project, made_points(1, 10, steps=10))
    answer = series_buckets(store, project, ["run"], ["loss"], x=XAxis("metric", "nosuch"))
    assert [metric.series for metric in answer] == [()]


def test_ranks_are_joined_point_by_point_or_kept_apart(store: Store):
    project = fresh_project()
    points = [
        *made_points(1, 500, steps=3_000, label="rank0"),
        *made_points(2, 700, steps=3_000, label="rank1"),
    ]
    store_points(store, project, points)
    metric, series = only(series_buckets(store, project, ["run"], ["loss"], buckets=100))
    assert_equal(series, expected([(point.step, point) for point in points], metric.level))
    assert series.version == 1_200
    (apart,) = series_buckets(store, project, ["run"], ["loss"], buckets=100, labels="apart")
    assert [each.label for each in apart.series] == ["rank0", "rank1"]
    for each in apart.series:
        own = [(point.step, point) for point in points if point.label == each.label]
        assert_equal(each, expected(own, apart.level))


@pytest.mark.parametrize("level", [0, 3, 6, 12])
@pytest.mark.parametrize("odd", [(), (1,), (0, 1)])
def test_joined_ranks_begin_and_end_with_their_mean(store: Store, level: int, odd: tuple[int, ...]):
    project = fresh_project()
    points = [
        Point(
            step,
            START_US + step * 1_000 + rank,
            math.inf if step in (0, 1_499) and rank in odd else 100.0 + rank,
            f"rank{rank}",
        )
        for step in range(1_500)
        for rank in range(2)
    ]
    store_points(store, project, points)
    store_points(store, project, [Point(0, START_US, 1.0, "rank0")], metric="epoch")
    store_points(store, project, [Point(0, START_US, 1.0, "rank1")], metric="epoch")
    _, series = only(series_buckets(store, project, ["run"], ["loss"], level=level))
    assert_equal(series, expected([(point.step, point) for point in points], level))
    ends = {(): 100.5, (1,): 100.0, (0, 1): math.inf}[odd]
    assert (series.first[0], series.last[-1]) == (ends, ends)
    epoch = XAxis("metric", "epoch")
    _, series = only(series_buckets(store, project, ["run"], ["loss"], x=epoch, level=level))
    assert (series.first[0], series.last[-1]) == (ends, ends)


def test_many_runs_and_metrics_come_in_the_order_of_the_question(store: Store):
    project = fresh_project()
    for run_id, metric in itertools.product(("a", "b", "c"), ("loss", "lr")):
        seed = ord(run_id) + len(metric)
        points = made_points(seed, 50, steps=400)
        store_points(store, project, points, metric=metric, run_id=run_id)
    answer = series_buckets(store, project, ["c", "none", "a"], ["lr", "nosuch", "loss"])
    assert [metric.metric for metric in answer] == ["lr", "nosuch", "loss"]
    assert [[each.run_id for each in metric.series] for metric in answer] == [
        ["c", "a"],
        [],
        ["c", "a"],
    ]
    for metric in (answer[0], answer[2]):
        for series in metric.series:
            points = made_points(ord(series.run_id) + len(metric.metric), 50, steps=400)
            assert_equal(series, expected([(p.step, p) for p in points], metric.level))


def test_what_arrives_later_changes_only_its_own_buckets(store: Store):
    """Points that come in order, late, and twice; a reader that holds the rest gets the tail."""
    project = fresh_project()
    base = [Point(step, START_US + step, float(step)) for step in range(1_000)]
    store_points(store, project, base)

    def ask() -> MetricSeries:
        (metric,) = series_buckets(store, project, ["run"], ["loss"], level=6)
        return metric

    before = ask()
    (held,) = before.series
    tail = int(held.bucket[-1])
    have = [HeldBuckets("run", "", 6, tail, int(held.count[:-1].sum()))]
    (unchanged,) = without_known_head(before, have).series
    assert unchanged.is_tail
    assert unchanged.bucket.tolist() == [tail]

    more = [Point(step, START_US + step, float(step)) for step in range(1_000, 1_300)]
    store_points(store, project, more)
    after = ask()
    (grown,) = without_known_head(after, have).series
    assert grown.is_tail
    assert grown.bucket[0] == tail
    for name in ("bucket", "count", "min", "max", "mean", "first", "last"):
        joined = [*getattr(held, name)[:-1], *getattr(grown, name)]
        assert joined == getattr(after.series[0], name).tolist()

    late = Point(100, START_US + 5, -7.0)
    store_points(store, project, [late])
    recovered = ask()
    (whole,) = without_known_head(recovered, have).series
    assert not whole.is_tail
    assert whole.version == 1_301
    assert_equal(whole, expected([(p.step, p) for p in (*base, *more, late)], 6))


@pytest.mark.parametrize(
    "held",
    [
        HeldBuckets("run", "", 5, 10, 100),  # of another level
        HeldBuckets("other", "", 6, 10, 640),
        HeldBuckets("run", "", 6, 10, 641),
    ],
)
def test_a_reader_that_holds_something_else_gets_the_whole_series(store: Store, held: HeldBuckets):
    project = fresh_project()
    store_points(store, project, [Point(step, START_US, 0.0) for step in range(1_000)])
    (metric,) = series_buckets(store, project, ["run"], ["loss"], level=6)
    (series,) = without_known_head(metric, [held]).series
    assert not series.is_tail
    assert series.bucket[0] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": "both"},
        {"first": 10, "last": 5},
        {"buckets": 0},
        {"level": 63},
        {"level": 0, "last": 10**9},
        {"level": 0, "first": 0, "last": 10**9},
    ],
)
def test_a_question_without_an_answer_says_why(store: Store, wrong: dict[str, object]):
    project = fresh_project()
    store_points(store, project, [Point(0, START_US, 0.0), Point(10**9, START_US, 0.0)])
    with pytest.raises(SeriesRequestError):
        series_buckets(store, project, ["run"], ["loss"], **wrong)  # type: ignore[arg-type]


def test_negative_steps_and_numbers_have_buckets_of_the_same_width(store: Store):
    project = fresh_project()
    points = [Point(step, START_US, float(step)) for step in range(-700, 700)]
    store_points(store, project, points)
    _, series = only(series_buckets(store, project, ["run"], ["loss"], level=9))
    assert_equal(series, expected([(point.step, point) for point in points], 9))
    assert np.unique(np.diff(series.bucket)).tolist() == [1]


def test_a_peak_is_seen_at_every_zoom(store: Store):
    project = fresh_project()
    values = [Point(step, START_US, 9.0 if step == 12_345 else 0.0) for step in range(20_000)]
    store_points(store, project, values)
    for buckets in (1, 10, 100, 5_000):
        _, series = only(series_buckets(store, project, ["run"], ["loss"], buckets=buckets))
        assert series.max.max() == 9.0
