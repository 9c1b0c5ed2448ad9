"""Values in an exported file, which are written as on the page."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from stepwell_hub.reports.values import (
    cell_text,
    column_text,
    duration_text,
    number_text,
    shown_value,
    value_text,
)

WEB = Path(__file__).parents[3] / "hub" / "web"
CASES = json.loads((WEB / "tests" / "parts" / "formats.json").read_text())
"""The page's own tests have these cases too."""


@pytest.mark.parametrize(
    ("value", "text"),
    [*CASES["numbers"], (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "-∞"), (2**60, str(2**60))],
)
def test_numbers(value: float, text: str) -> None:
    assert number_text(value) == text
    assert value_text(value) == text


@pytest.mark.parametrize(("seconds", "text"), CASES["durations"])
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [*CASES["values"], ([math.nan, -math.inf, 2**64], f'["NaN","-Infinity",{2**64}]')],
)
def test_values(value: Any, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(("column", "value", "text"), CASES["columns"])
def test_columns(column: str, value: Any, text: str) -> None:
    assert column_text(shown_value(value, column), column) == text


@pytest.mark.parametrize(
    ("cell", "kind", "text"),
    [
        (1769817600_250000, "datetime", "2026-01-31 00:00:00.250"),
        (1769817600_000001, "datetime", "2026-01-31 00:00:00.000001"),
        (1769817600_000000, "datetime", "2026-01-31 00:00:00"),
        (-1, "datetime", "1969-12-31 23:59:59.999999"),
        (253402300799_999999, "datetime", "9999-12-31 23:59:59.999999"),
        (-62135596800_000000, "datetime", "0001-01-01 00:00:00"),
        (10**18, "datetime", "?"),
        (None, "datetime", ""),
        (1769817600.25, "number", "1769817600"),
        ({"text": "ab", "characters": 5}, "text", "ab…"),
        ({"text": "ab", "characters": 2, "kind": "text"}, "mixed", "ab"),
    ],
)
def test_cells_of_logged_tables(cell: Any, kind: str, text: str) -> None:
    assert cell_text(cell, kind) == text


def test_a_long_value_is_cut() -> None:
    assert len(value_text("x" * 1000)) == 500
