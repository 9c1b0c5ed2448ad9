"""Runs: listed, found by any name, shown in detail, with the state that their writers give."""

import pytest

from stepwell_store import AmbiguousRunError, RunNotFoundError, Store
from stepwell_store.queries import find_run, list_runs, metrics_of, run_detail
from stepwell_store.runs import run_state
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

SECOND = 1_000_000


def start(name="", *, at=0, resumed=False, rank=0):
    body = {"name": name, "rank": rank, "started_at": START_US + at * SECOND, "resumed": resumed}
    return event("start", body, time_us=START_US + at * SECOND)


def finish(state="finished", *, at=10, exit_code=0):
    body = {"state": state, "exit_code": exit_code}
    return event("finish", body, time_us=START_US + at * SECOND)


def configure(**values):
    return event("config", {"set": values})


def test_a_run_that_started_is_running_and_a_finished_one_is_finished(store: Store):
    project = fresh_project()
    tell(store, writer(project, "a"), start("quiet-river", at=1))
    tell(store, writer(project, "b"), start("loud-lake", at=2), finish("failed", at=9, exit_code=3))
    second, first = list_runs(store, project=project)
    assert (first["run_id"], first["name"], first["state"]) == ("a", "quiet-river", "running")
    assert first["ended_at"] is None
    assert (second["run_id"], second["state"], second["exit_code"]) == ("b", "failed", 3)
    assert second["started_at"] == START_US / SECOND + 2
    assert second["ended_at"] == second["last_seen"] == START_US / SECOND + 9
    assert second["hosts"] == ["node-a"]
    assert [run["run_id"] for run in list_runs(store, project=project, limit=1)] == ["b"]
    assert {"a", "b"} <= {run["run_id"] for run in list_runs(store) if run["project"] == project}


def test_a_point_makes_the_run_seen(store: Store):
    project = fresh_project()
    tell(store, writer(project), start())
    log(store, writer(project), [60_000], loss=[1.0])
    assert list_runs(store, project=project)[0]["last_seen"] == START_US / SECOND + 60


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        (["finished", "running"], "running"),
        (["finished", "failed"], "failed"),
        (["killed", "crashed", "finished"], "crashed"),
        (["finished", "finished"], "finished"),
        (["something new"], "something new"),
        ([], "unknown"),
    ],
)
def test_the_worst_state_of_several_writers_counts(states, wanted):
    writers = [
        {"state": state, "exit_code": 0, "resumed": 0, "started_at": 1, "state_time": 5}
        for state in states
    ]
    assert run_state(writers)[0] == wanted


def test_a_resumed_run_forgets_how_it_ended_before(store: Store):
    project = fresh_project()
    tell(store, writer(project, label="0"), start("first", at=0), finish("crashed", at=5))
    tell(store, writer(project, label="1"), start("other", at=20, resumed=True), finish(at=30))
    (run,) = list_runs(store, project=project)
    assert run["state"] == "finished"
    assert run["name"] == "first"
    assert run["started_at"] == START_US / SECOND


def test_a_run_is_found_by_id_name_and_path(store: Store):
    project, other = fresh_project(), fresh_project()
    tell(store, writer(project, f"id-{project}"), start(f"name-{project}"))
    tell(store, writer(other, f"id-{project}"), start("else"))
    tell(store, writer(other, f"pair-{other}-1"), start(f"pair-{other}"))
    tell(store, writer(other, f"pair-{other}-2"), start(f"pair-{other}"))
    for reference in (f"{project}/id-{project}", f"name-{project}", f"{project}/name-{project}"):
        assert str(find_run(store, reference)) == f"{project}/id-{project}"
    with pytest.raises(AmbiguousRunError, match="say which as PROJECT/RUN-ID") as ambiguous:
        find_run(store, f"id-{project}")
    assert len(ambiguous.value.candidates) == 2
    with pytest.raises(AmbiguousRunError):
        find_run(store, f"pair-{other}")
    with pytest.raises(RunNotFoundError, match="nearest") as missing:
        find_run(store, f"nam-{project}")
    assert f"name-{project}" in missing.value.nearest


def test_a_run_whose_start_was_lost_is_still_found(store: Store):
    project = fresh_project()
    log(store, writer(project, "lost"), [0], loss=[1.0])
    assert find_run(store, f"{project}/lost").run_id == "lost"
    assert run_detail(store, project, "lost")["state"] == "unknown"


