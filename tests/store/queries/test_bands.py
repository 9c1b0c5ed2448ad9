"""Groups of runs as bands: per bucket what the runs' means and extremes say, all runs counted."""

import math

import numpy as np
import pytest

from stepwell_store import Store
from stepwell_store.queries import (
    Series,
    SeriesRequestError,
    XAxis,
    group_bands,
    series_buckets,
)
from tests.store.made import START_US, event, fresh_project, tell, writer
from tests.store.queries.exact import Point
from tests.store.queries.points import made_points, store_points

GROUPS = {"small": ["a", "b"], "large": ["c"], "empty": ["nosuch"]}


@pytest.fixture
def project(store: Store) -> str:
    """Three runs of different lengths, one with two ranks, with a metric `epoch` each."""
    name = fresh_project()
    for seed, run_id in enumerate(("a", "b", "c")):
        points = made_points(seed, 400 + 200 * seed, steps=3_000)
        if run_id == "b":
            points += made_points(9, 300, steps=3_000, label="rank1")
        store_points(store, name, points, run_id=run_id)
        epochs = [Point(step, START_US + step * 1_000, step / 100) for step in range(0, 3_000, 5)]
        store_points(store, name, epochs, metric="epoch", run_id=run_id)
        tell(store, writer(name, run_id), event("start", {"started_at": START_US - 500 * seed}))
    return name


@pytest.mark.parametrize("buckets", [20, 2_000])
@pytest.mark.parametrize("axis", ["step", "time", "relative", "metric:epoch"])
def test_a_band_is_the_mean_of_the_runs_means(store: Store, project: str, axis: str, buckets: int):
    x = XAxis.parse(axis)
    (answer,) = group_bands(store, project, GROUPS, ["loss"], x=x, buckets=buckets)
    (single,) = series_buckets(store, project, ["a", "b", "c"], ["loss"], x=x, level=answer.level)
    assert [band.group for band in answer.bands] == ["small", "large"]
    for band in answer.bands:
        runs = [each for each in single.series if each.run_id in GROUPS[band.group]]
        assert band.group_runs == len(GROUPS[band.group])
        assert band.version == sum(each.version for each in runs)
        assert band.bucket.tolist() == sorted({int(b) for each in runs for b in each.bucket})
        for at, bucket in enumerate(band.bucket.tolist()):
            inside = [(each, int(np.searchsorted(each.bucket, bucket))) for each in runs]
            held = [
                (each, where)
                for each, where in inside
                if where < len(each.bucket) and each.bucket[where] == bucket
            ]
            shown = held if x.kind in ("step", "metric") else carried(runs, bucket)
            means = [each.mean[where] for each, where in shown if not np.isnan(each.mean[where])]
            assert band.run_count[at] == len(means)
            for name in ("count", "nan_count", "positive_inf_count", "negative_inf_count"):
                assert getattr(band, name)[at] == sum(getattr(each, name)[w] for each, w in held)
            if not means:
                assert all(math.isnan(getattr(band, name)[at]) for name in ("mean", "std", "min"))
                continue
            assert band.mean[at] == pytest.approx(np.mean(means))
            spread = np.std(means, ddof=1) if len(means) > 1 else 0.0
            assert band.std[at] == pytest.approx(spread, abs=1e-9)
            assert band.min[at] == np.nanmin([each.min[where] for each, where in shown])
            assert band.max[at] == np.nanmax([each.max[where] for each, where in shown])


def carried(runs: list[Series], bucket: int) -> list[tuple[Series, int]]:
    """Return for each run at work the row of ``bucket``, or the last one before."""
    return [
        (each, int(np.searchsorted(each.bucket, bucket, side="right")) - 1)
        for each in runs
        if each.bucket[0] <= bucket <= each.bucket[-1]
    ]


