"""Reports over the API: made once, saved by one at a time, kept as they were, deleted."""

import time
from typing import Any

import pytest

from stepwell_hub.catalog import project_deletion
from stepwell_hub.catalog.reports import VERSIONS_KEPT
from tests.hub.conftest import Hub

ROOT = "/api/v1/projects/p/reports"
BY_ID = "/api/v1/reports"


def make(hub: Hub, *, key: str = "key-00001", root: str = ROOT, **facts: Any) -> Any:
    return hub.program.post(root, json={"key": key, "title": "First", "text": "# one"} | facts)


def save(hub: Hub, report_id: str, version: int, text: str, title: str = "First") -> Any:
    body = {"version": version, "title": title, "text": text}
    return hub.program.put(f"{BY_ID}/{report_id}", json=body)


def error(answer: Any) -> tuple[int, str, str]:
    told = answer.json()["error"]
    return answer.status_code, told["code"], told.get("field", "")


def test_a_report_is_made_read_saved_and_deleted(hub: Hub) -> None:
    made = make(hub)
    assert made.status_code == 201
    report = made.json()
    assert (report["project"], report["title"], report["text"], report["version"]) == (
        "p", "First", "# one", 1,
    )  # fmt: skip
    address = f"{BY_ID}/{report['id']}"
    assert hub.program.get(address).json() == report
    saved = save(hub, report["id"], 1, "# two", "Second").json()
    assert (saved["version"], saved["title"], saved["text"]) == (2, "Second", "# two")
    assert saved["created_at"] == report["created_at"]
    assert saved["updated_at"] >= report["updated_at"]
    assert hub.program.delete(address).status_code == 204
    for answer in (
        hub.program.get(address),
        hub.program.delete(address),
        hub.program.get(f"{address}/versions"),
        save(hub, report["id"], 2, "# three"),
    ):
        assert error(answer)[:2] == (404, "not_found")


@pytest.mark.parametrize("listed", ["/api/v1/projects/deleted-here/reports", "/api/v1/sweeps"])
def test_a_list_goes_on_with_a_deletion_that_another_process_noted(hub: Hub, listed: str) -> None:
    """As `stepwell rm --project` notes it."""
    address = f"{BY_ID}/{make(hub, root='/api/v1/projects/deleted-here/reports').json()['id']}"
    hub.context.catalog.do_from_thread(
        lambda catalog: project_deletion.ask(catalog, "deleted-here", now=time.time())
    )
    assert hub.program.get(address).status_code == 200
    hub.context.artifacts_cleared_at = hub.context.deletions_seen_at = -1e9
    assert hub.program.get(listed).status_code == 200
    assert error(hub.program.get(address))[:2] == (404, "not_found")


def test_the_same_key_makes_one_report(hub: Hub) -> None:
    first = make(hub).json()
    assert make(hub).json() == first
    assert save(hub, first["id"], 1, "later").status_code == 200
    assert make(hub).json()["text"] == "later"
    assert error(make(hub, root="/api/v1/projects/q/reports")) == (409, "key_reused", "key")


def test_a_save_on_an_old_version_is_refused_and_says_what_to_do(hub: Hub) -> None:
    report_id = make(hub).json()["id"]
    assert save(hub, report_id, 1, "hers").status_code == 200
    refused = save(hub, report_id, 1, "his")
    assert error(refused) == (409, "report_changed", "version")
    assert "save with version 2" in refused.json()["error"]["message"]
    assert hub.program.get(f"{BY_ID}/{report_id}").json()["text"] == "hers"
    assert save(hub, report_id, 2, "both").json()["version"] == 3


def test_a_save_that_is_sent_again_is_done_once(hub: Hub) -> None:
    report_id = make(hub).json()["id"]
    first = save(hub, report_id, 1, "two").json()
    assert save(hub, report_id, 1, "two").json() == first
    assert save(hub, report_id, 2, "two").json() == first


def test_earlier_versions_are_kept_up_to_a_limit(hub: Hub) -> None:
    report_id = make(hub).json()["id"]
    for version in range(1, VERSIONS_KEPT + 2):
        assert save(hub, report_id, version, f"text {version + 1}").status_code == 200
    newest = VERSIONS_KEPT + 2
    listed = hub.program.get(f"{BY_ID}/{report_id}/versions").json()["versions"]
    assert [each["version"] for each in listed] == list(range(newest, 1, -1))
    assert listed[0]["size"] == len(f"text {newest}")
    for version in (2, newest):
        found = hub.program.get(f"{BY_ID}/{report_id}/versions/{version}").json()
        assert (found["version"], found["text"]) == (version, f"text {version}")
    for version in ("1", "99", "0", "x", "9" * 30):
        gone = hub.program.get(f"{BY_ID}/{report_id}/versions/{version}")
        assert error(gone)[:2] == (404, "not_found")


def test_reports_are_listed_by_their_last_save_a_page_at_a_time(hub: Hub) -> None:
    ids = [make(hub, key=f"key-0000{i}", title=f"T{i}").json()["id"] for i in range(5)]
    make(hub, key="elsewhere", root="/api/v1/projects/q/reports")
    save(hub, ids[0], 1, "newest")
    found: list[str] = []
    cursor = None
    while True:
        page = hub.program.get(ROOT, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        found += [each["id"] for each in page.json()["reports"]]
        assert "text" not in page.json()["reports"][0]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert found == [ids[0], *reversed(ids[1:])]
    assert error(hub.program.get(ROOT, params={"cursor": "x"})) == (400, "cursor_invalid", "cursor")


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"title": ""}, (400, "body_invalid", "title")),
        ({"title": " "}, (400, "body_invalid", "title")),
        ({"title": "x" * 257}, (400, "body_invalid", "title")),
        ({"text": "a\0"}, (400, "body_invalid", "text")),
        ({"text": "x" * (262_144 + 1)}, (400, "body_invalid", "text")),
        ({"text": "ü" * 200_000}, (413, "report_too_large", "text")),
        ({"key": "short"}, (400, "body_invalid", "key")),
        ({"body": ""}, (400, "body_invalid", "")),
    ],
)
def test_what_cannot_be_is_refused(hub: Hub, facts: Any, told: Any) -> None:
    assert error(make(hub, **facts)) == told


def test_the_largest_text_is_kept_whole(hub: Hub) -> None:
    text = "\x01" * 262_144  # Six characters each in JSON.
    made = make(hub, text=text).json()
    assert hub.program.get(f"{BY_ID}/{made['id']}").json()["text"] == text


def test_a_draft_is_taken_apart(hub: Hub) -> None:
    text = "# A\n\n```stepwell\npanel: value\nmetric: loss\n```\n\n```stepwell\npanel: x\n```"
    answer = hub.program.post("/api/v1/report-documents", json={"text": text})
    first, panel, wrong = answer.json()["blocks"]
    assert first["nodes"] == [["h1", {"id": "h-a"}, "A"]]
    assert (panel["panel"], panel["fields"]["metric"], panel["line"]) == ("value", "loss", 3)
    assert wrong["problems"][0]["line"] == 9


def test_the_kinds_of_panels_are_listed(hub: Hub) -> None:
    kinds = hub.program.get("/api/v1/report-panels").json()["kinds"]
    assert [kind["name"] for kind in kinds][:3] == ["line", "runs", "value"]
    assert all(field["about"] for kind in kinds for field in kind["fields"])
