"""Series, bands and node series over HTTP: frames in the order asked for."""

from typing import Any

import pytest

from stepwell_hub.api.series import ITEMS_AT_ONCE
from stepwell_hub.frames import MEDIA_TYPE, decode_column, decode_frames
from stepwell_store.writer import WriterInfo
from tests.hub.conftest import Hub
from tests.hub.made import make_run
from tests.store.made import (
    START_US,
    build,
    decoded,
    event,
    fresh_project,
    insert,
    log,
    rows,
    writer,
)

CUDA = "CUDA_VISIBLE_DEVICES"


@pytest.fixture
def project(hub: Hub) -> str:
    name = fresh_project()
    for run_id in ("a", "b"):
        make_run(hub.context.store, name, run_id, steps=100, metrics=("loss", "acc"))
    return name


def frames(hub: Hub, path: str, body: Any) -> list[tuple[dict[str, Any], bytes]]:
    answer = hub.program.post(f"/api/v1{path}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    return list(decode_frames(answer.content))


def failed(hub: Hub, path: str, body: Any) -> tuple[int, str]:
    answer = hub.program.post(f"/api/v1{path}", json=body)
    return answer.status_code, answer.json()["error"]["code"]


def test_series_come_in_buckets_in_the_order_asked_for(hub: Hub, project: str) -> None:
    body = {"runs": ["b", "a", "none"], "items": [{"metric": "acc"}, {"metric": "loss"}]}
    found = frames(hub, f"/projects/{project}/series", body | {"buckets": 25})
    assert [header["metric"] for header, _ in found] == ["acc", "loss"]
    header, data = found[1]
    assert (header["level"], header["points"]) == (2, 200)
    assert sorted(series["run_id"] for series in header["series"]) == ["a", "b"]
    (one,) = (series for series in header["series"] if series["run_id"] == "a")
    highest = decode_column(data, one["columns"]["max"], one["n"])
    assert highest.tolist() == pytest.approx([1 / (4 * bucket + 1) for bucket in range(25)])


def test_only_the_tail_comes_to_whoever_holds_the_head(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/series"
    body: dict[str, Any] = {"runs": ["a"], "buckets": 25, "items": [{"metric": "loss"}]}
    ((header, data),) = frames(hub, path, body)
    (one,) = header["series"]
    count = decode_column(data, one["columns"]["count"], one["n"])
    bucket = decode_column(data, one["columns"]["bucket"], one["n"]) + one["base"]
    held = {
        "run_id": "a",
        "label": "",
        "version": one["version"],
        "level": header["level"],
        "tail": int(bucket[-1]),
        "head_count": int(count[:-1].sum()),
    }
    body["items"][0]["have"] = [held]
    ((again, _),) = frames(hub, path, body)
    assert (again["series"][0]["tail"], again["series"][0]["n"]) == (True, 1)
    log(hub.context.store, writer(project, "a"), [0], loss=[5.0])  # A late point in the head.
    ((late, _),) = frames(hub, path, body)
    assert (late["series"][0]["tail"], late["series"][0]["n"]) == (False, 25)


def test_many_items_come_in_several_pieces_and_in_order(hub: Hub, project: str) -> None:
    names = [f"none-{number}" for number in range(ITEMS_AT_ONCE * 2)] + ["loss"]
    body = {"runs": ["a"], "items": [{"metric": name} for name in names]}
    found = frames(hub, f"/projects/{project}/series", body)
    assert [header["item"] for header, _ in found] == list(range(len(names)))
    assert [header["metric"] for header, _ in found] == names
    assert [len(header["series"]) for header, _ in found] == [0] * (len(names) - 1) + [1]


def test_bands_join_the_runs_of_a_group(hub: Hub, project: str) -> None:
    body = {"groups": {"both": ["a", "b"], "none": []}, "items": [{"metric": "loss"}]}
    ((header, data),) = frames(hub, f"/projects/{project}/bands", body)
    (band,) = (each for each in header["series"] if each["group"] == "both")
    assert set(decode_column(data, band["columns"]["run_count"], band["n"]).tolist()) == {2}
    assert "first_x" not in band["columns"]


def test_bands_over_another_metric_have_the_x_of_their_points(hub: Hub, project: str) -> None:
    body = {"groups": {"both": ["a", "b"]}, "items": [{"metric": "loss"}], "x": "metric:acc"}
    ((header, data),) = frames(hub, f"/projects/{project}/bands", body)
    (band,) = header["series"]
    first, last = (
        decode_column(data, band["columns"][name], band["n"]) for name in ("first_x", "last_x")
    )
    assert header["width"] < 1
    assert 1.0 in first
    assert (first <= last).all()


def test_what_was_sampled_of_the_runs_nodes(hub: Hub, project: str) -> None:
    node = writer(project, "node", scope="node", host="node-a")
    times = [START_US + second * 1_000_000 for second in range(5)]
    table = [[float(second)] for second in range(5)]
    blocks = build((node, decoded([rows(1, range(5), table, times)])), schemas={1: ("cpu/x",)})
    insert(hub.context.store, blocks, f"nodes-{project}")
    path = f"/projects/{project}/runs/a/system"
    found = frames(hub, path, {"first": START_US / 1e6, "last": START_US / 1e6 + 10})
    (header,) = (each for each, _ in found if each["metric"] == "cpu/x")
    assert header["x"] == "time"
    assert header["series"][0]["host"] == "node-a"
    assert frames(hub, path, {})  # Its own range.
    missing = hub.program.post(f"/api/v1/projects/{project}/runs/none/system", json={})
    assert missing.status_code == 404


def test_the_runs_own_gpus_or_all_of_its_nodes(hub: Hub, project: str) -> None:
    times = [START_US + second * 1_000_000 for second in range(5)]
    table = [[float(second)] for second in range(5)]
    host = f"node-{project}"
    who = WriterInfo(project, "g", "wg", "", "run", host, 7)
    events = [event("start", {"started_at": START_US}), event("environment", {CUDA: "1"})]
    parts = [(who, decoded(events=events))]
    for label in ("gpu0", "gpu1"):
        node = writer("", f"node-{host}", label=label, scope="node", host=host)
        parts.append((node, decoded([rows(1, range(5), table, times)])))
    blocks = build(*parts, schemas={1: ("gpu/power_watts",)})
    insert(hub.context.store, blocks, f"gpus-{project}")
    path = f"/projects/{project}/runs/g/system"
    span = {"first": START_US / 1e6, "last": START_US / 1e6 + 10}

    def labels(**asked: object) -> list[str]:
        ((header, _),) = frames(hub, path, {**span, **asked})
        return [each["label"] for each in header["series"]]

    assert labels() == labels(devices="run") == ["gpu1"]
    assert labels(devices="all") == ["gpu0", "gpu1"]
    assert failed(hub, path, {"devices": "some"}) == (400, "body_invalid")
    answer = hub.program.get(f"/api/v1/projects/{project}/runs/g/devices").json()
    assert answer["source"] == "environment"
    assert [(each["label"], each["is_of_run"]) for each in answer["devices"]] == [
        ("gpu0", False),
        ("gpu1", True),
    ]


def test_a_question_that_cannot_be_answered_is_a_failure(hub: Hub, project: str) -> None:
    path = f"/projects/{project}/series"
    body = {"runs": ["a"], "items": [{"metric": "loss"}]}
    assert failed(hub, path, body | {"x": "sideways"}) == (400, "value_invalid")
    assert failed(hub, path, body | {"buckets": 0}) == (400, "body_invalid")
    assert failed(hub, path, body | {"items": [{"name": "loss"}]}) == (400, "body_invalid")
    assert failed(hub, path, body | {"runs": "a"}) == (400, "body_invalid")
    assert frames(hub, path, body | {"items": []}) == []
