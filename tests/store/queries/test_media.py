"""Media: keys, steps and items, on every engine."""

from typing import Any

import pytest

from stepwell_store import Store
from stepwell_store.errors import CursorError
from stepwell_store.queries import list_media, media_keys, media_steps
from tests.store.made import event, fresh_project, tell, writer

DIGEST = "ab" * 32


def image(number: int, **more: Any) -> dict[str, Any]:
    return {"_type": "image-file", "blob": f"{number:032x}", "format": "png", **more}


def values(step: int, time_us: int, **logged: Any) -> Any:
    return event("values", {"values": logged}, step=step, time_us=time_us)


@pytest.fixture
def project(store: Store) -> str:
    made = fresh_project()
    for run in range(2):
        logged = [
            values(step, 10 * step + run + 1, shown=image(100 * run + step), note="text")
            for step in range(5)
        ]
        many = {"_type": "images/separated", "items": [image(1000 + run), image(2000 + run)]}
        ready = {"state": "ready", "digest": DIGEST, "size": 9, "media_type": "image/png"}
        blobs = [
            event("blob", {"id": f"{100 * run + step:032x}", **ready, "width": 2, "height": 3})
            for step in range(3)
        ]
        tell(
            store,
            writer(made, f"run-{run}"),
            *logged,
            values(7, 100, many=many, plain=[1, 2], nested={"a": 1}),
            *blobs,
        )
    return made


def test_keys_are_the_metrics_with_media(store: Store, project: str) -> None:
    found = media_keys(store, project, ["run-0"])
    assert [(key.metric, key.type, key.count, key.first_step, key.last_step) for key in found] == [
        ("many", "images/separated", 1, 7, 7),
        ("shown", "image-file", 5, 0, 4),
    ]
    assert [(key.count, key.runs) for key in media_keys(store, project, None)] == [(2, 2), (10, 2)]
    assert media_keys(store, project, []) == ()


def test_steps_are_those_that_have_some(store: Store, project: str) -> None:
    assert media_steps(store, project, ["run-1"], metric="shown").steps == (0, 1, 2, 3, 4)
    assert media_steps(store, project, None, metric="many").steps == (7,)
    assert media_steps(store, project, None, metric="note").steps == ()


def test_items_have_the_state_of_their_bytes(store: Store, project: str) -> None:
    page = list_media(store, project, ["run-1"], metric="shown")
    states = [item.state for value in page.items for item in value.items]
    assert states == ["ready"] * 3 + ["uploading"] * 2
    first = page.items[0].items[0]
    assert (first.digest, first.size, first.media_type) == (DIGEST, 9, "image/png")
    assert (first.width, first.height, first.about) == (2, 3, {"format": "png"})
    (many,) = list_media(store, project, ["run-1"], metric="many").items
    assert [item.id for item in many.items] == [f"{1001:032x}", f"{2001:032x}"]


def test_pages_follow_each_other_in_both_directions(store: Store, project: str) -> None:
    for newest_first in (False, True):
        seen: list[tuple[int, str]] = []
        cursor = None
        while True:
            page = list_media(
                store,
                project,
                None,
                metric="shown",
                newest_first=newest_first,
                first_step=1,
                last_step=3,
                limit=2,
                cursor=cursor,
            )
            seen += [(value.step, value.run_id) for value in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        steps = (3, 2, 1) if newest_first else (1, 2, 3)
        assert seen == [(step, f"run-{run}") for step in steps for run in range(2)]


def test_another_list_s_cursor_is_refused(store: Store, project: str) -> None:
    cursor = list_media(store, project, None, limit=1).next_cursor
    with pytest.raises(CursorError):
        list_media(store, project, ["run-0"], limit=1, cursor=cursor)
