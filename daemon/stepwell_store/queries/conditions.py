"""Filters as SQL: the meaning of a comparison for each kind of value.

    numbers compare as numbers; ``:`` also finds an equal text texts      ``:`` is the whole text,
    ``~`` an RE2 expression; < and > by their bytes tags, host ``:`` finds one of several, ``~`` any
    of them moments    2026-01-05, 2026-01-05T10:00, 7d (that long ago); ``:`` is the whole day or
    minute durations  90, 90s, 15m, 2h, 7d none       (unquoted) no value, or null

``!=`` is the opposite of ``:``, so runs without the value are found, too. Other comparisons never
find a run without it.
"""

import json
import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from stepwell_store.errors import FilterError
from stepwell_store.queries.filter import All, Compare, Either, Expression, Not, Word
from stepwell_store.queries.paths import (
    FIELDS,
    STATE_ALIASES,
    STATES,
    Kind,
    Path,
    ValueKind,
)
from stepwell_store.queries.regexp import regexp
from stepwell_store.queries.slot_rows import Parameters
from stepwell_store.queries.slots import RunSlots, ValueColumns

_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)")
_MOMENTS: Final = (
    ("%Y-%m-%d", timedelta(days=1)),
    ("%Y-%m-%dT%H:%M", timedelta(minutes=1)),
    ("%Y-%m-%dT%H:%M:%S", timedelta(seconds=1)),
)
_INTEGER_MAX: Final = 2**62
_ELEMENTS: Final = 'extractAll({text}, \'"((?:[^"\\\\\\\\]|\\\\\\\\.)*)"\')'


