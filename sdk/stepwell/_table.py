"""Tables: rows under named columns, with media in cells.

`log` copies the rows of that moment to a staged file; the daemon makes Parquet of it. The only
limit of rows is the size of a blob.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from stepwell._argument_names import checks_names
from stepwell._array_items import array_items, as_numpy
from stepwell._frames import is_frame, read_frame
from stepwell._image import image_of
from stepwell._json_conversion import Conversion
from stepwell._media import Media
from stepwell._names import Warn, text_of
from stepwell._row_labels import is_labelled, is_series
from stepwell._staging import Stage, blobs_in
from stepwell_wire.staged import TABLE
from stepwell_wire.table_rows import COLUMNS_MAX

_LOG_MODES: Final = ("IMMUTABLE", "MUTABLE", "INCREMENTAL")
_COLUMNS_TOLD_MAX: Final = 100
_DEFAULT_COLUMNS: Final = ("Input", "Output", "Expected")
_KINDS: Final[Mapping[Any, tuple[type, ...]]] = {
    int: (int,),
    float: (int, float),
    str: (str,),
    bool: (bool,),
}


def make_media(value: Any, stage: Stage | None) -> Media | None:
    """Return an object of another package as media; None for other values.

    A picture of PIL or a figure of matplotlib is an image. Where media are kept, a data frame and a
    Series of pandas with row labels are tables, and a figure of plotly is one of ours.
    """
    if type(value).__module__.partition(".")[0] == "plotly":
        from stepwell._plotly import Plotly, is_plotly

        return Plotly(value) if stage is not None and is_plotly(value) else None
    is_table = is_frame(value)
    if not is_table and not is_series(value):
        return image_of(value)
    if stage is None:
        return None
    if is_series(value) and is_labelled(value):
        return Table(dataframe=_frame_of(value))
    return Table(dataframe=value) if is_table else None


class Table(Media):
    """Rows under named columns.

    Values may be None, numbers, texts, moments, lists, dicts, scalars of numpy, and media. A column
    of several kinds is kept as text, with the kind of each value beside it.

    Args:
        columns: names; default: Input, Output and Expected.
        data: rows, of which each is a list or a dict by column; a two-dimensional array, or a data
            frame. Without ``columns`` the keys of dicts are the columns.
        rows: another name of ``data``.
        dataframe: a DataFrame of pandas or polars, or a Table of pyarrow. Row labels of pandas that
            are not 0, 1, 2 … become the first columns; a row that is added later may leave them
            out.
        dtype: a type for all columns, or one for each; int, float, str or bool are checked.
            Row labels are not counted.
        optional: whether None is allowed, for all columns or for each one.
        allow_mixed_types: without effect: several kinds are always allowed but where ``dtype`` says
            otherwise.
        log_mode: IMMUTABLE, MUTABLE or INCREMENTAL; each `log` keeps the rows as they are then.

    Raises:
        TypeError: An argument or a value is not of a kind that is possible there.
        ValueError: A row has not one value for each column, or there are too many columns.
    """

    type = "table-file"
    is_kept = True

    @checks_names
    def __init__(
        self,
        columns: Sequence[Any] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: bool | Sequence[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = "IMMUTABLE",
    ) -> None:
        super().__init__()
        if log_mode is not None and log_mode not in _LOG_MODES:
            raise ValueError(
                f"Table: log_mode is {log_mode!r}; expected one of {', '.join(_LOG_MODES)}"
            )
        self.log_mode = log_mode
        given = data if data is not None else rows
        if given is None and dataframe is None:
            if is_frame(columns) or (is_series(columns) and not _are_names(columns)):
                columns, given = None, columns
            _check_names(columns)
        if dataframe is None and is_series(given) and _is_one_column(given, columns):
            dataframe = _frame_of(given, columns)
        elif dataframe is None and is_frame(given):
            dataframe = given
        self.data: list[list[Any]] = []
        self._label_count = 0
        if dataframe is not None:
            if not is_frame(dataframe):
                kind = type(dataframe)
                raise TypeError(
                    "Table: expected a DataFrame of pandas or polars, or a Table of pyarrow, as "
                    f"dataframe, not a {kind.__module__}.{kind.__qualname__}"
                )
            frame = read_frame(dataframe)
            if columns is not None and list(columns) != frame.names:
                text = "Table: columns is without effect with a DataFrame, which has its own"
                warnings.warn(text, UserWarning, stacklevel=3)
            self._label_count = len(frame.labels)
            columns, given = [*frame.labels, *frame.names], zip(*frame.values, strict=True)
        read_rows = _read(given)
        if columns is None:
            read_rows = list(read_rows)
            if read_rows and all(isinstance(each, Mapping) for each in read_rows):
                columns = list(dict.fromkeys(name for each in read_rows for name in each))
        self.columns: list[Any] = list(_DEFAULT_COLUMNS if columns is None else columns)
        if len(self.columns) > COLUMNS_MAX:
            raise ValueError(f"Table: {len(self.columns)} columns; at most {COLUMNS_MAX}")
        self._checks: dict[Any, tuple[type, ...]] = {}
        self._required: set[Any] = set()
        self._set_types(dtype, optional)
        for number, row in enumerate(read_rows):
            if isinstance(row, Mapping):
                self.add_data(*self._values_of(row))
            elif isinstance(row, str | bytes) or not _has_items(row):
                raise TypeError(
                    f"Table: row {number} of data is a {type(row).__name__}; expected a list of "
                    f"{_values(len(self.columns))}, or a dict of them by column"
                )
            else:
                self.add_data(*row)

    def _set_types(self, dtype: Any, optional: bool | Sequence[bool]) -> None:
        columns = self.columns[self._label_count :]
        kinds = _one_each(dtype, columns, "dtype")
        for name, kind in zip(columns, kinds, strict=True):
            if kind in _KINDS:
                self._checks[name] = _KINDS[kind]
        allowed = _one_each(optional, columns, "optional")
        self._required = {
            name for name, each in zip(columns, allowed, strict=True) if each is False
        }

    # ------------------------------------------------------------------ writing

    def add_data(self, *data: Any) -> None:
        """Append one row, as values or as one dict of them by column.

        Raises:
            TypeError: A value has not the ``dtype`` of its column, or is None and not optional.
            ValueError: Too few or too many values.
        """
        others = len(self.columns) - self._label_count
        if len(data) == 1 and others > 1 and isinstance(data[0], Mapping):
            data = self._values_of(data[0])
        elif data and all(isinstance(each, str) for each in data) and list(data) == self.columns:
            text = "Table: a row has the names of the columns as its values; a dict is added as "
            warnings.warn(text + "add_data(row), without *", UserWarning, stacklevel=2)
        if self._label_count and len(data) == len(self.columns) - self._label_count:
            data = ((None,) * self._label_count) + data
        if len(data) != len(self.columns):
            hint = "; pass columns= for others" if self.columns == [*_DEFAULT_COLUMNS] else ""
            is_list = len(data) == 1 and (
                isinstance(data[0], list | tuple) or getattr(data[0], "ndim", 0) == 1
            )
            if is_list and len(data[0]) == len(self.columns):
                hint = "; for a list of values, add_data(*values)"
            raise ValueError(
                f"a row has {_values(len(data))}, but the table has {len(self.columns)} "
                f"columns: {self.columns}{hint}"
            )
        if self._checks or self._required:
            for name, value in zip(self.columns, data, strict=True):
                self._check(name, value)
        self.data.append(list(data))

    def _values_of(self, row: Mapping[Any, Any]) -> tuple[Any, ...]:
        """Return the values of a row that is a dict, in the order of the columns; None for a gap.

        Raises:
            ValueError: The row has names that are no columns.
        """
        names = self.columns
        if not any(label in row for label in names[: self._label_count]):
            names = names[self._label_count :]
        if not row.keys() <= set(names):
            unknown = [name for name in row if name not in names]
            raise ValueError(
                f"a row is a dict with the names {unknown}, but the table has the columns "
                f"{self.columns}"
            )
        return tuple(row.get(name) for name in names)

    def add_row(self, *row: Any) -> None:
        """See `add_data`."""
        self.add_data(*row)

    def add_column(self, name: str, data: Any, optional: bool = False) -> None:
        """Append a column; ``optional`` is without effect.

        Raises:
            ValueError: The column exists, or there are too few or too many values.
        """
        data = as_numpy(data)
        values = _items_of(data) if hasattr(data, "tolist") else list(data)
        if name in self.columns:
            raise ValueError(f"the table already has a column {name!r}")
        if self.columns and len(values) != len(self.data):
            raise ValueError(f"{len(values)} values for {len(self.data)} rows in column {name!r}")
        if not self.columns:
            self.data = [[] for _ in values]
        self.columns.append(name)
        for row, value in zip(self.data, values, strict=True):
            row.append(value)

    def add_computed_columns(self, fn: Callable[[int, dict[Any, Any]], Any]) -> None:
        """Append the columns that ``fn(index, row)`` returns as a dict for each row."""
        made = [fn(index, self._named(row)) for index, row in self.iterrows()]
        for name in made[0] if made else ():
            self.add_column(name, [each[name] for each in made])

    def cast(self, col_name: str, dtype: Any, optional: bool = False) -> None:
        """Check the values of a column, now and later, for int, float, str or bool.

        Raises:
            TypeError: A value has another type.
        """
        self._place(col_name)
        if dtype not in _KINDS:
            return
        self._checks[col_name] = _KINDS[dtype]
        if not optional:
            self._required.add(col_name)
        for value in self.get_column(col_name):
            self._check(col_name, value)

    def set_pk(self, col_name: str) -> None:
        """No effect."""

    def set_fk(self, col_name: str, table: Any, table_col: str) -> None:
        """No effect."""

    # ------------------------------------------------------------------ reading

    def get_column(self, name: str, convert_to: str | None = None) -> Any:
        """Return a column's values, as a list or with ``convert_to="numpy"`` as an array.

        Raises:
            ValueError: There is no such column.
        """
        place = self._place(name)
        values = [row[place] for row in self.data]
        if convert_to == "numpy":
            import numpy

            return numpy.array(values)
        return values

    def get_index(self) -> list[int]:
        return list(range(len(self.data)))

    def get_dataframe(self) -> Any:
        """Return the rows as a pandas DataFrame. This imports pandas."""
        import pandas

        return pandas.DataFrame(self.data, columns=self.columns)

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield each row with its number."""
        yield from enumerate(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self.data)} × {len(self.columns)}>"

    # ------------------------------------------------------------------ keeping

    def described(self, stage: Stage | None, warn: Warn) -> dict[str, Any]:
        """Stage the rows and return their value for the history."""
        about: dict[str, Any] = {"_type": self.type}
        names = [_text(name) for name in self.columns]
        if stage is None:
            about |= {"blob": None, "failed": "media are kept by log() and the summary only"}
        else:
            about |= self._staged(names, stage, warn)
        shown = [name[:200] for name in names[:_COLUMNS_TOLD_MAX]]
        about |= {"columns": shown, "nrows": len(self.data), "ncols": len(self.columns)}
        return about

    def _staged(self, names: list[str], stage: Stage, warn: Warn) -> dict[str, Any]:
        from stepwell._table_rows import pack_rows

        in_cells: list[str] = []

        def describe(value: Any) -> Any:
            if isinstance(value, Table):
                return repr(value)
            described = Conversion(warn, stage, make_media=_make_cell_media).convert(value)
            in_cells.extend(blobs_in(described))
            return described

        about: dict[str, Any]
        try:
            pieces = list(pack_rows(names, self.data, describe))
        except ValueError as error:  # The program changed a row of the list.
            about = {"blob": None, "failed": f"rows of different lengths: {error}"}
        else:
            about = stage.keep(TABLE, {}, pieces)
        stage.note_within(about, in_cells)
        return about

    def _check(self, name: Any, value: Any) -> None:
        if value is None:
            if name in self._required:
                raise TypeError(f"column {name!r}: None in a column that is not optional")
            return
        kinds = self._checks.get(name)
        if kinds is None:
            return
        plain = value.item() if hasattr(value, "item") else value
        if not isinstance(plain, kinds) or (isinstance(plain, bool) and bool not in kinds):
            raise TypeError(
                f"column {name!r}: expected {' or '.join(kind.__name__ for kind in kinds)} "
                f"as its dtype, not {type(value).__name__}"
            )

    def _place(self, name: Any) -> int:
        try:
            return self.columns.index(name)
        except ValueError:
            raise ValueError(f"no column {name!r}; the columns are {self.columns}") from None

    def _named(self, row: Iterable[Any]) -> dict[Any, Any]:
        return dict(zip(self.columns, row, strict=True))


