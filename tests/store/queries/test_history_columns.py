"""Histories of many runs as columns say what each run's rows say; samples are rows of it."""

import importlib
from typing import Any

import numpy as np
import pytest

from stepwell_store import Store
from stepwell_store.queries import (
    history,
    history_rows,
    plan_columns,
    plan_history,
    read_columns,
    sampled,
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

MODULE = importlib.import_module("stepwell_store.queries.history_columns")


@pytest.fixture
def project(store: Store) -> str:
    """Runs that differ: even, with holes, of two ranks, with repeated steps, without a point."""
    name = fresh_project()
    log(store, writer(name, "even"), range(40), loss=[float(s) for s in range(40)], acc=[0.5] * 40)
    log(store, writer(name, "holes"), range(40), loss=[float("nan")] + [2.0] * 39)
    log(store, writer(name, "holes"), range(0, 40, 7), acc=[float(s) for s in range(0, 40, 7)])
    for rank in ("1", "0"):  # Their times differ: which of two at one moment is later is open.
        times = [START_US + step * 1000 + 2 * int(rank) for step in range(20)]
        made = rows(1, range(20), [int(rank) + step for step in range(20)], times)
        who = writer(name, "ranks", label=rank)
        insert(store, build((who, decoded([made])), schemas={1: ("loss",)}), f"{rank}-{name}")
    again = build(
        (
            writer(name, "again"),
            decoded(
                [rows(1, [3, 5], [7.0, 8.0]), rows(1, [3], [9.0], [START_US + 9_000_000])],
            ),
        ),
        schemas={1: ("loss",)},
    )
    insert(store, again, f"again-{name}")
    return name


def read(store: Store, project: str, runs: list[str], metrics: list[str], **named: Any) -> Any:
    plan = plan_columns(store, project, runs, metrics, **named)
    found = []
    for part in plan.parts:
        columns = read_columns(store, plan, part)
        if columns is None:
            continue
        for at, run in enumerate(columns.run.tolist()):
            row = {
                metric: columns.values[place, at].item()
                for place, metric in enumerate(plan.metrics)
                if not columns.missing[place, at]
            }
            label = {"_label": plan.labels[columns.label[at]]} if plan.labels else {}
            moment = columns.time[at].item() / 1e6
            step = columns.step[at].item()
            found.append((plan.run_ids[run], {"_step": step, "_timestamp": moment, **label, **row}))
    return found


@pytest.mark.parametrize("labels", ["apart", "join"])
@pytest.mark.parametrize("points", [10, 500_000])
def test_columns_are_the_rows_of_each_run_in_order(
    store: Store, project: str, labels: str, points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "PART_POINTS", points)
    runs, metrics = ["ranks", "none", "again", "holes", "even"], ["loss", "none", "acc"]
    expected = [
        (run, row)
        for run in runs
        for row in history(store, project, run, metrics=metrics, labels=labels)
    ]
    found = read(store, project, runs, metrics, labels=labels)
    assert len(found) == len(expected) > 100
    for (run, row), (expected_run, expected_row) in zip(found, expected, strict=True):
        assert run == expected_run
        np.testing.assert_equal(row, expected_row)


def test_wide_rows_come_in_small_parts(
    store: Store, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "PART_CELLS", 20)
    plan = plan_columns(store, project, ["even", "holes"], ["loss", "acc"])
    sizes = [read_columns(store, plan, part).values.size for part in plan.parts]  # type: ignore[union-attr]
    assert len(sizes) >= 8
    assert max(sizes) <= 20


def test_only_the_asked_steps_are_read(store: Store, project: str) -> None:
    found = read(store, project, ["even", "again"], ["loss"], first_step=4, last_step=6)
    assert [(run, row["_step"]) for run, row in found] == [
        ("even", 4),
        ("even", 5),
        ("even", 6),
        ("again", 5),
    ]


def test_labels_are_there_only_where_a_run_has_several(store: Store, project: str) -> None:
    assert plan_columns(store, project, ["even"], ["loss"]).labels == ()
    assert plan_columns(store, project, ["even", "ranks"], ["loss"]).labels == ("", "0", "1")
    assert plan_columns(store, project, ["ranks"], ["loss"], labels="join").labels == ()


def test_metrics_that_are_texts_are_named(store: Store, project: str) -> None:
    tell(store, writer(project, "even"), event("values", {"values": {"note": "a"}}, step=3))
    plan = plan_columns(store, project, ["even"], ["loss", "note", "none"])
    assert plan.no_numbers == ("note",)


def test_a_sample_is_rows_of_the_history_with_both_ends(store: Store, project: str) -> None:
    whole = list(history(store, project, "even"))
    plan = sampled(store, plan_history(store, project, "even"), 5)
    found = [row for window in plan.windows for row in history_rows(store, plan, window)]
    assert [row["_step"] for row in found] == [0, 10, 20, 29, 39]
    assert all(row in whole for row in found)


def test_a_sample_has_steps_with_every_metric(store: Store, project: str) -> None:
    plan = plan_history(store, project, "holes", metrics=["loss", "acc"], last_step=30)
    plan = sampled(store, plan, 100)
    assert plan.steps == (0, 7, 14, 21, 28)
    plan = sampled(store, plan_history(store, project, "holes", metrics=["none"]), 100)
    assert plan.windows == ()
