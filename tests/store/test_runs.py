"""A run: found by any name, shown in detail."""

from typing import Any

import pytest

from stepwell_store import AmbiguousRunError, RunNotFoundError, Store
from stepwell_store.queries import (
    RunRef,
    edit_run,
    find_run,
    find_run_or_project,
    get_run,
    list_gaps,
    list_runs,
    list_writers,
    run_metrics,
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

SECOND = 1_000_000


def start(name="", *, at=0, resumed=False, rank=0):
    body = {"name": name, "rank": rank, "started_at": START_US + at * SECOND, "resumed": resumed}
    return event("start", body, time_us=START_US + at * SECOND)


def finish(state="finished", *, at=10, exit_code=0):
    body = {"state": state, "exit_code": exit_code}
    return event("finish", body, time_us=START_US + at * SECOND)


def configure(**values):
    return event("config", {"set": values})


def test_a_resumed_run_forgets_how_it_ended_before(store: Store):
    project = fresh_project()
    tell(store, writer(project, label="0"), start("first", at=0), finish("crashed", at=5))
    tell(store, writer(project, label="1"), start("other", at=20, resumed=True), finish(at=30))
    (run,) = list_runs(store, project).items
    assert run.state == "finished"
    assert run.name == "first"
    assert run.started_at == START_US / SECOND


def test_a_name_that_nobody_gave_replaces_none(store: Store):
    project = fresh_project()
    made = event("start", {"name": "made", "name_is_made": True}, time_us=START_US + 30 * SECOND)
    tell(store, writer(project, "new", label="0"), made)
    tell(store, writer(project, "named", label="0"), start("given", at=0))
    tell(store, writer(project, "named", label="1"), made)
    assert {run.run_id: run.name for run in list_runs(store, project).items} == {
        "new": "made",
        "named": "given",
    }
    edit_run(store, project, "new", name="edited", clock=lambda: START_US / SECOND)
    tell(store, writer(project, "new", label="1"), made)
    assert get_run(store, project, "new").name == "edited"


def start_of_rank(rank, *, at, **facts):
    body = {"rank": rank, "started_at": START_US + at * SECOND, "facts": facts}
    return event("start", body, time_us=START_US + at * SECOND)


def test_what_a_rank_above_0_says_of_a_run_counts_where_nobody_else_says_anything(store: Store):
    project = fresh_project()
    made = event("start", {"name": "made", "name_is_made": True})
    tell(store, writer(project, "own", label="1"), start_of_rank(1, at=9, name="n", tags=["t"]))
    assert get_run(store, project, "own").name == "n"
    assert get_run(store, project, "own").tags == ("t",)
    tell(store, writer(project, "own", label="0"), made)
    assert get_run(store, project, "own").name == "n", "a made name is nobody's"
    tell(store, writer(project, "own", label="2"), start_of_rank(2, at=99, name="m", group="g"))
    run = get_run(store, project, "own")
    assert (run.name, run.group) == ("n", "g"), "the lowest rank, not the last"
    tell(store, writer(project, "own", label="1b"), start_of_rank(1, at=50, name="later"))
    assert get_run(store, project, "own").name == "later"
    tell(store, writer(project, "own", label="0"), start("first", at=0))
    tell(store, writer(project, "own", label="1c"), start_of_rank(1, at=60, name="n"))
    assert get_run(store, project, "own").name == "first"


@pytest.mark.parametrize("facts", [3, "x", ["name"], [["name", "n"]], True])
def test_facts_that_are_no_dict_do_not_lose_the_start(store: Store, facts: Any):
    project = fresh_project()
    body = {"rank": 1, "started_at": START_US, "name": "n", "facts": facts}
    tell(store, writer(project, "own", label="1"), event("start", body))
    run = get_run(store, project, "own")
    assert (run.name, run.started_at) == ("n", START_US / SECOND)


def test_a_run_is_found_by_id_name_and_path(store: Store):
    project, other = fresh_project(), fresh_project()
    tell(store, writer(project, f"id-{project}"), start(f"name-{project}"))
    tell(store, writer(other, f"id-{project}"), start("else"))
    tell(store, writer(other, f"pair-{other}-1"), start(f"pair-{other}"))
    tell(store, writer(other, f"pair-{other}-2"), start(f"pair-{other}"))
    for reference in (f"{project}/id-{project}", f"name-{project}", f"{project}/name-{project}"):
        assert str(find_run(store, reference)) == f"{project}/id-{project}"
    with pytest.raises(AmbiguousRunError, match="use PROJECT/RUN-ID") as ambiguous:
        find_run(store, f"id-{project}")
    assert len(ambiguous.value.candidates) == 2
    with pytest.raises(AmbiguousRunError):
        find_run(store, f"pair-{other}")
    with pytest.raises(RunNotFoundError, match=f"did you mean 'name-{project}'") as missing:
        find_run(store, f"nam-{project}")
    assert f"name-{project}" in missing.value.nearest


def test_a_misspelt_project_is_named_where_one_may_be_asked_for(store: Store):
    project = fresh_project()
    tell(store, writer(project, "only"), start("only"))
    with pytest.raises(RunNotFoundError, match="no run and no project") as missing:
        find_run_or_project(store, f"{project}x")
    assert f"the project '{project}'" in str(missing.value)


def test_a_run_and_a_project_of_one_name_are_told_apart(store: Store):
    project, other = fresh_project(), fresh_project()
    tell(store, writer(project, "only"), start("only"))
    assert find_run_or_project(store, project) == RunRef(project, "")
    tell(store, writer(other, "one"), start(project))
    with pytest.raises(AmbiguousRunError, match="a run and a project have") as found:
        find_run_or_project(store, project)
    assert str(found.value).endswith(f"have the name '{project}'; use {other}/one or {project}/")
    assert find_run_or_project(store, f"{project}/") == RunRef(project, "")
    assert find_run_or_project(store, f"{other}/one") == RunRef(other, "one")
    tell(store, writer(other, "two"), start(project))
    with pytest.raises(AmbiguousRunError, match=f"use {other}/one, {other}/two or {project}/"):
        find_run_or_project(store, project)
    with pytest.raises(RunNotFoundError, match=f"the project '{project}'"):
        find_run_or_project(store, f"{project}x/")


def test_a_path_has_its_nearest_within_the_project(store: Store):
    project = fresh_project()
    for run_id in ("resume-1", "k3x9p0ab"):
        tell(store, writer(project, run_id), start(run_id))
    for reference, nearest in (
        (f"{project}/broken", []),
        (f"{project}/resme-1", [f"{project}/resume-1"]),
        (f"{project}x/k3x9p0ab", [f"{project}/k3x9p0ab"]),
    ):
        with pytest.raises(RunNotFoundError) as missing:
            find_run(store, reference)
        assert [each for each in missing.value.nearest if project in each] == nearest


def test_a_run_whose_start_was_lost_is_still_found(store: Store):
    project = fresh_project()
    log(store, writer(project, "lost"), [0], loss=[1.0])
    assert find_run(store, f"{project}/lost").run_id == "lost"
    assert get_run(store, project, "lost").state == "unknown"


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
    detail = get_run(store, project, "run")
    assert detail.config == {
        "lr": 0.1,
        "model": {"layers": 3, "name": "tiny"},
        "big": 2**70,
        "none": None,
        "flag": True,
    }
    assert detail.metadata == {"git": {"commit": "abc"}}
    assert (detail.tags, detail.group, detail.job_type) == (("a", "b"), "g", "eval")
    assert detail.dropped_points == 20
    assert detail.gap_count == 1
    assert list_gaps(store, project, ["run"])[0].reason == "full"
    assert list_writers(store, project, "run")[0].pid == 42
    assert detail.summary == {
        "loss": 2.0,
        "_step": 2,
        "_timestamp": START_US / SECOND + 0.002,
        "_runtime": 0.002,
    }
    assert (detail.metric_count, detail.point_count) == (1, 3)
    with pytest.raises(RunNotFoundError):
        get_run(store, project, "nosuch")


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
    assert get_run(store, project, "run").config == {"a": {"b": 1, "c": 3}}


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
            "summary",
            {"set": {"lr": "by hand", "best": {"epoch": 2}}, "delete": ["dotted.name"]},
            time_us=START_US + SECOND,
        ),
        event("values", {"values": {"note": "fine", "table": [1, 2]}}),
    )
    summary = get_run(store, project, "run").summary
    automatic = {name: summary.pop(name) for name in ("_step", "_timestamp", "_runtime")}
    assert automatic["_step"] == 2
    assert summary == {
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
    (metric,) = run_metrics(store, project, "run")
    assert metric.labels == ("0", "1")
    assert (metric.count, metric.nan_count, metric.positive_inf_count) == (4, 1, 1)
    assert (metric.min, metric.max, metric.mean) == (1.0, 7.0, 4.0)
    assert (metric.first_step, metric.last_step, metric.last) == (0, 5, float("inf"))


def test_names_of_any_kind_are_only_names(store: Store):
    project = fresh_project() + "'; DROP TABLE points; --\\"
    who = writer(project, "r'\n\t{x:String}", label='"')
    tell(store, who, start("näme\\"), configure(**{"k'": "v\\"}))
    insert(
        store,
        build((who, decoded([rows(1, [0], [1.0])])), schemas={1: ("m'\\\t",)}),
        f"odd-{fresh_project()}",
    )
    (run,) = list_runs(store, project).items
    detail = get_run(store, project, run.run_id)
    assert detail.config == {"k'": "v\\"}
    assert detail.summary["m'\\\t"] == 1.0
    assert find_run(store, f"{project}/näme\\").run_id == who.run_id