def _make_cell_media(value: Any, stage: Stage | None) -> Media | None:
    """As `make_media`; a Series in a cell is a dict."""
    return None if is_series(value) else make_media(value, stage)


class EvalTable(Table):
    """A table with the interface of `Table`."""


def _items_of(array: Any) -> Any:
    """Return the items; the rows of a structured array of numpy without its names."""
    items = array_items(array, cuts=True)
    if getattr(getattr(array, "dtype", None), "names", None) and isinstance(items, list):
        return [tuple(row.values()) if isinstance(row, dict) else row for row in items]
    return items


def _are_names(series: Any) -> bool:
    return all(isinstance(each, str) for each in series)


def _is_one_column(series: Any, columns: Sequence[Any] | None) -> bool:
    """Whether a Series is a column of values, and not of rows."""
    if columns is not None and len(columns) != 1:
        return False
    return not any(isinstance(each, list | tuple | Mapping) for each in series)


def _has_items(row: Any) -> bool:
    """Whether it can be a row; a record of numpy has items, but no method for `iter`."""
    return isinstance(row, Iterable) or (hasattr(row, "__len__") and hasattr(row, "__getitem__"))


def _frame_of(series: Any, columns: Sequence[Any] | None = None) -> Any:
    """Return a Series of pandas as a data frame of one column, which one name in ``columns`` names.

    Row labels become columns of their own, see `read_frame`.
    """
    if columns is not None and len(columns) == 1:
        return series.to_frame(columns[0])
    return series.to_frame("value" if series.name is None else series.name)


