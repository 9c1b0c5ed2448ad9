"""The values of paths, one column each, as expressions over slots (``slot_rows.py``).

The meaning of a summary path is defined in stepwell_store/summary.py; the same rules are here as
expressions, and a test compares both.
"""

from dataclasses import dataclass
from typing import Final

from stepwell_store.queries.facts import RunFacts, definition_names
from stepwell_store.queries.paths import Kind, Path
from stepwell_store.queries.slot_rows import RUN_SLOT, Parameters, SlotRows
from stepwell_store.queries.writers import ended_sql, hosts_sql, is_running_sql, state_sql

AUTOMATIC: Final = frozenset({"_step", "_timestamp", "_runtime"})
_OPERATIONS: Final = ("min", "max", "mean", "first", "last", "best")
_FIRST: Final = f'"({"|".join(_OPERATIONS)})"'  # Not copy, see `summary.py`.
_TEXT_FIELDS: Final = ("group", "job_type", "sweep", "notes", "color")


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
        rank: the sort rank of the value: numbers 0, NaN 1, texts 2, no value 3.
    """

    rank: str


class RunSlots:
    """Collects the slots of a request, and writes the query.

    Args:
        project: None for all projects.
        facts: the project's facts about the requested paths.
        now: where the durations of running runs end.
    """

    def __init__(
        self, parameters: Parameters, project: str | None, facts: RunFacts, *, now: float
    ) -> None:
        self._parameters = parameters
        self._project = project
        self._facts = facts
        self._now = now
        self._rows = SlotRows(parameters, project, facts)
        self._values: dict[Path, tuple[Value, ValueColumns]] = {}

    # ------------------------------------------------------------------ values

    def value(self, path: Path) -> ValueColumns:
        """Return the columns of ``source`` with the value of ``path``, which is not a bare name."""
        if path not in self._values:
            at = len(self._values)
            columns = ValueColumns(f"y{at}", f"n{at}", f"i{at}", f"s{at}", f"k{at}")
            self._values[path] = (self._expressions(path), columns)
        return self._values[path][1]

    @property
    def name(self) -> str:
        """The run's name as text: its id if it has no name."""
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
                now = self._parameters.number(round(self._now * 1e6), "Int64")
                over = f"if({ended} > 0, {ended}, toInt64({self._seen}))"
                until = f"if({is_running_sql(RUN_SLOT)}, toInt64({now}), {over})"
                took = f"greatest(0, {until} - {started}) / 1000000."
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
            defined = _defines(body, operation)
            shown = f"{self._logged(whole)} AND NOT {_defines(body, 'none')}"
            is_part = f"({held.type} = '' AND {shown} AND {defined} AND isNotNull({operand}))"
            held = Value(
                f"if({is_part}, 'float', {held.type})",
                f"if({is_part}, ifNull({operand}, 0.), {held.number})",
                held.integer,
                held.text,
            )
        return held

    def _defined(self, name: str, body: str, held: Value) -> Value:
        """Return ``held``; if it was logged, by the first defined operation.

        A metric with the operation ``none`` has the value that was set by hand, if any.
        """
        by_hand = _held(self._rows.summary_by_hand(name))
        logged = self._logged(name)
        operand = self._operand(name, body, f"extract({_operations(body)}, '{_FIRST}')")
        hidden = f"({logged} AND {_defines(body, 'none')})"
        is_operated = f"({logged} AND isNotNull({operand}))"
        return Value(
            f"multiIf({hidden}, {by_hand.type}, {is_operated}, 'float', {held.type})",
            f"multiIf({hidden}, {by_hand.number}, {is_operated}, ifNull({operand}, 0.), "
            f"{held.number})",
            f"if({hidden}, {by_hand.integer}, {held.integer})",
            f"multiIf({hidden}, {by_hand.text}, {is_operated}, '', {held.text})",
        )

    def _logged(self, metric: str) -> str:
        """Whether ``metric`` was logged, and not set or deleted since."""
        slot = self._rows.summary(metric)
        return f"({_held(slot).type} != '' AND tupleElement({slot}, 2) = 0)"

    def _operand(self, metric: str, body: str, operation: str) -> str:
        """Return the value of ``operation`` (an expression), NULL without one."""
        held = {
            name: self._rows.statistic(metric, name)
            for name in ("min", "max", "mean", "first", "last")
        }
        values = {
            name: f"if(tupleElement({slot}, 3) = '', NULL, tupleElement({slot}, 4))"
            for name, slot in held.items()
        }
        best = f"if(extract({body}, '\"goal\":\"(max)') != '', {values['max']}, {values['min']})"
        # `last` beside other operations that have a value. Alone it is the plain last value.
        finite = " OR ".join(_defines(body, name) for name in ("min", "max", "mean", "best"))
        has_others = (
            f"({_defines(body, 'first')} OR ({finite}) AND tupleElement({held['min']}, 3) != '')"
        )
        values["last"] = f"if({has_others}, {values['last']}, NULL)"
        cases = "".join(f"{operation} = '{name}', {value}, " for name, value in values.items())
        return f"multiIf({cases}{operation} = 'best', {best}, NULL)"

    def _automatic(self, name: str, held: Value) -> Value:
        """Return ``held``, else the value from ``summary.add_automatic``."""
        parts = (self._rows.points(), self._rows.others())
        started = f"tupleElement({RUN_SLOT}, 1)"
        (point_us, point_step), (other_us, other_step) = (
            (f"tupleElement({part}, 1)", f"tupleElement({part}, 2)") for part in parts
        )
        point = f"greatest({point_us}, {other_us})"
        step = (  # Steps may be negative: a missing part does not count as step 0.
            f"multiIf({point_us} = 0, {other_step}, {other_us} = 0, {point_step}, "
            f"greatest({point_step}, {other_step}))"
        )
        number = {
            "_step": f"toFloat64({step})",
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
        """Return the body of the definition for ``metric``; "" without one."""
        known = [each for each in definition_names(metric) if each in self._facts.definitions]
        chosen = "''"
        for name in reversed(known):
            text = f"tupleElement({self._rows.attribute('define_metric', name)}, 6)"
            chosen = f"if({text} != '', {text}, {chosen})"
        return chosen if known else ""

    # ------------------------------------------------------------------ the query

    def source(self) -> str:
        """Return the subquery with all requested columns; call it last."""
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


def _operations(body: str) -> str:
    return f"extract({body}, '\"summary\":\\\\[([^\\\\]]*)\\\\]')"


def _defines(body: str, operation: str) -> str:
    return f"(position({_operations(body)}, '\"{operation}\"') > 0)"


def _held(slot: str) -> Value:
    return Value(*(f"tupleElement({slot}, {at})" for at in (3, 4, 5, 6)))


def _text(expression: str) -> Value:
    return Value(f"if({expression} != '', 'text', '')", "0.", "toInt64(0)", expression)


def _moment(expression: str) -> Value:
    return Value(f"if({expression} > 0, 'int', '')", f"toFloat64({expression})", expression, "''")
