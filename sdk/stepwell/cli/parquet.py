"""Writes rows to Parquet files in row groups, by pyarrow, which comes with the embedded engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, BinaryIO, Final

GROUP_ROWS_MAX: Final = 65_536
GROUP_VALUES_MAX: Final = 2_000_000


class ColumnKind(Enum):
    """The type of a column, by Arrow's name."""

    INTEGER = "int64"
    FLOAT = "float64"
    TEXT = "string"


@dataclass(frozen=True, slots=True)
class ParquetColumn:
    """A column; if it is ``optional``, a missing value or None is null."""

    name: str
    kind: ColumnKind
    optional: bool = True


class ParquetWriter:
    """Writes rows to ``file`` a row group at a time; ``close`` makes it complete."""

    def __init__(self, file: BinaryIO, columns: Sequence[ParquetColumn]) -> None:
        import pyarrow
        import pyarrow.parquet

        self._arrow = pyarrow
        self._columns = columns
        self._rows: list[Mapping[str, Any]] = []
        self._value_count = 0
        self._schema = pyarrow.schema(
            [
                pyarrow.field(_text(column.name), column.kind.value, nullable=column.optional)
                for column in columns
            ]
        )
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        self._value_count += len(row)
        if len(self._rows) >= GROUP_ROWS_MAX or self._value_count >= GROUP_VALUES_MAX:
            self._end_group()

    def close(self) -> None:
        self._end_group()
        self._writer.close()

    def _end_group(self) -> None:
        if not self._rows:
            return
        arrays = [
            self._arrow.array(
                [_cell(column, row.get(column.name)) for row in self._rows], column.kind.value
            )
            for column in self._columns
        ]
        self._writer.write_table(self._arrow.table(arrays, schema=self._schema))
        self._rows = []
        self._value_count = 0


def _cell(column: ParquetColumn, value: Any) -> Any:
    return _text(value) if column.kind is ColumnKind.TEXT and value is not None else value


def _text(value: str) -> str:
    """Return ``value`` without lone surrogates, which no UTF-8 file can hold."""
    return value.encode("utf-8", "backslashreplace").decode()
