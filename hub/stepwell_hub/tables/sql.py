"""Questions about a table as SQL of ClickHouse. Columns are named by place, not by name."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from stepwell_hub.errors import ApiError
from stepwell_wire.table_columns import (
    BOOLEAN,
    DATETIME,
    INTEGER,
    MEDIA,
    MIXED,
    NUMBER,
    ROW,
    TableColumn,
)

_ORDERED: Final = {"eq": "=", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_TEXTUAL: Final = ("contains", "not_contains", "matches")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOP: Final = 5
_BINS_MAX: Final = 20
Value = str | float | bool | None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a column's values must be."""

    column: int
    op: str
    value: Value = None
    values: Sequence[Value] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """Bins of equal width, from ``low`` on."""

    low: float
    width: float
    count: int

    def edges(self) -> list[float]:
        """Return where each bin begins, and where the last one ends."""
        # The sum of quarters cannot be infinite before its last step.
        return [
            4.0 * (self.low / 4.0 + each * (self.width / 4.0)) for each in range(self.count + 1)
        ]


def grid_of(low: float, high: float, values: int, *, is_integer: bool) -> Grid | None:
    """Return the bins for the distribution of so many values; None if all are equal.

    There are about twice the cube root of ``values`` of them (Rice's rule), so that a small table
    has several values in a bin. Bins of integers begin at integers: each holds as many of them.
    """
    most = max(2, min(_BINS_MAX, math.ceil(2.0 * values ** (1.0 / 3.0))))
    if is_integer and high > low:
        span = int(high) - int(low) + 1
        width = math.ceil(span / most)
        return Grid(low, float(width), math.ceil(span / width))
    width = high / most - low / most  # The difference alone may be infinite.
    return Grid(low, width, most) if width > 0.0 else None


@dataclass(frozen=True, slots=True)
class Order:
    column: int
    descending: bool = False


class TableSql:
    """Makes the SQL for one table."""

    def __init__(self, path: str, columns: Sequence[TableColumn]) -> None:
        self._columns = columns
        structure = [f"{ROW} Int64"]
        for place, column in enumerate(columns):
            structure.append(f"c{place} Nullable({_ENGINE_TYPES.get(column.type, 'String')})")
            if column.type == MIXED:
                structure.append(f"k{place} Nullable(String)")
        self._source = f"file({quoted(path)}, Parquet, {quoted(', '.join(structure))})"

    def where(self, conditions: Sequence[Condition], search: str) -> str:
        """Return the condition for all ``conditions``, "1" for none.

        Raises:
            ApiError: One of them is invalid; says which.
        """
        parts = [self._condition(place, each) for place, each in enumerate(conditions)]
        if search:
            parts.append(self._search(search))
        return " AND ".join(f"({part})" for part in parts) or "1"

    def thinned(self, where: str, rows: int, kept: int) -> str:
        """Return ``where`` for only ``kept`` of the table's ``rows`` rows, evenly spread.

        The table is divided into as many ranges. Of the first range the first row is kept, of the
        last one the last, and of each other one a row that its hash selects: each nth row would
        always be of the same class in a table where the classes take turns.
        """
        if kept >= rows:
            return where
        part = f"intDiv({ROW} * {kept}, {rows})"
        first = f"intDiv({part} * {rows} + {kept - 1}, {kept})"
        size = f"intDiv(({part} + 1) * {rows} + {kept - 1}, {kept}) - {first}"
        middle = f"{first} + intHash64({part}) % ({size})"
        end = f"if({part} = {kept - 1}, {rows - 1}, {middle})"
        return f"{where} AND {ROW} = if({part} = 0, 0, {end})"

    def count(self, where: str) -> str:
        return f"SELECT count() FROM {self._source} WHERE {where}"

    def page(
        self,
        where: str,
        order: Sequence[Order],
        shown: Sequence[int],
        *,
        offset: int,
        limit: int,
        characters: int,
    ) -> str:
        """Return the question for rows; the row's number comes first.

        Args:
            characters: of a text; the rest is cut.
        """
        cells = [ROW, *(cell for place in shown for cell in self._cells(place, characters))]
        return (
            f"SELECT {', '.join(cells)} FROM {self._source} WHERE {where} "
            f"ORDER BY {self._order(order)} LIMIT {limit} OFFSET {offset}"
        )

    def export(self, where: str, order: Sequence[Order], shown: Sequence[int]) -> str:
        """Return the question for whole rows under the columns' own names."""
        names: dict[str, int] = {}
        cells = []
        for place in shown:
            name = self._columns[place].name or f"column {place + 1}"
            names[name] = names.get(name, 0) + 1
            unique = name if names[name] == 1 else f"{name} ({names[name]})"
            cells.append(f"c{place} AS {_identifier(unique)}")
        if not cells:
            raise ApiError(400, "table_invalid", "the table has no columns", field="columns")
        # Sort by the inner names: a column may have the same name as one of them.
        inner = f"SELECT * FROM {self._source} WHERE {where} ORDER BY {self._order(order)}"
        return f"SELECT {', '.join(cells)} FROM ({inner})"

    def statistics(self, place: int) -> str:
        """Return the question for one column's facts."""
        kind, cell = self._columns[place].type, f"c{place}"
        facts = [f"count({cell})", f"uniq({cell})"]
        if kind in (NUMBER, INTEGER, DATETIME):
            number, finite = self._number(place)
            facts += [f"{fn}If({number}, {finite})" for fn in ("min", "max", "avg")]
        else:
            text = f"substringUTF8(toString({cell}), 1, 200)"
            facts.append(f"topK({_TOP}, 3, 'counts')({text})")
        return f"SELECT {', '.join(facts)} FROM {self._source}"

    def distribution(self, place: int, grid: Grid) -> str:
        """Return the question for the number of each bin with values, and their count."""
        number, finite = self._number(place)
        at = f"toFloat64({number}) / {grid.width!r} - {grid.low!r} / {grid.width!r}"
        return (
            f"SELECT toUInt8(least({grid.count - 1}, greatest(0, floor({at})))) AS bin, count() "
            f"FROM {self._source} WHERE {finite} GROUP BY bin ORDER BY bin"
        )

    def check(self, place: int, field: str) -> None:
        """
        Raises:
            ApiError: There is no such column.
        """
        if not 0 <= place < len(self._columns):
            count = len(self._columns)
            raise ApiError(
                400, "column_unknown", f"no column {place}; the table has {count}", field=field
            )

    # ------------------------------------------------------------------ parts

    def _number(self, place: int) -> tuple[str, str]:
        """Return a numeric cell as a number, and whether it is finite."""
        kind, cell = self._columns[place].type, f"c{place}"
        number = f"toUnixTimestamp64Micro({cell})" if kind == DATETIME else cell
        return number, f"isFinite(toFloat64({number}))"

    def _cells(self, place: int, characters: int) -> list[str]:
        kind, cell = self._columns[place].type, f"c{place}"
        if kind == DATETIME:
            return [f"toUnixTimestamp64Micro({cell}) AS v{place}"]
        if kind in (NUMBER, INTEGER, BOOLEAN, MEDIA):
            return [cell]
        shown = [f"substringUTF8({cell}, 1, {characters}) AS v{place}"]
        shown.append(f"lengthUTF8({cell}) AS n{place}")
        return [*shown, f"k{place}"] if kind == MIXED else shown

    def _order(self, order: Sequence[Order]) -> str:
        keys = []
        for place, each in enumerate(order):
            self.check(each.column, f"sort[{place}].column")
            keys.append(f"c{each.column} {'DESC' if each.descending else 'ASC'} NULLS LAST")
        return ", ".join([*keys, ROW])

    def _search(self, text: str) -> str:
        kinds = (NUMBER, INTEGER, BOOLEAN, DATETIME, MEDIA)
        places = [place for place, each in enumerate(self._columns) if each.type not in kinds]
        found = [f"positionCaseInsensitiveUTF8(c{place}, {quoted(text)}) > 0" for place in places]
        return " OR ".join(f"ifNull({each}, 0)" for each in found) or "0"

    def _condition(self, number: int, given: Condition) -> str:
        field = f"filter[{number}]"
        self.check(given.column, f"{field}.column")
        kind, cell = self._columns[given.column].type, f"c{given.column}"
        if given.op in ("is_null", "not_null"):
            return f"{cell} IS {'NOT ' if given.op == 'not_null' else ''}NULL"
        if given.op in _TEXTUAL:
            if not isinstance(given.value, str):
                raise ApiError(400, "filter_invalid", f"{given.op} needs a text", field=field)
            return _textual(given.op, f"toString({cell})", given.value)
        if given.op == "in":
            if not given.values:
                return "0"
            values = ", ".join(_literal(kind, value, field) for value in given.values)
            return f"ifNull({cell} IN ({values}), 0)"
        if given.op == "ne":  # A missing value also differs from the given one.
            return f"ifNull({cell} != {_literal(kind, given.value, field)}, 1)"
        return f"ifNull({cell} {_ORDERED[given.op]} {_literal(kind, given.value, field)}, 0)"


