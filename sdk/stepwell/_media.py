"""Media, as scripts build them: what all kinds share, and those whose content is not kept yet.

Of these `log` keeps what their class is and what their maker wrote beside them, so that a reader
sees that something was logged there. Kinds that are kept are in files of their own: `_image.py`,
`_files.py`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from stepwell._staging import Stage
    from stepwell._values import Warn

_CAPTION_CHARACTERS_MAX: Final = 1000


class Media:
    """What a script logs that is neither a number nor a text.

    Attributes:
        type: the name under which its place in the history says what it was.
        list_type: that of a list of them, "" where a list has no type of its own.
        is_kept: whether `log` keeps the content.
        given: the arguments, by name.
    """

    type: ClassVar[str] = "media"
    list_type: ClassVar[str] = ""
    is_kept: bool = False
    parameters: ClassVar[tuple[str, ...]] = ()
    """Names of what it takes, in order; an unknown one is a TypeError."""

    def __init__(self, *values: Any, **named: Any) -> None:
        if len(values) > len(self.parameters):
            raise TypeError(
                f"{type(self).__name__}() takes {len(self.parameters)} values, not {len(values)}"
            )
        given = dict(zip(self.parameters, values, strict=False))
        for name, value in named.items():
            if name not in self.parameters or name in given:
                raise TypeError(
                    f"{type(self).__name__}() has no argument {name!r} beside those given; "
                    f"it takes {', '.join(self.parameters)}"
                )
            given[name] = value
        self.given = given
        self.caption = given.get("caption")

    def described(self, stage: "Stage | None", warn: "Warn") -> dict[str, Any]:
        """Return what the history keeps in its place; the bytes of what is kept go to ``stage``.

        Args:
            stage: None where media are not kept, such as in a config.
        """
        return {"_type": self.type, "kept": False, **self.caption_field()}

    def caption_field(self) -> dict[str, Any]:
        if self.caption is None:
            return {}
        text = str(self.caption)[:_CAPTION_CHARACTERS_MAX]
        return {"caption": text.encode("utf-8", "replace").decode("utf-8")}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, not kept>"


class Plotly(Media):
    type = "plotly-file"
    parameters = ("val",)


class Bokeh(Media):
    type = "bokeh-file"
    parameters = ("data_or_path",)


class Graph(Media):
    type = "graph-file"
    parameters = ("format",)


class Classes(Media):
    type = "classes"
    parameters = ("class_set",)


class CustomChart(Media):
    """A chart with a table of its own, as the functions of `stepwell.plot` return it."""

    type = "custom-chart"
    parameters = ("id", "data", "fields", "string_fields", "split_table")


def box3d(
    *,
    center: Sequence[float],
    size: Sequence[float],
    orientation: Sequence[float],
    color: Sequence[int],
    label: str | None = None,
    score: float | None = None,
) -> dict[str, Any]:
    """Return a box for `Object3D.from_point_cloud`."""
    return {
        "center": list(center),
        "size": list(size),
        "orientation": list(orientation),
        "color": list(color),
        "label": label,
        "score": score,
    }


class Table(Media):
    """Rows under named columns. It can be filled and read; it is not stored yet."""

    type = "table-file"

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
        if dataframe is None and hasattr(data, "columns") and hasattr(data, "itertuples"):
            dataframe, data = data, None
        if dataframe is not None:
            self.columns = list(dataframe.columns)
            self.data: list[list[Any]] = [list(row) for row in dataframe.itertuples(index=False)]
            return
        self.columns = list(columns) if columns is not None else ["Input", "Output", "Expected"]
        given = data if data is not None else rows
        self.data = []
        for row in given if given is not None else ():
            self.add_data(*row)

    def add_data(self, *data: Any) -> None:
        """Append one row.

        Raises:
            ValueError: Not one value for each column.
        """
        if len(data) != len(self.columns):
            raise ValueError(
                f"a row has {len(data)} values, and the table {len(self.columns)} columns: "
                f"{self.columns}"
            )
        self.data.append(list(data))

    def add_row(self, *row: Any) -> None:
        self.add_data(*row)

    def add_column(self, name: str, data: Sequence[Any], optional: bool = False) -> None:
        """Append a column.

        Raises:
            ValueError: The name is taken, or there is not one value for each row.
        """
        values = list(data)
        if name in self.columns:
            raise ValueError(f"the table has a column {name!r} already")
        if self.columns and len(values) != len(self.data):
            raise ValueError(f"{len(values)} values for {len(self.data)} rows in column {name!r}")
        if not self.columns:
            self.data = [[] for _ in values]
        self.columns.append(name)
        for row, value in zip(self.data, values, strict=True):
            row.append(value)

    def add_computed_columns(self, fn: Any) -> None:
        """Append the columns that ``fn(index, row)`` returns as a dict for each row."""
        made = [fn(index, self._named(row)) for index, row in self.iterrows()]
        for name in made[0] if made else ():
            self.add_column(name, [each[name] for each in made])

    def get_column(self, name: str, convert_to: str | None = None) -> Any:
        place = self.columns.index(name)
        values = [row[place] for row in self.data]
        if convert_to == "numpy":
            import numpy

            return numpy.array(values)
        return values

    def get_index(self) -> list[int]:
        return list(range(len(self.data)))

    def get_dataframe(self) -> Any:
        import pandas

        return pandas.DataFrame(self.data, columns=self.columns)

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        yield from enumerate(self.data)

    def cast(self, col_name: str, dtype: Any, optional: bool = False) -> None:
        """No effect: values are kept as they are."""

    def set_pk(self, col_name: str) -> None:
        """No effect."""

    def set_fk(self, col_name: str, table: Any, table_col: str) -> None:
        """No effect."""

    def described(self, stage: "Stage | None", warn: "Warn") -> dict[str, Any]:
        about = super().described(stage, warn)
        names = [str(name)[:200] for name in self.columns[:100]]
        return {**about, "columns": names, "nrows": len(self.data), "ncols": len(self.columns)}

    def _named(self, row: Iterable[Any]) -> dict[Any, Any]:
        return dict(zip(self.columns, row, strict=True))


class EvalTable(Table):
    """As `Table`."""


class JoinedTable(Media):
    type = "joined-table"
    parameters = ("table1", "table2", "join_key")
