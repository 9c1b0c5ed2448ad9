"""The runs of a project: filtered, sorted, with the values of chosen paths, in pages.

One query finds the ids of the page: it reads the writers of the project and, for each path that the
filter or the order names, one contiguous range. A second query reads the values for the page, only
of its runs.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stepwell_store.errors import FilterError, QueryError
from stepwell_store.identity import fingerprint
from stepwell_store.queries.columns import PageColumns
from stepwell_store.queries.conditions import Conditions, float_literal
from stepwell_store.queries.facts import RunFacts, read_facts
from stepwell_store.queries.filter import Expression, compares_of, parse_filter
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.overview import RunOverview, RunRef, overview_of
from stepwell_store.queries.page import Page, check_limit, decode_cursor, encode_cursor
from stepwell_store.queries.paths import Kind, Path, parse_path
from stepwell_store.queries.regexp import CANNOT_COMPILE, regexp
from stepwell_store.queries.signs_of_life import last_lines
from stepwell_store.queries.slot_rows import RUN_SLOT, Parameters
from stepwell_store.queries.slots import RunSlots, ValueColumns
from stepwell_store.queries.writers import run_state, runs_sql
from stepwell_store.store import Store

DEFAULT_SORT: Final = ("-created",)
SORT_KEYS_MAX: Final = 8
COLUMNS_MAX: Final = 500


def list_runs(
    store: Store,
    project: str | None = None,
    *,
    filter: str = "",
    sort: Sequence[str] = DEFAULT_SORT,
    columns: Sequence[str] = (),
    limit: int = 100,
    cursor: str | None = None,
    archived: bool = False,
    logged: Sequence[str] = (),
    as_compared: bool = False,
    now: float | None = None,
    limits: Limits = DEFAULT,
) -> Page[RunOverview]:
    """Return a page of runs, last started first.

    Args:
        project: None for the runs of every project; slower.
        filter: see ``stepwell_store.queries.filter`` and ``conditions``.
        sort: paths, the most important first; ``-`` before one reverses its order. Runs without the
            value always come last, texts after numbers.
        columns: paths whose values come with the runs.
        archived: include archived runs, which are left out by default. A filter that names
            ``archived`` includes them, too.
        logged: only runs that logged one of these metrics, of any kind: numbers, texts, media or
            histograms. Needs ``project``. Empty: all runs.
        as_compared: columns have the values that filters and sorts compare: of a metric with
            operations of define_metric the first one, not a dict of all.
        now: the reference time for ``7d`` and the like, and for the durations of running runs;
            default the clock's. Filters and sorts of the pages after the first have the first
            one's.

    Raises:
        FilterError: Filter, sort or a column is wrong.
        CursorError: The cursor does not belong to this list.
    """
    check_limit(limit)
    question = Question(store, limits)
    if len(columns) > COLUMNS_MAX:
        raise FilterError(f"more than {COLUMNS_MAX} columns")
    now = time.time() if now is None else now
    search = _Search(
        question, project, filter, sort, columns, logged=logged, cursor=cursor, now=now
    )
    rows, total = search.page(limit, with_archived=archived)
    kept = rows[:limit]
    following = search.cursor_of(kept[-1]) if len(rows) > limit else None
    shown = {text: search.facts.resolved[parse_path(text)] for text in columns}
    found = overviews(question, kept, shown, search.facts, as_compared=as_compared, now=now)
    return Page(tuple(found), following, total)


def runs_by_id(
    store: Store, project: str, run_ids: Sequence[str], *, limits: Limits = DEFAULT
) -> dict[str, RunOverview]:
    """Return the existing ones of ``run_ids``, by their ids."""
    if not run_ids:
        return {}
    question = Question(store, limits)
    where = "project = {project:String} AND run_id IN {run_ids:Array(String)}"
    rows = question.rows(
        "SELECT {project:String} AS its_project, run_id AS its_run, held "
        f"FROM ({runs_sql('run_id', where, resumed=True)})",
        {"project": project, "run_ids": list(run_ids)},
    )
    found = overviews(question, rows, {}, read_facts(question, project, ()), now=time.time())
    return {each.run_id: each for each in found}


def names_archived(expression: Expression | None) -> bool:
    """Return whether a filter compares whether runs are archived."""
    return any(
        path.kind is Kind.RUN and path.name == "archived"
        for path in (parse_path(each.path) for each in compares_of(expression))
    )


class _Search:
    """The query that finds a page's runs."""

    def __init__(
        self,
        question: Question,
        project: str | None,
        filter_text: str,
        sort: Sequence[str],
        columns: Sequence[str],
        *,
        logged: Sequence[str],
        cursor: str | None,
        now: float,
    ) -> None:
        self._question = question
        self._project = project
        self._logged = logged
        having = [f"logged {metric}" for metric in logged]
        self._asked = (project or "", str(project is None), filter_text, *sort, *having)
        self._expression = parse_filter(filter_text)
        self._regexps = [c for c in compares_of(self._expression) if c.operator == "~"]
        if len(sort) > SORT_KEYS_MAX:
            raise FilterError(f"more than {SORT_KEYS_MAX} sort keys")
        self._order = [(each.removeprefix("-").removeprefix("+"), each[:1] == "-") for each in sort]
        if any(not path for path, _ in self._order):
            raise FilterError(
                "an empty sort key; expected a path, with - before it to reverse the order"
            )
        self._names_archived = names_archived(self._expression)
        compares = [compare.path for compare in compares_of(self._expression)]
        named = [*compares, *(path for path, _ in self._order), *columns]
        asked = list(map(parse_path, dict.fromkeys(named)))
        self.facts = read_facts(question, project, asked)
        self._parameters = Parameters()
        self._now, self._after_values = now, None
        if cursor is not None:
            types: list[type] = [type_ for _ in self._order for type_ in (int, float, str)]
            self._now, *self._after_values = decode_cursor(
                self._asked, cursor, [float, *types, str, str]
            )
        self._slots = RunSlots(self._parameters, project, self.facts, now=self._now)

    def page(self, limit: int, *, with_archived: bool) -> tuple[list[dict[str, Any]], int | None]:
        """Return up to ``limit + 1`` rows, and the number of matching runs."""
        after = self._after_values
        conditions = []
        if not (with_archived or self._names_archived) and self._slots.archived:
            conditions.append(f"NOT {self._slots.archived}")
        if self._expression is not None:
            resolve = lambda text: self.facts.resolved[parse_path(text)]  # noqa: E731
            written = Conditions(self._slots, self._parameters, resolve, now=self._now)
            conditions.append(written.sql(self._expression))
        if self._logged and self._project is not None:
            conditions.append(f"run_id IN ({self._having_logged(self._project, self._logged)})")
        keys = [
            (value, is_reversed)
            for path, is_reversed in self._order
            for value in [self._slots.value(self.facts.resolved[parse_path(path)])]
        ]
        inner, order, names = self._keys(keys)
        source = self._slots.source()
        project = "project" if self._project is None else self._parameters.text(self._project)
        has_windows = self._question.store.has_windows
        counted = ", count() OVER () AS found" if has_windows and after is None else ""
        sql = (
            f"SELECT {project} AS its_project, run_id AS its_run, {RUN_SLOT} AS held{inner}"
            f"{counted} FROM {source} WHERE {' AND '.join(conditions) or '1'}"
        )
        if after is not None:
            sql = f"SELECT * FROM ({sql}) WHERE {self._after(names, after)}"
        # Planning costs as much as reading: leave out keys that are equal in every row.
        ids = ["its_run"] if self._project is not None else ["its_project", "its_run"]
        sql += f" ORDER BY {', '.join([*order, *ids])} LIMIT {limit + 1}"
        self._check_regexps()
        rows = self._question.rows(sql, self._parameters.held)
        total = None
        if counted:
            total = int(rows[0]["found"]) if rows else 0
        return rows, total

    def cursor_of(self, row: Mapping[str, Any]) -> str:
        """Return the cursor of the page after ``row``."""
        values: list[Any] = []
        for at in range(len(self._order)):
            values += [int(row[f"o{at}"]), float(row[f"x{at}"]), row[f"z{at}"]]
        return encode_cursor(self._asked, [self._now, *values, row["its_project"], row["its_run"]])

    def _having_logged(self, project: str, metrics: Sequence[str]) -> str:
        """Return a query of the ids of the runs that logged one of ``metrics``."""
        in_project = f"project = {self._parameters.text(project)}"
        project_id = self._parameters.number(fingerprint(project), "UInt64")
        ids = ", ".join(self._parameters.number(fingerprint(each), "UInt64") for each in metrics)
        parts = [
            f"SELECT run_id FROM writers WHERE {in_project} AND run_key IN (SELECT run_key "
            f"FROM series_stats WHERE project_id = {project_id} AND metric_id IN ({ids}))"
        ]
        named = self._parameters.texts(metrics)
        for table in ("texts", "histograms"):
            parts.append(f"SELECT run_id FROM {table} WHERE {in_project} AND metric IN {named}")
        return " UNION ALL ".join(parts)

    def _keys(
        self, keys: Sequence[tuple[ValueColumns, bool]]
    ) -> tuple[str, list[str], list[tuple[str, str]]]:
        """Return the columns of the sort keys, the order by them, and (column, comparison)."""
        inner, order, names = "", [], []
        for at, (value, is_reversed) in enumerate(keys):
            number = f"if({value.rank} = 0, {value.number}, 0.)"
            text = f"if({value.rank} = 2, {value.text}, '')"
            inner += f", {value.rank} AS o{at}, {number} AS x{at}, {text} AS z{at}"
            direction, after = (" DESC", "<") if is_reversed else ("", ">")
            order += [f"o{at}", f"x{at}{direction}", f"z{at}{direction}"]
            names += [(f"o{at}", ">"), (f"x{at}", after), (f"z{at}", after)]
        return inner, order, names

    def _after(self, names: Sequence[tuple[str, str]], after: Sequence[Any]) -> str:
        """Return the condition that a row comes after the row with the values ``after``."""
        condition = ""
        compared = [*names, ("its_project", ">"), ("its_run", ">")]
        for (name, operator), value in reversed(list(zip(compared, after, strict=True))):
            if isinstance(value, int):
                held = self._parameters.number(value, "Int64")
            elif isinstance(value, float):
                held = float_literal(self._parameters, value)
            else:
                held = self._parameters.text(value)
            same = f" OR ({name} = {held} AND {condition})" if condition else ""
            condition = f"({name} {operator} {held}{same})"
        return condition

    def _check_regexps(self) -> None:
        """Let RE2 compile the expressions in queries of their own: without rows none is compiled.

        Raises:
            FilterError: An expression of the filter is not valid in RE2.
        """
        for each in self._regexps:
            try:
                pattern = {"pattern": regexp(each.value)}
                self._question.rows("SELECT match('', {pattern:String}) AS found", pattern)
            except QueryError as error:
                if error.code != CANNOT_COMPILE:
                    raise
                raise FilterError(
                    f"not a regular expression of RE2: {each.value}", each.position, each.length
                ) from error


# ---------------------------------------------------------------------- the values of a page


def overviews(
    question: Question,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Path],
    facts: RunFacts,
    *,
    as_compared: bool = False,
    now: float,
) -> list[RunOverview]:
    """Return the runs of ``rows`` (of ``_Search``) with their names, tags and ``columns``.

    Args:
        as_compared: see ``PageColumns``.
        now: where the durations of running runs end.
    """
    if not rows:
        return []
    refs = [RunRef(row["its_project"], row["its_run"]) for row in rows]
    states = {ref: run_state(row["held"]) for ref, row in zip(refs, rows, strict=True)}
    started = {ref: state.started_us for ref, state in states.items()}
    shown = PageColumns(question, started, columns, facts, as_compared=as_compared)
    running = [ref for ref, state in states.items() if state.state == "running"]
    lines = last_lines(question, [(ref.project, ref.run_id) for ref in running])
    found = []
    for ref, state in states.items():
        last = max(shown.last_point_us(ref), lines.get((ref.project, ref.run_id), 0))
        overview = overview_of(ref, state, shown.described(ref), last)
        shown.fill(overview, now=now)
        found.append(overview)
    return found
