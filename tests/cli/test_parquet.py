"""Parquet as we write it is what pyarrow reads."""

import io
import math
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.cli import parquet
from stepwell.cli.parquet import ColumnKind, ParquetColumn, ParquetWriter

COLUMNS = [
    ParquetColumn("_step", ColumnKind.INTEGER, optional=False),
    ParquetColumn("loss", ColumnKind.FLOAT),
    ParquetColumn("note ü", ColumnKind.TEXT),
    ParquetColumn("count", ColumnKind.INTEGER),
]
rows = st.lists(
    st.fixed_dictionaries(
        {"_step": st.integers(-(2**63), 2**63 - 1)},
        optional={
            "loss": st.none() | st.floats(),
            "note ü": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            "count": st.integers(-(2**63), 2**63 - 1),
        },
    ),
    max_size=40,
)


def written(columns: list[ParquetColumn], held: list[dict[str, Any]]) -> Any:
    file = io.BytesIO()
    writer = ParquetWriter(file, columns)
    for row in held:
        writer.write(row)
    writer.close()
    file.seek(0)
    return pyarrow.parquet.read_table(file)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return bool(one == other)


@given(rows)
@pytest.mark.slow
def test_every_row_comes_back_as_it_was(held: list[dict[str, Any]]) -> None:
    found = written(COLUMNS, held).to_pylist()
    assert len(found) == len(held)
    for row, back in zip(held, found, strict=True):
        assert list(back) == [column.name for column in COLUMNS]
        assert all(same(row.get(name), value) for name, value in back.items()), (row, back)


def test_many_rows_become_several_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS_MAX", 100)
    held = [{"_step": step, "loss": step / 7 if step % 3 else None} for step in range(1001)]
    assert written(COLUMNS[:2], held).to_pylist() == held


def test_many_columns_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [ParquetColumn(f"m{number}", ColumnKind.FLOAT) for number in range(3000)]
    held = [{column.name: float(number) for number, column in enumerate(columns)}]
    assert written(columns, held).to_pylist() == held
