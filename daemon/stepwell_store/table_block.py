"""Columns of a table's block from arrays, with the declared types and order."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from stepwell_store.native import Column, number_column, tuple_column
from stepwell_store.table_spec import TableSpec, tuple_members

Values = Column | NDArray[Any] | tuple[NDArray[Any], ...]
"""A column: complete, or its numbers, or those of each element of a Tuple."""


def block_columns(table: TableSpec, values: Mapping[str, Values]) -> tuple[Column, ...]:
    """Return the columns of a block of ``table``; ``values`` may have more than these, by name."""
    return tuple(
        _column(column.name, column.type, values[column.name]) for column in table.block_columns()
    )


def _column(name: str, type_name: str, values: Values) -> Column:
    if isinstance(values, Column):
        assert (values.name, values.type) == (name, type_name), values
        return values
    if isinstance(values, tuple):
        members = zip(tuple_members(type_name), values, strict=True)
        return tuple_column(name, *(number_column(*member, part) for member, part in members))
    return number_column(name, type_name, values)
