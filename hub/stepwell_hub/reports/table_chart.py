"""The chart that a script made of its table, for an exported file. Pure.

The page's `datatable/chartSpec.ts` and `chartData.ts` read the same chart of the same rows.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import numpy as np

from stepwell_hub.reports.moments import moment_label, moment_ticks
from stepwell_hub.reports.palette import mark_of
from stepwell_hub.reports.svg import Line, bars, bins_chart, line_chart, nice_step, tick_text
from stepwell_hub.reports.values import cell_text, number_text, utc_text
from stepwell_hub.reports.words import empty_html, table_html
from stepwell_store.queries import MediaItem
from stepwell_wire.table_columns import DATETIME

ROWS_MAX: Final = 10_000
CLASSES_MAX: Final = 200
PAIRS_MAX: Final = CLASSES_MAX**2
_SERIES_MAX: Final = 100
_BARS_MAX: Final = 500
_BINS_MAX: Final = 40
_NUMBERS_MAX: Final = 50
"""Classes of a matrix that has numbers in its cells."""
_SHADE_MAX: Final = 45
"""Percent of the accent's colour in a cell: the number on it stays easy to read."""
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "line": ("x", "y"),
    "curve": ("x", "y"),
    "scatter": ("x", "y"),
    "bar": ("label", "value"),
    "histogram": ("value",),
    "confusion_matrix": ("actual", "predicted", "count"),
}


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """A chart of a table.

    Attributes:
        columns: the number of the column of each role, such as "x" or "label".
        x_title, y_title: "": the axis is called as its column.
        diagonal: with the line of a classifier that guesses.
    """

    kind: str
    columns: Mapping[str, int]
    x_title: str
    y_title: str
    diagonal: bool


@dataclass(frozen=True, slots=True)
class ChartColumn:
    name: str
    type: str
    cells: Sequence[Any]


@dataclass(frozen=True, slots=True)
class ChartRows:
    """The rows that a chart is drawn of.

    Attributes:
        columns: by their role.
        total: rows of the whole table.
        part: which rows were read: "all", "first", "thinned" (evenly spread), or "classes" (all
            rows of the first classes).
    """

    columns: Mapping[str, ChartColumn]
    read: int
    total: int
    part: str


def chart_of(about: Mapping[str, Any]) -> ChartSpec | None:
    """Return the chart of a logged table; None where there is none, or one of a later release."""
    told = about.get("chart")
    if not isinstance(told, Mapping):
        return None
    kind = told.get("kind")
    if not isinstance(kind, str) or kind not in _NEEDED:
        return None
    columns = {}
    for role in (*_NEEDED[kind], "series"):
        place = told.get(role)
        if isinstance(place, int) and not isinstance(place, bool) and place >= 0:
            columns[role] = place
        elif role != "series":
            return None
    titles = [told.get(name) for name in ("x_title", "y_title")]
    x_title, y_title = (title if isinstance(title, str) else "" for title in titles)
    return ChartSpec(kind, columns, x_title, y_title, told.get("diagonal") is True)


def chart_html(spec: ChartSpec, rows: ChartRows, *, name: str) -> str:
    """Return the drawing, and what is not drawn.

    Args:
        name: what the chart is called for readers who do not see it.
    """
    draw = {"bar": _bars, "histogram": _histogram, "confusion_matrix": _matrix}
    drawn, notes = draw.get(spec.kind, _points)(spec, rows, name)
    if not drawn:
        words = "The table has no rows" if rows.total == 0 else "No row has numbers for the chart"
        return empty_html(words)
    notes = [_part_note(rows), *notes]
    said = " · ".join(filter(None, notes))
    return drawn + (empty_html(said) if said else "")


# ---------------------------------------------------------------------- kinds


