"""A report as one file: everything in it, nothing that runs, and nothing from elsewhere."""

import io
import json
import math
import re
import struct
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from PIL import Image

from stepwell_hub.reports.palette import group_marks
from stepwell_hub.reports.svg import (
    Line,
    heat_map,
    line_chart,
    nice_ticks,
    ridge_rows,
    ridges,
    smoothed,
    tick_text,
)
from tests.blobs import put_blob
from tests.hub.conftest import Hub
from tests.hub.made import make_run
from tests.hub.tables import put
from tests.store.made import START_US, event, log, tell, writer

PROJECT = "export <b>&"
WEB = Path(__file__).parents[3] / "hub" / "web"
TICKS = json.loads((WEB / "tests" / "engine" / "ticks.json").read_text())
"""The page's own tests have these cases too."""
HOSTILE = "<script>alert(1)</script>\"' onload=x"


class Parts(HTMLParser):
    """Tags, attributes and texts of a file; what is open at its end is a fault."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            found
            for name, found in self.tags
            if name == tag
            and attributes.items() <= {k.rstrip("_"): v for k, v in found.items()}.items()
        ]


def exported(hub: Hub, text: str, *, title: str = "T", project: str = PROJECT) -> tuple[str, Parts]:
    made = hub.context.store  # Runs are of the shared engine; reports are of this hub.
    assert made is not None
    body = {"key": blake3(text.encode()).hexdigest(), "title": title, "text": text}
    path = f"/api/v1/projects/{project.replace('<', '%3C')}/reports"
    report = hub.program.post(path, json=body)
    assert report.status_code == 201, report.text
    answer = hub.program.get(f"/api/v1/reports/{report.json()['id']}/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    return answer.text, Parts(answer.text)


def panel(**fields: str) -> str:
    lines = "\n".join(f"{name}: {value}" for name, value in fields.items())
    return f"```stepwell\n{lines}\n```\n\n"


@pytest.fixture(scope="module")
def runs(store: Any) -> None:
    for number, rate in enumerate((0.1, 0.2)):
        make_run(
            store, PROJECT, f"run{number}", name=f"rate {rate} {HOSTILE}",
            config={"lr": rate, "note": HOSTILE}, metrics=("loss", "val/loss", HOSTILE),
        )  # fmt: skip


def test_panels_are_drawn_with_the_numbers_of_now(hub: Hub, runs: None) -> None:
    text = (
        "# Results\n\nsee [the runs](/p/x) and [this](#h-results)\n\n"
        + panel(panel="line", metrics="loss, val/loss", smooth="2", title="Both")
        + panel(panel="line", match="^loss$", group="config.lr")
        + panel(panel="runs", columns="state, config.lr, metric.loss:min", sort="config.lr")
        + panel(panel="value", metric="loss", best="min")
    )
    content, parts = exported(hub, text)
    assert [each["data-metric"] for each in parts.all("figure")] == ["loss", "val/loss", "loss"]
    assert len(parts.all("svg")) == 3
    assert len(parts.all("path", **{"class": "line"})) == 6
    assert "Both" in parts.text
    assert "as they were on 20" in parts.text
    assert parts.text.count("0.1") >= 4
    hrefs = {each["href"] for each in parts.all("a")}
    assert {"http://127.0.0.1:8470/p/x", "#h-results"} <= hrefs
    assert "http://127.0.0.1:8470/p/export%20%3Cb%3E%26/runs/run0" in hrefs
    assert "<b>0.1</b>" in content


def test_an_exported_file_has_the_rows_that_the_daemon_had_received(
    hub: Hub, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = "export at once"

    def stored(socket: Path | None, *, timeout_seconds: float) -> bool:
        make_run(store, project, "late", config={"l": [1, "x", None]}, metrics=("loss",))
        return True

    monkeypatch.setattr("stepwell_hub.context.rows_are_stored", stored)
    text = panel(panel="runs", columns="state, config.l")
    _, parts = exported(hub, text, project=project)
    assert "No run matches" not in parts.text
    assert '[1,"x",null]' in parts.text


@pytest.mark.parametrize(
    ("scale", "values", "wanted"),
    [
        ("log", (0.25, 1.0), ["0.4", "0.6", "0.8", "1"]),
        ("log", (0.5, 12.0), ["0.5", "1", "2", "5", "10"]),
        ("log", (0.01, 1.0), ["0.01", "0.03", "0.1", "0.3", "1"]),
        ("log", (1e-6, 10.0), ["1e-6", "0.0001", "0.01", "1"]),
        ("log", (1e-300, 1e300), ["1e-260", "1e-130", "1", "1e130", "1e260"]),
        ("symlog", (-5.0, 0.1, 100.0), ["-1", "0", "1", "10", "100"]),
        ("symlog", (1.0, 2.0), ["1", "1.5", "2"]),
        ("symlog", (-1e300, 1e-300, 1e300), ["-1e308", "-1e92", "0", "1e92", "1e308"]),
    ],
)
def test_ticks_of_logarithmic_axes_are_round(
    scale: str, values: tuple[float, ...], wanted: list[str]
) -> None:
    y = np.array(values)
    line = Line("loss", "", np.arange(float(len(y))), y, y, y)
    drawn = line_chart([line], label="loss", y_scale=scale, x_text=tick_text)
    assert re.findall('<text class="y"[^>]*>([^<]*)<', drawn) == wanted


def test_values_that_a_logarithmic_axis_does_not_show_are_counted(hub: Hub, store: Any) -> None:
    project = "negative"
    make_run(store, project, "run", steps=0)
    who = writer(project, "run")
    log(store, who, range(20), below=[-1.0] * 20, mixed=[1.0] * 15 + [0.0] * 4 + [math.nan])
    log(store, who, range(20, 40), whole=[1.0] * 20)
    text = panel(panel="line", metrics="below, mixed, whole", y="log")
    _, parts = exported(hub, text, project=project)
    assert parts.text.count("on a log axis not drawn") == 2
    assert "; 20 values ≤ 0 on a log axis not drawn" in parts.text
    assert "; 1 NaN, 4 values ≤ 0 on a log axis not drawn" in parts.text
    text = panel(panel="line", metrics="below, mixed, whole", y="symlog")
    assert "on a log axis" not in exported(hub, text, project=project)[1].text


def test_a_panel_with_fewer_runs_than_match_gives_both_numbers(hub: Hub, store: Any) -> None:
    project = "many"
    for number in range(25):
        make_run(store, project, f"run{number:02}", config={"lr": number % 2}, metrics=("loss",))
    for fields, expected in (
        ({"panel": "line", "metrics": "loss"}, "The newest 10 of 25 runs (limit: 10)"),
        ({"panel": "runs"}, "The newest 20 of 25 runs (limit: 20)"),
        ({"panel": "runs", "sort": "config.lr", "limit": "2"}, "The first 2 of 25 runs (limit: 2)"),
        ({"panel": "value", "metric": "loss"}, "newest loss"),
    ):
        assert expected in exported(hub, panel(**fields), project=project)[1].text
    for whole in (
        {"panel": "line", "metrics": "loss", "group": "config.lr"},
        {"panel": "runs", "limit": "25"},
        {"panel": "value", "metric": "loss", "best": "max"},
        {"panel": "value", "metric": "x", "best": "min"},
    ):
        text = exported(hub, panel(**whole), project=project)[1].text
        assert "of 25" not in text
        assert whole.get("group") is None or ("0 (13)" in text and "1 (12)" in text)


def test_a_metric_with_one_defined_operation_has_its_number(hub: Hub, store: Any) -> None:
    project = "operations"
    make_run(store, project, "run")
    tell(store, writer(project, "run"), event("define_metric", {"name": "loss", "summary": "max"}))
    text = panel(panel="runs", columns="loss")
    text += panel(panel="line", metrics="loss", group="loss")
    content, parts = exported(hub, text, project=project)
    assert '<td class="number">1</td>' in content
    assert "1 (1)" in parts.text
    assert "{'max'" not in parts.text


def test_nothing_runs_and_nothing_is_loaded(hub: Hub, runs: None) -> None:
    quoted = '"' + HOSTILE.replace('"', '\\"') + '"'
    text = (
        f"{HOSTILE}\n\n[x](javascript:alert) ![p](https://x.example/p.png)\n\n"
        + panel(panel="line", metrics=quoted, title=quoted)
        + panel(panel="runs", columns="name, config.note, tags")
        + panel(panel="value", metric=quoted)
        + panel(panel="bogus", title=quoted)
    )
    content, parts = exported(hub, text, title=HOSTILE)
    assert not {"script", "iframe", "link", "object", "img", "base", "form", "input"} & {
        tag for tag, _ in parts.tags
    }
    for tag, attributes in parts.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert attributes.get("href", "#").startswith(("http://", "https://", "#", "mailto:"))
        assert "src" not in attributes
    assert "url(" not in content
    assert "@import" not in content
    [policy] = parts.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'")


def test_runs_without_the_metric_do_not_count_for_the_limit(hub: Hub, store: Any) -> None:
    project = "evaluated"
    for number in range(30):
        run_id, start = f"run{number:02}", START_US + number * 10**8
        make_run(store, project, run_id, metrics=("acc",), started_us=start)
        if number in (1, 3):
            who = writer(project, run_id)
            log(store, who, range(3), loss=[1.0, 2.0, number + 0.5])
            sample = {"_type": "image-file", "failed": f"lost {run_id}"}
            bins = {"counts": [1, 2], "low": 0.0, "high": 1.0}
            values = {"values": {"samples": sample, "mixed": "text"}}
            tell(store, who, event("values", values, step=1, time_us=start))
            tell(store, who, event("histograms", {"values": {"w": bins}}, step=1, time_us=start))
    for fields, expected in (
        ({"panel": "line", "metrics": "loss, nosuch", "limit": "1"}, ["The newest 1 of 2 runs"]),
        ({"panel": "line", "metrics": "loss"}, ["run01", "run03"]),
        ({"panel": "line", "metrics": "mixed"}, ["run01", "run03"]),
        ({"panel": "line", "metrics": "loss", "ids": "run05"}, ["run05"]),
        ({"panel": "line", "match": "loss", "limit": "2"}, ["The newest 2 of 30 runs"]),
        ({"panel": "media", "metric": "samples"}, ["lost run01", "lost run03"]),
        ({"panel": "media", "metric": "samples", "limit": "1"}, ["lost run03", "1 of 2 runs"]),
        ({"panel": "histogram", "metric": "w"}, ["run03"]),
        ({"panel": "value", "metric": "loss"}, ["3.5", "run03"]),
        ({"panel": "media", "metric": "none"}, ["These runs have no media none"]),
        ({"panel": "line", "metrics": "loss", "runs": "run9"}, ["No run matches"]),
    ):
        text = exported(hub, panel(**fields), project=project)[1].text
        assert [each for each in expected if each not in text] == [], (fields, text)


def test_points_that_a_chart_does_not_show_are_counted(hub: Hub) -> None:
    store, project = hub.context.store, "notdrawn"
    make_run(store, project, "run", steps=0)
    odd = [1.0, math.nan, 3.0, math.inf, -math.inf, math.inf]
    x = [0.0, 1.0, math.inf, 3.0, math.nan, 5.0]
    log(store, writer(project, "run"), range(6), odd=odd, even=[1.0] * 6, x=x)
    text = (
        panel(panel="line", metrics="odd")
        + panel(panel="line", metrics="odd", group="group")
        + panel(panel="line", metrics="even", x="metric:x")
        + panel(panel="line", metrics="even")
    )
    log(store, writer(project, "run"), range(6, 8), none=[math.nan, math.inf])
    text += panel(panel="value", metric="none", best="max")
    text += panel(panel="value", metric="nosuch", best="max")
    _, parts = exported(hub, text, project=project)
    assert "No run has a finite value of none" in parts.text
    assert "No run has nosuch" in parts.text
    assert parts.text.count("; 1 NaN, 2 +Inf, 1 -Inf not drawn") == 2
    assert parts.text.count("; 2 points without a finite x not drawn") == 1
    assert parts.text.count("not drawn") == 3


def test_a_panel_that_fails_says_so_and_the_rest_is_drawn(hub: Hub, runs: None) -> None:
    text = (
        panel(panel="line", metrics="a", limits="3")
        + panel(panel="line", match="'('")
        + panel(panel="media", metric="none")
        + panel(panel="histogram", metric="none")
        + panel(panel="table", metric="none")
        + panel(panel="value", metric="none")
        + panel(panel="runs", runs="lr>5")
        + panel(panel="line", metrics="loss", ids="run1")
    )
    _, parts = exported(hub, text)
    assert len(parts.all("section", **{"class": "panel problem"})) == 2
    for said in ("Line 4: a line panel has no field", "no media none", "no histograms none",
                 "no table none", "No run has none", "No run matches"):  # fmt: skip
        assert said in parts.text
    assert len(parts.all("path", **{"class": "line"})) == 1


def test_pictures_and_tables_are_in_the_file(hub: Hub, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(picture, "png")
    rows = put(hub, tmp_path, ["id", "guess"], [[1, "cat"], [2, HOSTILE], [3, None]])
    digests = [put_blob(hub.context.blobs, picture.getvalue()), rows.rpartition("/")[2]]
    digests.append(put_blob(hub.context.blobs, b"RIFF" + struct.pack("<I", 4) + b"WAVE"))
    make_run(hub.context.store, "pictures", "run", steps=0)
    kinds = ("image-file", "table-file", "audio-file")
    logged = {
        name: {"_type": kind, "blob": str(number) * 32, "caption": f"the {name}"}
        for number, (name, kind) in enumerate(zip(("shown", "rows", "sound"), kinds, strict=True))
    }
    events = [event("values", {"values": logged}, step=3, time_us=10**15)]
    for number, digest in enumerate(digests):
        facts = {"id": str(number) * 32, "state": "ready", "digest": digest, "size": 99}
        facts |= {"media_type": "image/png" if number == 0 else "", "width": 4, "height": 4}
        events.append(event("blob", facts))
    tell(hub.context.store, writer("pictures", "run"), *events)
    text = (
        panel(panel="media", metric="shown")
        + panel(panel="media", metric="sound")
        + panel(panel="table", metric="rows", rows="2")
    )
    _, parts = exported(hub, text, project="pictures")
    [image] = parts.all("img")
    assert image["src"].startswith("data:image/png;base64,")
    assert image["alt"] == "the shown"
    assert "audio-file, 99 bytes: only on the live page" in parts.text
    assert "2 of 3 rows, step 3" in parts.text
    assert HOSTILE in parts.text


def test_pictures_in_cells_of_a_table_are_in_the_file(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Media that are on their way are waited for, as in panels of media."""
    picture = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(picture, "png")
    box = {"position": {"middle": [0.5, 0.5], "width": 0.5, "height": 0.5}, "class_id": 1}
    ids = {"cat": "1" * 32, "dog": "2" * 32, "bark": "3" * 32}
    logged = [
        {"_type": "image-file", "blob": ids["cat"], "boxes": {"found": {"box_data": [box]}}},
        {"_type": "image-file", "blob": ids["dog"], "caption": HOSTILE},
        {"_type": "audio-file", "blob": ids["bark"]},
        {"_type": "image-file", "failed": "no room"},
        None,
    ]
    table = put(hub, tmp_path, ["n", "shown"], [[n, each] for n, each in enumerate(logged)])
    digest = put_blob(hub.context.blobs, picture.getvalue())
    make_run(hub.context.store, "cells", "run", steps=0, state="")
    who = writer("cells", "run")
    value = {"values": {"rows": {"_type": "table-file", "blob": "4" * 32}}}

    def ready(id_: str, digest: str) -> Any:
        facts = {"id": id_, "state": "ready", "digest": digest, "size": 99}
        return event("blob", facts | {"media_type": "image/png", "width": 4, "height": 4})

    tell(
        hub.context.store,
        who,
        event("values", value, step=3, time_us=10**15),
        ready("4" * 32, table.rpartition("/")[2]),
        ready(ids["cat"], digest),
    )

    async def store_the_rest(seconds: float) -> None:
        sound = put_blob(hub.context.blobs, b"RIFF" + struct.pack("<I", 4) + b"WAVE")
        tell(hub.context.store, who, ready(ids["dog"], digest), ready(ids["bark"], sound))

    monkeypatch.setattr("stepwell_hub.reports.media_html._sleep", store_the_rest)
    _, parts = exported(hub, panel(panel="table", metric="rows"), project="cells")
    cat, dog = parts.all("img")
    assert cat["src"] == dog["src"]
    assert cat["src"].startswith("data:image/png;base64,")
    assert dog["alt"] == HOSTILE
    assert len(parts.all("span", role="listitem")) == 1
    for words in ("audio", "Dropped: no room", HOSTILE, "5 of 5 rows"):
        assert words in parts.text
    assert "Uploading" not in parts.text


