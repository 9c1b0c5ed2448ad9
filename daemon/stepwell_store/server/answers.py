"""Rows of an answer by the names of their columns, in the form of the embedded engine."""

from collections.abc import Sequence
from typing import Any

from stepwell_store.native import split_types


def rows_by_name(rows: Sequence[Any], columns: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return ``rows`` as dicts; ``columns`` are names and types."""
    return [
        {
            name: named_values(type_name, value)
            for (name, type_name), value in zip(columns, row, strict=True)
        }
        for row in rows
    ]


def named_values(type_name: str, value: Any) -> Any:
    """Return ``value`` of ``type_name`` with named tuples as dicts, as in the embedded engine."""
    outer, _, inner = type_name.partition("(")
    if outer in ("Nullable", "LowCardinality", "SimpleAggregateFunction") and value is not None:
        inner = inner[:-1]
        return named_values(split_types(inner)[-1] if outer[0] == "S" else inner, value)
    if outer == "Tuple" and value is not None:
        members = [each.partition(" ") for each in split_types(inner[:-1])]
        if all(rest and "(" not in name for name, _, rest in members):
            return {
                name: named_values(rest, item)
                for (name, _, rest), item in zip(members, value, strict=True)
            }
        return list(value)
    return value
