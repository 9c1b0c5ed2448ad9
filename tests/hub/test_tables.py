"""Tables over the API: as a client makes them, a worker writes them, and the engine reads them."""

import asyncio
import csv
import io
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stepwell_hub.tables.workers import TableWorkers
from tests.blobs import put_blob
from tests.hub.conftest import Hub
from tests.hub.made import make_run
from tests.hub.tables import NAMES, ROWS, WHEN, put


def ask(hub: Hub, url: str, **form: Any) -> dict[str, Any]:
    answer = hub.program.post(f"{url}/query", json=form)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def matching(hub: Hub, url: str, column: int, op: str, value: Any = None, **more: Any) -> list[int]:
    condition = {"column": column, "op": op, "value": value, **more}
    page = ask(hub, url, filter=[condition])
    assert page["matching"] == len(page["rows"])
    return [row["row"] for row in page["rows"]]


def test_a_table_comes_back_as_it_was(hub: Hub, tmp_path: Path) -> None:
    url = put(hub, tmp_path)
    facts = hub.program.get(url).json()
    assert [each["name"] for each in facts["columns"]] == NAMES
    assert [each["type"] for each in facts["columns"]] == [
        "integer", "text", "boolean", "datetime", "mixed", "json", "number", "integer",
    ]  # fmt: skip
    page = ask(hub, url)
    assert page["matching"] == facts["rows"] == 4
    cells = [row["cells"] for row in page["rows"]]
    assert cells[0] == [
        1, "ant", True, round(WHEN.timestamp() * 1e6),
        {"text": "1", "characters": 1, "kind": "integer"}, "[1,2]", 0.5, 10,
    ]  # fmt: skip
    assert cells[1][6:] == [{"$float": "NaN"}, {"$int": str(2**60)}]
    assert cells[2][:3] == [None, None, None]
    assert cells[3][1] == "it's a \\ 'quote'"
    assert cells[3][6] == {"$float": "Infinity"}


def test_filters(hub: Hub, tmp_path: Path) -> None:
    url = put(hub, tmp_path)
    assert matching(hub, url, 0, "ge", 2) == [1, 3]
    assert matching(hub, url, 0, "ne", 2) == [0, 2, 3]
    assert matching(hub, url, 0, "is_null") == [2]
    assert matching(hub, url, 0, "in", values=[1, 4]) == [0, 3]
    assert matching(hub, url, 1, "eq", "it's a \\ 'quote'") == [3]
    assert matching(hub, url, 1, "contains", "BE") == [1]
    assert matching(hub, url, 1, "not_contains", "be") == [0, 2, 3]
    assert matching(hub, url, 1, "matches", "^[aB]") == [0, 1]
    assert matching(hub, url, 2, "eq", False) == [1]
    assert matching(hub, url, 3, "ge", "2026-01-31T12:00:00") == [0, 2]
    assert matching(hub, url, 3, "lt", WHEN.timestamp()) == []
    assert matching(hub, url, 4, "eq", "one") == [1]
    assert matching(hub, url, 6, "lt", 1) == [0]
    assert matching(hub, url, 7, "eq", 2**60) == [1]
    two = [{"column": 0, "op": "ge", "value": 2}, {"column": 2, "op": "eq", "value": True}]
    assert [row["row"] for row in ask(hub, url, filter=two)["rows"]] == [3]
    assert [row["row"] for row in ask(hub, url, search="bEE")["rows"]] == [1]


@pytest.mark.parametrize(
    ("form", "code", "field"),
    [
        ({"filter": [{"column": 99, "op": "is_null"}]}, "column_unknown", "filter[0].column"),
        ({"filter": [{"column": 0, "op": "eq", "value": "x"}]}, "filter_invalid", "filter[0]"),
        ({"filter": [{"column": 2, "op": "eq", "value": 1}]}, "filter_invalid", "filter[0]"),
        ({"filter": [{"column": 3, "op": "gt", "value": "soon"}]}, "filter_invalid", "filter[0]"),
        ({"filter": [{"column": 1, "op": "matches", "value": "("}]}, "filter_invalid", None),
        ({"sort": [{"column": 8}]}, "column_unknown", "sort[0].column"),
        ({"columns": [0, 8]}, "column_unknown", "columns[1]"),
        ({"limit": 1000, "columns": [0] * 200}, "page_too_large", "limit"),
        ({"limit": -1}, "body_invalid", "limit"),
        ({"limit": 10_001, "columns": [0]}, "body_invalid", "limit"),
    ],
)
def test_what_cannot_be_asked_is_told(
    hub: Hub, tmp_path: Path, form: dict[str, Any], code: str, field: str | None
) -> None:
    answer = hub.program.post(f"{put(hub, tmp_path)}/query", json=form)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error.get("field")) == (code, field)


