"""Words of an exported file: cells, moments, numbers, and small pieces of HTML. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np

from stepwell_hub.reports.file import moment_text
from stepwell_hub.reports.moments import moment_label
from stepwell_hub.reports.svg import XText, tick_text
from stepwell_hub.reports.values import duration_text

_SOURCE: Final = re.compile(r"^(config|summary|metric)\.")
_MICROSECONDS: Final = 1_000_000
OWN: Final[dict[str, Callable[[Any, float], Any]]] = {
    "state": lambda run, _now: run.state,
    "started": lambda run, _now: _moment(run.started_at),
    "created": lambda run, _now: _moment(run.started_at),
    "ended": lambda run, _now: _moment(run.ended_at),
    "seen": lambda run, _now: _moment(run.last_seen),
    "duration": lambda run, now: _duration(run.duration_seconds(now)),
    "tags": lambda run, _now: ", ".join(run.tags),
    "group": lambda run, _now: run.group,
    "job_type": lambda run, _now: run.job_type,
    "notes": lambda run, _now: run.notes,
    "host": lambda run, _now: ", ".join(run.hosts),
    "id": lambda run, _now: run.run_id,
}


def column_titles(columns: Sequence[str]) -> list[str]:
    """Return the titles of columns; where two would be the same, with where their values are from.

    The page's `columns.ts` has the same rule: both are tested with the cases in
    `hub/web/tests/state/columnTitles.json`.
    """
    bare = [_title(column) for column in columns]
    titles = []
    for column, title in zip(columns, bare, strict=True):
        source = _SOURCE.match(column)
        is_twice = bare.count(title) > 1
        titles.append(f"{title} ({source[1]})" if source and is_twice else title)
    return titles


def _title(column: str) -> str:
    if column == "job_type":
        return "job type"
    name = _SOURCE.sub("", column)  # A metric and a key may have the empty one.
    return f"(no name){name}" if not name or name.startswith(":") else name


def medium_state_text(item: Any) -> str:
    """Return why a medium has no bytes, in the words of the page."""
    match item.state:
        case "uploading":
            return "Uploading"
        case "none":
            return "This release does not store media of this type"
    what = "Dropped" if item.id is None else "Failed"
    return f"{what}: {item.reason or 'no reason reported'}"


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else duration_text(seconds)


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else moment_text(seconds)


def x_text(x: str) -> XText:
    """Return how the values of an axis are written, with what its labels differ in."""
    if x == "time":
        return moment_label
    if x == "relative":
        return _relative_text
    return lambda value, step: f"{value:,.0f}" if value == int(value) else tick_text(value, step)


def _relative_text(micros: float, step: float) -> str:
    seconds = micros / _MICROSECONDS
    if 0 < step < _MICROSECONDS:
        return f"{tick_text(seconds, step / _MICROSECONDS)} s"
    return duration_text(seconds)


def least(values: Any) -> float:
    good = values[np.isfinite(values)]
    return float(good.min()) if len(good) else float("nan")


def most(values: Any) -> float:
    good = values[np.isfinite(values)]
    return float(good.max()) if len(good) else float("nan")


def table_html(head: str, rows: Sequence[str]) -> str:
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def empty_html(words: str) -> str:
    return f'<p class="fact">{escape(words)}</p>'


def cut_text(count: int, page: Any, fields: Mapping[str, Any]) -> str:
    """Return that a panel draws fewer runs than match, or "".

    Args:
        count: of drawn runs.
        page: the answer with these runs; its total is None if the store cannot count them.
        fields: of the panel.
    """
    if page.next_cursor is None:
        return ""
    which = "newest" if fields.get("sort", ["-started"]) in ([], ["-started"]) else "first"
    limit = f" (limit: {fields['limit']})" if "limit" in fields else ""
    total = f"more than {count:,}" if page.total is None else f"{page.total:,}"
    return f"The {which} {count:,} of {total} runs{limit}"


def quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def pattern_of(name: str) -> str:
    return "".join(f"\\{each}" if each in r"\^$.|?*+()[]{}" else each for each in name)


def not_drawn_text(series: Sequence[Any], *, x: str, y_scale: str) -> str:
    """Return the end of a caption on points that the chart does not show, or "".

    These are NaN and infinite values, those of 0 and less on a logarithmic axis, and over another
    metric the points where that is not finite.
    """
    parts = [
        f"{count:,} {name}"
        for name, field in (
            ("NaN", "nan_count"),
            ("+Inf", "positive_inf_count"),
            ("-Inf", "negative_inf_count"),
        )
        if (count := sum(int(getattr(each, field).sum()) for each in series))
    ]
    if y_scale == "log" and (hidden := _not_positive(series)):
        parts.append(hidden)
    if x.startswith("metric:"):
        lost = sum(max(0, each.version - int(each.count.sum())) for each in series)
        if lost:
            amount = f"{lost:,} {'point' if lost == 1 else 'points'}"
            parts.append(f"{amount} without a finite {x.removeprefix('metric:')}")
    return f"; {', '.join(parts)} not drawn" if parts else ""


def _not_positive(series: Sequence[Any]) -> str:
    """Return how many finite values a logarithmic axis does not show, or "".

    The number of values of 0 and less is unknown in buckets that also have larger ones.
    """
    count, is_exact = 0, True
    for each in series:
        hidden = each.min <= 0
        whole = hidden & (each.max <= 0)
        is_exact &= bool((hidden == whole).all())
        finite = each.count - each.nan_count - each.positive_inf_count - each.negative_inf_count
        count += int(finite[whole].sum())
    if is_exact and count == 0:
        return ""
    amount = f"{count:,} {'value' if count == 1 else 'values'}" if is_exact else "values"
    return f"{amount} ≤ 0 on a log axis"
