"""Rows: a frame is decoded whole, exactly and in order, or refused whole."""

import struct
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.records import HEADER, PADDING_SCHEMA, pack_event, scan_records
from stepwell_wire.rows import DecodedRecords, decode_records
from tests.wire.packed import pack_row

SCHEMAS = {1: ("loss",), 2: ("loss", "accuracy", "rate"), 3: ("a", "b")}

floats = st.floats(allow_nan=True, allow_infinity=True, width=64)


@st.composite
def rows(draw: st.DrawFn) -> tuple[int, int, int, list[float]]:
    schema = draw(st.sampled_from(sorted(SCHEMAS)))
    values = draw(st.lists(floats, min_size=len(SCHEMAS[schema]), max_size=len(SCHEMAS[schema])))
    step = draw(st.integers(-(2**63), 2**63 - 1))
    return schema, step, draw(st.integers(0, 2**60)), values


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[int, int, int, list[float]]]:
    """Return rows with long runs of one schema as well as alternating ones."""
    stream = []
    for row in draw(st.lists(rows(), max_size=20)):
        stream += [row] * draw(st.sampled_from([1, 1, 1, 2, 9, 70]))
    return stream


def by_schema(decoded: DecodedRecords) -> dict[int, list[tuple[int, int, bytes]]]:
    return {
        part.schema: [
            (int(step), int(time_us), values.tobytes())
            for step, time_us, values in zip(part.steps, part.times, part.values, strict=True)
        ]
        for part in decoded.rows
    }


@settings(max_examples=200, deadline=None)
@given(streams())
@pytest.mark.slow
def test_every_row_comes_back_exactly_and_in_log_order(stream) -> None:  # type: ignore[no-untyped-def]
    expected = defaultdict(list)
    for schema, step, time_us, values in stream:
        expected[schema].append((step, time_us, struct.pack(f"<{len(values)}d", *values)))
    decoded, defined = decode_records(b"".join(pack_row(*row) for row in stream), SCHEMAS)
    assert by_schema(decoded) == dict(expected)
    assert decoded.row_count == len(stream)
    assert decoded.point_count == sum(len(row[3]) for row in stream)
    assert not defined
    assert not decoded.events


def test_a_schema_is_known_from_its_definition_on() -> None:
    definition = pack_event("schema", {"id": 9, "keys": ["x", "y"]}, step=0, time_us=0)
    row = pack_row(9, 5, 6, [1.0, 2.0])
    decoded, defined = decode_records(definition + row, {})
    assert defined == {9: ("x", "y")}
    assert decoded.rows[0].values.tolist() == [[1.0, 2.0]]
    with pytest.raises(MalformedRecordsError, match="a definition of schema 9"):
        decode_records(row + definition, {})


def test_a_schema_keeps_its_names() -> None:
    changed = pack_event("schema", {"id": 1, "keys": ["other"]}, step=0, time_us=0)
    with pytest.raises(MalformedRecordsError, match="the same names for schema"):
        decode_records(changed, SCHEMAS)
    again = pack_event("schema", {"id": 1, "keys": ["loss"]}, step=0, time_us=0)
    assert decode_records(again, SCHEMAS)[1] == {1: ("loss",)}


def test_events_keep_their_order_and_padding_is_skipped() -> None:
    padding = HEADER.pack(PADDING_SCHEMA, 24 + 16, 0, 0) + b"\xff" * 16
    stream = (
        pack_event("config", {"set": {"a": 1}}, step=1, time_us=2)
        + padding
        + pack_event("console", {"lines": ["é" * 7]}, step=3, time_us=4)
    )
    decoded, _ = decode_records(stream, {})
    assert [(event.kind, event.step) for event in decoded.events] == [("config", 1), ("console", 3)]
    assert decoded.events[1].body == {"lines": ["é" * 7]}


@settings(max_examples=150, deadline=None)
@given(streams().filter(bool), st.data())
def test_a_cut_inside_a_record_is_refused_whole(stream, data) -> None:  # type: ignore[no-untyped-def]
    packed = b"".join(pack_row(*row) for row in stream)
    ends = {0} | {record.end for record in scan_records(packed)}
    cut = data.draw(st.integers(0, len(packed)))
    if cut in ends:
        decode_records(packed[:cut], SCHEMAS)
        return
    with pytest.raises(MalformedRecordsError) as caught:
        decode_records(packed[:cut], SCHEMAS)
    assert caught.value.total_bytes == cut


@pytest.mark.holds("malformed-message")
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_decode_or_are_refused(noise: bytes) -> None:
    refused_at = 0
    try:
        decode_records(noise, SCHEMAS)
    except MalformedRecordsError as error:
        refused_at = error.offset
    assert 0 <= refused_at <= len(noise)


@settings(max_examples=300, deadline=None)
@given(streams().filter(bool), st.data())
@pytest.mark.slow
def test_a_flipped_bit_never_does_more_than_change_or_refuse(stream, data) -> None:  # type: ignore[no-untyped-def]
    packed = bytearray(b"".join(pack_row(*row) for row in stream))
    bit = data.draw(st.integers(0, 8 * len(packed) - 1))
    packed[bit // 8] ^= 1 << bit % 8
    try:
        decoded, _ = decode_records(bytes(packed), SCHEMAS)
    except MalformedRecordsError:
        return
    assert decoded.point_count <= sum(len(row[3]) for row in stream)


def test_values_are_float64_bits_not_copies_through_python() -> None:
    bits = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_BEEF))[0]
    decoded, _ = decode_records(pack_row(1, 0, 0, [bits]) * 20, SCHEMAS)
    assert np.all(decoded.rows[0].values.view("<u8") == 0x7FF8_0000_0000_BEEF)