def test_sorting_and_pages(hub: Hub, tmp_path: Path) -> None:
    rows = [[number % 3, f"t{number:05}"] for number in range(70_000)]  # More than one group.
    url = put(hub, tmp_path, ["third", "text"], rows)
    sort = [{"column": 0, "descending": True}, {"column": 1, "descending": True}]
    page = ask(hub, url, sort=sort, offset=23_000, limit=1000)
    expected = sorted(rows, reverse=True)[23_000:24_000]
    assert [row["cells"] for row in page["rows"]] == expected
    assert page["matching"] == 70_000
    assert len(ask(hub, url, columns=[0], limit=10_000)["rows"]) == 10_000
    only = ask(hub, url, columns=[1], offset=69_999, limit=5)
    assert only["rows"] == [{"row": 69_999, "cells": ["t69999"]}]
    assert ask(hub, url, offset=70_000)["rows"] == []


@pytest.mark.parametrize("kept", [1, 2, 3, 500, 1999, 2000, 2001, 5000])
def test_thinned_rows_are_spread_over_the_whole_table(hub: Hub, tmp_path: Path, kept: int) -> None:
    count = 2000
    url = put(hub, tmp_path, ["turn"], [[number % 4] for number in range(count)])
    page = ask(hub, url, thin=kept, limit=10_000)
    places = [row["row"] for row in page["rows"]]
    assert len(places) == page["matching"] == min(kept, count)
    assert [place * kept // count for place in places] == list(range(kept)) or kept >= count
    assert places[0] == 0
    assert places[-1] == (count - 1 if kept > 1 else 0)
    if kept == 500:  # A quarter of the rows, but not those of one class.
        turns = [row["cells"][0] for row in page["rows"]]
        assert all(turns.count(each) > 80 for each in range(4))
        parts = [ask(hub, url, thin=kept, offset=offset, limit=100) for offset in (0, 400)]
        assert [row["row"] for part in parts for row in part["rows"]] == places[:100] + places[400:]
        ones = ask(hub, url, thin=kept, filter=[{"column": 0, "op": "eq", "value": 1}])
        assert ones["matching"] == turns.count(1)


def test_rows_without_a_value_come_last_in_both_directions(hub: Hub, tmp_path: Path) -> None:
    url = put(hub, tmp_path)
    for descending, expected in ((False, [0, 1, 3, 2]), (True, [3, 1, 0, 2])):
        page = ask(hub, url, sort=[{"column": 0, "descending": descending}])
        assert [row["row"] for row in page["rows"]] == expected


def test_a_long_text_is_cut_and_says_so(hub: Hub, tmp_path: Path) -> None:
    url = put(hub, tmp_path, ["text"], [["ä" * 5000]])
    assert ask(hub, url, characters=10)["rows"][0]["cells"] == [
        {"text": "ä" * 10, "characters": 5000}
    ]
    assert ask(hub, url, characters=5000)["rows"][0]["cells"] == ["ä" * 5000]


def test_statistics(hub: Hub, tmp_path: Path) -> None:
    url = put(hub, tmp_path)
    number = hub.program.get(f"{url}/statistics?column=6").json()
    assert (number["values"], number["minimum"], number["maximum"]) == (4, 0.5, 2.5)
    assert sum(each["count"] for each in number["bins"]) == 2
    text = hub.program.get(f"{url}/statistics?column=1").json()
    assert (text["values"], text["nulls"], text["distinct"]) == (3, 1, 3)
    assert {"text": "ant", "count": 1} in text["common"]
    assert hub.program.get(f"{url}/statistics?column=8").status_code == 400


@pytest.mark.parametrize(
    ("values", "edges", "counts"),
    [
        ([number / 2 for number in range(10)], [0.0, 0.9, 1.8, 2.7, 3.6, 4.5], [2] * 5),
        ([7, 1, 2, 2, 4], [1.0, 3.0, 5.0, 7.0, 9.0], [3, 1, 0, 1]),
        ([0, 1, 2, 3, 4, 4, 4, 4], [0.0, 2.0, 4.0, 6.0], [2, 2, 4]),
        ([0.5, 0.5, 0.5], [], []),
        ([3], [], []),
        ([-1.5e308, 0.0, 1.5e308], [-1.5e308, -0.5e308, 0.5e308, 1.5e308], [1, 1, 1]),
    ],
)
def test_a_distribution_has_bins_of_equal_width(
    hub: Hub, tmp_path: Path, values: list[float], edges: list[float], counts: list[int]
) -> None:
    url = put(hub, tmp_path, ["v"], [[each] for each in values])
    bins = hub.program.get(f"{url}/statistics?column=0").json()["bins"]
    assert [each["low"] for each in bins] == pytest.approx(edges[:-1])
    assert [each["high"] for each in bins] == pytest.approx(edges[1:])
    assert [each["count"] for each in bins] == counts


def test_bins_of_moments_are_in_seconds(hub: Hub, tmp_path: Path) -> None:
    moments = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=each) for each in range(8)]
    url = put(hub, tmp_path, ["v"], [[each] for each in moments])
    bins = hub.program.get(f"{url}/statistics?column=0").json()["bins"]
    assert bins[0]["low"] == moments[0].timestamp()
    assert bins[-1]["high"] == pytest.approx(moments[-1].timestamp())
    assert [each["count"] for each in bins] == [2] * 4


