"""Histograms over HTTP: names, and matrices as frames in the order asked for."""

from typing import Any

import pytest

from stepwell_hub.frames import MEDIA_TYPE, decode_column, decode_frames
from stepwell_store.queries import metric_counts, series_versions
from tests.hub.conftest import Hub
from tests.store.made import event, fresh_project, tell, writer


def told(step: int, metric: str, counts: list[int], **odd: int) -> Any:
    values = {metric: {"counts": counts, "low": 0.0, "high": 2.0, **odd}}
    return event("histograms", {"values": values}, step=step, time_us=1_700_000_000_000_000 + step)


@pytest.fixture
def project(hub: Hub) -> str:
    name = fresh_project()
    events = [told(step, "w", [step, 1], nan_count=step % 2) for step in range(8)]
    tell(hub.context.store, writer(name, "a"), *events, told(1, "v", [5]))
    tell(hub.context.store, writer(name, "b", label="rank1"), told(3, "w", [1]))
    return name


def ask(hub: Hub, project: str, body: Any, run_id: str = "a") -> list[tuple[dict[str, Any], bytes]]:
    answer = hub.program.post(f"/api/v1/projects/{project}/runs/{run_id}/histograms", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    return list(decode_frames(answer.content))


def test_names_are_listed_and_searched(hub: Hub, project: str) -> None:
    path = f"/api/v1/projects/{project}/histograms"
    found = hub.program.get(path).json()
    assert [(each["metric"], each["run_count"]) for each in found["histograms"]] == [
        ("v", 1),
        ("w", 2),
    ]
    of_b = hub.program.get(path, params={"run_id": "b", "search": "w"}).json()["histograms"]
    assert [(each["metric"], each["histogram_count"]) for each in of_b] == [("w", 1)]
    first = hub.program.get(path, params={"limit": 1}).json()
    rest = hub.program.get(path, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [each["metric"] for each in rest["histograms"]] == ["w"]


def test_matrices_come_in_the_order_asked_for(hub: Hub, project: str) -> None:
    found = ask(hub, project, {"metrics": ["w", "none", "v"], "bins": 4})
    assert [(header["metric"], header["n"]) for header, _ in found] == [
        ("w", 8),
        ("none", 0),
        ("v", 1),
    ]
    header, body = found[0]
    n, bins, columns = header["n"], header["bins"], header["columns"]
    assert (header["low"], header["high"], header["level"], header["version"]) == (0.0, 2.0, 0, 8)
    assert decode_column(body, columns["step"], n).tolist() == list(range(8))
    counts = decode_column(body, columns["counts"], n * bins).reshape(n, bins)
    assert counts[6].tolist() == [3.0, 3.0, 0.5, 0.5]
    assert decode_column(body, columns["total"], n).tolist() == [step + 1 for step in range(8)]
    assert decode_column(body, columns["nan"], n).tolist() == [0, 1] * 4
    assert "positive_inf" not in columns


def test_many_steps_are_thinned_and_a_range_is_cut(hub: Hub, project: str) -> None:
    ((header, body),) = ask(hub, project, {"metrics": ["w"], "rows": 3})
    assert (header["level"], header["steps"], header["n"]) == (2, 8, 2)
    assert decode_column(body, header["columns"]["step"], 2).tolist() == [3, 7]
    ((cut, _),) = ask(hub, project, {"metrics": ["w"], "first": 2, "last": 4})
    assert (cut["n"], cut["version"]) == (3, 8)


def test_a_writer_is_chosen_by_its_label(hub: Hub, project: str) -> None:
    ((header, _),) = ask(hub, project, {"metrics": ["w"]}, run_id="b")
    assert (header["labels"], header["label"], header["n"]) == (["rank1"], "rank1", 1)
    ((other, _),) = ask(hub, project, {"metrics": ["w"], "label": "rank9"}, run_id="b")
    assert (other["label"], other["n"]) == ("rank9", 0)


@pytest.mark.parametrize("body", [{"rows": 1}, {"rows": 2000}, {"bins": 0}, {"bins": 513}])
def test_sizes_have_limits(hub: Hub, project: str, body: dict[str, int]) -> None:
    path = f"/api/v1/projects/{project}/runs/a/histograms"
    answer = hub.program.post(path, json={"metrics": ["w"], **body})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "body_invalid")


def test_a_new_histogram_is_news(hub: Hub, project: str) -> None:
    store = hub.context.store
    assert series_versions(store, project, ["a", "b"], ["w"]) == {("a", "w"): 8, ("b", "w"): 1}
    assert metric_counts(store, project, ["a", "b"]) == {"a": 2, "b": 1}