@pytest.mark.parametrize(
    ("count", "note"), [(3, "1 row without a number"), (12_000, "of 12,000 rows, evenly spread")]
)
def test_a_panel_of_media_draws_the_chart_of_a_table_or_its_rows(
    hub: Hub, tmp_path: Path, count: int, note: str
) -> None:
    cells: list[list[Any]] = [[at, at * 0.5] for at in range(count - 1)]
    table = put(hub, tmp_path, ["n", "half"], [*cells, [None, None]])
    project = f"charts{count}"
    make_run(hub.context.store, project, "run", steps=0)
    chart = {"kind": "scatter", "x": 0, "y": 1}
    logged = {
        "points": {"_type": "table-file", "blob": "1" * 32, "chart": chart, "caption": HOSTILE},
        "plain": {"_type": "table-file", "blob": "2" * 32},
    }
    events = [event("values", {"values": logged}, step=3, time_us=10**15)]
    for id_ in ("1", "2"):
        facts = {"id": id_ * 32, "state": "ready", "digest": table.rpartition("/")[2], "size": 9}
        events.append(event("blob", facts))
    tell(hub.context.store, writer(project, "run"), *events)
    text = panel(panel="media", metric="points") + panel(panel="media", metric="plain")
    _, parts = exported(hub, text, project=project)
    [dots] = parts.all("path", **{"class": "dots"})
    assert 2 <= dots["d"].count("h0") <= 10_000
    for words in (note, "half over n", HOSTILE, f"{min(20, count)} of {count:,} rows"):
        assert words in parts.text


