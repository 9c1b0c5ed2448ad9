"""Series read back: history, console, buckets for charts, nodes."""

import importlib
import math

import numpy as np
import pytest

from stepwell_store import Store
from stepwell_store.charts import bucket_width
from stepwell_store.identity import series_fingerprint
from stepwell_store.queries import (
    buckets,
    console_lines,
    history,
    node_series,
)
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


def test_history_gives_each_step_with_what_was_logged_at_it(store: Store):
    project = fresh_project()
    log(store, writer(project), [0, 1], loss=[3.0, math.inf], accuracy=[0.5, 0.6])
    log(store, writer(project), [1, 2], lr=[0.1, 0.2])
    at = START_US / 1e6
    assert list(history(store, project, "run")) == [
        {"_step": 0, "_timestamp": at, "accuracy": 0.5, "loss": 3.0},
        {"_step": 1, "_timestamp": at + 0.001, "accuracy": 0.6, "loss": math.inf, "lr": 0.1},
        {"_step": 2, "_timestamp": at + 0.002, "lr": 0.2},
    ]
    assert [row["_step"] for row in history(store, project, "run", metrics=["lr"])] == [1, 2]
    assert list(history(store, project, "run", metrics=["nosuch"])) == []
    assert list(history(store, project, "nosuch")) == []


def test_of_a_repeated_step_the_later_point_is_read_and_both_are_kept(store: Store):
    project = fresh_project()
    made = rows(1, [5, 5, 4], [1.0, 2.0, 3.0], times=[20, 10, 30])
    insert(store, build((writer(project), decoded([made])), schemas={1: ("loss",)}), project)
    assert [row["loss"] for row in history(store, project, "run")] == [3.0, 1.0]
    (count,) = store.query(
        "SELECT count() AS n FROM points WHERE series = {s:UInt64}",
        parameters={"s": series_fingerprint(project, "run", "loss", "")},
    )
    assert count["n"] == 3


def test_values_that_are_no_floats_stand_at_their_step(store: Store):
    project = fresh_project()
    log(store, writer(project), [1], loss=[1.0])
    tell(
        store,
        writer(project),
        event("values", {"values": {"note": "hello", "many": [1, {"a": None}]}}, step=1),
        event("values", {"values": {"note": None, "loss": "late"}}, step=9, time_us=START_US + 1),
    )
    found = list(history(store, project, "run"))
    assert found == [
        {
            "_step": 1,
            "_timestamp": START_US / 1e6 + 0.001,
            "loss": 1.0,
            "many": [1, {"a": None}],
            "note": "hello",
        },
        {"_step": 9, "_timestamp": (START_US + 1) / 1e6, "loss": "late", "note": None},
    ]
    assert [list(row) for row in history(store, project, "run", metrics=["many"])] == [
        ["_step", "_timestamp", "many"]
    ]


def test_a_long_history_is_read_in_windows_and_whole(store, monkeypatch: pytest.MonkeyPatch):
    project = fresh_project()
    steps = [-(10**12), *range(0, 3000, 7), 10**12]
    log(store, writer(project), steps, loss=list(map(float, steps)))
    monkeypatch.setattr(
        importlib.import_module("stepwell_store.queries.history"), "WINDOW_POINTS", 50
    )
    assert [(row["_step"], row["loss"]) for row in history(store, project, "run")] == [
        (step, float(step)) for step in steps
    ]


def test_console_lines_come_in_order_and_a_line_rewritten_is_shown_last(store: Store):
    project = fresh_project()
    first = {
        "stream": "stdout",
        "lines": [[1, START_US, "a"], [2, START_US + 1, "5 %"], [2, START_US + 3, "10 %"]],
    }
    second = {"stream": "stdout", "lines": [[2, START_US + 5, "20 %"], [3, START_US + 6, ""]]}
    error = {"stream": "stderr", "lines": [[1, START_US + 2, "oh\n'no'"]]}
    tell(store, writer(project), event("console", first), event("console", error))
    assert [line.text for line in console_lines(store, project, "run").lines] == [
        "a",
        "oh\n'no'",
        "10 %",
    ]
    tell(store, writer(project), event("console", second))
    lines = console_lines(store, project, "run").lines
    assert [(line.stream, line.text) for line in lines] == [
        ("stdout", "a"),
        ("stderr", "oh\n'no'"),
        ("stdout", "20 %"),
        ("stdout", ""),
    ]
    assert lines[0].time == START_US / 1e6
    last = console_lines(store, project, "run", limit=2).lines
    assert [line.text for line in last] == ["20 %", ""]


