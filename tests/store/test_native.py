"""The Native format: what is encoded is read back, by us and by ClickHouse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_store import EmbeddedStore
from stepwell_store.native import (
    UnknownTypeError,
    decode_blocks,
    encode_block,
    number_column,
    text_column,
    tuple_column,
)

int64s = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), int64s, st.floats(), st.text()), max_size=20))
@pytest.mark.slow
def test_a_block_comes_back_as_it_was(held):
    columns = [
        number_column("a", "UInt64", [row[0] for row in held]),
        tuple_column(
            "b",
            number_column("x", "Int64", [row[1] for row in held]),
            number_column("y", "Float64", [row[2] for row in held]),
        ),
        text_column("c", [row[3] for row in held]),
    ]
    found = decode_blocks(b"".join(encode_block(columns, len(held))))
    assert found["a"].tolist() == [row[0] for row in held]
    assert found["b.x"].tolist() == [row[1] for row in held]
    np.testing.assert_array_equal(found["b.y"], [row[2] for row in held])
    assert found["c"].tolist() == [row[3].encode("utf-8", "replace").decode() for row in held]


def test_what_clickhouse_sends_is_read(engine: EmbeddedStore):
    data = engine.query_bytes(
        "SELECT number AS n, toString(number) AS s, [number, 7] AS a, if(number = 1, NULL, 2.5) "
        "AS m, CAST((number, 'x'), 'Tuple(k UInt64, v String)') AS t FROM numbers(3)",
        output_format="Native",
    )
    found = decode_blocks(data)
    assert found["n"].tolist() == [0, 1, 2]
    assert found["s"].tolist() == ["0", "1", "2"]
    assert [each.tolist() for each in found["a"]] == [[0, 7], [1, 7], [2, 7]]
    assert found["m"].tolist() == [2.5, None, 2.5]
    assert found["t.k"].tolist() == [0, 1, 2]
    assert found["t.v"].tolist() == ["x", "x", "x"]


def test_blocks_of_one_result_are_joined(engine: EmbeddedStore):
    data = engine.query_bytes("SELECT number AS n FROM numbers(200000)", output_format="Native")
    assert decode_blocks(data)["n"].tolist() == list(range(200_000))


def test_no_rows_are_no_columns():
    assert decode_blocks(b"") == {}


def test_a_type_that_is_not_read_is_named(engine: EmbeddedStore):
    data = engine.query_bytes("SELECT map('a', 1) AS m", output_format="Native")
    with pytest.raises(UnknownTypeError, match=r"column m .* cast it"):
        decode_blocks(data)
