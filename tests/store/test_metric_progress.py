"""How far a metric came in some runs, and its values at places among those that were logged."""

import math

from stepwell_store import Store
from stepwell_store.queries import metric_progress, metric_values_at
from tests.store.made import fresh_project, log, writer


def test_extremes_count_finite_values_and_the_count_all(store: Store) -> None:
    project = fresh_project()
    log(store, writer(project, "a"), [0, 5, 9], loss=[3.0, math.nan, 1.0])
    log(store, writer(project, "b"), [0], loss=[math.nan])
    log(store, writer(project, "c"), [0], other=[1.0])
    found = metric_progress(store, project, ["a", "b", "c", "none"], "loss")
    assert set(found) == {"a", "b"}
    a, b = found["a"], found["b"]
    assert (a.count, a.minimum, a.maximum, a.last) == (3, 1.0, 3.0, 1.0)
    assert (b.count, b.minimum, b.maximum, b.last) == (1, None, None, None)
    assert metric_progress(store, project, [], "loss") == {}


def test_places_go_by_step_whatever_the_order_of_arrival_and_over_labels(store: Store) -> None:
    project = fresh_project()
    log(store, writer(project, "a", label="0"), [20, 40], loss=[2.0, 4.0])
    log(store, writer(project, "a", label="1"), [10, 30], loss=[1.0, 3.0])
    log(store, writer(project, "b"), [7], loss=[math.nan])
    log(store, writer(project, "a", label="0"), [0], other=[9.0])
    wanted = {"a": [1, 3, 4, 5], "b": [1], "c": [1], "d": []}
    found = metric_values_at(store, project, "loss", wanted)
    assert found["a"] == {1: 1.0, 3: 3.0, 4: 4.0}
    assert math.isnan(found["b"][1])
    assert set(found) == {"a", "b"}
