"""SQL that gives the runs of a project with the values of some paths, a row a run.

    writers: state, times, hosts                                         a tuple a run
    UNION ALL attributes_by_path: one contiguous range a path            a tuple a slot and run
    UNION ALL series_stats: one contiguous range a metric
    UNION ALL texts: the last logged value that is no float
    grouped by run

A slot is one thing that is looked up of each run. Its rows are tuples of (order, order, type,
Float64, Int64, text), of which the greatest counts. The order of an attribute is its version, of a
logged value the time of the metric's last log: so a summary value that was set by hand holds until
the next log. One grouping instead of joins, and no expression twice, keep the query cheap to plan:
planning took most of the time of a form with a join for each table.

The meaning of a summary path is defined in stepwell_store/summary.py; the same rules are here as
expressions, and a test holds both against each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from stepwell_store.identity import fingerprint
from stepwell_store.queries.facts import Facts, definition_names
from stepwell_store.queries.paths import Kind, Path, parents_of
from stepwell_store.queries.writers import ended_sql, hosts_sql, runs_sql, state_sql

AUTOMATIC: Final = frozenset({"_step", "_timestamp", "_runtime"})
RUN_SLOT: Final = "a0"
"""Of the run by its writers: see ``writers.run_state``."""

_OPERATIONS: Final = ("min", "max", "mean", "first", "best")
_TEXT_FIELDS: Final = ("group", "job_type", "notes", "color")

# A statistic of the series of a run, and the points without which it has no value.
_FINITE: Final = "sum(count - nan_count - positive_inf_count - negative_inf_count)"
_STATISTICS: Final = {
    "last": ("tupleElement(max(s.last), 3)", "sum(count)"),
    "first": ("tupleElement(min(s.first), 3)", "sum(count)"),
    "min": ("min(s.min)", _FINITE),
    "max": ("max(s.max)", _FINITE),
    "mean": (f"sum(s.sum) / {_FINITE}", _FINITE),
    "count": ("toFloat64(sum(count))", "sum(count)"),
}


@dataclass(frozen=True, slots=True)
class Value:
    """The expressions of one path's value."""

    type: str
    number: str
    integer: str
    text: str


@dataclass(frozen=True, slots=True)
class ValueColumns(Value):
    """The columns of one path's value.

    Attributes:
        rank: where the value sorts: numbers 0, NaN 1, texts 2, nothing 3.
    """

    rank: str


@dataclass(slots=True)
class Parameters:
    """Values of a query, each under a name of its own."""

    held: dict[str, object] = field(default_factory=dict)

    def text(self, value: str) -> str:
        return self._add(value, "String")

    def number(self, value: int, type_name: str) -> str:
        return self._add(value, type_name)

    def texts(self, values: Sequence[str]) -> str:
        return self._add(list(values), "Array(String)")

    def _add(self, value: object, type_name: str) -> str:
        for name, held in self.held.items():
            if type(held) is type(value) and held == value:
                return f"{{{name}:{type_name}}}"
        name = f"p{len(self.held)}"
        self.held[name] = value
        return f"{{{name}:{type_name}}}"


