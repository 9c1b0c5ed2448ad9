"""Finds the run, or the project, for a user's reference: see `find_run`."""

import difflib
from collections.abc import Sequence
from typing import Any, Final

from stepwell_store.errors import AmbiguousRunError, RunNotFoundError
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.overview import RunRef
from stepwell_store.queries.projects import list_projects
from stepwell_store.queries.runs import list_runs
from stepwell_store.store import Store

_NEAREST_OF: Final = 1000
_NEAREST_CUTOFF: Final = 0.6
_NEAREST_ID_CUTOFF: Final = 0.75  # Ids are random: a few equal letters mean nothing.

_CONDITION: Final = "%CONDITION%"

# Of a run that was deleted while it logged, series stay until its writer ends: see `deletion.py`.
_BY_ID: Final = """
SELECT project, run_id FROM (
    SELECT project, run_id FROM writers WHERE %CONDITION%
    UNION ALL SELECT project, run_id FROM series WHERE %CONDITION%
    AND (project, run_id) NOT IN (SELECT project, run_id FROM removed_writers WHERE %CONDITION%)
)
GROUP BY project, run_id ORDER BY project, run_id LIMIT 100
"""

_BY_NAME: Final = """
SELECT project, run_id FROM (
    SELECT project, run_id, max((version, toUInt8(deleted = 0), text)) AS newest
    FROM attributes_by_path
    WHERE kind = 'run' AND path = 'name' AND %CONDITION%
    GROUP BY project, run_id
)
WHERE tupleElement(newest, 2) = 1 AND tupleElement(newest, 3) = {name:String}
ORDER BY project, run_id LIMIT 100
"""

_SOME_NAMES: Final = """
SELECT project, run_id, max((version, text)) AS newest
FROM attributes_by_path WHERE kind = 'run' AND path = 'name' AND deleted = 0
GROUP BY project, run_id ORDER BY tupleElement(newest, 1) DESC LIMIT {limit}
"""

_OF_PROJECT: Final = """
SELECT project FROM attributes_by_path WHERE project = {name:String} AND deleted = 0 LIMIT 1
"""


def find_run(store: Store, reference: str, *, limits: Limits = DEFAULT) -> RunRef:
    """Return the run for ``reference``: run id, display name, or PROJECT/ and either.

    Ids come before names, and a whole PROJECT/ID before anything else.

    Raises:
        RunNotFoundError: No run has it; the error has the nearest names.
        AmbiguousRunError: Several runs have it.
    """
    question = Question(store, limits)
    places = _split(reference)
    for found in (
        _refs(question, _BY_ID, places, "run_id"),
        _by_id(question, reference),
        _refs(question, _BY_NAME, places, "name"),
        _by_name(question, reference),
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise AmbiguousRunError(reference, [str(ref) for ref in found])
    is_project = bool(question.rows(_OF_PROJECT, {"name": reference}))
    nearest = [] if is_project else _nearest(question, reference)
    raise RunNotFoundError(reference, nearest, is_project=is_project)


def find_run_or_project(store: Store, reference: str, *, limits: Limits = DEFAULT) -> RunRef:
    """Return the run for ``reference``, else the project of that name, with "" as the run's id.

    ``PROJECT/`` can only be a project. A project has at least one run, or an archived one.

    Raises:
        RunNotFoundError: Neither has the name.
        AmbiguousRunError: Several runs, or a run and a project, have it.
    """
    project = reference.removesuffix("/")
    is_project = bool(list_runs(store, project, archived=True, limit=1, limits=limits).items)
    if is_project and project != reference:
        return RunRef(project, "")
    try:
        found = find_run(store, reference, limits=limits)
    except RunNotFoundError as error:
        if is_project:
            return RunRef(project, "")
        names = [
            each.project for each in list_projects(store, limit=_NEAREST_OF, limits=limits).items
        ]
        projects = difflib.get_close_matches(project, names, n=3, cutoff=_NEAREST_CUTOFF)
        raise RunNotFoundError(reference, error.nearest, projects=projects) from error
    except AmbiguousRunError as error:
        raise AmbiguousRunError(reference, error.candidates, is_project=is_project) from error
    if is_project:
        raise AmbiguousRunError(reference, [str(found)], is_project=True)
    return found


def _split(reference: str) -> list[tuple[str, str]]:
    """Return each possible (project, rest) of the reference: a project's name may contain a /."""
    parts = reference.split("/")
    return [("/".join(parts[:at]), "/".join(parts[at:])) for at in range(1, len(parts))]


def _refs(
    question: Question, sql: str, places: Sequence[tuple[str, str]], kind: str
) -> list[RunRef]:
    found: list[RunRef] = []
    for project, rest in places:
        if project and rest:
            condition = "project = {project:String}"
            condition += " AND run_id = {name:String}" if kind == "run_id" else ""
            parameters = {"project": project, "name": rest}
            found += _read(question, sql.replace(_CONDITION, condition), parameters)
    return found


def _by_id(question: Question, reference: str) -> list[RunRef]:
    sql = _BY_ID.replace(_CONDITION, "run_id = {name:String}")
    return _read(question, sql, {"name": reference})


def _by_name(question: Question, reference: str) -> list[RunRef]:
    # The name may have changed since: its runs are checked again.
    condition = (
        "(project, run_id) IN (SELECT project, run_id FROM attributes_by_path "
        "WHERE kind = 'run' AND path = 'name' AND text = {name:String})"
    )
    return _read(question, _BY_NAME.replace(_CONDITION, condition), {"name": reference})


def _read(question: Question, sql: str, parameters: dict[str, Any]) -> list[RunRef]:
    rows = question.rows(sql, parameters)
    return [RunRef(row["project"], row["run_id"]) for row in rows]


def _nearest(question: Question, reference: str) -> list[str]:
    """Return names and ids similar to ``reference``, of the most recently named runs."""
    project, _, part = reference.rpartition("/")
    ids: dict[str, None] = {}
    names: dict[str, None] = {}
    in_project: dict[str, None] = {}
    named: dict[str, None] = {}
    in_others: dict[str, None] = {}
    for row in question.rows(_SOME_NAMES.format(limit=_NEAREST_OF)):
        newest = row["newest"]
        _, name = newest.values() if isinstance(newest, dict) else newest
        run_id = row["run_id"]
        ids[run_id] = None
        if name:
            names[name] = None
        if row["project"] == project:
            in_project[run_id] = None
            if name:
                named[name] = None
        elif run_id == part:
            in_others[f"{row['project']}/{run_id}"] = None
    found = difflib.get_close_matches(reference, names, n=3, cutoff=_NEAREST_CUTOFF)
    # A project that is right makes no id more alike.
    near = difflib.get_close_matches(part, in_project, n=3, cutoff=_NEAREST_ID_CUTOFF)
    near += difflib.get_close_matches(part, named, n=3, cutoff=_NEAREST_CUTOFF)
    found += [f"{project}/{each}" for each in near]
    found += difflib.get_close_matches(reference, in_others, n=3, cutoff=_NEAREST_CUTOFF)
    found += difflib.get_close_matches(reference, ids, n=3, cutoff=_NEAREST_ID_CUTOFF)
    return list(dict.fromkeys(found))[:3]
