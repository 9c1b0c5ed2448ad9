"""Staged blobs: a file that was cut or changed never counts as a whole one."""

import os
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_wire.errors import StagedDamagedError
from stepwell_wire.staged import (
    FOOTER,
    PIXELS,
    StagedHeader,
    file_name,
    id_of,
    is_digest,
    is_unfinished,
    new_id,
    pack_end,
    read_header,
)

pytestmark = pytest.mark.holds("damaged-staged-file")

PAYLOAD = bytes(range(12))
HEADER = StagedHeader(
    id="0" * 31 + "a",
    project="p",
    run_id="r",
    writer_id="w",
    label="rank-0",
    host="node",
    pid=7,
    kind=PIXELS,
    about={"shape": [2, 2, 3], "format": "png"},
    payload_bytes=len(PAYLOAD),
    payload_crc32=zlib.crc32(PAYLOAD),
)


def read(path: Path) -> StagedHeader:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_header(descriptor, path.name)
    finally:
        os.close(descriptor)


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    path = tmp_path / file_name(HEADER.id)
    path.write_bytes(PAYLOAD + pack_end(HEADER))
    return path


def test_a_header_is_read_as_it_was_packed(staged: Path) -> None:
    assert read(staged) == HEADER


def test_a_file_that_was_cut_at_any_byte_does_not_count(staged: Path) -> None:
    whole = staged.read_bytes()
    for size in range(len(whole)):
        staged.write_bytes(whole[:size])
        with pytest.raises(StagedDamagedError):
            read(staged)


def test_a_changed_bit_behind_the_payload_is_found(staged: Path) -> None:
    whole = bytearray(staged.read_bytes())
    checksum = len(whole) - FOOTER.size + 16  # Of the payload: compared when that is read.
    reserved = range(len(whole) - 12, len(whole) - 8)
    for place in range(len(PAYLOAD), len(whole)):
        if checksum <= place < checksum + 4 or place in reserved:
            continue
        changed = bytearray(whole)
        changed[place] ^= 1
        staged.write_bytes(changed)
        with pytest.raises(StagedDamagedError):
            read(staged)


def test_a_header_of_impossible_identity_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for wrong in (
        {"id": "../../etc"},
        {"run_id": ""},
        {"writer_id": ""},
        {"project": "p" * 200},
        {"pid": -1},
        {"kind": "k" * 200},
        {"about": [1]},
    ):
        path.write_bytes(PAYLOAD + pack_end(HEADER._replace(**wrong)))
        with pytest.raises(StagedDamagedError):
            read(path)


def test_names_are_told_apart() -> None:
    blob_id = new_id()
    assert id_of(file_name(blob_id)) == blob_id
    assert id_of(file_name(blob_id) + ".new") is None
    assert is_unfinished(file_name(blob_id) + ".new")
    for other in ("blob-", "blob-../x", "00000000.seg", "blob-" + "A" * 32, "lock"):
        assert id_of(other) is None
        assert not is_unfinished(other)
    assert is_digest("a" * 64)
    assert not is_digest("A" * 64)


@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_bytes_are_a_staged_file_or_refused(
    tmp_path_factory: Any, noise: bytes, at: int
) -> None:
    path = tmp_path_factory.mktemp("staged") / "x"
    whole = bytearray(PAYLOAD + pack_end(HEADER))
    whole[at : at + len(noise)] = noise
    for content in (noise, bytes(whole)):
        path.write_bytes(content)
        try:
            found = read(path)
        except StagedDamagedError:
            continue
        assert found.payload_bytes <= len(content)
