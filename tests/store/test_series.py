"""Series read back, step by step, and the console."""

import importlib
import math

import pytest

from stepwell_store import Store
from stepwell_store.identity import series_fingerprint
from stepwell_store.queries import (
    console_lines,
    history,
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
