"""Projects, runs and what is known of them, over HTTP."""

import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from stepwell_hub.config import HubConfig
from stepwell_hub.endpoints import Call, Endpoint, routes
from stepwell_store import EmbeddedStore, queries
from stepwell_wire.run_notes import run_note
from tests.fake_daemon import FakeDaemon
from tests.hub.conftest import Hub
from tests.hub.made import make_run
from tests.store.made import event, fresh_project, log, tell, writer
from tests.waiting import wait_until

HOSTILE = "<img src=x onerror=alert(1)> & \"q\" 's' ünï 🜁"


def ask(hub: Hub, method: str, path: str, status: int = 200, **more: Any) -> Any:
    answer = hub.program.request(method, f"/api/v1{path}", **more)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def code_of(answer: Any) -> str:
    return str(answer["error"]["code"])


@pytest.fixture
def project(hub: Hub) -> str:
    """A project of three runs."""
    name = fresh_project()
    for number, run_id in enumerate(("a", "b", "c")):
        make_run(
            hub.context.store,
            name,
            run_id,
            name=f"run {run_id}",
            state="" if run_id == "c" else "finished",
            config={"lr": 10.0**-number},
            started_us=1_700_000_000_000_000 + number,
        )
    return name


# ---------------------------------------------------------------------------- projects


def test_projects_are_listed_and_searched(hub: Hub, project: str) -> None:
    page = ask(hub, "GET", "/projects", params={"search": project.upper()})
    (found,) = [each for each in page["projects"] if each["project"] == project]
    assert (found["run_count"], found["running_count"]) == (3, 1)
    assert ask(hub, "GET", f"/projects/{project}") == found
    assert code_of(ask(hub, "GET", "/projects/no-such", 404)) == "not_found"


def test_projects_without_runs_are_named_on_the_first_page(hub: Hub, project: str) -> None:
    new = f"{project}-new"
    for name in (project, new):
        body = {"title": "r", "text": "# Title", "key": name.ljust(16, "-")}
        ask(hub, "POST", f"/projects/{name}/reports", 201, json=body)
    page = ask(hub, "GET", "/projects", params={"search": project.upper(), "limit": 1})
    assert [each["project"] for each in page["projects"]] == [project]
    assert page["without_runs"] == [new]
    assert ask(hub, "GET", "/projects", params={"search": f"{new}x"})["without_runs"] == []
    page = ask(hub, "GET", "/projects", params={"limit": 1, "sort": "project"})
    assert new in page["without_runs"]
    if page["next_cursor"]:
        query = {"limit": 1, "sort": "project", "cursor": page["next_cursor"]}
        assert ask(hub, "GET", "/projects", params=query)["without_runs"] == []
    ask(hub, "DELETE", f"/projects/{new}", 204)
    assert new not in ask(hub, "GET", "/projects")["without_runs"]


def test_lists_go_on_at_a_cursor(hub: Hub, project: str) -> None:
    path, body = f"/projects/{project}/runs/query", {"limit": 2, "sort": ["created"]}
    first = ask(hub, "POST", path, json=body)
    rest = ask(hub, "POST", path, json=body | {"cursor": first["next_cursor"]})
    assert [run["run_id"] for run in first["runs"] + rest["runs"]] == ["a", "b", "c"]
    assert rest["next_cursor"] is None
    wrong = ask(hub, "POST", path, 400, json=body | {"cursor": "nonsense"})
    assert code_of(wrong) == "cursor_invalid"


# ---------------------------------------------------------------------------- runs


def test_runs_are_filtered_sorted_and_come_with_columns(hub: Hub, project: str) -> None:
    body = {"filter": "lr<0.5", "sort": ["-config.lr"], "columns": ["config.lr", "metric.loss:min"]}
    page = ask(hub, "POST", f"/projects/{project}/runs/query", json=body)
    assert [run["run_id"] for run in page["runs"]] == ["b", "c"]
    assert page["runs"][0]["columns"] == {"config.lr": 0.1, "metric.loss:min": 0.1}
    assert page["runs"][1]["state"] == "running"