@pytest.mark.parametrize("axis", ["time", "relative"])
def test_over_time_runs_that_log_seldom_make_no_saw(store: Store, axis: str):
    """Three runs log each minute, seconds apart; their means are 1, 2 and 6."""
    project = fresh_project()
    for number, level in enumerate((1.0, 2.0, 6.0)):
        begin = START_US + number * 7_000_000
        points = [Point(epoch, begin + epoch * 60_000_000, level) for epoch in range(60)]
        store_points(store, project, points, run_id=f"r{number}")
        tell(store, writer(project, f"r{number}"), event("start", {"started_at": START_US}))
    groups = {"all": ["r0", "r1", "r2"]}
    x = XAxis.parse(axis)
    (answer,) = group_bands(store, project, groups, ["loss"], x=x)
    (band,) = answer.bands
    assert int(band.count.sum()) == 180
    inside = band.run_count == 3
    assert inside.sum() >= len(inside) - 4
    assert set(band.mean[inside].tolist()) == {3.0}
    # In a part of the range, runs count with their points beside it.
    begin = 0 if axis == "relative" else START_US
    first, last = begin + 1_000_000_000, begin + 1_090_000_000
    (part,) = group_bands(store, project, groups, ["loss"], x=x, first=first, last=last)
    (band,) = part.bands
    assert (int(band.count.sum()), set(band.mean.tolist())) == (5, {3.0})
    assert band.bucket[0] >= first >> part.level
    assert band.bucket[-1] <= last >> part.level


def test_bands_come_in_the_order_of_the_question(store: Store, project: str):
    answer = group_bands(store, project, GROUPS, ["epoch", "nosuch", "loss"])
    assert [each.metric for each in answer] == ["epoch", "nosuch", "loss"]
    assert answer[1].bands == ()


@pytest.mark.parametrize("axis", ["step", "time", "metric:epoch"])
@pytest.mark.parametrize("buckets", [20, 1_000])
def test_a_run_of_nan_counts_its_nan_but_is_no_run_of_the_mean(
    store: Store, axis: str, buckets: int
):
    project = fresh_project()
    for run_id, value in (("broken", math.nan), ("whole", 2.0)):
        points = [Point(step, START_US + step * 1_000, value) for step in range(40)]
        epochs = [Point(step, START_US + step * 1_000, float(step)) for step in range(40)]
        store_points(store, project, points, run_id=run_id)
        store_points(store, project, epochs, metric="epoch", run_id=run_id)
    (answer,) = group_bands(
        store,
        project,
        {"all": ["broken", "whole"]},
        ["loss"],
        x=XAxis.parse(axis),
        buckets=buckets,
    )
    (band,) = answer.bands
    assert set(band.run_count.tolist()) == {1}
    assert (int(band.nan_count.sum()), int(band.count.sum())) == (40, 80)
    assert set(band.mean.tolist()) == {2.0}


def test_over_another_metric_a_bucket_has_the_x_of_its_points(store: Store) -> None:
    project = fresh_project()
    for run_id, count in (("short", 10), ("long", 20)):
        at = [START_US + step * 1_000 for step in range(count)]
        for metric, first in (("acc", 0.5), ("epoch", 1.0)):
            points = [Point(step, time, first + step) for step, time in enumerate(at)]
            store_points(store, project, points, metric=metric, run_id=run_id)
    groups = {"both": ["short", "long"]}
    (answer,) = group_bands(store, project, groups, ["acc"], x=XAxis.parse("metric:epoch"))
    assert answer.width < 1
    (band,) = answer.bands
    assert band.first_x is not None
    assert band.last_x is not None
    assert band.first_x.tolist() == band.last_x.tolist() == [float(x) for x in range(1, 21)]
    (coarse,) = group_bands(store, project, groups, ["acc"], x=XAxis.parse("metric:epoch"), level=3)
    (band,) = coarse.bands
    assert band.first_x is not None
    assert band.last_x is not None
    assert list(zip(band.first_x, band.last_x, strict=True)) == [(1, 7), (8, 15), (16, 20)]
    (over_steps,) = group_bands(store, project, groups, ["acc"])
    assert over_steps.bands[0].first_x is None


def test_a_run_in_two_groups_is_refused(store: Store, project: str):
    with pytest.raises(SeriesRequestError, match="run a is in two groups"):
        group_bands(store, project, {"one": ["a"], "two": ["b", "a"]}, ["loss"])
