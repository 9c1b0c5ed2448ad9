"""Manifests: one canonical form, and nothing in them that could leave the reader's folder."""

import json
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_wire.errors import ManifestError
from stepwell_wire.manifest import (
    ENTRIES_MAX,
    MANIFEST_BYTES_MAX,
    SIZE_MAX,
    Entry,
    Manifest,
    check_path,
    parse_manifest,
)

A, B = "a" * 64, "b" * 64
GOOD: dict[str, Any] = {
    "v": 1,
    "count": 2,
    "size": 5,
    "entries": {
        "data/a.bin": {"digest": A, "size": 5},
        "far": {"reference": "s3://bucket/key", "checksum": "etag", "size": None},
    },
}

parts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=9
).filter(lambda part: part not in (".", ".."))
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
references = st.builds(
    Entry,
    digest=st.just(""),
    reference=st.sampled_from(["s3://b/k", "file:///x", "https://h/p?q=1"]),
    checksum=st.sampled_from(["", "etag"]),
    size=st.none() | st.integers(0, 1 << 40),
)


def made(files: dict[str, int], far: dict[str, Entry]) -> dict[str, Entry]:
    """Entries without a file that is another's folder; a digest has one size."""
    both = {path: Entry(f"{size:064x}", size) for path, size in files.items()} | far
    return {
        path: each
        for path, each in both.items()
        if not any(str(folder) in both for folder in PurePosixPath(path).parents)
    }


entries = st.builds(
    made,
    st.dictionaries(paths, st.integers(0, 1 << 40), max_size=6),
    st.dictionaries(paths, references, max_size=2),
)


def changed(**facts: Any) -> bytes:
    return json.dumps(GOOD | facts).encode()


@given(entries)
def test_what_is_packed_is_parsed_again(written: dict[str, Entry]) -> None:
    manifest = Manifest(written)
    read = parse_manifest(manifest.pack())
    assert read.entries == written
    assert read.size == sum(each.size or 0 for each in written.values())
    assert read.pack() == manifest.pack()


@given(entries, st.randoms())
@pytest.mark.slow
def test_the_canonical_form_depends_on_neither_order_nor_layout(
    written: dict[str, Entry], random: Any
) -> None:
    packed = Manifest(written).pack()
    items = list(written.items())
    random.shuffle(items)
    assert Manifest(dict(items)).pack() == packed
    assert parse_manifest(json.dumps(json.loads(packed), indent=2).encode()).pack() == packed


def test_the_canonical_form_is_what_the_documentation_says() -> None:
    assert parse_manifest(changed()).pack() == (
        b'{"count":2,"entries":{"data/a.bin":{"digest":"' + A.encode() + b'","size":5},'
        b'"far":{"checksum":"etag","reference":"s3://bucket/key","size":null}},"size":5,"v":1}'
    )


@given(st.text(max_size=30))
def test_a_path_that_is_taken_stays_below_the_readers_folder(path: str) -> None:
    try:
        check_path(path)
    except ManifestError:
        return
    found = PurePosixPath("/folder") / path
    assert found.parts[:2] == ("/", "folder")
    assert ".." not in found.parts
    assert str(found) == f"/folder/{path}"
    assert not any(ord(each) < 32 for each in path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "//x",
        "..",
        "../x",
        "a/../b",
        "a/..",
        ".",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "a\ud800b",
        "x" * 256,
        "é" * 128,
        "/".join(["x" * 200] * 6),
    ],
)
def test_a_path_that_is_refused_is_named(path: str) -> None:
    with pytest.raises(ManifestError) as refused:
        Manifest({path: Entry(A, 1)})
    assert ascii(path)[:20] in str(refused.value)


@pytest.mark.parametrize("path", ["a", "a b/c", "...", "..a", "é/ü", "-rf", "~", "a:b", "$(x)"])
def test_a_plain_path_is_taken(path: str) -> None:
    assert parse_manifest(Manifest({path: Entry(A, 1)}).pack()).entries == {path: Entry(A, 1)}


def test_a_file_is_no_folder() -> None:
    with pytest.raises(ManifestError, match="is a file, so it cannot contain this path"):
        Manifest({"a": Entry(A, 1), "a/b/c": Entry(B, 1)})
    assert Manifest({"a.x": Entry(A, 1), "a/b": Entry(B, 1)}).size == 2


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "invalid JSON"),
        (b"\xff", "invalid JSON"),
        (b"[" * 100_000, "invalid JSON"),
        (b"[]", "expected a JSON object"),
        (changed(v=2), "reads 1 only"),
        (changed(v=True), "reads 1 only"),
        (changed(more=1), "expected exactly"),
        (changed(entries=[]), "object of paths"),
        (changed(count=3), "expected 2 as"),
        (changed(size=6), "expected 5 as"),
        (changed(size=5.0), "expected 5 as"),
        (changed(entries={"a": {"digest": A}}), "expected digest and size"),
        (changed(entries={"a": {"digest": A, "size": 1, "mode": 1}}), "expected digest and size"),
        (changed(entries={"a": {"digest": A.upper(), "size": 1}}), "64 hexadecimal"),
        (changed(entries={"a": {"digest": 5, "size": 1}}), "expected a text"),
        (changed(entries={"a": {"digest": A, "size": -1}}), "size -1"),
        (changed(entries={"a": {"digest": A, "size": True}}), "size True"),
        (changed(entries={"a": {"digest": A, "size": None}}), "size None"),
        (changed(entries={"a": {"digest": A, "size": SIZE_MAX + 1}}), "expected bytes"),
        (changed(entries={"a": {"digest": A, "size": 1}, "b": {"digest": A, "size": 2}}), "same"),
        (changed(entries={"a": {"reference": "", "checksum": "", "size": 1}}), "is empty"),
        (changed(entries={"a": {"reference": "key", "checksum": "", "size": 1}}), "not a URI"),
        (changed(entries={"a": {"reference": "x:\n", "checksum": "", "size": 1}}), "control"),
        (changed(entries={"a": {"reference": "x:y", "checksum": "\0", "size": 1}}), "control"),
        (changed(entries={"a": {"reference": "x:y", "checksum": "c" * 257, "size": 1}}), "longer"),
        (b'{"v":1,"v":1}', "occurs twice"),
        (b'{"entries":{"a":1,"\\u0061":2}}', "occurs twice"),
        (b'{"v":NaN}', "reads 1 only"),
        (b" " * (MANIFEST_BYTES_MAX + 1), "at most"),
    ],
)
def test_a_manifest_that_lies_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        parse_manifest(data)


@pytest.mark.slow
def test_too_many_entries_are_refused() -> None:
    with pytest.raises(ManifestError, match="at most"):
        Manifest({str(number): Entry(A, 1) for number in range(ENTRIES_MAX + 1)})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                    max_leaves=8), st.sampled_from(sorted(GOOD)))  # fmt: skip
@pytest.mark.slow
def test_whatever_stands_in_a_field_fails_in_one_way_only(value: Any, field: str) -> None:
    try:
        parse_manifest(changed(**{field: value}))
    except ManifestError:
        pass
