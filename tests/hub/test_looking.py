"""What a live feed asks the store for."""

from typing import Any

import pytest

from stepwell_hub.looking import StoreLook
from stepwell_hub.subscription import Interest
from stepwell_store import EmbeddedStore, queries
from stepwell_store.queries import Limits
from tests.hub.made import make_run
from tests.store.made import START_US, event, fresh_project, log, tell, writer


def test_a_look_has_versions_of_just_what_is_looked_at(store: EmbeddedStore) -> None:
    project = fresh_project()
    for run_id in ("a", "b"):
        make_run(store, project, run_id, metrics=("loss", "acc"), state="")
    wanted = Interest(project, frozenset({"a"}), frozenset({"loss", "none"}))
    look = StoreLook()
    first = look(store, wanted, limits=Limits())
    assert first.series == {("a", "loss"): 10, ("a", "none"): 0}
    assert set(first.runs) == {"a"}
    log(store, writer(project, "a"), [10, 11], loss=[0.5, 0.25])
    second = look(store, wanted, limits=Limits())
    assert second.series["a", "loss"] == 12
    assert second.version == first.version
    end = event("finish", {"state": "finished", "exit_code": 0}, time_us=1_800_000_000_000_000)
    tell(store, writer(project, "a"), end)
    third = look(store, wanted, limits=Limits())
    assert third.version != second.version
    assert third.runs["a"][0] == "finished"


def test_media_are_looked_at_only_where_a_listener_wants_them(store: EmbeddedStore) -> None:
    project = fresh_project()
    make_run(store, project, "a", state="")
    shown = {"shown": {"_type": "image-file", "blob": "1" * 32}}
    tell(store, writer(project, "a"), event("values", {"values": shown}, step=1))
    look, runs = StoreLook(), frozenset({"a"})
    assert look(store, Interest(project, runs), limits=Limits()).media == {}
    assert look(store, Interest(project, runs, media=True), limits=Limits()).media == {"a": 1}


def test_states_are_asked_for_only_when_something_about_runs_changed(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = fresh_project()
    make_run(store, project, "a", state="")
    asked: list[Any] = []
    real = queries.run_states
    monkeypatch.setattr(
        queries, "run_states", lambda *words, **more: asked.append(words) or real(*words, **more)
    )
    look, wanted = StoreLook(), Interest(project, frozenset({"a"}), frozenset({"loss"}))
    for _ in range(3):
        look(store, wanted, limits=Limits())
    assert len(asked) == 1
    make_run(store, project, "b", state="")
    look(store, wanted, limits=Limits())
    assert len(asked) == 2
    look(store, Interest(project, frozenset({"a", "b"})), limits=Limits())
    assert len(asked) == 3


def test_points_and_lines_are_signs_of_life_of_a_running_run(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("stepwell_hub.looking.time.monotonic", lambda: now[0])
    project = fresh_project()
    for run_id in ("a", "ended"):
        make_run(store, project, run_id, state="" if run_id == "a" else "finished")
    look, wanted = StoreLook(), Interest(project, frozenset({"a", "ended"}))

    def seen() -> tuple[float | None, float | None]:
        found = look(store, wanted, limits=Limits()).runs
        return found["a"][1], found["ended"][1]

    first, of_ended = seen()
    assert first is not None
    log(store, writer(project, "a"), [500_000], loss=[0.5])
    row_us = START_US + 500_000_000
    assert seen()[0] == first, "not asked for at every look"
    now[0] += 6
    assert seen() == (row_us / 1e6, of_ended)
    lines = {"stream": "stdout", "lines": [[0, row_us + 30_000_000, "step 50"]]}
    tell(store, writer(project, "a"), event("console", lines))
    now[0] += 6
    assert seen() == (row_us / 1e6 + 30, of_ended)


def test_a_look_counts_the_metrics_of_each_run(store: EmbeddedStore) -> None:
    project = fresh_project()
    make_run(store, project, "a", metrics=("loss", "acc"), state="")
    make_run(store, project, "ended", metrics=("loss",))
    look, wanted = StoreLook(), Interest(project, frozenset({"a", "ended", "none"}))
    assert look(store, wanted, limits=Limits()).metric_counts == {"a": 2, "ended": 1}
    log(store, writer(project, "a"), [10], grad=[0.5], loss=[1.0])
    assert look(store, wanted, limits=Limits()).metric_counts == {"a": 3, "ended": 1}
    make_run(store, project, "b", metrics=("loss",), state="")
    log(store, writer(project, "ended"), [10], late=[0.5])
    wider = Interest(project, wanted.runs | {"b"})
    assert look(store, wider, limits=Limits()).metric_counts == {"a": 3, "ended": 2, "b": 1}


def test_the_list_of_projects_is_one_number(store: EmbeddedStore) -> None:
    look = StoreLook()
    first = look(store, Interest(None), limits=Limits())
    make_run(store, fresh_project(), "a")
    assert look(store, Interest(None), limits=Limits()).version != first.version
