"""Whatever points arrive in whatever pieces, every bucket is what all of them say, and a reader
who keeps its head and takes the tail holds what a new reader would be given."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell_store import Store
from stepwell_store.queries import (
    HeldBuckets,
    Series,
    SeriesRequestError,
    XAxis,
    group_bands,
    series_buckets,
    without_known_head,
)
from stepwell_store.queries.axis import BUCKETS_MAX
from stepwell_store.queries.bucket_series import ARRAYS
from tests.store.made import START_US, event, fresh_project, tell, writer
from tests.store.queries.exact import Point, assert_equal, expected
from tests.store.queries.points import store_points

VALUES = st.floats(-1e6, 1e6) | st.sampled_from([float("nan"), float("inf"), float("-inf")])
STEPS = st.integers(-300, 300) | st.integers(-40_000, 40_000)
LIVE = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[Point]]:
    """Return points in pieces, in any order of step; no two have the same moment."""
    steps = draw(st.lists(STEPS, min_size=1, max_size=60))
    moments = draw(st.permutations(range(len(steps))))
    points = [
        Point(step, START_US + moment * draw(st.integers(1_000, 1_050)), draw(VALUES))
        for step, moment in zip(steps, moments, strict=True)
    ]
    cuts = sorted(draw(st.sets(st.integers(1, len(points)), max_size=2)) | {0, len(points)})
    return [points[low:high] for low, high in itertools.pairwise(cuts)]


def placed(points: Sequence[Point], kind: str, start: int) -> list[tuple[float, Point]]:
    if kind == "step":
        return [(point.step, point) for point in points]
    return [(point.time - start, point) for point in points]


@LIVE
@given(
    arrivals(),
    st.sampled_from(["step", "time", "relative"]),
    st.integers(0, 14),
    st.tuples(st.integers(-500, 500), st.integers(-500, 500)).map(sorted) | st.none(),
)
def test_every_bucket_is_what_its_points_say(
    store: Store, pieces: list[list[Point]], kind: str, level: int, window: list[int] | None
):
    project = fresh_project()
    start = START_US - 777 if kind == "relative" else 0
    if start:
        tell(store, writer(project), event("start", {"started_at": start}))
    for piece in pieces:
        store_points(store, project, piece)
    wanted = placed([point for piece in pieces for point in piece], kind, start)
    first = last = None
    if window is not None:
        middle = int(wanted[0][0])
        first, last = middle + window[0], middle + window[1]
        wanted = [
            (x, point) for x, point in wanted if first >> level <= int(x) >> level <= last >> level
        ]
    elif _span(wanted, level) > BUCKETS_MAX:
        level += 4
    (metric,) = series_buckets(
        store, project, ["run"], ["loss"], x=XAxis(kind), first=first, last=last, level=level
    )
    if not wanted:
        assert metric.series == ()
        return
    (series,) = metric.series
    assert_equal(series, expected(wanted, level))


def _span(wanted: list[tuple[float, Point]], level: int) -> int:
    buckets = [int(x) >> level for x, _ in wanted]
    return max(buckets) - min(buckets) + 1


@LIVE
@given(arrivals(), arrivals(), st.sampled_from(["step", "time", "metric:epoch"]))
def test_head_and_tail_together_are_the_whole(
    store: Store, before: list[list[Point]], later: list[list[Point]], axis: str
):
    project = fresh_project()
    x = XAxis.parse(axis)
    level = {"step": 5, "time": 12, "metric:epoch": 3}[axis]

    def arrive(pieces: list[list[Point]], *, late_us: int) -> None:
        for piece in pieces:
            moved = [Point(p.step, p.time + late_us, p.value) for p in piece]
            store_points(store, project, moved)
            epochs = [Point(p.step, p.time + late_us, p.step / 7) for p in piece[::3]]
            store_points(store, project, epochs, metric="epoch")

    def ask() -> Series | None:
        (answer,) = series_buckets(store, project, ["run"], ["loss"], x=x, level=level)
        nonlocal given_tail
        kept = without_known_head(answer, have)
        given_tail = kept.series[0] if kept.series else None
        return answer.series[0] if answer.series else None

    given_tail: Series | None = None
    have: list[HeldBuckets] = []
    arrive(before, late_us=0)
    old = ask()
    if old is None:
        return
    have = [HeldBuckets("run", "", level, int(old.bucket[-1]), int(old.count[:-1].sum()))]
    arrive(later, late_us=100_003)
    new = ask()
    assert new is not None
    assert given_tail is not None
    for name in ARRAYS:
        head = getattr(old, name)[:-1] if given_tail.is_tail else []
        joined = np.concatenate([head, getattr(given_tail, name)])
        wanted = getattr(new, name)
        if name == "mean":  # A store adds in any order, and the last digits depend on it.
            np.testing.assert_allclose(joined, wanted, rtol=1e-12, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(joined, wanted, err_msg=name)


def test_a_late_value_of_the_metric_on_x_moves_points_that_a_reader_holds(store: Store):
    project = fresh_project()
    points = [Point(step, START_US + step, float(step)) for step in range(100)]
    store_points(store, project, points)
    epochs = [Point(step, START_US + step, step / 10) for step in (0, 50, 90)]
    store_points(store, project, epochs, metric="epoch")
    x = XAxis.parse("metric:epoch")
    (before,) = series_buckets(store, project, ["run"], ["loss"], x=x, level=0)
    (held,) = before.series
    assert held.count.tolist() == [50, 40, 10]
    store_points(store, project, [Point(20, START_US + 20, 2.0)], metric="epoch")
    (after,) = series_buckets(store, project, ["run"], ["loss"], x=x, level=0)
    have = [HeldBuckets("run", "", 0, int(held.bucket[-1]), int(held.count[:-1].sum()))]
    (series,) = without_known_head(after, have).series
    assert series.bucket.tolist() == [0, 2, 5, 9]
    assert series.count.tolist() == [20, 30, 40, 10]


@pytest.mark.parametrize("axis", ["step", "time", "relative", "metric:epoch"])
@pytest.mark.parametrize("end", [{"first": 1e17}, {"last": -1e17}])
def test_a_view_beyond_all_points_is_empty(store: Store, axis: str, end: dict[str, float]):
    project = fresh_project()
    points = [Point(step, START_US + step, float(step)) for step in range(10)]
    store_points(store, project, points)
    store_points(store, project, points, metric="epoch")
    x = XAxis.parse(axis)
    (metric,) = series_buckets(store, project, ["run"], ["loss"], x=x, **end)
    assert metric.series == ()
    (bands,) = group_bands(store, project, {"all": ["run"]}, ["loss"], x=x, **end)
    assert bands.bands == ()


@pytest.mark.parametrize("axis", ["step", "time", "metric:epoch"])
@pytest.mark.parametrize(
    "wrong",
    [{"first": float("nan")}, {"last": float("inf")}, {"level": -1_074}, {"level": 2_000}],
)
def test_a_view_that_cannot_be_cut_says_why(store: Store, axis: str, wrong: dict[str, float]):
    project = fresh_project()
    points = [Point(step, START_US + step, step / 7) for step in range(10)]
    store_points(store, project, points)
    store_points(store, project, points, metric="epoch")
    with pytest.raises(SeriesRequestError, match=next(iter(wrong))):
        series_buckets(store, project, ["run"], ["loss"], x=XAxis.parse(axis), **wrong)  # type: ignore[arg-type]


def test_a_metric_over_itself_rises_with_itself(store: Store):
    project = fresh_project()
    points = [Point(step, START_US + step, float(step)) for step in range(40)]
    names = [f"metric{number}" for number in range(20)]
    for name in names:
        store_points(store, project, points, metric=name)
    answer = series_buckets(store, project, ["run"], names, x=XAxis("metric", names[7]), level=2)
    for metric in answer:
        (series,) = metric.series
        assert series.min.tolist() == series.first_x.tolist() == list(range(0, 40, 4))


def test_a_run_named_twice_in_a_group_counts_once(store: Store):
    project = fresh_project()
    store_points(store, project, [Point(0, START_US, 1.0)])
    store_points(store, project, [Point(0, START_US, 2.0)], metric="epoch")
    for axis in ("step", "metric:epoch"):
        (answer,) = group_bands(
            store, project, {"all": ["run", "run"]}, ["loss"], x=XAxis.parse(axis)
        )
        (band,) = answer.bands
        assert (band.group_runs, band.run_count.tolist(), band.count.tolist()) == (1, [1], [1])
