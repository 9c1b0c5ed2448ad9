"""A spool record is found whole or not at all, whatever happened to its neighbours."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from stepwell_daemon.spool import record
from stepwell_daemon.spool.record import Damage, SpoolRecord, pack_record, scan

SEED = 17
contents = st.lists(st.binary(min_size=0, max_size=300), min_size=1, max_size=6)


def packed(written: list[bytes]) -> list[bytes]:
    pieces = []
    chain = SEED
    for number, content in enumerate(written):
        piece, chain = pack_record(
            content,
            kind=record.FRAME,
            writer=number,
            position=8 * number,
            time_us=number,
            durable=0,
            chain=chain,
            seed=SEED,
            points=number,
        )
        pieces.append(piece)
    return pieces


def found_in(data: bytes) -> tuple[list[bytes], list[Damage]]:
    items = list(scan(lambda size, offset: data[offset : offset + size], 0, len(data), SEED))
    records = [item.content() for item in items if isinstance(item, SpoolRecord)]
    return records, [item for item in items if isinstance(item, Damage)]


@given(contents)
def test_what_was_packed_is_what_is_scanned(written: list[bytes]) -> None:
    assert found_in(b"".join(packed(written))) == (written, [])


@given(contents, st.data())
def test_a_cut_at_any_byte_keeps_exactly_the_records_before_it(
    written: list[bytes], data: st.DataObject
) -> None:
    pieces = packed(written)
    whole = b"".join(pieces)
    cut = data.draw(st.integers(0, len(whole)))
    ends = accumulate(map(len, pieces))
    records, _ = found_in(whole[:cut])
    assert records == [content for content, end in zip(written, ends, strict=True) if end <= cut]


@given(contents, st.data())
def test_a_flipped_bit_costs_the_record_that_holds_it_and_no_other(
    written: list[bytes], data: st.DataObject
) -> None:
    pieces = packed(written)
    whole = bytearray(b"".join(pieces))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    ends = list(accumulate(map(len, pieces)))
    hit = next(number for number, end in enumerate(ends) if bit // 8 < end)
    records, damages = found_in(bytes(whole))
    others = [content for number, content in enumerate(written) if number != hit]
    in_padding = records == written
    assert records == others or in_padding
    assert bool(damages) != in_padding


@given(contents, st.integers(1, 5000))
def test_zeros_behind_the_last_record_are_no_damage(written: list[bytes], zeros: int) -> None:
    assert found_in(b"".join(packed(written)) + bytes(zeros)) == (written, [])


@given(contents, st.binary(min_size=1, max_size=200))
def test_bytes_that_are_no_records_are_named_and_passed(written: list[bytes], noise: bytes) -> None:
    noise = noise.rstrip(b"\0") + b"\1"
    noise += bytes(-len(noise) & 7)
    pieces = packed(written)
    records, damages = found_in(pieces[0] + noise + b"".join(pieces[1:]))
    assert records == written
    assert [(each.offset, each.end) for each in damages[:1]] == (
        [(len(pieces[0]), len(pieces[0]) + len(noise.rstrip(b"\0")))]
        if len(pieces) == 1
        else [(len(pieces[0]), len(pieces[0]) + len(noise))]
    )


def test_a_missing_record_breaks_the_chain() -> None:
    pieces = packed([b"one", b"two", b"three"])
    records, damages = found_in(pieces[0] + pieces[2])
    assert records == [b"one", b"three"]
    assert damages == [Damage(len(pieces[0]), len(pieces[0]))]


def test_records_of_another_segment_are_none() -> None:
    data = b"".join(packed([b"content"]))
    items = list(scan(lambda size, at: data[at : at + size], 0, len(data), SEED + 1))
    assert [type(item) for item in items] == [Damage]


def test_an_impossible_size_is_refused_before_anything_is_read() -> None:
    piece = bytearray(packed([b"content"])[0])
    piece[20:24] = b"\xff\xff\xff\x7f"
    asked = []

    def read(size: int, offset: int) -> bytes:
        asked.append(size)
        return bytes(piece[offset : offset + size])

    assert record.parse_record(read, 0, 1 << 40, SEED) is None
    assert max(asked) <= 1 << 20
