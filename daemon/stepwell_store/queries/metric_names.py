"""A page of a table's metrics by name, searched and cut in one way for every table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepwell_store.errors import FilterError, QueryError
from stepwell_store.queries.limits import Question
from stepwell_store.queries.page import check_limit, decode_cursor, encode_cursor
from stepwell_store.queries.regexp import CANNOT_COMPILE, regexp


@dataclass(frozen=True, slots=True)
class NamesPage:
    """``rows``: one for each metric, with ``metric`` and the selected columns."""

    rows: list[dict[str, Any]]
    next_cursor: str | None


def metric_names(
    question: Question,
    columns: str,
    table: str,
    project: str,
    *,
    run_ids: Sequence[str] | None,
    search: str,
    limit: int,
    cursor: str | None,
) -> NamesPage:
    """Return the metrics in ``table`` by name.

    Args:
        columns: SQL, selected for each metric besides its name.
        table: SQL; the table has the columns project, run_id and metric.
        run_ids: only metrics of these runs; None for all runs.
        search: RE2; the name contains a match. ``(?i)`` in front ignores case.

    Raises:
        FilterError: ``search`` is no RE2 expression.
        CursorError: The cursor is not of this list.
    """
    check_limit(limit)
    asked = (project, search, *(run_ids if run_ids is not None else ["\0every run"]))
    conditions = ["project = {project:String}"]
    parameters: dict[str, object] = {"project": project}
    if run_ids is not None:
        conditions.append("run_id IN {runs:Array(String)}")
        parameters["runs"] = list(run_ids)
    if search:
        conditions.append("match(metric, {search:String})")
        parameters["search"] = regexp(search)
    if cursor is not None:
        conditions.append("metric > {after:String}")
        (parameters["after"],) = decode_cursor(asked, cursor, [str])
    try:
        rows = question.rows(
            f"SELECT metric, {columns} FROM {table} WHERE {' AND '.join(conditions)} "
            f"GROUP BY metric ORDER BY metric LIMIT {limit + 1}",
            parameters,
        )
    except QueryError as error:
        if error.code != CANNOT_COMPILE:
            raise
        raise FilterError(f"not a regular expression of RE2: {search}", 0, len(search)) from error
    following = encode_cursor(asked, [rows[limit - 1]["metric"]]) if len(rows) > limit else None
    return NamesPage(rows[:limit], following)
