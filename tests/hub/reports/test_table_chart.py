"""Charts of tables in exported files: of the same rows as on the page (tablechart.test.ts)."""

import math
import re
from typing import Any

import pytest

from stepwell_hub.reports.table_chart import (
    CLASSES_MAX,
    ChartColumn,
    ChartRows,
    ChartSpec,
    bins_of,
    chart_html,
    chart_of,
)

HOSTILE = '<script>alert("x")</script>'


def rows_of(kind: str = "number", part: str = "all", **cells: list[Any]) -> ChartRows:
    columns = {role: ChartColumn(role, kind, values) for role, values in cells.items()}
    count = len(next(iter(cells.values())))
    return ChartRows(columns, count, count, part)


def drawn(kind: str, rows: ChartRows, **more: Any) -> str:
    spec = ChartSpec(kind, {}, more.get("x", ""), more.get("y", ""), more.get("diagonal", False))
    return chart_html(spec, rows, name="made")


def test_a_chart_is_what_the_script_logged() -> None:
    told = {"kind": "curve", "x": 1, "y": 2, "series": 0, "x_title": "FPR", "diagonal": True}
    columns = {"x": 1, "y": 2, "series": 0}
    assert chart_of({"chart": told}) == ChartSpec("curve", columns, "FPR", "", True)


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"chart": "line"},
        {"chart": {"kind": "pie", "x": 0}},
        {"chart": {"kind": "line", "x": 0}},
        {"chart": {"kind": "line", "x": 0, "y": -1}},
        {"chart": {"kind": "line", "x": 0, "y": True}},
        {"chart": {"kind": "bar", "label": 0, "value": 0.5}},
    ],
)
def test_there_is_no_chart_of_another_kind(about: dict[str, Any]) -> None:
    assert chart_of(about) is None


def test_lines_keep_the_order_of_rows_and_leave_out_rows_without_a_number() -> None:
    mixed = {"text": "4", "characters": 1, "kind": "integer"}
    rows = rows_of(
        x=[2, 1, math.nan, 3, 5, 0], y=[1, mixed, 1, "text", None, 2], series=list("abaaca")
    )
    text = drawn("line", rows, x="across", y="up")
    [a] = re.findall(r'class="line" [^>]*d="(M[^"]*)"/>', text)
    assert text.count("h0") == 1, "the only point of b"
    x = [float(place.split()[0]) for place in re.split("[ML]", a) if place]
    assert x == sorted(x, reverse=True)
    assert "up over across" in text
    assert "3 rows without a number" in text


def test_a_line_that_has_a_name_is_named_also_alone() -> None:
    named = drawn("line", rows_of(x=[1, 2], y=[3, 4], series=["virginica"] * 2))
    assert '<ul class="legend">' in named
    assert "virginica</li>" in named
    assert '<ul class="legend">' not in drawn("line", rows_of(x=[1, 2], y=[3, 4]))


def test_points_are_dots_and_the_diagonal_is_a_line_of_its_own() -> None:
    rows = rows_of(x=[0.0, 1.0], y=[0.5, 0.25])
    assert drawn("scatter", rows).count("h0") == 2
    assert 'class="line"' not in drawn("scatter", rows)
    assert drawn("curve", rows, diagonal=True).count('class="line"') == 2


def test_bars_have_their_labels_and_values() -> None:
    rows = rows_of(label=["a", None, HOSTILE], value=[1, -2, math.inf])
    text = drawn("bar", rows)
    assert text.count("<rect") == 2
    assert "no value" in text
    assert "1 row without a number" in text
    hostile = drawn("bar", rows_of(label=[HOSTILE], value=[3]))
    assert "<script" not in hostile


@pytest.mark.parametrize(
    "values",
    [
        [0, 0.1, 0.2, 0.9, 1],
        [1, 2, 2, 3, 3, 3],
        [-5, 5],
        [7],
        [0, 0],
        [1e300, -1e300, 1.5e308, -1.5e308],
        [1, 1 + 1e-15],
        [1e15, 1e15 + 1],
        [1e-320, 0],
        [math.sin(at) for at in range(5000)],
    ],
)
def test_each_value_is_in_one_bin(values: list[float]) -> None:
    edges, counts = bins_of(values)
    assert 0 < len(counts) < 60
    assert sum(counts) == len(values)
    assert len(edges) == len(counts) + 1
    if len(counts) > 1 and max(values) < 1e14:
        for at, count in enumerate(counts):
            low, high = edges[at], edges[at + 1]
            is_last = at == len(counts) - 1
            inside = [v for v in values if low <= v < high or (is_last and v == high)]
            assert len(inside) == count
    assert drawn("histogram", rows_of(value=values)).count("<rect") == len(counts)


def test_whole_numbers_have_a_bin_each_if_they_are_few() -> None:
    assert bins_of([1, 2, 2, 4]) == ([1, 2, 3, 4, 5], [1, 2, 0, 1])


def test_a_matrix_counts_pairs_by_class_in_the_order_of_the_rows() -> None:
    rows = rows_of(
        "text",
        actual=["b", "b", HOSTILE, HOSTILE, "b"],
        predicted=["b", HOSTILE, HOSTILE, HOSTILE, "b"],
        count=[3, 1, 4, 2, None],
    )
    text = drawn("confusion_matrix", rows)
    assert re.findall(r"<td[^>]*>([^<]*)</td>", text) == ["3", "1", "0", "6"]
    assert "<script" not in text
    assert "1 row without a number" in text


def test_a_pair_that_was_not_read_is_not_0() -> None:
    cells: dict[str, list[Any]] = {"actual": ["a"], "predicted": ["b"], "count": [1]}
    text = drawn("confusion_matrix", rows_of("text", "first", **cells))
    assert re.findall(r"<td[^>]*>([^<]*)</td>", text) == ["?", "1", "?", "?"]


def test_a_matrix_of_many_classes_has_colours_alone_up_to_a_limit() -> None:
    names = [f"class {at}" for at in range(CLASSES_MAX + 50)]
    rows = rows_of("text", actual=names, predicted=names, count=[1] * len(names))
    text = drawn("confusion_matrix", rows)
    assert text.count("color-mix") == CLASSES_MAX
    assert f"The first {CLASSES_MAX} of {len(names)} classes" in text


@pytest.mark.parametrize("kind", ["line", "scatter", "bar", "histogram", "confusion_matrix"])
def test_rows_without_numbers_say_so(kind: str) -> None:
    roles = ("x", "y", "label", "value", "actual", "predicted", "count")
    empty = ChartRows({role: ChartColumn(role, "number", []) for role in roles}, 0, 0, "all")
    assert "The table has no rows" in drawn(kind, empty)
    full = rows_of("text", **{role: ["x"] for role in roles})
    assert "No row has numbers for the chart" in drawn(kind, full)


def test_a_part_of_the_rows_is_said() -> None:
    columns = {"value": ChartColumn("value", "number", [1.0, 2.0])}
    rows = ChartRows(columns, 2, 9000, "thinned")
    assert "2 of 9,000 rows, evenly spread" in drawn("histogram", rows)
