"""Logged values that are not floats: texts, None, lists and dicts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.page import Page, check_limit, decode_cursor, encode_cursor
from stepwell_store.store import Store
from stepwell_store.summary import LastText

_LAST: Final = """
SELECT project, run_id, metric, max((step, time, toString(type), text)) AS newest,
       max(time) AS latest
FROM texts
WHERE project IN {projects:Array(String)} AND run_id IN {runs:Array(String)} AND type != 'null'
"""


@dataclass(frozen=True, slots=True)
class Text:
    """One logged value that is not a float; ``time`` in seconds since 1970 UTC."""

    metric: str
    label: str
    step: int
    time: float
    value: Any


def list_texts(
    store: Store,
    project: str,
    run_id: str,
    *,
    metric: str | None = None,
    limit: int = 1000,
    cursor: str | None = None,
    limits: Limits = DEFAULT,
) -> Page[Text]:
    """Return the values by metric, label, step and time, earliest first."""
    check_limit(limit)
    asked = (project, run_id, str(metric))
    after = [] if cursor is None else decode_cursor(asked, cursor, [str, str, int, int])
    condition = "" if metric is None else "AND metric = {metric:String} "
    if after:
        condition += (
            "AND (metric, label, step, time) > ({m:String}, {l:String}, {s:Int64}, {t:Int64}) "
        )
    rows = Question(store, limits).rows(
        "SELECT metric, label, step, time, toString(type) AS its_type, text FROM texts "
        f"WHERE project = {{project:String}} AND run_id = {{run_id:String}} {condition}"
        f"ORDER BY metric, label, step, time, its_type, text LIMIT {limit + 1}",
        {"project": project, "run_id": run_id}
        | ({} if metric is None else {"metric": metric})
        | (dict(zip("mlst", after, strict=True)) if after else {}),
    )
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        following = encode_cursor(
            asked, [last["metric"], last["label"], last["step"], last["time"]]
        )
    found = tuple(
        Text(
            row["metric"],
            row["label"],
            row["step"],
            row["time"] / 1e6,
            text_value(row["its_type"], row["text"]),
        )
        for row in rows[:limit]
    )
    return Page(found, following)


def last_texts(
    question: Question, where: Mapping[str, object], metrics: Sequence[str] | None = None
) -> dict[tuple[str, str], dict[str, LastText]]:
    """Return the last value of each metric by (project, run id). None is no value.

    Args:
        where: ``projects`` and ``runs``, lists of names.
        metrics: only these.
    """
    narrowed = "" if metrics is None else "AND metric IN {metrics:Array(String)} "
    rows = question.rows(
        f"{_LAST} {narrowed} GROUP BY project, run_id, metric",
        {**where, **({} if metrics is None else {"metrics": list(metrics)})},
    )
    found: dict[tuple[str, str], dict[str, LastText]] = {}
    for row in rows:
        newest = row["newest"]
        _, _, type_name, text = newest.values() if isinstance(newest, dict) else newest
        last = LastText(text_value(type_name, text), row["latest"])
        found.setdefault((row["project"], row["run_id"]), {})[row["metric"]] = last
    return found


def text_value(type_name: str, text: str) -> Any:
    """Return the value in a row of `texts`."""
    match type_name:
        case "null":
            return None
        case "json":
            return json.loads(text)
    return text