def test_downloads_have_the_own_names(hub: Hub, tmp_path: Path) -> None:
    url = put(hub, tmp_path)
    answer = hub.program.get(f"{url}/download?format=csv")
    lines = list(csv.reader(io.StringIO(answer.text)))
    assert lines[0] == [*NAMES[:-1], "n (2)"]
    assert len(lines) == 5
    parquet = hub.program.get(f"{url}/download?format=parquet")
    found = pq.read_table(io.BytesIO(parquet.content))
    assert found.column_names == lines[0]
    assert found.column("text").to_pylist() == [row[1] for row in ROWS]


def test_a_null_in_csv_is_empty_and_an_empty_text_is_quoted(hub: Hub, tmp_path: Path) -> None:
    rows: list[list[Any]] = [[None, None, 1], ["", 0.5, None], ["\\N", None, None]]
    url = put(hub, tmp_path, ["text", "number", "mixed"], rows)
    lines = hub.program.get(f"{url}/download?format=csv").text.splitlines()
    assert lines[1:] == [",,1", '"",0.5,', '"\\N",,']
    alone = put(hub, tmp_path, ["number"], [[1.5], [None], [2.5]])
    text = hub.program.get(f"{alone}/download?format=csv").text
    assert list(csv.reader(io.StringIO(text))) == [["number"], ["1.5"], [""], ["2.5"]]


def test_an_empty_table_and_one_without_columns(hub: Hub, tmp_path: Path) -> None:
    url = put(hub, tmp_path, ["a"], [])
    assert ask(hub, url) == {"matching": 0, "columns": [0], "rows": []}
    assert hub.program.get(f"{url}/statistics?column=0").json()["values"] == 0
    bare = put(hub, tmp_path, [], [])
    assert ask(hub, bare)["rows"] == []


def test_media_in_cells_are_found(hub: Hub, tmp_path: Path) -> None:
    make_run(hub.context.store, "tables", "r")
    cell = {"_type": "image-file", "blob": "a" * 32, "caption": "cat"}
    url = put(hub, tmp_path, ["image", "n"], [[cell, 1], [None, 2]])
    first, second = ask(hub, url)["rows"]
    assert first["cells"][0]["state"] == "uploading"
    assert first["cells"][0]["caption"] == "cat"
    assert second["cells"] == [None, 2]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table at all" * 100])
def test_what_is_no_table_is_told(hub: Hub, content: bytes) -> None:
    digest = put_blob(hub.context.blobs, content)
    answer = hub.program.get(f"/api/v1/projects/p/runs/r/tables/{digest}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert hub.program.get(f"/api/v1/projects/p/runs/r/tables/{'0' * 64}").status_code == 404
    assert hub.browser.get(f"/api/v1/projects/p/runs/r/tables/{digest}").status_code == 401


def test_a_killed_worker_is_replaced(hub: Hub, tmp_path: Path) -> None:
    url = put(hub, tmp_path)
    assert ask(hub, url)["matching"] == 4
    pids = hub.context.table_workers.pids
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert ask(hub, url)["matching"] == 4
    assert not set(pids) & set(hub.context.table_workers.pids)


def test_a_worker_leaves_no_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    async def scenario() -> None:
        workers = TableWorkers(workers_max=1, waiting_max=1, memory_bytes=1 << 28, seconds=60)
        try:
            await workers.ask(op="query", queries=["SELECT 1"])
        finally:
            workers.close()

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_query_that_nobody_waits_for_ends_with_its_worker() -> None:
    async def scenario() -> tuple[list[int], list[int]]:
        workers = TableWorkers(workers_max=1, waiting_max=1, memory_bytes=1 << 28, seconds=60)
        try:
            await workers.ask(op="query", queries=["SELECT 1"])
            before = workers.pids
            slow = ["SELECT sum(sleepEachRow(0.5)) FROM numbers(80) SETTINGS max_block_size = 1"]
            asked = asyncio.ensure_future(workers.ask(op="query", queries=slow))
            await asyncio.sleep(0.2)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            answer = await workers.ask(op="query", queries=["SELECT 2"])
            assert b"2" in answer.body
            return before, workers.pids
        finally:
            workers.close()

    before, after = asyncio.run(scenario())
    assert not set(before) & set(after)
    for pid in before:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
