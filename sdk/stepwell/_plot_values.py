"""The arguments of `stepwell.plot` as lists of Python objects."""

from collections.abc import Iterable, Mapping
from typing import Any

from stepwell._array_items import array_items, as_numpy
from stepwell._frames import column_values, is_column, is_frame, read_frame


def list_of(values: Any) -> list[Any]:
    """Return a sequence or an array as a list of Python objects."""
    if is_column(values):
        return column_values(values)
    values = as_numpy(values)
    if not hasattr(values, "tolist"):
        return [_plain(each) for each in values]
    items: list[Any] = array_items(values, cuts=True)
    return items


def rows_of(values: Any) -> list[list[Any]]:
    """Return the rows of nested sequences, of an array or of a data frame.

    Raises:
        TypeError: A row is no sequence.
    """
    if is_frame(values):
        frame = read_frame(values)
        return [list(row) for row in zip(*frame.values[len(frame.labels) :], strict=True)]
    return [list_of(row) for row in list_of(values)]


def classes_of(values: Any, what: str, hint: str) -> list[Any]:
    """Return the class of each sample, also of an array or a data frame of one column.

    Args:
        what: the values, for errors.
        hint: what to pass if there are several values for each sample.

    Raises:
        ValueError: There are several values for each sample.
    """
    items = rows_of(values) if is_frame(values) else list_of(values)
    if not any(isinstance(each, list) for each in items):
        return items
    if all(isinstance(each, list) and len(each) == 1 for each in items):
        return [each[0] for each in items]
    raise ValueError(f"{what} has several values for a sample; expected one class. {hint}")


def has_class(value: Any) -> bool:
    """Whether the class of a sample is known: it is not None and no NaN."""
    try:
        return value is not None and bool(value == value)
    except TypeError:  # NA of pandas is neither equal nor different.
        return False


def lines_of(values: Any) -> tuple[list[list[Any]], list[Any] | None]:
    """Return the values of each line, and the lines' names: those of a dict or of a data frame.

    A flat sequence is one line.
    """
    if is_frame(values):
        frame = read_frame(values)
        at = len(frame.labels)
        return [list(each) for each in frame.values[at:]], list(frame.names)
    if isinstance(values, Mapping):
        return [list_of(each) for each in values.values()], list(values)
    items = list_of(values)
    if items and not any(_is_many(each) for each in items):
        return [items], None
    return [list_of(each) for each in items], None


def _is_many(value: Any) -> bool:
    is_text = isinstance(value, str | bytes)
    return isinstance(value, Iterable) and not is_text and getattr(value, "ndim", 1) > 0


def _plain(value: Any) -> Any:
    """Return a scalar of numpy or a tensor of one as a Python object, an array as a list."""
    if not hasattr(value, "item") or not hasattr(value, "ndim"):
        return value
    return value.tolist() if value.ndim else value.item()