def test_a_wrong_filter_says_where_it_is_wrong(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/runs/query"
    error = ask(hub, "POST", path, 400, json={"filter": "state:running ("})["error"]
    assert error["code"] == "filter_invalid"
    assert error["field"] == "filter"
    assert error["position"] > 0


def test_each_run_has_a_colour_of_its_own_for_good(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/runs/query"
    page = ask(hub, "POST", path, json={"sort": ["-config.lr"]})
    slots = {run["run_id"]: run["slot"] for run in page["runs"]}
    assert sorted(slots.values()) == [0, 1, 2]
    assert slots["a"] == 0  # It started first, though the list has another order.
    assert ask(hub, "GET", f"/projects/{project}/runs/c")["slot"] == slots["c"]


def test_a_run_is_told_in_full(hub: Hub, project: str) -> None:
    run = ask(hub, "GET", f"/projects/{project}/runs/a")
    assert (run["name"], run["state"], run["config"]) == ("run a", "finished", {"lr": 1.0})
    assert run["summary"]["loss"] == 0.1
    assert (run["metric_count"], run["point_count"]) == (1, 10)
    assert code_of(ask(hub, "GET", f"/projects/{project}/runs/none", 404)) == "not_found"


def test_a_run_is_renamed_tagged_and_archived(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/runs/a"
    before = ask(hub, "GET", path)
    change = {"name": HOSTILE, "tags": ["x", HOSTILE], "notes": "n"}
    change |= {"color": "#00aaFF", "archived": True}
    run = ask(hub, "PATCH", path, json=change)
    assert {name: run[name] for name in change} == change
    assert run["version"] != before["version"]
    assert ask(hub, "GET", path) == run
    listed = ask(hub, "POST", f"/projects/{project}/runs/query", json={})
    assert "a" not in [each["run_id"] for each in listed["runs"]]
    for wrong in ({"nmae": "x"}, {"color": "red"}):
        assert code_of(ask(hub, "PATCH", path, 400, json=wrong)) == "body_invalid"
    assert ask(hub, "PATCH", f"/projects/{project}/runs/none", 404, json={"name": "x"})


def test_edits_of_two_tabs_keep_the_tags_of_each_other_and_refuse_older_notes(
    hub: Hub, project: str
) -> None:
    path = f"/projects/{project}/runs/b"
    ask(hub, "PATCH", path, json={"tags": ["old", "both"], "notes": "first"})
    before = {"tags": ["old", "both"], "notes": "first"}
    one = ask(hub, "PATCH", path, json={"tags": ["old", "both", "one"], "before": before})
    assert one["tags"] == ["old", "both", "one"]
    two = ask(hub, "PATCH", path, json={"tags": ["both", "two"], "before": before})
    assert two["tags"] == ["both", "one", "two"]

    assert ask(hub, "PATCH", path, json={"notes": "second", "before": before})["notes"] == "second"
    refused = ask(hub, "PATCH", path, 409, json={"notes": "third", "before": before})
    assert (code_of(refused), refused["error"]["field"]) == ("notes_changed", "notes")
    assert ask(hub, "GET", path)["notes"] == "second"
    again = {"notes": "third", "before": {"notes": "second"}}
    assert ask(hub, "PATCH", path, json=again)["notes"] == "third"

    many = [f"tag {number}" for number in range(255)]
    full = ask(hub, "PATCH", path, 400, json={"tags": many, "before": {"tags": []}})
    assert code_of(full) == "body_invalid"


def test_a_reference_is_found_as_a_run_or_as_a_project(hub: Hub, project: str) -> None:
    def find(reference: str, status: int = 200) -> Any:
        return ask(hub, "GET", "/find", status, params={"reference": reference})

    for reference in (f"{project}/a", f"{project}/run a"):
        assert find(reference) == {"project": project, "run_id": "a"}
    assert find(project) == {"project": project, "run_id": ""}
    missing = find(f"{project}/run", 404)
    assert code_of(missing) == "not_found"
    assert "did you mean" in missing["error"]["message"]
    make_run(hub.context.store, project, "d", name="run a")
    assert code_of(find(f"{project}/run a", 409)) == "run_ambiguous"
    ask(hub, "GET", "/find", 400)


def test_a_filter_that_leaves_no_run_comes_with_hints(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/runs/query"
    page = ask(hub, "POST", path, json={"filter": "config.lrr:3"})
    assert page["runs"] == []
    assert page["hints"] == ["no run has 'config.lrr'; did you mean config.lr?"]
    assert ask(hub, "POST", path, json={"filter": "lr<1e9"})["hints"] == []


def test_runs_that_logged_a_metric_are_listed(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/runs/query"
    assert ask(hub, "POST", path, json={"logged": ["nosuch"]})["runs"] == []
    all_runs, having = (
        [run["run_id"] for run in ask(hub, "POST", path, json=body)["runs"]]
        for body in ({}, {"logged": ["nosuch", "loss"]})
    )
    assert having
    assert set(having) <= set(all_runs)


def test_a_running_run_is_deleted_by_force_alone(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/runs/c"
    assert code_of(ask(hub, "DELETE", path, 409)) == "run_is_running"
    ask(hub, "DELETE", path, 204, params={"force": "true"})
    ask(hub, "GET", path, 404)
    ask(hub, "DELETE", f"/projects/{project}/runs/a", 204)
    page = ask(hub, "POST", f"/projects/{project}/runs/query", json={})
    assert [run["run_id"] for run in page["runs"]] == ["b"]


def test_what_is_deleted_is_forgotten_in_the_journals_folders(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    config = HubConfig(data=tmp_path, journals=f"{tmp_path / 'j'}:{tmp_path / 'none'}")
    made = Hub(config, store, tmp_path / "static")
    project = fresh_project()
    for run_id in ("one", "two"):
        make_run(store, project, run_id)
        path = run_note(tmp_path / "j", project, run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with made.program:
        ask(made, "DELETE", f"/projects/{project}/runs/one", 204)
        left = [path.name for path in path.parent.iterdir()]
        assert left == ["two.json"]
        ask(made, "DELETE", f"/projects/{project}", 204)
    assert not path.exists()


def test_new_writers_of_what_is_deleted_wait_at_the_daemon_meanwhile(
    tmp_path: Path, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "s.sock"
    (tmp_path / "daemon.lock").write_text(f"1\n{socket}\n")
    daemon = FakeDaemon(socket, tmp_path)
    seen: list[tuple[str, str]] = []
    delete_rows = store.delete_rows

    def watched(table: str, condition: str, parameters: Mapping[str, object]) -> None:
        seen.extend(daemon.held)
        delete_rows(table, condition, parameters)

    monkeypatch.setattr(store, "delete_rows", watched)
    made = Hub(HubConfig(data=tmp_path), store, tmp_path / "static")
    project = fresh_project()
    for run_id in ("one", "two"):
        make_run(store, project, run_id)
    with made.program:
        ask(made, "DELETE", f"/projects/{project}/runs/one", 204)
        assert set(seen) == {(project, "one")}
        seen.clear()
        ask(made, "DELETE", f"/projects/{project}", 204)
        assert set(seen) == {(project, "")}
    wait_until(lambda: not daemon.held, "the last hold to end")
    daemon.stop()


def test_a_project_is_deleted_with_its_runs(hub: Hub, project: str) -> None:
    assert code_of(ask(hub, "DELETE", f"/projects/{project}", 409)) == "run_is_running"
    ask(hub, "DELETE", f"/projects/{project}", 204, params={"force": "1"})
    ask(hub, "GET", f"/projects/{project}", 404)


# ---------------------------------------------------------------------------- of a run


def test_metrics_writers_gaps_and_console_of_a_run(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/runs/a"
    (metric,) = ask(hub, "GET", f"{path}/metrics")["metrics"]
    assert (metric["metric"], metric["count"], metric["max"]) == ("loss", 10, 1.0)
    (one,) = ask(hub, "GET", f"{path}/writers")["writers"]
    assert (one["host"], one["pid"]) == ("node-a", 42)
    assert ask(hub, "GET", f"{path}/gaps") == {"gaps": []}
    page = ask(hub, "GET", f"{path}/console", params={"search": "^beg"})
    assert [line["text"] for line in page["lines"]] == ["begin"]
    assert ask(hub, "GET", f"{path}/texts") == {"texts": [], "next_cursor": None}


def test_names_of_metrics_and_config_keys(hub: Hub, project: str) -> None:
    page = ask(hub, "GET", f"/projects/{project}/metrics", params={"search": "^lo"})
    assert [each["metric"] for each in page["metrics"]] == ["loss"]
    keys = ask(hub, "GET", f"/projects/{project}/attributes")["attributes"]
    assert [(each["path"], each["run_count"]) for each in keys] == [("lr", 3)]
    wrong = ask(hub, "GET", f"/projects/{project}/metrics", 400, params={"search": "("})
    assert code_of(wrong) == "filter_invalid"


def test_metrics_say_their_step_metric(hub: Hub, project: str) -> None:
    who = writer(project, "stepped")
    make_run(hub.context.store, project, "stepped", metrics=("val/loss", "epoch"))
    body = {"name": "val/*", "step_metric": "epoch", "summary": []}
    tell(hub.context.store, who, event("define_metric", body))
    found = ask(hub, "GET", f"/projects/{project}/metrics")["metrics"]
    steps = {each["metric"]: each["step_metric"] for each in found}
    assert steps == {"epoch": None, "loss": None, "val/loss": "epoch"}


def test_numbers_that_json_has_not_are_named(hub: Hub) -> None:
    project = fresh_project()
    make_run(hub.context.store, project, "odd", steps=0, config={"big": 2**60})
    odd = [math.nan, math.inf, -math.inf]
    log(hub.context.store, writer(project, "odd"), range(3), x=odd)
    run = ask(hub, "GET", f"/projects/{project}/runs/odd")
    assert run["config"] == {"big": {"$int": str(2**60)}}
    assert run["summary"]["x"] == {"$float": "-Infinity"}


def test_hostile_names_come_back_as_they_are(hub: Hub) -> None:
    project, run_id = f"{fresh_project()} <b>&+", "r <i>'\""
    make_run(hub.context.store, project, run_id, name=HOSTILE, metrics=(HOSTILE,))
    path = f"/projects/{quote(project, safe='')}/runs/{quote(run_id, safe='')}"
    assert ask(hub, "GET", path)["name"] == HOSTILE
    assert ask(hub, "GET", f"{path}/metrics")["metrics"][0]["metric"] == HOSTILE


# ---------------------------------------------------------------------------- large answers


def test_a_page_of_too_many_values_is_refused_with_how_many_fit(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/runs/query"
    columns = [f"config.{number}" for number in range(500)]
    error = ask(hub, "POST", path, 400, json={"limit": 1001, "columns": columns})["error"]
    assert (error["code"], error["field"]) == ("page_too_large", "limit")
    assert "1,000 runs at a time" in error["message"]
    assert len(ask(hub, "POST", path, json={"limit": 1000, "columns": columns})["runs"]) == 3


class Traced(dict[str, Any]):
    """Notes in which thread it is read."""

    def __init__(self) -> None:
        super().__init__(a=1)
        self.threads: list[int] = []

    def items(self) -> Any:
        self.threads.append(threading.get_ident())
        return super().items()


def test_an_answer_is_encoded_once_and_not_by_the_event_loop(hub: Hub) -> None:
    traced, loops = Traced(), list[int]()

    async def handler(call: Call) -> Any:
        loops.append(threading.get_ident())
        return traced

    given = [Endpoint("GET", "/traced", handler, answer=dict[str, int])]
    app = Starlette(routes=list(routes(hub.context, given)))
    with TestClient(app) as client:
        assert client.get("/api/v1/traced").json() == {"a": 1}
    assert len(traced.threads) == 1
    assert traced.threads != loops


# ---------------------------------------------------------------------------- wrong requests


def test_a_mistake_of_ours_is_not_told_as_the_clients(
    hub: Hub, project: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(queries, "list_projects", fails)
    assert code_of(ask(hub, "GET", "/projects", 500)) == "hub_failed"
    assert "a mistake of ours" in caplog.text


def test_values_that_no_run_can_have_are_named(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/runs/a"
    for change in (
        {"name": "x" * 513},
        {"tags": [" "]},
        {"tags": ["x" * 129]},
        {"color": "x" * 65},
    ):
        error = ask(hub, "PATCH", path, 400, json=change)["error"]
        assert (error["code"], error["field"]) == ("body_invalid", error["field"])
        assert error["field"].startswith(next(iter(change)))
    both = {"around_time": 1.0, "after": "x"}
    assert code_of(ask(hub, "GET", f"{path}/console", 400, params=both)) == "parameter_invalid"
    far = {"around_time": 1e300}
    assert code_of(ask(hub, "GET", f"{path}/console", 400, params=far)) == "parameter_invalid"


def test_unknown_parameters_and_wrong_values_are_named(hub: Hub, project: str) -> None:
    error = ask(hub, "GET", "/projects", 400, params={"serach": "x"})["error"]
    assert (error["code"], error["field"]) == ("parameter_unknown", "serach")
    assert "search" in error["message"]
    error = ask(hub, "GET", "/projects", 400, params={"limit": "many"})["error"]
    assert (error["code"], error["field"]) == ("parameter_invalid", "limit")
    assert ask(hub, "GET", "/projects", 400, params={"limit": 0})
    path = f"/projects/{project}/runs/query"
    assert code_of(ask(hub, "POST", path, 400, content=b"{", headers=JSON)) == "json_invalid"
    assert code_of(ask(hub, "POST", path, 415, content=b"{}")) == "media_wrong"
    large = b'{"filter": "' + b"x" * hub.config.request_bytes_max + b'"}'
    assert code_of(ask(hub, "POST", path, 413, content=large, headers=JSON)) == "body_too_large"
    assert code_of(ask(hub, "PUT", path, 405)) == "method_wrong"
    assert code_of(ask(hub, "GET", "/nothing/here", 404)) == "not_found"


JSON = {"Content-Type": "application/json"}


def test_a_flush_without_a_daemon_has_stored_nothing(hub: Hub) -> None:
    assert ask(hub, "POST", "/flush", json={}) == {"stored": False}
    assert ask(hub, "POST", "/flush", json={"timeout_seconds": 0}) == {"stored": False}
    for seconds in (-1, 61, "10"):
        failure = ask(hub, "POST", "/flush", status=400, json={"timeout_seconds": seconds})
        assert failure["error"]["field"] == "timeout_seconds"
