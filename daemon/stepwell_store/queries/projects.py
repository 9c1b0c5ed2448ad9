"""The projects of a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.errors import FilterError
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.page import Page, check_limit, decode_cursor, encode_cursor
from stepwell_store.queries.writers import runs_sql, seconds, state_sql
from stepwell_store.store import Store

_SORTS: Final = {
    "project": "project",
    "name": "project",
    "run_count": "run_count",
    "running_count": "running_count",
    "started_at": "first_start",
    "last_activity": "latest",
    "last_activity_at": "latest",
}


# The value that was set last is valid.
_ARCHIVED: Final = """
SELECT project, run_id FROM attributes_by_path
WHERE kind = 'run' AND path = 'archived' AND {condition}
GROUP BY project, run_id
HAVING tupleElement(max((version, if(deleted = 0 AND type = 'bool', int, toInt64(0)))), 2) = 1
"""


@dataclass(frozen=True, slots=True)
class ProjectOverview:
    """A project in a list; moments in seconds since 1970 UTC, None if unknown.

    Attributes:
        run_count, running_count: without archived runs, as in lists of runs.
        archived_count: of its archived runs.
        started_at: of its first run, archived or not.
        last_activity_at: the latest event of its runs, archived or not.
    """

    project: str
    run_count: int
    running_count: int
    started_at: float | None
    last_activity_at: float | None
    archived_count: int


def list_projects(
    store: Store,
    *,
    search: str = "",
    sort: str = "-last_activity",
    limit: int = 50,
    cursor: str | None = None,
    limits: Limits = DEFAULT,
) -> Page[ProjectOverview]:
    """Return the projects, the one with the latest activity first.

    Args:
        search: text that the name contains, case ignored.
        sort: ``project, run_count, running_count, started_at`` or ``last_activity``; ``-`` before
            it reverses the order.

    Raises:
        FilterError: ``sort`` is not one of these.
        CursorError: The cursor does not belong to this list.
    """
    check_limit(limit)
    name = sort.removeprefix("-").removeprefix("+")
    key = _SORTS.get(name)
    if key is None:
        raise FilterError(f"unknown sort key {name!r}; expected one of {', '.join(_SORTS)}", 0, 0)
    asked = (search, sort)
    is_text = key == "project"
    parameters: dict[str, object] = {"search": search}
    after = ""
    direction, operator = (" DESC", "<") if sort.startswith("-") else ("", ">")
    if cursor is not None:
        value, project = decode_cursor(asked, cursor, [str if is_text else int, str])
        parameters |= {"value": value, "after": project}
        type_name = "String" if is_text else "Int64"
        after = (
            f"WHERE {key} {operator} {{value:{type_name}}} "
            f"OR ({key} = {{value:{type_name}}} AND project > {{after:String}})"
        )
    condition = "1" if not search else "positionCaseInsensitiveUTF8(project, {search:String}) > 0"
    # Whether a run is running does not depend on resumptions.
    rows = Question(store, limits).rows(
        f"""
        SELECT * FROM (
            SELECT project, countIf(is_archived = 0) AS run_count,
                   countIf(is_archived = 0 AND {state_sql("held")} = 'running') AS running_count,
                   minIf(tupleElement(held, 1), tupleElement(held, 1) > 0) AS first_start,
                   max(tupleElement(held, 2)) AS latest,
                   countIf(is_archived = 1) AS archived_count
            FROM (
                SELECT project, held,
                       (project, run_id) IN ({_ARCHIVED.format(condition=condition)}) AS is_archived
                FROM ({runs_sql("project, run_id", condition, resumed=False)})
            )
            GROUP BY project
        ) {after}
        ORDER BY {key}{direction}, project LIMIT {limit + 1}
        """,
        parameters,
    )
    following = None
    if len(rows) > limit:
        last = rows[limit - 1]
        held = last[key] if is_text else int(last[key])
        following = encode_cursor(asked, [held, last["project"]])
    return Page(tuple(map(_project, rows[:limit])), following)


def projects_with_runs(
    store: Store, names: Sequence[str], *, limits: Limits = DEFAULT
) -> frozenset[str]:
    """Return those of ``names`` that are projects with runs."""
    rows = Question(store, limits).rows(
        "SELECT DISTINCT project FROM writers WHERE project IN {names:Array(String)}",
        {"names": list(names)},
    )
    return frozenset(row["project"] for row in rows)


def _project(row: dict[str, Any]) -> ProjectOverview:
    return ProjectOverview(
        row["project"],
        row["run_count"],
        row["running_count"],
        seconds(row["first_start"]),
        seconds(row["latest"]),
        row["archived_count"],
    )
