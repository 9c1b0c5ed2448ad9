"""Converts filters in MongoDB's form, as in scripts for Weights & Biases, to our filter text.

    {"config.lr": {"$lt": 0.01}, "$or": [{"state": "finished"}, {"tags": {"$in": ["a", "b"]}}]}
    config.lr<0.01 (state:"finished" | (tags:"a" | tags:"b"))

A text is passed on unchanged: docs/cli.md, section Runs, describes the language. A filter that it
cannot express is refused. Pure: no request.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from stepwell.api._names import nearest
from stepwell.errors import FilterError

OPERATORS: Final = (
    "$and", "$or", "$nor", "$not", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin",
    "$exists", "$regex", "$options",
)  # fmt: skip
_WHOLE: Final = ("$and", "$or", "$nor")
_WHOLE_EXAMPLE: Final = "expected, for example, {'$or': [{'state': 'failed'}, {'config.lr': 1}]}"
_BELOW_KEY_EXAMPLE: Final = (
    "expected, for example, {'config.lr': {'$not': {'$gt': 1}}}. {'$nor': [FILTER]} negates a "
    "whole filter"
)
_FIELDS: Final = {
    "state": "state",
    "display_name": "name",
    "displayName": "name",
    "id": "id",
    "tags": "tags",
    "group": "group",
    "jobType": "job_type",
    "job_type": "job_type",
    "sweep": "sweep",
    "notes": "notes",
    "host": "host",
    "project": "project",
    "archived": "archived",
    "duration": "duration",
    "created_at": "created",
    "createdAt": "created",
    "heartbeat_at": "seen",
    "heartbeatAt": "seen",
}
_MOMENTS: Final = ("created", "seen")
_WITHOUT_TYPE: Final = (
    "state",
    "name",
    "id",
    "tags",
    "group",
    "job_type",
    "sweep",
    "notes",
    "host",
)
"""Paths whose values are texts: a number can only be meant as one."""
_WITHOUT_USERS: Final = {
    "username": "runs have no user here",
    "user": "runs have no user here",
    "entity": "runs have no entity here",
}
_ORDERS: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def filter_text(filters: Mapping[str, Any] | str | None) -> str:
    """Return the filter as text, "" for none.

    Raises:
        FilterError: It cannot be expressed in our language, or is no filter.
    """
    if not filters:
        return ""
    if isinstance(filters, str):
        return filters
    return _all(filters)


def sort_key(order: str) -> str:
    """Return a path of `order`, with ``-`` before it if the greatest comes first.

    Raises:
        FilterError: No run can be sorted by it.
    """
    sign, name = (order[0], order[1:]) if order[:1] in "+-" else ("", order)
    if not name:
        raise FilterError(
            f"{order!r} is not an order; expected, for example, '+created_at' or "
            "'-summary_metrics.loss'"
        )
    return ("-" if sign == "-" else "") + _paths(name)[0]


def _all(filters: Any) -> str:
    if not isinstance(filters, Mapping) or not filters:
        raise FilterError(
            f"{filters!r} is not a filter; expected a dict such as {{'state': 'running'}}"
        )
    return _joined([_one(str(key), value) for key, value in filters.items()], " ")


def _one(key: str, value: Any) -> str:
    if key in _WHOLE:
        if not isinstance(value, list | tuple) or not value:
            raise FilterError(f"{key}: expected a list of filters, not {value!r}")
        parts = [_all(each) for each in value]
        if key == "$and":
            return _joined(parts, " ")
        either = _joined(parts, " | ")
        return either if key == "$or" else _not(either)
    if key.startswith("$"):
        raise FilterError(_unknown(key))
    # `name` is the id there and the name here; a few paths have two spellings.
    return _condition(key, _paths(key), value)


def _paths(key: str) -> list[str]:
    """Return the paths of our language that ``key`` may mean: one, or at most two."""
    if key == "name":
        return ["name", "id"]
    if key in _FIELDS:
        return [_FIELDS[key]]
    if key in _WITHOUT_USERS:
        raise FilterError(f"{key}: {_WITHOUT_USERS[key]}")
    head, dot, rest = key.partition(".")
    if dot and rest:
        if head in ("summary_metrics", "summaryMetrics", "summary"):
            return [f"summary.{rest}"]
        if head == "metric":
            return [key]
        if head == "config":
            first, _, below = rest.partition(".")
            if below == "value" or below.startswith("value."):
                # Their config keeps each value under the key `value`; ours may have such a key.
                return [f"config.{first}{below.removeprefix('value')}", key]
            return [key]
    known = (*_FIELDS, "name")
    raise FilterError(
        f"{key}: runs have no such field; for a value of a run use config.{key} or "
        f"summary_metrics.{key}{nearest(key, known)}"
    )


def _condition(key: str, paths: Sequence[str], value: Any) -> str:
    if isinstance(value, Mapping) and any(str(each).startswith("$") for each in value):
        named = dict(value)
        options = named.pop("$options", None)
        if options is not None and "$regex" not in named:
            raise FilterError(f"{key}: $options without $regex")
        return _joined(
            [_operation(key, paths, str(name), each, options) for name, each in named.items()], " "
        )
    return _any_of(paths, lambda path: _equal(key, path, value))


def _operation(key: str, paths: Sequence[str], name: str, value: Any, options: Any) -> str:
    match name:
        case "$eq":
            return _any_of(paths, lambda path: _equal(key, path, value))
        case "$ne":
            return _not(_any_of(paths, lambda path: _equal(key, path, value)))
        case "$in" | "$nin":
            if not isinstance(value, list | tuple | set | frozenset) or not value:
                raise FilterError(f"{key}: {name} expects a list of values, not {value!r}")
            equals = [_any_of(paths, partial(_equal, key, value=each)) for each in value]
            found = _joined(equals, " | ")
            return found if name == "$in" else _not(found)
        case "$exists":
            found = _any_of(paths, lambda path: _not(_term(path, ":", "none")))
            return found if value else _not(found)
        case "$not":
            if not isinstance(value, Mapping):
                raise FilterError(f"{key}: $not expects operators, such as {{'$gt': 3}}")
            return _not(_condition(key, paths, value))
        case "$regex":
            return _any_of(paths, lambda path: _matches(key, path, value, options))
    if name in _ORDERS:
        return _any_of(paths, lambda path: _ordered(key, path, name, value))
    raise FilterError(f"{key}: {_unknown(name)}")


def _equal(key: str, path: str, value: Any) -> str:
    if path == "archived":
        if not isinstance(value, bool):
            raise FilterError(f"{key}: expected True or False, not {value!r}")
        return _term(path, ":", "true" if value else "false")
    if value is None:
        return _term(path, ":", "none")
    if path in _MOMENTS:
        return _term(path, ":", _moment(key, value).strftime("%Y-%m-%dT%H:%M:%S"))
    if isinstance(value, bool):
        # Without the text that is written the same.
        word = "true" if value else "false"
        return f"({_term(path, ':', word)} {_not(_term(path, ':', _quoted(word)))})"
    if isinstance(value, int | float) and path == "duration":
        return _term(path, ":", _number(value))
    if isinstance(value, int | float) and path not in _WITHOUT_TYPE:
        number = _number(value)
        return f"({_term(path, ':', number)} {_not(_term(path, ':', _quoted(number)))})"
    if isinstance(value, str):
        return _term(path, ":", _quoted(value))
    raise FilterError(
        f"{key}: {value!r} cannot be compared; expected text, a number, True, False or None"
    )


def _ordered(key: str, path: str, name: str, value: Any) -> str:
    operator = _ORDERS[name]
    if path in _MOMENTS:
        # Times are whole seconds there, so an upper limit is rounded up.
        moment = _moment(key, value)
        if operator in ("<", "<=") and moment.microsecond:
            moment += timedelta(seconds=1)
        return _term(path, operator[0] + ("=" if operator[0] == ">" else ""),
                     moment.strftime("%Y-%m-%dT%H:%M:%S"))  # fmt: skip
    if isinstance(value, str):
        return _term(path, operator, _quoted(value))
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise FilterError(f"{key}: {name} expects a number, a text or a moment, not {value!r}")
    if path in _WITHOUT_TYPE:
        raise FilterError(f"{key}: {name} expects a text, as its values are texts, not {value!r}")
    return _term(path, operator, _number(value))


def _matches(key: str, path: str, value: Any, options: Any) -> str:
    pattern = getattr(value, "pattern", value)
    if not isinstance(pattern, str) or not pattern:
        raise FilterError(f"{key}: $regex expects an expression as text, not {value!r}")
    flags = "" if options is None else str(options)
    if set(flags) - set("ims"):
        raise FilterError(f"{key}: $options {options!r}; expected i, m or s")
    return _term(path, "~", _quoted(f"(?{flags}){pattern}" if flags else pattern))


def _moment(key: str, value: Any) -> datetime:
    """Return the moment in UTC: of ISO 8601, a date, a datetime, or seconds since 1970."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError) as error:
        raise FilterError(
            f"{key}: {value!r} is not a time; expected, for example, '2026-01-05T10:00:00'"
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


# ---------------------------------------------------------------------- text


def _any_of(paths: Sequence[str], term: Callable[[str], str]) -> str:
    return _joined([term(path) for path in paths], " | ")


def _joined(parts: Sequence[str], between: str) -> str:
    return parts[0] if len(parts) == 1 else f"({between.join(parts)})"


def _not(text: str) -> str:
    return text[1:] if text.startswith("-") else f"-{text}"


def _term(path: str, operator: str, value: str) -> str:
    name, colon, statistic = path.rpartition(":")
    if colon and path.startswith("metric."):
        return f"{_quoted(name)}:{statistic}{operator}{value}"
    return f"{path if path.isidentifier() else _quoted(path)}{operator}{value}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(value: float) -> str:
    return repr(float(value)) if isinstance(value, float) else repr(int(value))


def _unknown(name: str) -> str:
    if name in _WHOLE:
        return f"{name} combines whole filters, so it cannot be below a key; {_WHOLE_EXAMPLE}"
    if name in OPERATORS:
        return f"{name} must be below a key; {_BELOW_KEY_EXAMPLE}"
    return (
        f"{name} is not supported as an operator; known are "
        f"{', '.join(OPERATORS)}{nearest(name, OPERATORS)}"
    )
