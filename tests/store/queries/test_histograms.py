"""Histograms as rows: what is stored, listed, thinned and brought onto one grid."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_store import CursorError, FilterError, Store
from stepwell_store.histogram_rows import StoredHistogram
from stepwell_store.queries import (
    delete_run,
    get_run,
    histogram_matrix,
    history,
    list_histograms,
    runs_with_several_labels,
)
from stepwell_store.queries.histograms import grid_range, on_grid, thinned
from tests.store.made import START_US, event, fresh_project, log, tell, writer
from tests.store.queries.made import finish, start

EVEN = {"counts": [1, 0, 3], "low": -1.0, "high": 2.0}
UNEVEN = {"counts": [1, 2.5], "edges": [0.0, 1.0, 10.0], "nan_count": 4}


def told(step: int, **values: dict[str, Any]) -> Any:
    return event("histograms", {"values": values}, step=step, time_us=START_US + step)


def test_histograms_are_rows_that_read_back(store: Store):
    project = fresh_project()
    tell(store, writer(project), start(), told(3, w=EVEN, b=UNEVEN), finish())
    rows = list(history(store, project, "run"))
    assert rows == [
        {
            "_step": 3,
            "_timestamp": (START_US + 3) / 1e6,
            "b": {
                "_type": "histogram",
                "values": [1, 2.5],
                "bins": [0.0, 1.0, 10.0],
                "nan_count": 4,
            },
            "w": {"_type": "histogram", "values": [1, 0, 3], "bins": [-1.0, 0.0, 1.0, 2.0]},
        }
    ]
    assert get_run(store, project, "run").run_id == "run"


@pytest.mark.parametrize(
    "body",
    [
        {"counts": [], "low": 0.0, "high": 1.0},
        {"counts": [1] * 513, "low": 0.0, "high": 1.0},
        {"counts": [-1], "low": 0.0, "high": 1.0},
        {"counts": [math.nan], "low": 0.0, "high": 1.0},
        {"counts": [1], "low": 1.0, "high": 0.0},
        {"counts": [1], "low": 0.0, "high": math.inf},
        {"counts": [1], "low": 0.0},
        {"counts": [1], "edges": [0.0, 1.0, 2.0]},
        {"counts": [1, 1], "edges": [0.0, 2.0, 1.0]},
        {"counts": "many", "low": 0.0, "high": 1.0},
        7,
    ],
    ids=repr,
)
def test_what_is_no_histogram_is_kept_among_the_events(store: Store, body: Any):
    project = fresh_project()
    tell(store, writer(project), told(0, w=body))
    (row,) = store.query(
        "SELECT kind, body FROM events WHERE project = {p:String}", parameters={"p": project}
    )
    assert row["kind"] == "histograms"
    assert list(json.loads(row["body"])["values"]) == ["w"]
    assert not list_histograms(store, project).items


def test_names_come_with_their_runs_and_steps(store: Store):
    project = fresh_project()
    tell(store, writer(project, "a"), told(1, w=EVEN, v=EVEN), told(5, w=EVEN))
    tell(store, writer(project, "b"), told(9, w=EVEN))
    found = list_histograms(store, project).items
    assert [(each.metric, each.run_count, each.histogram_count) for each in found] == [
        ("v", 1, 1),
        ("w", 2, 3),
    ]
    assert (found[1].first_step, found[1].last_step) == (1, 9)
    (of_b,) = list_histograms(store, project, run_ids=["b"]).items
    assert (of_b.metric, of_b.histogram_count) == ("w", 1)
    assert not list_histograms(store, project, run_ids=[]).items
    assert [each.metric for each in list_histograms(store, project, search="(?i)^V").items] == ["v"]
    with pytest.raises(FilterError):
        list_histograms(store, project, search="(")


def test_pages_of_names_join_to_the_whole_list(store: Store):
    project = fresh_project()
    tell(store, writer(project), told(0, **{name: EVEN for name in "abc"}))
    first = list_histograms(store, project, limit=2)
    rest = list_histograms(store, project, limit=2, cursor=first.next_cursor)
    assert [each.metric for each in (*first.items, *rest.items)] == ["a", "b", "c"]
    assert rest.next_cursor is None
    with pytest.raises(CursorError):
        list_histograms(store, project, search="a", cursor=first.next_cursor)


def test_a_matrix_has_a_row_a_step_on_one_grid(store: Store):
    project = fresh_project()
    first = {"counts": [4, 4], "low": 0.0, "high": 2.0}
    second = {"counts": [8], "low": 2.0, "high": 4.0, "positive_inf_count": 2}
    tell(store, writer(project), told(10, w=first), told(20, w=second))
    found = histogram_matrix(store, project, "run", "w", bins=4)
    assert (found.low, found.high, found.step_count, found.level, found.version) == (
        0.0,
        4.0,
        2,
        0,
        2,
    )
    assert found.steps.tolist() == [10, 20]
    assert found.counts.tolist() == [[4, 4, 0, 0], [0, 0, 4, 4]]
    assert found.positive_inf_count.tolist() == [0, 2]
    assert (found.own_low.tolist(), found.own_high.tolist()) == ([0.0, 2.0], [2.0, 4.0])
    later = histogram_matrix(store, project, "run", "w", first=11, last=20, bins=2)
    assert (later.steps.tolist(), later.low, later.step_count, later.version) == ([20], 2.0, 1, 2)


def test_of_a_step_that_was_logged_again_the_latest_counts(store: Store):
    project = fresh_project()
    again = event("histograms", {"values": {"w": UNEVEN}}, step=1, time_us=START_US + 9)
    tell(store, writer(project), again, told(1, w=EVEN))
    found = histogram_matrix(store, project, "run", "w")
    assert (found.steps.tolist(), found.step_count, found.version) == ([1], 1, 2)
    assert found.counts.sum() == pytest.approx(3.5)


def test_writers_are_apart(store: Store):
    project = fresh_project()
    tell(store, writer(project, label="rank0"), told(1, w=EVEN))
    tell(store, writer(project, label="rank1"), told(1, w=UNEVEN), told(2, w=UNEVEN))
    default = histogram_matrix(store, project, "run", "w")
    assert (default.labels, default.label, len(default.steps)) == (("rank0", "rank1"), "rank0", 1)
    other = histogram_matrix(store, project, "run", "w", label="rank1")
    assert (other.label, other.steps.tolist(), other.version) == ("rank1", [1, 2], 3)
    assert runs_with_several_labels(store, project, ["run"]) == {"run"}
    assert [row["_label"] for row in history(store, project, "run")] == ["rank0", "rank1", "rank1"]


def test_a_metric_without_histograms_is_an_empty_matrix(store: Store):
    project = fresh_project()
    log(store, writer(project), [0], w=[1.0])
    found = histogram_matrix(store, project, "run", "w", bins=3)
    assert (found.counts.shape, found.labels, found.version) == ((0, 3), (), 0)


@pytest.mark.parametrize("asked", [{"rows_max": 1}, {"rows_max": 1025}, {"bins": 0}, {"bins": 513}])
def test_sizes_have_limits(store: Store, asked: dict[str, int]):
    with pytest.raises(ValueError, match="rows_max must be 2 to 1024, bins 1 to 512"):
        histogram_matrix(store, "any", "run", "w", **asked)


def test_a_deleted_run_leaves_none(store: Store):
    project = fresh_project()
    tell(store, writer(project), start(), told(1, w=EVEN), finish())
    delete_run(store, project, "run")
    assert not list_histograms(store, project).items


# ---------------------------------------------------------------------- pure parts


@given(st.lists(st.integers(-(2**40), 2**40)), st.integers(2, 40))
def test_a_thinned_run_changes_its_end_only(steps: list[int], rows_max: int):
    kept, level = thinned(np.array(steps, dtype=np.int64), rows_max)
    assert len(kept) <= rows_max
    assert set(kept.tolist()) <= set(steps)
    if steps:
        assert kept[-1] == max(steps)
        last = {step >> level: step for step in sorted(steps)}
        assert kept.tolist() == list(last.values())


histogram_parts = st.lists(
    st.tuples(st.floats(-100, 100), st.lists(st.integers(0, 1000), min_size=1, max_size=20)),
    min_size=1,
    max_size=5,
)


@given(histogram_parts, st.floats(0, 50), st.integers(1, 64))
def test_the_grid_keeps_every_count(parts: Any, width: float, bins: int):
    histograms = [
        StoredHistogram(
            np.array(counts, dtype=np.float64),
            np.linspace(low, low + width, len(counts) + 1),
            0,
            0,
            0,
        )
        for low, counts in parts
    ]
    matrix = on_grid(histograms, *grid_range(histograms), bins)
    np.testing.assert_allclose(
        matrix.sum(1), [sum(counts) for _, counts in parts], rtol=1e-9, atol=1e-6
    )
    assert (matrix >= -1e-9).all()


def test_bins_of_no_width_and_far_values_have_a_place():
    one = StoredHistogram(np.array([5.0]), np.array([7.0, 7.0]), 0, 0, 0)
    assert grid_range([one]) == (pytest.approx(6.3), pytest.approx(7.7))
    assert on_grid([one], 6.0, 8.0, 4).tolist() == [[0, 0, 5, 0]]
    empty = StoredHistogram(np.array([0.0]), np.array([0.0, 0.0]), 3, 0, 0)
    assert grid_range([empty]) == (0.0, 1.0)
    assert grid_range([empty, one]) == grid_range([one])