def test_texts_of_a_table_are_in_the_file_with_their_lines(hub: Hub, tmp_path: Path) -> None:
    answers = ["line one\nline two\n" * 60 + "END1", "x" * 1999 + "yz"]
    table = put(hub, tmp_path, ["n", "answer"], [[at, each] for at, each in enumerate(answers)])
    make_run(hub.context.store, "answers", "run", steps=0)
    logged = {"samples": {"_type": "table-file", "blob": "1" * 32}}
    facts = {"id": "1" * 32, "state": "ready", "digest": table.rpartition("/")[2], "size": 9}
    told = [event("values", {"values": logged}, time_us=10**15), event("blob", facts)]
    tell(hub.context.store, writer("answers", "run"), *told)
    _, parts = exported(hub, panel(panel="table", metric="samples"), project="answers")
    cells = parts.all("td", **{"class": "text"})
    assert len(cells) == 2
    assert answers[0] in parts.text
    assert "x" * 1999 + "y…" in parts.text


def test_a_matrix_of_too_many_pairs_has_all_rows_of_its_first_classes(
    hub: Hub, tmp_path: Path
) -> None:
    names = [f"class {at}" for at in range(210)]
    cells = [[actual, predicted, 1] for actual in names for predicted in names]
    table = put(hub, tmp_path, ["a", "p", "n"], [[*each] for each in cells])
    make_run(hub.context.store, "matrix", "run", steps=0)
    chart = {"kind": "confusion_matrix", "actual": 0, "predicted": 1, "count": 2}
    logged = {"m": {"_type": "table-file", "blob": "1" * 32, "chart": chart}}
    facts = {"id": "1" * 32, "state": "ready", "digest": table.rpartition("/")[2], "size": 9}
    tell(
        hub.context.store,
        writer("matrix", "run"),
        event("values", {"values": logged}, step=3, time_us=10**15),
        event("blob", facts),
    )
    _, parts = exported(hub, panel(panel="media", metric="m"), project="matrix")
    assert "The first 200 classes, 40,000 of 44,100 rows" in parts.text
    assert len(parts.all("td")) == 40_000