_ENGINE_TYPES: Final = {
    NUMBER: "Float64",
    INTEGER: "Int64",
    BOOLEAN: "Bool",
    DATETIME: "DateTime64(6, 'UTC')",
}


def quoted(text: str) -> str:
    """Return ``text`` as a literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`").replace("\0", "\\0")
    return f"`{escaped}`"


def _textual(op: str, text: str, value: str) -> str:
    if op == "matches":
        return f"ifNull(match({text}, {quoted(value)}), 0)"
    found = f"positionCaseInsensitiveUTF8({text}, {quoted(value)}) > 0"
    return f"ifNull({found}, 0)" if op == "contains" else f"NOT ifNull({found}, 0)"


def _literal(kind: str, value: Value, field: str) -> str:
    """Return ``value`` as a literal that fits a column of ``kind``."""
    if kind == BOOLEAN:
        if isinstance(value, bool):
            return str(value).lower()
        raise ApiError(400, "filter_invalid", "expected true or false for this column", field=field)
    if kind in (NUMBER, INTEGER):
        number = _number(value)
        if number is None:
            raise ApiError(400, "filter_invalid", "expected a number for this column", field=field)
        return number
    if kind == DATETIME:
        return f"fromUnixTimestamp64Micro(toInt64({_micros(value, field)}), 'UTC')"
    if isinstance(value, str):
        return quoted(value)
    number = _number(value)
    if number is None:
        raise ApiError(400, "filter_invalid", "expected a text for this column", field=field)
    return quoted(number)


def _number(value: Value) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not math.isfinite(value):
        return {"nan": "nan", "inf": "inf", "-inf": "-inf"}[repr(float(value))]
    return str(int(value)) if value == int(value) and abs(value) < 2**63 else repr(float(value))


def _micros(value: Value, field: str) -> int:
    """Return a moment, given in seconds since 1970 or as ISO 8601, in microseconds."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return (moment - _EPOCH) // timedelta(microseconds=1)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12:
            return round(value * 1e6)
    except (ValueError, OverflowError):
        pass
    raise ApiError(
        400,
        "filter_invalid",
        "expected a moment for this column: 2026-01-31T12:00:00, or seconds since 1970",
        field=field,
    )