def _points(spec: ChartSpec, rows: ChartRows, name: str) -> tuple[str, list[str]]:
    x, y, series = rows.columns["x"], rows.columns["y"], rows.columns.get("series")
    found: dict[str, tuple[list[float], list[float]]] = {}
    others = set()
    left = 0
    for row in range(rows.read):
        across, up = _number(x.cells[row]), _number(y.cells[row])
        if across is None or up is None:
            left += 1
            continue
        called = y.name if series is None else _text(series.cells[row], series.type)
        if called not in found and len(found) >= _SERIES_MAX:
            others.add(called)
            continue
        line = found.setdefault(called, ([], []))
        line[0].append(across)
        line[1].append(up)
    marks = {called: mark_of(at, "") for at, called in enumerate(found)}
    lines = [_line(called, marks[called], *xy) for called, xy in found.items()]
    if spec.diagonal and lines:
        lines.append(_line("", 'style="--c:var(--ink3)" stroke-dasharray="4 4"', [0, 1], [0, 1]))
    drawn = line_chart(
        lines,
        label=name,
        y_scale="linear",
        **_x_labels(x),
        dots=spec.kind == "scatter",
    )
    over = f"{spec.y_title or y.name} over {spec.x_title or x.name}"
    drawn += f"<figcaption>{escape(over)}</figcaption>" if drawn else ""
    if len(found) > 1 or series is not None:
        drawn += _legend(marks)
    more = f"The first {_SERIES_MAX:,} of {_SERIES_MAX + len(others):,} lines" if others else ""
    return drawn, [more, _left_note(left)]


def _bars(spec: ChartSpec, rows: ChartRows, name: str) -> tuple[str, list[str]]:
    label, value = rows.columns["label"], rows.columns["value"]
    found = [
        (_text(label.cells[row], label.type), number)
        for row in range(rows.read)
        if (number := _number(value.cells[row])) is not None
    ]
    shown = found[:_BARS_MAX]
    drawn = ""
    if shown:
        titles = f"{spec.y_title or value.name} of {spec.x_title or label.name}"
        drawn = bars(shown, label=name, value_text=_value_text(value))
        drawn += f"<figcaption>{escape(titles)}</figcaption>"
    more = f"The first {len(shown):,} of {len(found):,} bars" if len(found) > len(shown) else ""
    return drawn, [more, _left_note(rows.read - len(found))]


def _histogram(spec: ChartSpec, rows: ChartRows, name: str) -> tuple[str, list[str]]:
    value = rows.columns["value"]
    values = [number for cell in value.cells if (number := _number(cell)) is not None]
    note = _left_note(rows.read - len(values))
    if not values:
        return "", [note]
    edges, counts = bins_of(values)
    drawn = bins_chart(edges, counts, label=name, **_x_labels(value))
    title = spec.x_title or value.name
    return f"{drawn}<figcaption>rows over {escape(title)}</figcaption>", [note]


def bins_of(values: Sequence[float]) -> tuple[list[float], list[int]]:
    """Return the edges and counts of bins of one round width, from the lowest to the highest."""
    low, high = min(values), max(values)
    wanted = min(_BINS_MAX, max(5, math.ceil(math.sqrt(len(values)))))
    # Halves: the difference of the largest numbers is beyond them.
    least = (high / 2 - low / 2) / (wanted / 2)
    if not least > max(abs(low), abs(high), 1e-280) * 1e-12:
        half = abs(low) * 0.05 or 0.5
        return [low - half, low + half], [len(values)]
    are_whole = all(float(each).is_integer() for each in values)
    width = float(math.ceil(nice_step(least))) if are_whole else nice_step(least)
    first = math.floor(low / width)
    last = math.floor(high / width) if are_whole else max(first, math.ceil(high / width) - 1)
    counts = [0] * (last - first + 1)
    for each in values:
        counts[min(len(counts) - 1, max(0, math.floor(each / width) - first))] += 1
    edges = [float(f"{(first + at) * width:.12g}") for at in range(len(counts) + 1)]
    return edges, counts


