"""Nested values as rows of `attributes`, one per path, and back.

    {"optimizer": {"lr": 0.1}}  ⇄  path "optimizer.lr", type "float", float 0.1

A name that holds a dot means the same as nesting, except below a path that has a value of its own.
Each path carries the time it was set; applied in that order, a later value replaces the one of its
path, and a deletion removes everything below its path as well.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepwell_wire.limits import VALUE_DEPTH_MAX

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TypedValue:
    """One value in typed columns; ``type`` says which of them counts."""

    type: str
    number: float = 0.0
    integer: int = 0
    text: str = ""


def typed(value: object) -> TypedValue:
    """Return ``value`` as the columns hold it; what is no scalar becomes JSON."""
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
    """Return the value that ``typed`` was given."""
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
    """Return ``value`` as JSON; what JSON has no form for becomes its ``repr``."""
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


@dataclass(frozen=True, slots=True)
class Assignment:
    """One row of `attributes`, read back."""

    version: int
    path: str
    value: Any
    deleted: bool


def nest(
    assignments: Iterable[Assignment], *, onto: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the nested dict that ``assignments`` leave, applied oldest first.

    At the same time deletions come first: one change may clear a path and fill it anew. A value
    below a path that has a value of its own keeps its whole name, so that both are kept, in
    whichever order they were set: ``wd`` and ``wd.bias`` give ``{"wd": 1, "wd.bias": 2}``. Whoever
    replaces a dict by a value, or the reverse, deletes the paths that are gone.

    Args:
        onto: the content before the first assignment; changed in place. A name in it may hold
            dots and is then meant whole.
    """
    result: dict[str, Any] = {} if onto is None else onto
    for each in sorted(assignments, key=lambda row: (row.version, not row.deleted, row.path)):
        place, name = _descend(result, each.path, create=not each.deleted)
        if each.deleted:
            for held in [each for each in place if each == name or each.startswith(f"{name}.")]:
                del place[held]
            continue
        below = place.get(name)
        if isinstance(below, dict) and below:  # Values below the name keep their whole names.
            place |= {f"{name}.{path}": value for path, value in flatten(below)}
        place[name] = each.value
    return result


def value_at(nested: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the value that ``nest`` left at ``path``, else ``default``."""
    place, name = _descend(dict(nested), path, create=False)
    return place.get(name, default)


def _descend(place: dict[str, Any], path: str, *, create: bool) -> tuple[dict[str, Any], str]:
    """Return the dict that holds ``path``, and the name there.

    Where nothing is created, a dict that is in no tree stands for a missing one.
    """
    name = path
    while name not in place and "." in name:
        parent, _, rest = name.partition(".")
        below = place.get(parent)
        if below is None and parent not in place:
            below = {}
            if create:
                place[parent] = below
        if not isinstance(below, dict):
            break  # The parent has a value of its own.
        place, name = below, rest
    return place, name


def _nearest_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
