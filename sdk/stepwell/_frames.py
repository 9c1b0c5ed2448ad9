"""Data frames of pandas, polars and pyarrow, as columns of Python objects.

None of these packages is imported here: a value is known by its class.
"""

from typing import Any, Final, NamedTuple

from stepwell._row_labels import label_columns

_FRAMES: Final = {
    "pandas": frozenset(("DataFrame",)),
    "polars": frozenset(("DataFrame",)),
    "pyarrow": frozenset(("RecordBatch", "Table")),
}
_COLUMNS: Final = {"polars": "to_list", "pyarrow": "to_pylist"}
"""The method with the values of one column, by package."""


class Frame(NamedTuple):
    """The columns of a data frame.

    Attributes:
        labels: names of the columns with the row labels of pandas.
        names: of the other columns.
        values: of all columns, the labels first; None for a missing value, among floats of pandas
            NaN.
    """

    labels: list[Any]
    names: list[Any]
    values: list[list[Any]]


def is_frame(value: Any) -> bool:
    """Whether it is a data frame; of pandas also what has its interface."""
    if hasattr(value, "itertuples") and hasattr(value, "columns"):
        return True
    return any(each.__name__ in _FRAMES.get(_package_of(each), ()) for each in type(value).__mro__)


def read_frame(frame: Any) -> Frame:
    """Return the columns of ``frame``, for which `is_frame` is True."""
    if hasattr(frame, "itertuples"):
        names = list(frame.columns)
        labels = label_columns(frame.index, names)
        places = range(len(names))
        values = [*labels.values(), *(_values_of(frame.iloc[:, place]) for place in places)]
        return Frame([*labels], names, values)
    if hasattr(frame, "column_names"):  # pyarrow: names may be there twice.
        values = [frame.column(place).to_pylist() for place in range(frame.num_columns)]
        return Frame([], list(frame.column_names), values)
    return Frame([], list(frame.columns), [each.to_list() for each in frame.get_columns()])


def is_column(value: Any) -> bool:
    """Whether it is a Series of polars or an array of pyarrow."""
    method = _COLUMNS.get(_package_of(type(value)))
    return (
        method is not None
        and hasattr(value, method)
        and hasattr(value, "__len__")
        and not is_frame(value)
    )


def column_values(column: Any) -> list[Any]:
    """Return the values of ``column``, for which `is_column` is True."""
    values: list[Any] = getattr(column, _COLUMNS[_package_of(type(column))])()
    return values


def _package_of(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _values_of(series: Any) -> list[Any]:
    values: list[Any] = series.tolist()
    missing = series.isna().tolist()
    if not any(missing):
        return values
    has_floats = getattr(series.dtype, "kind", "") == "f"
    return [
        None if is_gone and not (has_floats and isinstance(value, float)) else value
        for value, is_gone in zip(values, missing, strict=True)
    ]