def _matrix(spec: ChartSpec, rows: ChartRows, name: str) -> tuple[str, list[str]]:
    actual, predicted, count = (rows.columns[role] for role in _NEEDED["confusion_matrix"])
    places: dict[str, int] = {}
    pairs, left = [], 0
    for row in range(rows.read):
        many = _number(count.cells[row])
        if many is None:
            left += 1
            continue
        pair = [
            places.setdefault(_text(column.cells[row], column.type), len(places))
            for column in (actual, predicted)
        ]
        pairs.append((pair[0], pair[1], many))
    classes = list(places)[:CLASSES_MAX]
    if not classes:
        return "", [_left_note(left)]
    # A pair without a row has none, unless its row may be further down the table.
    missing = None if rows.part == "first" else 0.0
    counts: list[list[float | None]] = [[missing] * len(classes) for _ in classes]
    for start, to, many in pairs:
        if start < len(classes) and to < len(classes):
            counts[start][to] = (counts[start][to] or 0.0) + many
    most = max((each or 0.0 for line in counts for each in line), default=0.0)
    has_numbers = len(classes) <= _NUMBERS_MAX
    corner = "<th>actual \\ predicted</th>" if has_numbers else ""
    names = [f'<th scope="col">{escape(each)}</th>' for each in classes] if has_numbers else []
    lines = []
    for called, line in zip(classes, counts, strict=True):
        cells = "".join(_matrix_cell(each, most, has_numbers=has_numbers) for each in line)
        head = f'<th scope="row">{escape(called)}</th>' if has_numbers else ""
        lines.append(f"<tr>{head}{cells}</tr>")
    kind = "matrix" if has_numbers else "matrix dense"
    drawn = f'<div class="{kind}" role="group" aria-label="{escape(name)}">'
    drawn += f"{table_html(corner + ''.join(names), lines)}</div>"
    more = len(places) - len(classes)
    cut = f"The first {CLASSES_MAX:,} of {len(places):,} classes" if more else ""
    where = "" if has_numbers else "Actual from top to bottom, predicted from left to right"
    return drawn, [where, cut, _left_note(left)]


def _matrix_cell(count: float | None, most: float, *, has_numbers: bool) -> str:
    text = "" if not has_numbers else "?" if count is None else number_text(count)
    style = ""
    if count and count > 0:
        # The root of the share: few mistakes stay visible beside many correct answers.
        percent = max(3, round(math.sqrt(count / most) * (_SHADE_MAX if has_numbers else 100)))
        style = f' style="background:color-mix(in srgb,var(--accent) {percent}%,var(--card))"'
    return f'<td class="number"{style}>{text}</td>'


# ---------------------------------------------------------------------- parts


def _line(name: str, mark: str, x: Sequence[float], y: Sequence[float]) -> Line:
    values = np.array(y, float)
    return Line(name, mark, np.array(x, float), values, values, values)


def _legend(marks: Mapping[str, str]) -> str:
    entries = (
        f'<li><span class="swatch" {mark}></span> {escape(name)}</li>'
        for name, mark in marks.items()
    )
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _value_text(column: ChartColumn) -> Callable[[float], str]:
    if column.type != DATETIME:
        return number_text
    return lambda micros: utc_text(round(micros))


def _x_labels(column: ChartColumn) -> dict[str, Any]:
    """Return the arguments of a chart for the labels of its x axis."""
    if column.type != DATETIME:
        return {"x_text": tick_text}
    return {"x_text": moment_label, "x_ticks": moment_ticks}


def _number(cell: Any) -> float | None:
    """Return a cell as a finite number; None for others. A moment is in microseconds."""
    if isinstance(cell, dict) and cell.get("kind") in ("number", "integer"):
        cell = cell.get("text")  # Numbers of a column of several kinds are texts.
        try:
            cell = float(cell)
        except (TypeError, ValueError):
            return None
    if not isinstance(cell, int | float):
        return None
    value = float(cell)
    return value if math.isfinite(value) else None


def _text(cell: Any, kind: str) -> str:
    if cell is None:
        return "no value"
    if isinstance(cell, MediaItem):
        return cell.caption or cell.type.removesuffix("-file")
    return cell_text(cell, kind)


def _part_note(rows: ChartRows) -> str:
    if rows.part == "all":
        return ""
    counts = f"{rows.read:,} of {rows.total:,} rows"
    if rows.part == "thinned":
        return f"{counts}, evenly spread"
    if rows.part == "classes":
        return f"The first {CLASSES_MAX} classes, {counts}"
    return f"First {counts}"


def _left_note(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'} without a number" if count else ""