def test_a_run_is_shown_with_all_that_was_told(store: Store):
    project = fresh_project()
    who = writer(project)
    tell(
        store,
        who,
        start("quiet-river"),
        event("run", {"tags": ["a", "b"], "group": "g", "job_type": "eval", "notes": "n"}),
        configure(lr=0.1, model={"layers": 3, "name": "tiny"}, big=2**70, none=None, flag=True),
        event("metadata", {"set": {"git": {"commit": "abc"}}}),
        event("gap", {"reason": "full", "rows": 2, "points": 20, "first_step": 5, "last_step": 6}),
        finish(),
    )
    log(store, who, [0, 1, 2], loss=[3.0, 1.0, 2.0])
    detail = run_detail(store, project, "run")
    assert detail["config"] == {
        "lr": 0.1,
        "model": {"layers": 3, "name": "tiny"},
        "big": 2**70,
        "none": None,
        "flag": True,
    }
    assert detail["metadata"] == {"git": {"commit": "abc"}}
    assert (detail["tags"], detail["group"], detail["job_type"]) == (["a", "b"], "g", "eval")
    assert detail["dropped_points"] == 20
    assert detail["gaps"][0]["reason"] == "full"
    assert detail["writers"][0]["pid"] == 42
    assert detail["summary"] == {"loss": 2.0}
    with pytest.raises(RunNotFoundError):
        run_detail(store, project, "nosuch")


def test_config_changes_are_applied_in_the_order_of_their_times(store: Store):
    project = fresh_project()
    for number, body in enumerate(
        [
            {"set": {"a": {"b": 1, "c": 2}, "d": 1}},
            {"delete": ["a.c"], "set": {"d": 2}},
            {"set": {"a": {"c": 3}}, "delete": ["d"]},
        ]
    ):
        tell(store, writer(project), event("config", body, time_us=START_US + number))
    tell(store, writer(project), start())
    assert run_detail(store, project, "run")["config"] == {"a": {"b": 1, "c": 3}}


def test_the_summary_honours_definitions_and_what_was_set_by_hand(store: Store):
    project = fresh_project()
    who = writer(project)
    log(
        store,
        who,
        [0, 1, 2],
        loss=[3.0, 1.0, 2.0],
        accuracy=[0.1, 0.9, 0.5],
        hidden=[1.0, 1.0, 1.0],
        lr=[1.0, 2.0, 3.0],
        **{"val/f1": [0.2, 0.6, 0.4], "dotted.name": [1.0, 2.0, 3.0]},
    )
    tell(
        store,
        who,
        start(),
        event("define_metric", {"name": "loss", "summary": ["min", "mean"]}),
        event("define_metric", {"name": "accuracy", "summary": ["best"], "goal": "maximize"}),
        event("define_metric", {"name": "hidden", "summary": ["none"]}),
        event("define_metric", {"name": "val/*", "summary": ["max", "first"]}),
        event(
            "summary", {"set": {"lr": "by hand", "best": {"epoch": 2}}, "delete": ["dotted.name"]}
        ),
        event("values", {"values": {"note": "fine", "table": [1, 2]}}),
    )
    assert run_detail(store, project, "run")["summary"] == {
        "loss": {"min": 1.0, "mean": 2.0},
        "accuracy": {"best": 0.9},
        "val/f1": {"max": 0.6, "first": 0.2},
        "lr": "by hand",
        "best": {"epoch": 2},
        "note": "fine",
        "table": [1, 2],
    }


def test_metrics_join_the_series_of_all_labels(store: Store):
    project = fresh_project()
    log(store, writer(project, label="0"), [0, 1], loss=[1.0, float("nan")])
    log(store, writer(project, label="1"), [0, 5], loss=[7.0, float("inf")])
    (metric,) = metrics_of(store, project, "run")
    assert metric["labels"] == ["0", "1"]
    assert (metric["count"], metric["nan_count"], metric["positive_inf_count"]) == (4, 1, 1)
    assert (metric["min"], metric["max"], metric["mean"]) == (1.0, 7.0, 4.0)
    assert (metric["first_step"], metric["last_step"], metric["last"]) == (0, 5, float("inf"))


def test_names_of_any_kind_are_only_names(store: Store):
    project = fresh_project() + "'; DROP TABLE points; --\\"
    who = writer(project, "r'\n\t{x:String}", label='"')
    tell(store, who, start("näme\\"), configure(**{"k'": "v\\"}))
    insert(
        store,
        build((who, decoded([rows(1, [0], [1.0])])), schemas={1: ("m'\\\t",)}),
        f"odd-{fresh_project()}",
    )
    (run,) = list_runs(store, project=project)
    detail = run_detail(store, project, run["run_id"])
    assert detail["config"] == {"k'": "v\\"}
    assert detail["summary"] == {"m'\\\t": 1.0}
    assert find_run(store, f"{project}/näme\\").run_id == who.run_id
