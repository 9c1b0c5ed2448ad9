"""Rows of a result as Python values."""

import json

import pytest

from stepwell_store.parameters import decode_rows


@pytest.mark.parametrize(
    ("type_name", "text"),
    [
        ("Float64", "-0"),
        ("Nullable(Float64)", "-0"),
        ("Array(Float64)", "[1,-0]"),
        ("Tuple(Float64, Int64)", "[-0,0]"),
        ("Tuple(x Float64, y Float64)", '{"x":1,"y":-0}'),
    ],
)
def test_a_negative_zero_keeps_its_sign(type_name: str, text: str) -> None:
    lines = ['["a","b"]', json.dumps([type_name, "String"]), f'[{text},"-0,"]']
    (row,) = decode_rows("\n".join(lines).encode())
    assert "-0.0" in repr(row["a"])
    assert row["b"] == "-0,"