class Slots:
    """Collects the slots that a question needs, and writes the query.

    Args:
        project: None for all projects.
        facts: what the project has of the paths that will be asked for.
    """

    def __init__(self, parameters: Parameters, project: str | None, facts: Facts) -> None:
        self._parameters = parameters
        self._project = project
        self._facts = facts
        self._rows = SlotRows(parameters, project, facts)
        self._values: dict[Path, tuple[Value, ValueColumns]] = {}

    # ------------------------------------------------------------------ values

    def value(self, path: Path) -> ValueColumns:
        """Return the columns of ``source`` with the value of ``path``, which is not bare."""
        if path not in self._values:
            at = len(self._values)
            columns = ValueColumns(f"y{at}", f"n{at}", f"i{at}", f"s{at}", f"k{at}")
            self._values[path] = (self._expressions(path), columns)
        return self._values[path][1]

    @property
    def name(self) -> str:
        """The run's name as text: its id where it has none."""
        text = f"tupleElement({self._rows.attribute('run', 'name')}, 6)"
        return f"if({text} != '', {text}, run_id)"

    @property
    def archived(self) -> str:
        """Whether the run is archived, as a condition; "" where no run of the project is."""
        if not self._facts.any_archived:
            return ""
        held = self._rows.attribute("run", "archived")
        return f"(tupleElement({held}, 3) = 'bool' AND tupleElement({held}, 5) = 1)"

    @property
    def hosts(self) -> str:
        return hosts_sql(RUN_SLOT)

    def _expressions(self, path: Path) -> Value:
        match path.kind:
            case Kind.RUN:
                return self._field(path.name)
            case Kind.CONFIG:
                return _held(self._rows.attribute("config", path.name))
            case Kind.METRIC:
                return _held(self._rows.statistic(path.name, path.statistic))
        assert path.kind is Kind.SUMMARY, path
        return self._summary(path.name)

    def _field(self, name: str) -> Value:
        started, ended = f"tupleElement({RUN_SLOT}, 1)", ended_sql(RUN_SLOT)
        match name:
            case "id":
                return _text("run_id")
            case "project":
                known = self._project
                return _text("project" if known is None else self._parameters.text(known))
            case "state":
                return _text(state_sql(RUN_SLOT))
            case "name":
                return _text(self.name)
            case "host":
                return _text(f"tupleElement({RUN_SLOT}, 6)")
            case "archived":
                flag = f"toInt64({self.archived or 0})"
                return Value("'bool'", f"toFloat64({flag})", flag, "''")
            case "created":
                return _moment(started)
            case "ended":
                return _moment(ended)
            case "seen":
                return _moment(self._seen)
            case "duration":
                took = f"greatest(0, if({ended} > 0, {ended}, {self._seen}) - {started}) / 1000000."
                return Value(f"if({started} > 0, 'float', '')", took, "toInt64(0)", "''")
            case "tags":
                text = f"tupleElement({self._rows.attribute('run', 'tags')}, 6)"
                type_name = f"if({text} IN ('', '[]'), '', 'json')"
                return Value(type_name, "0.", "toInt64(0)", text)
        assert name in _TEXT_FIELDS, name
        return _text(f"tupleElement({self._rows.attribute('run', name)}, 6)")

    @property
    def _seen(self) -> str:
        points = f"tupleElement({self._rows.points()}, 1)"
        return f"greatest(tupleElement({RUN_SLOT}, 2), {points})"

    def _summary(self, name: str) -> Value:
        held = _held(self._rows.summary(name))
        if name in AUTOMATIC:
            return self._automatic(name, held)
        if body := self._definition(name):
            held = self._defined(name, body, held)
        whole, dot, operation = name.rpartition(".")
        if dot and operation in _OPERATIONS and (body := self._definition(whole)):
            operand = self._operand(whole, body, f"'{operation}'")
            defined = f"position({_operations(body)}, '\"{operation}\"') > 0"
            is_part = f"({held.type} = '' AND {defined} AND NOT isNaN({operand}))"
            held = Value(
                f"if({is_part}, 'float', {held.type})",
                f"if({is_part}, {operand}, {held.number})",
                held.integer,
                held.text,
            )
        return held

    def _defined(self, name: str, body: str, held: Value) -> Value:
        """Return ``held``; where it was logged, by the first operation that was defined."""
        logged = f"({held.type} = 'float' AND tupleElement({self._rows.summary(name)}, 2) = 0)"
        operations = _operations(body)
        operand = self._operand(name, body, f"extract({operations}, '\"(\\\\w+)\"')")
        hidden = f"({logged} AND position({operations}, '\"none\"') > 0)"
        return Value(
            f"if({hidden}, '', {held.type})",
            f"if({logged} AND NOT isNaN({operand}), {operand}, {held.number})",
            held.integer,
            held.text,
        )

    def _operand(self, metric: str, body: str, operation: str) -> str:
        """Return the value of ``operation`` (an expression), NaN where it has none."""
        held = {
            name: self._rows.statistic(metric, name) for name in ("min", "max", "mean", "first")
        }
        values = {
            name: f"if(tupleElement({slot}, 3) = '', nan, tupleElement({slot}, 4))"
            for name, slot in held.items()
        }
        best = f"if(extract({body}, '\"goal\":\"(max)') != '', {values['max']}, {values['min']})"
        cases = "".join(f"{operation} = '{name}', {value}, " for name, value in values.items())
        return f"multiIf({cases}{operation} = 'best', {best}, nan)"

    def _automatic(self, name: str, held: Value) -> Value:
        """Return ``held``, else the value that ``summary.add_automatic`` adds."""
        points = self._rows.points()
        started, point = f"tupleElement({RUN_SLOT}, 1)", f"tupleElement({points}, 1)"
        number = {
            "_step": f"toFloat64(tupleElement({points}, 2))",
            "_timestamp": f"{point} / 1000000.",
            "_runtime": f"greatest(0, {point} - {started}) / 1000000.",
        }[name]
        has_any = f"{point} > 0" + (f" AND {started} > 0" if name == "_runtime" else "")
        return Value(
            f"if({held.type} != '', {held.type}, if({has_any}, 'float', ''))",
            f"if({held.type} != '', {held.number}, {number})",
            held.integer,
            held.text,
        )

    def _definition(self, metric: str) -> str:
        """Return the body of the definition that holds for ``metric``; "" where none exists."""
        known = [each for each in definition_names(metric) if each in self._facts.definitions]
        chosen = "''"
        for name in reversed(known):
            text = f"tupleElement({self._rows.attribute('define_metric', name)}, 6)"
            chosen = f"if({text} != '', {text}, {chosen})"
        return chosen if known else ""

    # ------------------------------------------------------------------ the query

    def source(self) -> str:
        """Return the subquery with everything that was asked for; call it last."""
        kept = "".join(
            f", toString({each.type}) AS {columns.type}, toFloat64({each.number}) AS "
            f"{columns.number}, {each.integer} AS {columns.integer}, {each.text} AS {columns.text}"
            for each, columns in self._values.values()
        )
        ranks = "".join(
            f", multiIf({columns.type} IN ('float', 'int', 'bool'), "
            f"if(isNaN({columns.number}), 1, 0), {columns.type} IN ('text', 'json'), 2, 3) "
            f"AS {columns.rank}"
            for _, columns in self._values.values()
        )
        if not kept:
            return f"({self._rows.sql()})"
        return f"(SELECT *{ranks} FROM (SELECT *{kept} FROM ({self._rows.sql()})))"


