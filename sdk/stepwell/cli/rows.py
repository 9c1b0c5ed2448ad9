"""Converts history rows to bytes: csv, jsonl and parquet, one row at a time.

|         | NaN, infinities            | None  | lists, dicts | not logged |
| jsonl   | "NaN", "Infinity", "-Inf…" | null  | JSON         | no such key |
| csv     | NaN, Infinity, -Infinity   | empty | JSON         | empty |
| parquet | as they are                | null  | JSON in text | null |
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

from stepwell.cli.parquet import ColumnKind, ParquetColumn, ParquetWriter
from stepwell.cli.text import json_number, json_text, jsonable

FORMATS: Final = ("csv", "jsonl", "parquet")


class HistoryColumn(NamedTuple):
    """A metric as a column.

    Attributes:
        name: name of the column.
        metric: name under which it was logged.
        floats_only: every value of it is a float; else parquet holds it as text.
    """

    name: str
    metric: str
    floats_only: bool = True


class OwnColumns(NamedTuple):
    """The columns before the metrics, besides ``_step`` and ``_timestamp``."""

    run: bool = False
    label: bool = False

    def names(self) -> list[str]:
        head, tail = ["_run"] * self.run, ["_label"] * self.label
        return [*head, "_step", "_timestamp", *tail]


class RowWriter(Protocol):
    def write(self, row: Mapping[str, Any]) -> None: ...

    def close(self) -> None:
        """Complete the bytes; the file stays open."""


def row_writer(
    format_name: str, file: BinaryIO, columns: Sequence[HistoryColumn], own: OwnColumns
) -> RowWriter:
    """Return a writer of rows with ``own`` columns, then ``columns``."""
    match format_name:
        case "jsonl":
            return _JsonLines(file)
        case "csv":
            return _Csv(file, [*own.names(), *(column.name for column in columns)])
    assert format_name == "parquet"
    return _Parquet(file, columns, own)


class _JsonLines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._encode = json.JSONEncoder(
            ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode

    def write(self, row: Mapping[str, Any]) -> None:
        try:
            line = self._encode(row)
        except ValueError:  # It has a NaN or an infinity.
            line = self._encode(jsonable(row))
        self._file.write(line.encode("utf-8", "backslashreplace") + b"\n")

    def close(self) -> None:
        self._file.flush()


class _Csv:
    def __init__(self, file: BinaryIO, names: list[str]) -> None:
        self._text = io.TextIOWrapper(
            file, encoding="utf-8", errors="backslashreplace", newline="", write_through=False
        )
        self._names = names
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(names)

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.writerow([_cell(row.get(name)) for name in self._names])

    def close(self) -> None:
        self._text.detach()


class _Parquet:
    def __init__(self, file: BinaryIO, columns: Sequence[HistoryColumn], own: OwnColumns) -> None:
        self._texts = [column.name for column in columns if not column.floats_only]
        kinds = {"_step": ColumnKind.INTEGER, "_timestamp": ColumnKind.FLOAT}
        self._writer = ParquetWriter(
            file,
            [
                *(
                    ParquetColumn(name, kinds.get(name, ColumnKind.TEXT), optional=False)
                    for name in own.names()
                ),
                *(
                    ParquetColumn(name, ColumnKind.FLOAT if floats_only else ColumnKind.TEXT)
                    for name, _, floats_only in columns
                ),
            ],
        )

    def write(self, row: Mapping[str, Any]) -> None:
        if self._texts:
            texts = {name: _text(row[name]) for name in self._texts if name in row}
            row = {**row, **texts}
        self._writer.write(row)

    def close(self) -> None:
        self._writer.close()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, Mapping | list | bool):
        return json_text(value, indent=None)
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(_cell(value))