def test_masks_are_over_their_picture_with_the_colours_of_their_classes(hub: Hub) -> None:
    digests = []
    for mode, color in (("RGB", "red"), ("L", 2)):
        picture = io.BytesIO()
        Image.new(mode, (4, 4), color).save(picture, "png")
        digests.append(put_blob(hub.context.blobs, picture.getvalue()))
    make_run(hub.context.store, "masks", "run", steps=0)
    logged = {
        "_type": "image-file",
        "blob": "1" * 32,
        "masks": {
            "truth": {"_type": "mask", "blob": "2" * 32, "class_labels": {"2": HOSTILE}},
            "guess": {"_type": "mask", "blob": "3" * 32},
            "lost": {"_type": "mask", "failed": "no room"},
        },
    }
    events = [event("values", {"values": {"shown": logged}}, step=3, time_us=10**15)]
    for id_, digest in (("1", digests[0]), ("2", digests[1]), ("3", digests[1])):
        facts = {"id": id_ * 32, "state": "ready", "digest": digest, "size": 99, "width": 4}
        events.append(event("blob", facts | {"media_type": "image/png", "height": 4}))
    tell(hub.context.store, writer("masks", "run"), *events)
    _, parts = exported(hub, panel(panel="media", metric="shown"), project="masks")
    image, *masks = parts.all("img")
    assert "class" not in image or image["class"] == "tiny"
    assert [mask["class"] for mask in masks] == ["mask", "mask"]
    assert all(mask["src"].startswith("data:image/png;base64,") for mask in masks)
    assert "lost: Dropped: no room" in parts.text
    assert parts.text.count(HOSTILE) == 1