@pytest.mark.parametrize("first", [0, -700, 130])
@pytest.mark.parametrize("count", [1, 7, 40, 3000])
def test_buckets_hold_exactly_the_points_of_their_steps(store: Store, first, count):
    project = fresh_project()
    random = np.random.default_rng(7)
    steps = np.sort(random.choice(np.arange(-1000, 4000), 2000, replace=False))
    values = random.integers(-50, 50, len(steps)).astype(float)
    values[::50] = math.nan
    values[7::50] = math.inf
    values[0:40] = math.nan
    log(store, writer(project), steps.tolist(), loss=values.tolist())
    series = series_fingerprint(project, "run", "loss", "")
    last = 3500
    found = buckets(store, [series, 1], first, last, count)
    assert list(found.series) == [series]
    drawn = found.series[series]
    assert len(drawn.count) <= count + 1
    width, rollup = found.width, found.rollup_width
    start = first if rollup == 1 else first // rollup * rollup
    wanted = {}
    upper = last if rollup == 1 else last // rollup * rollup + rollup - 1
    for step, value in zip(steps.tolist(), values.tolist(), strict=True):
        if start <= step <= upper:
            wanted.setdefault(start + (step - start) // width * width, []).append(value)
    assert drawn.first_steps.tolist() == list(wanted)
    for row, held in enumerate(wanted.values()):
        finite = [value for value in held if math.isfinite(value)]
        assert drawn.count[row] == len(held)
        assert drawn.nan_count[row] == sum(map(math.isnan, held))
        for value, want in (
            (drawn.minimum[row], min(finite, default=math.nan)),
            (drawn.maximum[row], max(finite, default=math.nan)),
            (drawn.mean[row], sum(finite) / len(finite) if finite else math.nan),
            (drawn.last[row], held[-1]),
        ):
            assert value == pytest.approx(want, nan_ok=True)


def test_the_coarsest_rollup_that_is_fine_enough_is_read():
    assert bucket_width(0, 999, 1000) == (1, 1)
    assert bucket_width(0, 62_999, 1000) == (63, 1)
    assert bucket_width(0, 63_999, 1000) == (64, 64)
    assert bucket_width(0, 100_000, 1000) == (128, 64)
    assert bucket_width(0, 511_999, 1000) == (512, 512)
    assert bucket_width(0, 999_999, 1000) == (1024, 512)
    with pytest.raises(ValueError, match="0 buckets"):
        bucket_width(0, 1, 0)


def test_a_peak_is_seen_at_every_zoom(store: Store):
    project = fresh_project()
    values = [0.0] * 20_000
    values[12_345] = 9.0
    log(store, writer(project), range(20_000), loss=values)
    series = series_fingerprint(project, "run", "loss", "")
    for count in (1, 10, 100, 5000):
        assert buckets(store, [series], 0, 19_999, count).series[series].maximum.max() == 9.0


def test_node_series_are_read_by_host_and_time(store: Store):
    host = fresh_project()
    who = writer("", "daemon", scope="node", host=host)
    made = rows(1, [0, 1, 2], [[1, 10], [2, 20], [3, 30]], times=[1_000_000, 2_000_000, 3_000_000])
    insert(store, build((who, decoded([made])), schemas={1: ("cpu", "memory")}), host)
    assert node_series(store, host=host, metrics=["cpu"]) == [
        {"host": host, "metric": "cpu", "label": "", "times": [1.0, 2.0, 3.0], "values": [1, 2, 3]}
    ]
    found = node_series(store, host=host, first_time=1.5, last_time=2.5)
    assert [(each["metric"], each["values"]) for each in found] == [("cpu", [2]), ("memory", [20])]
    assert node_series(store, host="nowhere") == []
