"""Histories over HTTP: JSON lines of one run, an Arrow stream of many."""

import json
import math
from typing import Any

import pyarrow
import pytest

from stepwell_hub.arrow_columns import MEDIA_TYPE
from stepwell_store import queries
from stepwell_store.errors import QueryTimeoutError
from tests.hub.conftest import Hub
from tests.hub.made import make_run
from tests.store.made import event, fresh_project, log, tell, writer


@pytest.fixture
def project(hub: Hub) -> str:
    name = fresh_project()
    for number, run_id in enumerate(("a", "b")):
        config = {"lr": number}
        make_run(hub.context.store, name, run_id, config=config, steps=100, metrics=("loss", "acc"))
    return name


def lines(hub: Hub, project: str, run_id: str, **body: Any) -> list[dict[str, Any]]:
    path = f"/api/v1/projects/{project}/runs/{run_id}/history"
    answer = hub.program.post(path, json=body)
    assert answer.status_code == 200, answer.text
    *found, last = map(json.loads, answer.text.splitlines())
    assert last == {"end": True}
    return found


def arrow(hub: Hub, project: str, **body: Any) -> Any:
    answer = hub.program.post(f"/api/v1/projects/{project}/histories", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    return pyarrow.ipc.open_stream(answer.content).read_all()


def refused(hub: Hub, project: str, **body: Any) -> dict[str, Any]:
    answer = hub.program.post(f"/api/v1/projects/{project}/histories", json=body)
    assert answer.status_code == 400, answer.text
    return dict(answer.json()["error"])


def test_a_history_is_lines_with_odd_values_and_texts(hub: Hub, project: str) -> None:
    log(hub.context.store, writer(project, "a"), [7], odd=[math.inf])
    found = lines(hub, project, "a")
    assert [row["_step"] for row in found] == list(range(100))
    assert found[7]["odd"] == {"$float": "Infinity"}
    assert found[3]["loss"] == 0.25
    assert lines(hub, project, "none") == []


def test_a_history_is_cut_and_sampled(hub: Hub, project: str) -> None:
    found = lines(hub, project, "a", metrics=["acc"], first=10, last=12)
    assert [set(row) for row in found] == [{"_step", "_timestamp", "acc"}] * 3
    found = lines(hub, project, "a", samples=3)
    assert [row["_step"] for row in found] == [0, 50, 99]


def test_many_runs_are_one_table(hub: Hub, project: str) -> None:
    log(hub.context.store, writer(project, "a"), [7], extra=[2.0])
    table = arrow(hub, project, metrics=["loss", "extra"], runs=["b", "a"])
    assert table.column_names == ["run_id", "_step", "_timestamp", "loss", "extra"]
    assert table["run_id"].to_pylist() == ["b"] * 100 + ["a"] * 100
    assert table["_step"].to_pylist() == [*range(100)] * 2
    assert table["loss"].to_pylist()[100:103] == [1.0, 1 / 2, 1 / 3]
    extra = table["extra"].to_pylist()
    assert [at for at, value in enumerate(extra) if value is not None] == [107]


def test_a_filter_and_an_order_say_which_runs(hub: Hub, project: str) -> None:
    table = arrow(hub, project, metrics=["loss"], filter="lr>=0", sort=["-lr"])
    assert table["run_id"].unique().to_pylist() == ["b", "a"]
    assert arrow(hub, project, metrics=["loss"], filter="lr:7").num_rows == 0


def test_what_cannot_be_a_column_is_refused(hub: Hub, project: str) -> None:
    tell(hub.context.store, writer(project, "a"), event("values", {"values": {"note": "x"}}))
    assert "note: no numbers" in refused(hub, project, metrics=["note"], runs=["a"])["message"]
    assert refused(hub, project, metrics=["loss"], filter="lr>")["code"] == "filter_invalid"
    both = refused(hub, project, metrics=["loss"], filter="lr:1", runs=["a"])
    assert both["field"] == "filter"
    assert refused(hub, project, metrics=[])["code"] == "body_invalid"


def test_what_breaks_off_is_not_whole(
    hub: Hub, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepwell_store.queries.history_columns.PART_POINTS", 50)
    read, asked = queries.read_columns, []

    def failing(*arguments: Any, **named: Any) -> Any:
        asked.append(None)
        if len(asked) == 3:
            raise QueryTimeoutError("too late")
        return read(*arguments, **named)

    monkeypatch.setattr(queries, "read_columns", failing)
    path = f"/api/v1/projects/{project}/histories"
    with pytest.raises(QueryTimeoutError):
        hub.program.post(path, json={"metrics": ["loss"], "runs": ["a", "b"]})
    assert len(asked) == 3