def test_boxes_are_over_their_picture_up_to_a_limit_of_the_file(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(picture, "png")
    digest = put_blob(hub.context.blobs, picture.getvalue())
    make_run(hub.context.store, "boxes", "run", steps=0)
    place = {"middle": [2, 2], "width": 2, "height": 2}
    boxes = [{"position": place, "domain": "pixel", "class_id": number} for number in range(3)]
    logged = {
        "_type": "image-file",
        "blob": "1" * 32,
        "boxes": {"found": {"box_data": boxes, "class_labels": {"1": HOSTILE}}},
    }
    facts = {"id": "1" * 32, "state": "ready", "digest": digest, "size": 99, "width": 4}
    facts |= {"media_type": "image/png", "height": 4}
    tell(
        hub.context.store,
        writer("boxes", "run"),
        event("values", {"values": {"shown": logged}}, step=3, time_us=10**15),
        event("blob", facts),
    )
    text = panel(panel="media", metric="shown") * 2
    _, parts = exported(hub, text, project="boxes")
    drawn = parts.all("span", role="listitem")
    assert len(drawn) == 6
    assert drawn[0]["style"].startswith("left:25%;top:25%;width:50%;height:50%;color:#")
    assert drawn[1]["title"] == f"found: {HOSTILE}"
    assert parts.text.count(HOSTILE) == 2
    assert "boxes are drawn" not in parts.text
    monkeypatch.setattr("stepwell_hub.reports.media_html._BOXES_MAX", 4)
    _, parts = exported(hub, text, project="boxes", title="Few")
    assert len(parts.all("span", role="listitem")) == 4
    assert parts.text.count("1 of 3 boxes are drawn") == 1


def test_media_on_their_way_are_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    project, who = "on their way", writer("on their way", "run")
    start = {"project": project, "run_id": "run", "label": "", "name": "run", "world_size": 1}
    logged = {"shown": {"_type": "image-file", "blob": "c" * 32}}
    tell(
        hub.context.store,
        who,
        event("start", {**start, "started_at": START_US}),
        event("values", {"values": logged}, step=3),
    )
    picture = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(picture, "png")
    waited: list[float] = []

    async def store_it(seconds: float) -> None:
        waited.append(seconds)
        digest = put_blob(hub.context.blobs, picture.getvalue())
        facts = {"id": "c" * 32, "state": "ready", "digest": digest, "size": 99}
        facts |= {"media_type": "image/png", "width": 4, "height": 4}
        tell(hub.context.store, who, event("blob", facts))

    monkeypatch.setattr("stepwell_hub.reports.media_html._sleep", store_it)
    _, parts = exported(hub, panel(panel="media", metric="shown"), project=project)
    assert len(waited) == 1
    assert "Uploading" not in parts.text
    assert parts.all("img")[0]["src"].startswith("data:image/png;base64,")


def test_media_without_bytes_say_why(hub: Hub) -> None:
    make_run(hub.context.store, "bytesless", "run", steps=0)
    logged = {
        "video": {"_type": "video-file", "caption": "the film"},
        "late": {"_type": "image-file", "blob": "a" * 32},
        "lost": {"_type": "image-file", "failed": "no room"},
        "broken": {"_type": "table-file", "blob": "b" * 32},
    }
    events = [event("values", {"values": logged}, step=3, time_us=10**15)]
    events.append(event("blob", {"id": "b" * 32, "state": "failed", "reason": "bad file"}))
    tell(hub.context.store, writer("bytesless", "run"), *events)
    text = "".join(panel(panel="media", metric=name) for name in ("video", "late", "lost"))
    text += panel(panel="table", metric="broken")
    _, parts = exported(hub, text, project="bytesless")
    assert "This release does not store media of this type" in parts.text
    assert "Uploading" in parts.text
    assert "Dropped: no room" in parts.text
    assert "Failed: bad file" in parts.text


def test_a_file_has_a_name_of_the_title(hub: Hub) -> None:
    for title, name in (("A/b: ü c..", "A-b-c"), ("ü", "report")):
        body = {"key": f"name-{name}", "title": title}
        made = hub.program.post("/api/v1/projects/p/reports", json=body).json()
        answer = hub.program.get(f"/api/v1/reports/{made['id']}/export")
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.html"'
    assert hub.program.get("/api/v1/reports/nosuch/export").status_code == 404


# ---------------------------------------------------------------------------- drawing


def line(y: list[float]) -> Line:
    values = np.array(y, float)
    return Line("n", "", np.arange(len(y), dtype=float), values, values - 0.5, values + 0.5)


@pytest.mark.parametrize("scale", ["linear", "log", "symlog"])
@pytest.mark.parametrize(
    "y",
    [
        [1.0],
        [1, 1],
        [0, 0],
        [-1, 1],
        [1, np.nan, 3],
        [np.inf, 1],
        [1e308, -1e308],
        [5e-324, 1],
        [0, 1e-300],
    ],
)
def test_odd_values_are_drawn_or_left_out_and_never_break_the_chart(y: Any, scale: Any) -> None:
    drawn = line_chart([line(y)], label="x", y_scale=scale, x_text=tick_text)
    numbers = drawn.lower().replace("transform", "")
    assert 'd="m' in numbers or drawn == ""
    for path in drawn.split(' d="')[1:]:
        assert "nan" not in path.split('"')[0]
        assert "inf" not in path.split('"')[0]


def test_a_point_without_a_finite_neighbour_is_a_dot() -> None:
    nan = math.nan
    drawn = line_chart(
        [line([1.0, nan, 3.0, 4.0, nan, 2.0])], label="x", y_scale="linear", x_text=tick_text
    )
    [path] = re.findall('class="line" [^>]*d="([^"]*)"', drawn)
    [dots] = re.findall('class="dots" [^>]*d="([^"]*)"', drawn)
    assert (path.count("L"), dots.count("h0")) == (1, 2)
    alone = line_chart([line([7.0])], label="x", y_scale="linear", x_text=tick_text)
    assert 'class="line"' not in alone
    assert alone.count("h0") == 1


@pytest.mark.parametrize("case", TICKS)
def test_labels_of_ticks_are_those_of_the_page(case: Any) -> None:
    labels = [tick_text(case["first"] + at * case["step"], case["step"]) for at in range(4)]
    assert labels == case["labels"]


def test_a_chart_without_a_finite_value_is_none() -> None:
    assert line_chart([line([np.nan])], label="x", y_scale="linear", x_text=tick_text) == ""
    assert line_chart([], label="x", y_scale="log", x_text=tick_text) == ""


def test_ticks_are_round() -> None:
    assert nice_ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert nice_ticks(5, 5) == [5]
    assert len(nice_ticks(-0.003, 0.7)) in range(4, 9)


@pytest.mark.parametrize("y_scale", ["linear", "log", "symlog"])
@pytest.mark.parametrize(
    "values",
    [[1e308], [1.7e308, -1.7e308], [5e-324], [5e-324, 1.5e-323], [0.0, 1.5e-323], [1e-300, 1e300]],
)
def test_the_largest_and_the_smallest_numbers_have_a_chart(
    y_scale: str, values: list[float]
) -> None:
    y = np.array(values)
    for x in (np.arange(len(y), dtype=float), np.sort(y)):
        line = Line(name="v", mark="", x=x, y=y, low=y, high=y)
        text = line_chart([line], label="v", y_scale=y_scale, x_text=tick_text)
        assert "nan" not in text
    assert len(nice_ticks(min(values), max(values))) < 20


def test_smoothing_weighs_points_by_their_distance() -> None:
    x, ones = np.arange(4.0), np.ones(4, np.int64)
    found = smoothed(x, np.array([0.0, 0.0, np.nan, 8.0]), ones, 1.0)
    assert np.isnan(found[2])
    # Two steps after the last value: the new one weighs 3/4, the older ones 1/4 of 3/4.
    assert found[3] == pytest.approx(8 * 0.75 / (0.75 * 0.25 + 0.75))


def test_a_heat_map_has_a_cell_for_each_part() -> None:
    drawn = heat_map(np.array([0, 5]), np.array([[1.0, 0.0], [3.0, 1.0]]), low=0, high=1, label="x")
    assert drawn.count("<rect") == 3


def test_ridges_are_evenly_chosen_histograms() -> None:
    assert ridge_rows(3) == [0, 1, 2]
    chosen = ridge_rows(1000)
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 999, 31)
    assert {round(b - a, -1) for a, b in pairwise(chosen)} == {30}
    counts = np.array([[1.0, 0.0], [0.0, 0.0], [3.0, 1.0]])
    drawn = ridges(np.array([0, 5, 1000]), counts, low=0, high=1, label="x")
    assert drawn.count('class="ridge"') == 3
    assert [*re.findall('<text class="y"[^>]*>([^<]*)<', drawn)] == ["0", "5", "1,000"]
    # All values of the first one are in its first bin. The second one has none: it is flat.
    paths = re.findall('class="ridge"[^>]* d="([^"]*)"', drawn)
    first, second, _ = ([float(y) for y in re.findall(r"[\d.]+", each)[1::2]] for each in paths)
    assert (min(first), first[1]) == (10.0, 10.0)
    assert len(set(second)) == 1


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (-1.7e308, 1.7e308), (0.0, 5e-324)])
def test_ridges_of_odd_ranges_are_drawn(low: float, high: float) -> None:
    drawn = ridges(np.array([7]), np.array([[0.0, 2.0]]), low=low, high=high, label="x")
    assert drawn.count('class="ridge"') == 1
    assert not re.search("nan|inf", drawn)


def test_groups_have_the_colours_that_the_page_gives_them() -> None:
    def run(run_id: str, started_at: float, color: str = "") -> Any:
        return SimpleNamespace(run_id=run_id, started_at=started_at, color=color)

    groups = {
        "a": [run("new", 9.0), run("old", 1.0)],
        "b": [run("same slot", 2.0)],
        "c": [run("own", 3.0, "#123456")],
        "d": [run("slot of another", 4.0)],
    }
    slots = {"new": 7, "old": 0, "same slot": 20, "own": 0, "slot of another": 1}
    marks = group_marks(groups, slots)
    assert [marks[name][len('style="--c:') : -1] for name in "abcd"] == [
        "var(--c0)",
        "var(--c2)",
        "#123456",
        "var(--c1)",
    ]
