"""The rows of slots, as SQL: one union over four tables, grouped by run.

    writers: state, times, hosts                                         a tuple a run
    UNION ALL attributes_by_path: one contiguous range a path            a tuple a slot and run
    UNION ALL series_stats: one contiguous range a metric
    UNION ALL texts: the last logged value that is neither a float nor None
    grouped by run

A slot is one value that is read for each run. Its rows are tuples of (order, order, type, Float64,
Int64, text), and the greatest is valid. The order of an attribute is its version. The order of a
logged value is the time of the metric's last log, so a summary value that was set by hand is valid
until the next log. One grouping instead of joins, without repeated expressions, keeps the query
cheap to plan. Planning took most of the time of an earlier form with a join for each table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from stepwell_store.identity import fingerprint
from stepwell_store.queries.facts import RunFacts
from stepwell_store.queries.last_rows import last_rows_sql
from stepwell_store.queries.paths import parents_of
from stepwell_store.queries.writers import runs_sql

RUN_SLOT: Final = "a0"
"""The run's values from its writers: see ``writers.run_state``."""

# A statistic of a run's series, with its number of points: without points it has no value.
_FINITE: Final = "sum(count - nan_count - positive_inf_count - negative_inf_count)"
_STATISTICS: Final = {
    "last": ("tupleElement(max(s.last), 3)", "sum(count)"),
    "first": ("tupleElement(min(s.first), 3)", "sum(count)"),
    "min": ("min(s.min)", _FINITE),
    "max": ("max(s.max)", _FINITE),
    "mean": (f"sum(s.sum) / {_FINITE}", _FINITE),
    "count": ("toFloat64(sum(count))", "sum(count)"),
}


@dataclass(slots=True)
class Parameters:
    """Values of a query, each with its own parameter name."""

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


class SlotRows:
    """The union of the rows of all slots, grouped by run. A slot's name is a column's name."""

    def __init__(self, parameters: Parameters, project: str | None, facts: RunFacts) -> None:
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

    def summary_by_hand(self, name: str) -> str:
        """Return the slot of a summary value that was set by hand: (version, 1, …)."""
        return self._slot("by hand", name)

    def points(self) -> str:
        """Return the slot of the run's last point: (time, highest step, …)."""
        return self._slot("points")

    def others(self) -> str:
        """Return the slot of the run's last row without a number: (time, highest step, …)."""
        return self._slot("others")

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
        """Return a query with one row for each run: its ids, and one tuple for each slot."""
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
        by_kind: dict[str, dict[str, int]] = {}
        for (kind, path), number in self._of("attribute").items():
            by_kind.setdefault(kind, {})[path] = number
        parts = list(by_kind.items())
        for of_summary in ("summary", "by hand"):
            slots = {path: number for (path,), number in self._of(of_summary).items()}
            parts += [("summary", slots)] if slots else []
        for kind, slots in parts:
            for path, number in slots.items():
                # If a parent was deleted later, the values below it are removed.
                above = [each for each in parents_of(path) if (kind, each) in self._facts.parents]
                if above:
                    nothing = "(version, toInt64(0), '', 0., toInt64(0), '')"
                    rows = self._attributes(kind, above, f"toUInt16({number})", nothing)
                    yield f"{rows} AND deleted = 1"
        held = (
            "(version, toInt64(1), if(deleted = 0, toString(type), ''), float, int, "
            "if(deleted = 0, text, ''))"
        )
        for kind, paths in parts:
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
        others = self._of("others").get(())
        if others is not None:
            yield (
                f"SELECT {self._ids}, toUInt16({others}) AS slot, "
                "(latest, newest, '', 0., toInt64(0), '') AS held "
                f"FROM ({last_rows_sql(self._ids, self._where())})"
            )
        slots = {
            name: number
            for (name,), number in self._of("summary").items()
            if name in self._facts.texts
        }
        if not slots:
            return
        metrics = self._parameters.texts(list(slots))
        where = self._where(f"metric IN {metrics}", "type != 'null'")
        yield (
            f"SELECT {self._ids}, {self._numbers('metric', slots)} AS slot, "
            # The order of the value is its time, as for a float.
            "(max(time), toInt64(0), tupleElement(max((step, time, toString(type), text)), 3), 0., "
            "toInt64(0), tupleElement(max((step, time, toString(type), text)), 4)) AS held "
            f"FROM texts WHERE {where} GROUP BY {self._ids}, metric"
        )

    def _metric_rows(self) -> Iterable[str]:
        parts: list[str] = []
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
            parts.append(self._of_metrics(slots, held))
        if summaries := {name: number for (name,), number in self._of("summary").items()}:
            last = "tupleElement(max(s.last), 3)"
            held = f"(max(s.time_max), toInt64(0), 'float', {last}, toInt64(0), '')"
            parts.append(self._of_metrics(summaries, held))
        points = self._of("points").get(())
        if points is not None:
            held = "(max(s.time_max), tupleElement(max(s.last), 1), '', 0., toInt64(0), '')"
            parts.append(
                f"SELECT run_key, toUInt16({points}) AS slot, {held} AS held "
                f"FROM series_stats_by_run AS s WHERE {self._of_project('1')} GROUP BY run_key"
            )
        if not parts:
            return
        keys = (
            f"SELECT {self._ids}, max(w.run_key) AS run_key FROM writers AS w "
            f"WHERE {self._where()} GROUP BY {self._ids}"
        )
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
        """Return the expression of the slot for the row with ``expression`` as a key."""
        if len(slots) == 1:
            return f"toUInt16({next(iter(slots.values()))})"
        cases = "".join(
            f"{expression} = {self._parameters.text(each)}, {number}, "
            for each, number in list(slots.items())[:-1]
        )
        return f"toUInt16(multiIf({cases}{list(slots.values())[-1]}))"
