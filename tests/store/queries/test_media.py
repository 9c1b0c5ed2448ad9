"""Media: keys, steps and items, on every engine."""

from typing import Any

import pytest

from stepwell_store import Store
from stepwell_store.errors import CursorError
from stepwell_store.queries import (
    list_media,
    media_at,
    media_items,
    media_keys,
    media_steps,
    media_versions,
)
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


def test_media_of_lists_in_a_list_are_all_listed(store: Store) -> None:
    made = fresh_project()
    inner = {"_type": "images/separated", "items": [image(1), image(2)]}
    grid = {"_type": "media", "count": 3, "items": [inner, None, {"_type": "table-file"}]}
    tell(store, writer(made, "run"), values(0, 1, grid=grid))
    (key,) = media_keys(store, made, None)
    assert (key.metric, key.type) == ("grid", "media")
    (value,) = list_media(store, made, None).items
    assert [(item.type, item.id) for item in value.items] == [
        ("image-file", f"{1:032x}"),
        ("image-file", f"{2:032x}"),
        ("table-file", None),
    ]


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
    assert media_steps(store, project, ["run-0"]).steps == (0, 1, 2, 3, 4, 7)


def test_items_have_the_state_of_their_bytes(store: Store, project: str) -> None:
    page = list_media(store, project, ["run-1"], metric="shown")
    states = [item.state for value in page.items for item in value.items]
    assert states == ["ready"] * 3 + ["uploading"] * 2
    first = page.items[0].items[0]
    assert (first.digest, first.size, first.media_type) == (DIGEST, 9, "image/png")
    assert (first.width, first.height, first.about) == (2, 3, {"format": "png"})
    (many,) = list_media(store, project, ["run-1"], metric="many").items
    assert [item.id for item in many.items] == [f"{1001:032x}", f"{2001:032x}"]


def test_masks_have_the_state_of_their_bytes(store: Store) -> None:
    made = fresh_project()
    masks = {
        "truth": {"_type": "mask", "blob": f"{2:032x}", "class_labels": {"1": "cat"}},
        "guess": {"_type": "mask", "blob": f"{3:032x}"},
        "lost": {"_type": "mask", "blob": None, "failed": "no room"},
    }
    ready = {"state": "ready", "digest": DIGEST, "size": 9, "media_type": "image/png"}
    tell(
        store,
        writer(made, "run"),
        values(0, 1, shown=image(1, masks=masks), old=image(4, masks={"truth": {"1": "cat"}})),
        event("blob", {"id": f"{2:032x}", **ready}),
    )
    old, shown = (value.items[0] for value in list_media(store, made, None).items)
    assert [(mask.name, mask.state, mask.digest, mask.labels) for mask in shown.masks] == [
        ("truth", "ready", DIGEST, {"1": "cat"}),
        ("guess", "uploading", "", {}),
        ("lost", "failed", "", {}),
    ]
    assert (shown.masks[2].reason, shown.about) == ("no room", {"format": "png"})
    assert (old.masks, old.about["masks"]) == ((), {"truth": {"1": "cat"}})


def test_masks_of_cells_have_the_state_of_their_bytes(store: Store) -> None:
    made = fresh_project()
    ready = {"state": "ready", "digest": DIGEST, "size": 9, "media_type": "image/png"}
    tell(store, writer(made, "run"), event("blob", {"id": f"{2:032x}", **ready}))
    cell = image(1, masks={"truth": {"_type": "mask", "blob": f"{2:032x}"}})
    (found,) = media_items(store, made, "run", [cell])
    assert (found.state, found.masks[0].state, found.masks[0].digest) == (
        "uploading",
        "ready",
        DIGEST,
    )


def test_a_figure_has_its_library(store: Store) -> None:
    made = fresh_project()
    figure = {"_type": "plotly-file", "blob": f"{1:032x}", "library": f"{2:032x}"}
    ready = {"state": "ready", "digest": DIGEST, "size": 9, "media_type": "text/javascript"}
    tell(
        store,
        writer(made, "run"),
        values(0, 1, drawn=figure, early=figure | {"library": f"{3:032x}"}),
        event("blob", {"id": f"{2:032x}", **ready}),
    )
    drawn, early = (value.items[0] for value in list_media(store, made, None).items)
    assert (drawn.library, drawn.about) == (DIGEST, {})
    assert early.library == ""


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


def test_media_at_a_step_are_the_newest_before_it(store: Store, project: str) -> None:
    def shown(step: int | None, *runs: str) -> list[tuple[str, str, int]]:
        found = media_at(store, project, runs, ["shown", "many", "note"], step=step)
        return [(each.metric, each.run_id, each.step) for each in found]

    assert shown(3, "run-0", "run-1") == [("shown", "run-0", 3), ("shown", "run-1", 3)]
    assert shown(6, "run-1") == [("shown", "run-1", 4)]
    assert shown(None, "run-0") == [("many", "run-0", 7), ("shown", "run-0", 4)]
    assert shown(-1, "run-0") == shown(3) == []
    (value,) = media_at(store, project, ["run-1"], ["shown"], step=2)
    assert (value.items[0].id, value.items[0].state) == (f"{102:032x}", "ready")
    with pytest.raises(ValueError, match="1001 metrics"):
        media_at(store, project, ["run-1"], ["m"] * 1001)


def test_each_label_has_its_own_newest(store: Store, project: str) -> None:
    logged = values(2, 500, shown=image(9))
    tell(store, writer(project, "run-0", label="rank-1"), logged)
    found = media_at(store, project, ["run-0"], ["shown"], step=4)
    assert [(each.label, each.step) for each in found] == [("", 4), ("rank-1", 2)]


def test_the_version_grows_with_values_and_with_their_bytes(store: Store, project: str) -> None:
    first = media_versions(store, project, ["run-0", "none"])
    assert set(first) == {"run-0"}
    tell(store, writer(project, "run-0"), values(8, 900, shown=image(77)))
    second = media_versions(store, project, ["run-0"])
    assert second["run-0"] > first["run-0"]
    failed = {"id": f"{77:032x}", "state": "failed", "reason": "no picture"}
    tell(store, writer(project, "run-0"), event("blob", failed, time_us=901))
    assert media_versions(store, project, ["run-0"])["run-0"] > second["run-0"]
    assert media_versions(store, project, []) == {}