class SlotRows:
    """The union of the rows of all slots, grouped by run. A slot's name is a column's."""

    def __init__(self, parameters: Parameters, project: str | None, facts: Facts) -> None:
        self._parameters = parameters
        self._project = project
        self._facts = facts
        self._slots: dict[tuple[str, ...], int] = {("run",): 0}

    def attribute(self, kind: str, path: str) -> str:
        """Return the slot of an attribute: (version, 1, …)."""
        return self._slot("attribute", kind, path)

    def statistic(self, metric: str, name: str) -> str:
        """Return the slot of a statistic: (0, 0, type, value, count, '')."""
        return self._slot("statistic", metric, name)

    def summary(self, name: str) -> str:
        """Return the slot of a summary value: (version, 1, …) or, logged, (last log, 0, …)."""
        return self._slot("summary", name)

    def points(self) -> str:
        """Return the slot of the run's last point: (time, highest step, …)."""
        return self._slot("points")

    def _slot(self, *key: str) -> str:
        return f"a{self._slots.setdefault(key, len(self._slots))}"

    def _of(self, kind: str) -> dict[tuple[str, ...], int]:
        return {key[1:]: number for key, number in self._slots.items() if key[0] == kind}

    @property
    def _ids(self) -> str:
        return "project, run_id" if self._project is None else "run_id"

    def _where(self, *conditions: str) -> str:
        if self._project is not None:
            conditions = (f"project = {self._parameters.text(self._project)}", *conditions)
        return " AND ".join(conditions) or "1"

    def sql(self) -> str:
        """Return a query with a row a run: its ids, and a tuple a slot."""
        runs = runs_sql(self._ids, self._where(), resumed=self._facts.any_resumed)
        parts = [f"SELECT {self._ids}, toUInt16(0) AS slot, held FROM ({runs})"]
        parts += [*self._attribute_rows(), *self._text_rows(), *self._metric_rows()]
        kept = ", ".join(
            f"maxIf(held, slot = {number}) AS a{number}" for number in self._slots.values()
        )
        return (
            f"SELECT {self._ids}, {kept} FROM ({' UNION ALL '.join(parts)}) GROUP BY {self._ids} "
            f"HAVING tupleElement({RUN_SLOT}, 3) = 'run'"
        )

    def _attribute_rows(self) -> Iterable[str]:
        slots = {(kind, path): number for (kind, path), number in self._of("attribute").items()}
        slots |= {("summary", path): number for (path,), number in self._of("summary").items()}
        by_kind: dict[str, dict[str, int]] = {}
        for (kind, path), number in slots.items():
            by_kind.setdefault(kind, {})[path] = number
            # A parent that was deleted later leaves nothing of the values below it.
            above = [each for each in parents_of(path) if (kind, each) in self._facts.parents]
            if above:
                yield self._attributes(
                    kind,
                    above,
                    f"toUInt16({number})",
                    "(version, toInt64(0), '', 0., toInt64(0), '')",
                )
        held = (
            "(version, toInt64(1), if(deleted = 0, toString(type), ''), float, int, "
            "if(deleted = 0, text, ''))"
        )
        for kind, paths in by_kind.items():
            yield self._attributes(kind, list(paths), self._numbers("path", paths), held)

    def _attributes(self, kind: str, paths: list[str], slot: str, held: str) -> str:
        where = self._where(
            f"kind = {self._parameters.text(kind)}", f"path IN {self._parameters.texts(paths)}"
        )
        return (
            f"SELECT {self._ids}, {slot} AS slot, {held} AS held FROM attributes_by_path "
            f"WHERE {where}"
        )

    def _text_rows(self) -> Iterable[str]:
        slots = {
            name: number
            for (name,), number in self._of("summary").items()
            if name in self._facts.texts
        }
        if not slots:
            return
        where = self._where(f"metric IN {self._parameters.texts(list(slots))}")
        yield (
            f"SELECT {self._ids}, {self._numbers('metric', slots)} AS slot, "
            # The place of the value is its time, as a float's is.
            "(max(time), toInt64(0), tupleElement(max((step, time, toString(type), text)), 3), 0., "
            "toInt64(0), tupleElement(max((step, time, toString(type), text)), 4)) AS held "
            f"FROM texts WHERE {where} GROUP BY {self._ids}, metric"
        )

    def _metric_rows(self) -> Iterable[str]:
        parts: list[str] = []
        metrics: set[str] = set()
        by_statistic: dict[str, dict[str, int]] = {}
        for (metric, name), number in self._of("statistic").items():
            by_statistic.setdefault(name, {})[metric] = number
        for name, slots in by_statistic.items():
            value, needed = _STATISTICS[name]
            type_name = "int" if name == "count" else "float"
            held = (
                f"(toInt64(0), toInt64(0), if({needed} > 0, '{type_name}', ''), {value}, "
                "toInt64(sum(count)), '')"
            )
            metrics |= set(slots)
            parts.append(self._of_metrics(slots, held))
        if summaries := {name: number for (name,), number in self._of("summary").items()}:
            last = "tupleElement(max(s.last), 3)"
            held = f"(max(s.time_max), toInt64(0), 'float', {last}, toInt64(0), '')"
            metrics |= set(summaries)
            parts.append(self._of_metrics(summaries, held))
        points = self._of("points").get(())
        if points is not None:
            held = "(max(s.time_max), tupleElement(max(s.last), 1), '', 0., toInt64(0), '')"
            parts.append(
                f"SELECT run_key, toUInt16({points}) AS slot, {held} AS held "
                f"FROM series_stats AS s WHERE {self._of_project('1')} GROUP BY run_key"
            )
        if not parts:
            return
        # Only the rows of these metrics are read for the runs' ids, where metrics were named.
        narrowed = [] if points else [f"metric IN {self._parameters.texts(sorted(metrics))}"]
        keys = f"SELECT DISTINCT {self._ids}, run_key FROM series WHERE {self._where(*narrowed)}"
        yield (
            f"SELECT {self._ids}, slot, held FROM ({' UNION ALL '.join(parts)}) AS m "
            f"ALL INNER JOIN ({keys}) AS k USING (run_key)"
        )

    def _of_metrics(self, slots: dict[str, int], held: str) -> str:
        numbers = {str(fingerprint(metric)): number for metric, number in slots.items()}
        ids = ", ".join(self._parameters.number(int(each), "UInt64") for each in numbers)
        slot = f"toUInt16({next(iter(slots.values()))})"
        if len(slots) > 1:
            slot = self._numbers("toString(metric_id)", numbers)
        return (
            f"SELECT run_key, {slot} AS slot, {held} AS held FROM series_stats AS s "
            f"WHERE {self._of_project(f'metric_id IN ({ids})')} GROUP BY run_key, metric_id"
        )

    def _of_project(self, condition: str) -> str:
        if self._project is None:
            return condition
        number = self._parameters.number(fingerprint(self._project), "UInt64")
        return f"project_id = {number} AND {condition}"

    def _numbers(self, expression: str, slots: dict[str, int]) -> str:
        """Return the expression of the slot of the row whose ``expression`` is a key of it."""
        if len(slots) == 1:
            return f"toUInt16({next(iter(slots.values()))})"
        cases = "".join(
            f"{expression} = {self._parameters.text(each)}, {number}, "
            for each, number in list(slots.items())[:-1]
        )
        return f"toUInt16(multiIf({cases}{list(slots.values())[-1]}))"


def _operations(body: str) -> str:
    return f"extract({body}, '\"summary\":\\\\[([^\\\\]]*)\\\\]')"


def _held(slot: str) -> Value:
    return Value(*(f"tupleElement({slot}, {at})" for at in (3, 4, 5, 6)))


def _text(expression: str) -> Value:
    return Value(f"if({expression} != '', 'text', '')", "0.", "toInt64(0)", expression)


def _moment(expression: str) -> Value:
    return Value(f"if({expression} > 0, 'int', '')", f"toFloat64({expression})", expression, "''")