def float_literal(parameters: Parameters, value: float) -> str:
    """Return an expression for exactly ``value``: some servers parse its text inexactly."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    return f"reinterpretAsFloat64(reinterpretAsString({parameters.number(bits, 'UInt64')}))"


class Conditions:
    """Writes the condition of an expression over the values of ``slots``."""

    def __init__(
        self,
        slots: RunSlots,
        parameters: Parameters,
        resolve: Callable[[str], Path],
        *,
        now: float,
    ) -> None:
        self._slots = slots
        self._parameters = parameters
        self._resolve = resolve
        self._now = now

    def sql(self, expression: Expression) -> str:
        """Return the condition.

        Raises:
            FilterError: A value does not fit its path.
        """
        match expression:
            case Word(text):
                word = self._parameters.text(text)
                return (
                    f"(positionCaseInsensitiveUTF8({self._slots.name}, {word}) > 0 "
                    f"OR position(run_id, {word}) > 0)"
                )
            case Not(item):
                return f"NOT {self.sql(item)}"
            case All(items):
                return f"({' AND '.join(map(self.sql, items))})"
            case Either(items):
                return f"({' OR '.join(map(self.sql, items))})"
        if expression.operator == "!=":
            return f"NOT {self._equal(expression)}"
        if expression.operator == ":":
            return self._equal(expression)
        return self._compared(expression)

    def _equal(self, compare: Compare) -> str:
        path = self._resolve(compare.path)
        value = self._slots.value(path)
        kind = FIELDS.get(path.name) if path.kind is Kind.RUN else None
        if compare.value in ("none", "null") and not compare.quoted:
            return f"({value.rank} = 3)"
        match kind:
            case ValueKind.LIST:
                return f"has({self._elements(path, value)}, {self._element(path, compare.value)})"
            case ValueKind.MOMENT:
                low, high = self._moment(compare)
                return self._between(value, low, high)
            case ValueKind.DURATION:
                return f"(round({value.number}) = {round(self._duration(compare))})"
            case ValueKind.TEXT:
                wanted = self._state(compare) if path.name == "state" else compare.value
                return f"({value.text} = {self._parameters.text(wanted)})"
        text = self._parameters.text(compare.value)
        found = [f"({value.type} IN ('text', 'json') AND {value.text} = {text})"]
        if not compare.quoted:
            if compare.value in ("true", "false"):
                bit = int(compare.value == "true")
                found.append(f"({value.type} = 'bool' AND {value.integer} = {bit})")
            elif (number := _number(compare.value)) is not None:
                found.append(self._is_number(value, number, compare.value))
        return f"({' OR '.join(found)})"

    def _state(self, compare: Compare) -> str:
        """Return the state for a text, which may be one of the page's words."""
        word = compare.value.lower()
        if word == "stale":
            raise self._error(compare, "stale means running but silent: use state:running seen<1m")
        found = STATE_ALIASES.get(word, word)
        if found not in STATES:
            raise self._error(
                compare,
                f"unknown state {compare.value!r}; expected one of {', '.join(STATES)} "
                f"({', '.join((f'{each} is {meant}' for each, meant in STATE_ALIASES.items()))})",
            )
        return found

    def _is_number(self, value: ValueColumns, number: float, text: str) -> str:
        if math.isnan(number):
            return f"({value.rank} = 1)"
        same = f"{value.number} = {float_literal(self._parameters, number)}"
        if re.fullmatch(r"[+-]?\d+", text) and 2**53 < abs(int(text)) < _INTEGER_MAX:
            exact = self._parameters.number(int(text), "Int64")
            same = f"if({value.type} = 'int', {value.integer} = {exact}, {same})"
        return f"({value.rank} = 0 AND {same})"

    def _compared(self, compare: Compare) -> str:
        path = self._resolve(compare.path)
        value = self._slots.value(path)
        kind = FIELDS.get(path.name) if path.kind is Kind.RUN else None
        if compare.operator == "~":
            return self._matches(compare, path, value, kind)
        operator = compare.operator
        match kind:
            case ValueKind.LIST | ValueKind.FLAG:
                raise self._error(compare, f"{compare.path} has no order; use : or ~")
            case ValueKind.MOMENT:
                low, high = self._moment(compare)
                # "After a day" means after its end; "until a day" includes the day.
                limit = high if operator in (">", "<=") and high > low else low
                exact = {"<=": "<", ">": ">="}.get(operator, operator) if high > low else operator
                number = self._parameters.number(limit, "Int64")
                return f"({value.integer} > 0 AND {value.integer} {exact} {number})"
            case ValueKind.DURATION:
                limit_seconds = float_literal(self._parameters, self._duration(compare))
                return f"({value.rank} = 0 AND {value.number} {operator} {limit_seconds})"
        number_given = None if compare.quoted else _number(compare.value)
        if number_given is None or kind is ValueKind.TEXT:
            text = self._parameters.text(compare.value)
            return f"({value.rank} = 2 AND {value.text} {operator} {text})"
        if math.isnan(number_given):
            raise self._error(compare, "NaN has no order; use :nan")
        limit_number = float_literal(self._parameters, number_given)
        return f"({value.rank} = 0 AND {value.number} {operator} {limit_number})"

    def _matches(
        self, compare: Compare, path: Path, value: ValueColumns, kind: ValueKind | None
    ) -> str:
        pattern = self._parameters.text(regexp(compare.value))
        if kind is ValueKind.LIST:
            elements = self._elements(path, value)
            return f"arrayExists(each -> match(each, {pattern}), {elements})"
        if kind in (ValueKind.MOMENT, ValueKind.DURATION, ValueKind.FLAG):
            raise self._error(compare, f"{compare.path} is not text; use : < or >")
        return f"({value.rank} = 2 AND match({value.text}, {pattern}))"

    def _elements(self, path: Path, value: ValueColumns) -> str:
        return self._slots.hosts if path.name == "host" else _ELEMENTS.format(text=value.text)

    def _element(self, path: Path, text: str) -> str:
        held = text if path.name == "host" else json.dumps(text, ensure_ascii=False)[1:-1]
        return self._parameters.text(held)

    def _between(self, value: ValueColumns, low: int, high: int) -> str:
        first = self._parameters.number(low, "Int64")
        end = self._parameters.number(max(high, low + 1), "Int64")
        return f"({value.integer} >= {first} AND {value.integer} < {end})"

    def _moment(self, compare: Compare) -> tuple[int, int]:
        """Return the first microsecond and the end of the value's time span."""
        text = compare.value.strip()
        span = _SPAN.fullmatch(text)
        if span and span[2]:
            at = round((self._now - float(span[1]) * _UNIT_SECONDS[span[2]]) * 1e6)
            return _bounded(at), _bounded(at)
        for layout, width in _MOMENTS:
            try:
                found = datetime.strptime(text.removesuffix("Z"), layout).replace(tzinfo=UTC)
                return round(found.timestamp() * 1e6), round((found + width).timestamp() * 1e6)
            except (ValueError, OverflowError):
                continue
        raise self._error(
            compare,
            "expected a moment: 2026-01-05, 2026-01-05T10:00 (UTC) or 7d (that long ago, in "
            "s m h d w)",
        )

    def _duration(self, compare: Compare) -> float:
        span = _SPAN.fullmatch(compare.value.strip())
        if not span:
            raise self._error(compare, "expected a duration: 90, 90s, 15m, 2h, 7d or 1w")
        return float(span[1]) * _UNIT_SECONDS[span[2] or "s"]

    def _error(self, compare: Compare, message: str) -> FilterError:
        return FilterError(message, compare.position, compare.length)


def _bounded(time_us: int) -> int:
    return min(max(time_us, -(2**62)), 2**62)


def _number(text: str) -> float | None:
    """Return ``text`` as a number, None if it is not one."""
    if "_" in text:
        return None
    try:
        return float(text)
    except (ValueError, OverflowError):
        return None
