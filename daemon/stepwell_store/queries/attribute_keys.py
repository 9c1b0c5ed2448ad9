"""The paths of config and summary in a project, with the types of their values."""

from dataclasses import dataclass
from typing import Final

from stepwell_store.errors import FilterError, QueryError
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.page import Page, check_limit, decode_cursor, encode_cursor
from stepwell_store.queries.regexp import CANNOT_COMPILE, regexp
from stepwell_store.store import Store

KINDS: Final = ("config", "summary", "metadata", "run", "define_metric")


@dataclass(frozen=True, slots=True)
class AttributeKey:
    """A path; ``types`` are the types of its values: float, int, bool, text, json, null."""

    kind: str
    path: str
    types: tuple[str, ...]
    run_count: int


def list_attribute_keys(
    store: Store,
    project: str,
    *,
    kind: str = "config",
    search: str = "",
    limit: int = 1000,
    cursor: str | None = None,
    limits: Limits = DEFAULT,
) -> Page[AttributeKey]:
    """Return the paths of one kind by name.

    Args:
        kind: one of ``KINDS``. Summary has only values that were set by hand; metrics are in
            ``list_metrics``.
        search: RE2; the path contains a match.

    Raises:
        ValueError: No such kind.
        FilterError: ``search`` is not an RE2 expression.
        CursorError: The cursor does not belong to this list.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    check_limit(limit)
    asked = ("attributes", project, kind, search)
    conditions = ["project = {project:String}", "kind = {kind:String}"]
    parameters: dict[str, object] = {"project": project, "kind": kind}
    if search:
        conditions.append("match(path, {search:String})")
        parameters["search"] = regexp(search)
    if cursor is not None:
        conditions.append("path > {after:String}")
        (parameters["after"],) = decode_cursor(asked, cursor, [str])
    try:
        rows = Question(store, limits).rows(
            "SELECT path, arraySort(groupUniqArray(newest_type)) AS types, count() AS runs FROM ("
            "SELECT path, run_id, argMax(toString(type), version) AS newest_type, "
            "argMax(deleted, version) AS is_gone FROM attributes_by_path "
            f"WHERE {' AND '.join(conditions)} GROUP BY path, run_id"
            f") WHERE is_gone = 0 GROUP BY path ORDER BY path LIMIT {limit + 1}",
            parameters,
        )
    except QueryError as error:
        if error.code != CANNOT_COMPILE:
            raise
        raise FilterError(f"not a regular expression of RE2: {search}", 0, len(search)) from error
    following = encode_cursor(asked, [rows[limit - 1]["path"]]) if len(rows) > limit else None
    found = tuple(
        AttributeKey(kind, row["path"], tuple(row["types"]), row["runs"]) for row in rows[:limit]
    )
    return Page(found, following)
