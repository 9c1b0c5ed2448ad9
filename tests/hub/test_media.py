"""Media over the API: keys, steps and items with the state of their bytes."""

from typing import Any

from tests.hub.conftest import Hub
from tests.hub.made import make_run
from tests.store.made import event, tell, writer

DIGEST = "ab" * 32


def image(blob: str | None, **more: Any) -> dict[str, Any]:
    return {"_type": "image-file", "blob": blob, "width": 4, "height": 3, "format": "png", **more}


def blob(blob_id: str, **more: Any) -> Any:
    body = {"id": blob_id, "state": "ready", "digest": DIGEST, "size": 99}
    body |= {"media_type": "image/png", "width": 4, "height": 3} | more
    return event("blob", body)


def values(step: int, time_us: int = 0, **logged: Any) -> Any:
    return event("values", {"values": logged}, step=step, time_us=10**15 + 10 * step + time_us)


def tell_all(hub: Hub, project: str, run_id: str, *events: Any) -> None:
    make_run(hub.context.store, project, run_id, steps=0)
    tell(hub.context.store, writer(project, run_id), *events)


def test_items_say_what_became_of_their_bytes(hub: Hub) -> None:
    listed = {
        "_type": "images/separated",
        "count": 2,
        "items": [image("1" * 32, caption="cat"), image("2" * 32)],
    }
    tell_all(
        hub,
        "media",
        "run",
        values(0, shown=listed, note="text", table={"a": 1}),
        values(
            1,
            shown=image("3" * 32, boxes={"p": [1]}),
            page={"_type": "html-file", "blob": "4" * 32},
        ),
        values(2, shown=image(None, failed="no room"), old={"_type": "video-file", "kept": False}),
        blob("1" * 32),
        blob("3" * 32, state="failed", digest="", reason="no picture"),
        blob("4" * 32, media_type="text/html", width=0, height=0),
    )
    base = "/api/v1/projects/media/runs/run/media"
    keys = hub.program.get(f"{base}/keys").json()["keys"]
    assert [(key["metric"], key["type"], key["count"]) for key in keys] == [
        ("old", "video-file", 1),
        ("page", "html-file", 1),
        ("shown", "image-file", 3),
    ]
    assert (keys[2]["first_step"], keys[2]["last_step"], keys[2]["runs"]) == (0, 2, 1)
    at = {"runs": ["run"], "metrics": ["shown", "page"], "step": 1}
    values_at = hub.program.post("/api/v1/projects/media/media/at", json=at).json()["values"]
    assert [(each["metric"], each["step"]) for each in values_at] == [("page", 1), ("shown", 1)]
    steps = hub.program.get(f"{base}/steps?metric=shown").json()
    assert steps == {"steps": [0, 1, 2], "is_cut": False}

    found = hub.program.get(f"{base}?metric=shown").json()["values"]
    assert [(value["step"], value["type"]) for value in found] == [
        (0, "images/separated"),
        (1, "image-file"),
        (2, "image-file"),
    ]
    cat, other = found[0]["items"]
    assert cat == {
        "type": "image-file",
        "id": "1" * 32,
        "state": "ready",
        "digest": DIGEST,
        "media_type": "image/png",
        "size": 99,
        "width": 4,
        "height": 3,
        "caption": "cat",
        "reason": "",
        "about": {"format": "png"},
        "masks": [],
        "library": "",
        "library_url": "",
        "url": f"/api/v1/blobs/{DIGEST}",
    }
    assert (other["state"], other["digest"], other["url"], other["width"]) == (
        "uploading",
        "",
        "",
        4,
    )
    (failed,) = found[1]["items"]
    assert (failed["state"], failed["reason"], failed["digest"]) == ("failed", "no picture", "")
    assert failed["about"]["boxes"] == {"p": [1]}
    (lost,) = found[2]["items"]
    assert (lost["state"], lost["reason"], lost["id"]) == ("failed", "no room", None)

    (page,) = hub.program.get(f"{base}?metric=page").json()["values"]
    assert page["items"][0]["url"] == f"/api/v1/blobs/{DIGEST}?show=html"
    (old,) = hub.program.get(f"{base}?metric=old").json()["values"]
    assert old["items"][0]["state"] == "none"


def test_pages_and_ranges_of_steps(hub: Hub) -> None:
    rows = [values(step, shown=image(f"{step:032x}")) for step in range(25)]
    tell_all(hub, "media-pages", "run", *rows)
    base = "/api/v1/projects/media-pages/runs/run/media"

    def all_of(**query: Any) -> list[int]:
        steps: list[int] = []
        while True:
            page = hub.program.get(base, params={"limit": 7, **query}).json()
            steps += [value["step"] for value in page["values"]]
            if page["next_cursor"] is None:
                return steps
            query["cursor"] = page["next_cursor"]

    assert all_of() == list(range(25))
    assert all_of(newest_first=True) == list(range(24, -1, -1))
    assert all_of(first_step=5, last_step=15, newest_first=True) == list(range(15, 4, -1))
    first = hub.program.get(base, params={"limit": 7}).json()["next_cursor"]
    wrong = hub.program.get(base, params={"limit": 7, "cursor": first, "newest_first": True})
    assert wrong.status_code == 400


def test_a_wall_over_runs(hub: Hub) -> None:
    for number in range(3):
        rows = [values(step, shown=image(f"{number}{step:031x}")) for step in range(2)]
        tell_all(hub, "media-wall", f"run-{number}", *rows)
    base = "/api/v1/projects/media-wall/media"
    (key,) = hub.program.post(f"{base}/keys", json={}).json()["keys"]
    assert (key["count"], key["runs"]) == (6, 3)
    asked = {"runs": ["run-0", "run-2"], "metric": "shown"}
    found = hub.program.post(f"{base}/query", json=asked).json()["values"]
    assert [(value["step"], value["run_id"]) for value in found] == [
        (0, "run-0"),
        (0, "run-2"),
        (1, "run-0"),
        (1, "run-2"),
    ]
    assert hub.program.post(f"{base}/steps", json=asked).json()["steps"] == [0, 1]
    assert hub.program.post(f"{base}/query", json={"runs": ["none"]}).json()["values"] == []


def test_the_last_word_about_a_blob_counts(hub: Hub) -> None:
    tell_all(
        hub,
        "media-again",
        "run",
        values(0, shown=image("1" * 32)),
        event("blob", {"id": "1" * 32, "state": "failed", "reason": "?"}, time_us=10**15),
        event("blob", {"id": "1" * 32, "state": "ready", "digest": DIGEST}, time_us=10**15 + 1),
    )
    found = hub.program.get("/api/v1/projects/media-again/runs/run/media").json()["values"]
    assert found[0]["items"][0]["digest"] == DIGEST