def _check_names(columns: Any) -> None:
    """Raise if the columns of a table without rows are rows themselves."""
    is_dict = isinstance(columns, Mapping)
    given = columns.values() if is_dict else columns if isinstance(columns, list | tuple) else ()
    rows = (list, tuple) if is_dict else (list, Mapping)  # A name may be a tuple.
    has_rows = any(isinstance(each, rows) or getattr(each, "ndim", 0) > 0 for each in given)
    if has_rows or isinstance(columns, str | bytes) or getattr(columns, "ndim", 1) > 1:
        kind = "list of rows" if has_rows and not is_dict else type(columns).__name__
        raise TypeError(
            f"Table: columns is a {kind}; expected a list of names. Pass rows as data=…"
        )


def _read(given: Any) -> Iterable[Sequence[Any]]:
    if given is None:
        return ()
    if isinstance(given, Mapping):
        raise TypeError(
            "Table: data is a dict; expected rows. Of a dict of columns make a data frame: "
            "data=pandas.DataFrame(…)"
        )
    given = as_numpy(given)
    if hasattr(given, "tolist"):
        given = _items_of(given)
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"Table: data is a {type(given).__name__}; expected rows or a DataFrame")
    return given


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _one_each(given: Any, columns: Sequence[Any], name: str) -> Sequence[Any]:
    if not isinstance(given, list | tuple):
        return [given] * len(columns)
    if len(given) != len(columns):
        raise ValueError(f"Table: {name} has {len(given)} values for {len(columns)} columns")
    return given


def _text(name: Any) -> str:
    return text_of(name)
