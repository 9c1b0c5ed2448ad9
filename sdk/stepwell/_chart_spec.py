"""The chart of a table: its kind, and the columns that it uses.

    chart := {"kind": KIND, ROLE: number of a column from 0, …, "x_title"?, "y_title"?, "diagonal"?}

The page draws it, see `docs/formats/blobs.md`. Columns are numbered because a table may have the
same name twice.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell._names import text_of

_ID: Final = re.compile(r"wandb/([a-z_-]+)/v\d+")
_TITLE_CHARACTERS_MAX: Final = 200
_NAMES_TOLD_MAX: Final = 10
_TITLES: Final = {"xname": "x_title", "x-axis-title": "x_title", "y-axis-title": "y_title"}
_FALSE_POSITIVES: Final = ("fpr", "false positive rate")


@dataclass(frozen=True, slots=True)
class _Preset:
    """A chart of Weights & Biases: our kind, and our role of each of its fields."""

    kind: str
    roles: Mapping[str, str]
    optional: str = ""


_PRESETS: Final[Mapping[str, _Preset]] = {
    "line": _Preset("line", {"x": "x", "y": "y", "stroke": "series"}, "stroke"),
    "lineseries": _Preset("line", {"step": "x", "lineVal": "y", "lineKey": "series"}, "lineKey"),
    "scatter": _Preset("scatter", {"x": "x", "y": "y"}),
    "bar": _Preset("bar", {"label": "label", "value": "value"}),
    "histogram": _Preset("histogram", {"value": "value"}),
    "area-under-curve": _Preset("curve", {"x": "x", "y": "y", "class": "series"}, "class"),
    "confusion_matrix": _Preset(
        "confusion_matrix", {"Actual": "actual", "Predicted": "predicted", "nPredictions": "count"}
    ),
}


def is_drawn(chart_id: Any) -> bool:
    """Whether the page draws charts of this id, such as ``wandb/line/v0``."""
    return _preset(chart_id) is not None


def chart_of(
    chart_id: Any, fields: Any, texts: Any, columns: Sequence[Any]
) -> tuple[dict[str, Any] | None, str]:
    """Return the chart of a table, or None and the reason.

    Args:
        fields: the column of each field; a field that is left out is a column of that name.
        texts: ``title``, titles of axes.
        columns: the names of the table's columns.
    """
    preset = _preset(chart_id)
    if preset is None:
        return None, f"the page has no chart {text_of(chart_id)[:_TITLE_CHARACTERS_MAX]!r}"
    given = fields if isinstance(fields, Mapping) else {}
    names = [text_of(name) for name in columns]
    chart: dict[str, Any] = {"kind": preset.kind}
    for field, role in preset.roles.items():
        is_optional = field == preset.optional
        wanted = given.get(field)
        name = field if wanted is None else text_of(wanted)
        if name in names:
            if wanted is not None or not is_optional or field not in given:
                chart[role] = names.index(name)
        elif wanted is not None or not is_optional:
            return None, f"the table has no column {name[:_TITLE_CHARACTERS_MAX]!r}{_told(names)}"
    for key, title in _TITLES.items():
        text = texts.get(key) if isinstance(texts, Mapping) else None
        if text is not None and (shown := text_of(text)[:_TITLE_CHARACTERS_MAX]):
            chart[title] = shown
    if preset.kind == "curve":
        x_names = (names[chart["x"]].lower(), chart.get("x_title", "").lower())
        if any(name in _FALSE_POSITIVES for name in x_names):
            chart["diagonal"] = True
    return chart, ""


def distinct_names(names: Iterable[Any]) -> list[Any]:
    """Return ``names``, where each repetition ends in `` (2)`` or a higher number.

    The page tells classes and lines apart by the text of their names.
    """
    given = list(names)
    taken, seen = {text_of(name) for name in given}, set[str]()
    for place, name in enumerate(given):
        text, number = text_of(name), 2
        if text in seen:
            while f"{text} ({number})" in taken:
                number += 1
            given[place] = text = f"{text} ({number})"
            taken.add(text)
        seen.add(text)
    return given


def _preset(chart_id: Any) -> _Preset | None:
    found = _ID.fullmatch(chart_id) if isinstance(chart_id, str) else None
    return _PRESETS.get(found[1]) if found else None


def _told(names: Sequence[str]) -> str:
    if not names:
        return ", and no other one"
    told = ", ".join(repr(name[:_TITLE_CHARACTERS_MAX]) for name in names[:_NAMES_TOLD_MAX])
    more = len(names) - _NAMES_TOLD_MAX
    return f", only {told}" + (f" and {more} more" if more > 0 else "")
