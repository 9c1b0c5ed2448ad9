"""Nested values as rows of `attributes`, one per path, and back.

    {"optimizer": {"lr": 0.1}}  ⇄  path "optimizer.lr", type "float", float 0.1

A path with dots does not show which dots were part of a name. So if a name has a dot, the names of
its path are kept too. Each path has the time at which it was set, and rows apply in that order. A
later value replaces the earlier one of its path. A deletion also removes all values below its path.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepwell_wire.limits import VALUE_DEPTH_MAX

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
NAMES: Final = "_names"
"""The end of the kind of a row with the names of a path, after the kind of its value."""


@dataclass(frozen=True, slots=True)
class TypedValue:
    """One value in typed columns; ``type`` names the valid column."""

    type: str
    number: float = 0.0
    integer: int = 0
    text: str = ""


def typed(value: object) -> TypedValue:
    """Return ``value`` as its columns; a value that is not a scalar becomes JSON."""
    match value:
        case None:
            return TypedValue("null")
        case bool():
            return TypedValue("bool", float(value), int(value))
        case int() if INT64_MIN <= value <= INT64_MAX:
            return TypedValue("int", float(value), value)
        case int():
            return TypedValue("int", _nearest_float(value), 0, str(value))
        case float():
            return TypedValue("float", value)
        case str():
            return TypedValue("text", text=value)
    return TypedValue("json", text=to_json(value))


def untyped(type_name: str, number: float, integer: int, text: str) -> Any:
    """Return the original value of ``typed``."""
    match type_name:
        case "null":
            return None
        case "bool":
            return bool(integer)
        case "int":
            return int(text) if text else integer
        case "float":
            return number
        case "json":
            return json.loads(text)
    return text


def to_json(value: object) -> str:
    """Return ``value`` as JSON; a part without a JSON form becomes its ``repr``."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=repr, skipkeys=True)


def flatten(
    nested: Mapping[Any, Any], prefix: str = "", depth: int = 1
) -> Iterator[tuple[str, Any]]:
    """Yield ``(dotted path, value)`` for every leaf; an empty dict is a leaf."""
    for name, value in nested.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and depth < VALUE_DEPTH_MAX:
            yield from flatten(value, f"{path}.", depth + 1)
        else:
            yield path, value


def dotted_names(
    nested: Mapping[Any, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[str, list[str]]]:
    """Yield ``(dotted path, names)`` for every leaf that has a dot in one of its names."""
    for name, value in nested.items():
        names = (*above, str(name))
        if isinstance(value, dict) and value and len(names) < VALUE_DEPTH_MAX:
            yield from dotted_names(value, names)
        elif any("." in each for each in names):
            yield ".".join(names), list(names)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One row of `attributes`, read back.

    Attributes:
        names: of the dicts and of the value, if one has a dot; else empty.
    """

    version: int
    path: str
    value: Any
    deleted: bool
    names: tuple[str, ...] = ()


def nest(
    assignments: Iterable[Assignment], *, onto: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the nested dict that results from ``assignments``, applied oldest first.

    At equal times deletions come first, because one change may clear a path and fill it again. A
    value below a path with its own value keeps its whole name, so both are kept in any order:
    ``wd`` and ``wd.bias`` give ``{"wd": 1, "wd.bias": 2}``. A writer that replaces a dict by a
    value, or the reverse, deletes the old paths.

    Args:
        onto: the content before the first assignment; changed in place. A dot in one of its names
            is part of the name. No deletion of a name above deletes it.
    """
    result: dict[str, Any] = {} if onto is None else onto
    kept = frozenset(result)
    for each in sorted(assignments, key=lambda row: (row.version, not row.deleted, row.path)):
        if each.deleted:
            _delete(result, each.path, kept)
            continue
        place, name = _descend(result, each.path, each.names, create=True)
        below = place.get(name)
        if isinstance(below, dict) and below:  # Values below the name keep their whole names.
            place |= {f"{name}.{path}": value for path, value in flatten(below)}
        place[name] = each.value
    return result


def value_at(nested: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the value at ``path`` in a result of ``nest``, else ``default``."""
    place, name = _descend(dict(nested), path, (), create=False)
    return place.get(name, default)


def value_key(value: Any) -> str:
    """Return a text that only equal values have.

    1 and 1.0 are equal, as are dicts with another order of names. 1 is not true, and NaN is not
    the text "NaN".
    """
    if isinstance(value, float) and value.is_integer():
        return json.dumps(int(value))
    if isinstance(value, Mapping):
        items = sorted((json.dumps(str(name)), value_key(item)) for name, item in value.items())
        return f"{{{','.join(f'{name}:{item}' for name, item in items)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(value_key, value))}]"
    return json.dumps(value)


def _delete(place: dict[str, Any], path: str, kept: frozenset[str]) -> None:
    """Delete ``path`` and all below it, except ``kept`` names of ``place`` below it."""
    for held in list(place):
        if held == path or (held.startswith(f"{path}.") and held not in kept):
            del place[held]
        elif path.startswith(f"{held}.") and isinstance(place[held], dict):
            _delete(place[held], path[len(held) + 1 :], frozenset())


def _descend(
    place: dict[str, Any], path: str, names: tuple[str, ...], *, create: bool
) -> tuple[dict[str, Any], str]:
    """Return the dict that holds ``path``, and the name in it.

    If no dict is created, an empty dict outside of the tree replaces a missing one.

    Args:
        names: those of the path; empty: each dot that is not part of a present name separates two.
    """
    name, parents = path, list(names[:-1])
    while parents or (not names and name not in place and "." in name):
        parent = parents.pop(0) if parents else name.partition(".")[0]
        rest = name[len(parent) + 1 :]
        below = place.get(parent)
        if below is None and parent not in place:
            below = {}
            if create:
                place[parent] = below
        if not isinstance(below, dict):
            break  # The parent has its own value.
        place, name = below, rest
    return place, name


def _nearest_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
