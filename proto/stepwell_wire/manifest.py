"""Manifests: which files one version of an artifact has. docs/formats/artifacts.md has the format.

    {"count": 2, "entries": {
        "data/a.bin": {"digest": "<64 hexadecimal digits>", "size": 5},
        "far": {"checksum": "etag-1", "reference": "s3://bucket/key", "size": null}},
     "size": 5, "v": 1}

A manifest has one canonical form: `Manifest.pack`. Its BLAKE3 digest is the version's digest. This
module has no BLAKE3, which is a package: its callers hash the packed bytes.

No I/O here, and nothing but the standard library: training processes import this.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from stepwell_wire.errors import ManifestError
from stepwell_wire.staged import is_digest

VERSION: Final = 1
MANIFEST_BYTES_MAX: Final = 32 << 20
ENTRIES_MAX: Final = 200_000
PATH_BYTES_MAX: Final = 1024
"""Well below PATH_MAX of Linux (4096), so that a folder of the reader's fits before it."""
PART_BYTES_MAX: Final = 255
"""Longest name of a file on the common file systems."""
REFERENCE_BYTES_MAX: Final = 4096
CHECKSUM_BYTES_MAX: Final = 256
SIZE_MAX: Final = 1 << 53
"""Sizes and their total stay exact in every reader of JSON."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REFUSED: Final = {"Cc": "a control character", "Cs": "a lone surrogate"}
_FIELDS: Final = {"v", "entries", "count", "size"}
_SHOWN: Final = 80


class Entry(NamedTuple):
    """One path of a manifest: a blob, or a reference to bytes that are kept elsewhere.

    Attributes:
        digest: BLAKE3 of the file, "" for a reference.
        size: in bytes; None where the size of a reference is unknown.
        reference: URI of a reference, "" for a blob.
        checksum: of a reference, as its keeper gives it (an ETag, say); "" where unknown.
    """

    digest: str = ""
    size: int | None = None
    reference: str = ""
    checksum: str = ""


class Manifest:
    """A valid manifest: paths and their entries."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        """
        Raises:
            ManifestError: A path or an entry is invalid; names it.
        """
        if len(entries) > ENTRIES_MAX:
            raise ManifestError("entries", f"{len(entries)} entries; at most {ENTRIES_MAX}")
        self.entries = dict(entries)
        self.size = _check_entries(self.entries)

    def blobs(self) -> dict[str, int]:
        """Return the size of each blob by its digest."""
        return {each.digest: each.size or 0 for each in self.entries.values() if each.digest}

    def pack(self) -> bytes:
        """Return the canonical form.

        Raises:
            ManifestError: It is larger than ``MANIFEST_BYTES_MAX``.
        """
        facts = {
            "v": VERSION,
            "count": len(self.entries),
            "size": self.size,
            "entries": {path: _as_json(each) for path, each in self.entries.items()},
        }
        data = json.dumps(
            facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        ).encode()
        _check_length(data)
        return data


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest in ``data``, which may be laid out in any way that JSON allows.

    Raises:
        ManifestError: It is invalid; says where and why. Unknown fields are invalid, too: a later
            format has another ``v``.
    """
    _check_length(data)
    try:
        facts = json.loads(data.decode(), object_pairs_hook=_object)
    except ManifestError:
        raise
    except (ValueError, RecursionError) as error:  # Also UnicodeDecodeError.
        raise ManifestError("text", f"invalid JSON or not UTF-8 ({error})") from error
    if not isinstance(facts, dict):
        raise ManifestError("text", f"expected a JSON object, found {type(facts).__name__}")
    version = facts.get("v")
    if type(version) is not int or version != VERSION:
        raise ManifestError("v", f"{_show(version)}; this release reads {VERSION} only")
    if set(facts) != _FIELDS:
        names = ", ".join(sorted(_FIELDS))
        raise ManifestError("fields", f"{_show(sorted(facts))}; expected exactly {names}")
    if not isinstance(facts["entries"], dict):
        raise ManifestError("entries", "expected an object of paths")
    manifest = Manifest({path: _entry_of(path, each) for path, each in facts["entries"].items()})
    for name, counted in (("count", len(manifest.entries)), ("size", manifest.size)):
        if type(facts[name]) is not int or facts[name] != counted:
            raise ManifestError(
                name, f"{_show(facts[name])}, expected {counted} as the entries give"
            )
    return manifest


def blobs_of(packed: bytes) -> dict[str, int]:
    """Return the size of each blob that a packed manifest names, by its digest.

    Nothing is checked: only for output of `Manifest.pack` whose digest was compared.
    """
    entries = json.loads(packed)["entries"].values()
    return {each["digest"]: each["size"] for each in entries if "digest" in each}


def check_path(path: str) -> None:
    """Refuse a path that is not a plain relative path of a file.

    Raises:
        ManifestError: Says what is wrong with it.
    """
    where = _show(path)
    _check_text(where, path, PATH_BYTES_MAX)
    if path.startswith("/"):
        raise ManifestError(where, "is an absolute path; expected a path relative to the artifact")
    if "\\" in path:
        raise ManifestError(where, "contains a backslash, which is a separator on some systems")
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise ManifestError(
                where, f"contains the part {part!r}; expected names between slashes"
            )
        if len(part.encode()) > PART_BYTES_MAX:
            raise ManifestError(where, f"a name in it is longer than {PART_BYTES_MAX} bytes")


# ---------------------------------------------------------------------- checks


def _check_entries(entries: Mapping[str, Entry]) -> int:
    """Return the sum of the known sizes."""
    sizes: dict[str, int | None] = {}
    total = 0
    for path, each in entries.items():
        check_path(path)
        for folder in folders_of(path):
            if folder in entries:
                raise ManifestError(
                    _show(path), f"{_show(folder)} is a file, so it cannot contain this path"
                )
        _check_entry(path, each)
        if each.digest and sizes.setdefault(each.digest, each.size) != each.size:
            raise ManifestError(
                _show(path),
                f"size {each.size}, but another path has the same digest with {sizes[each.digest]}",
            )
        total += each.size or 0
    if total > SIZE_MAX:
        raise ManifestError("size", f"{total} bytes; at most {SIZE_MAX}")
    return total


def _check_entry(path: str, entry: Entry) -> None:
    where = _show(path)
    size = entry.size
    is_size = type(size) is int and 0 <= size <= SIZE_MAX
    if not is_size and not (size is None and entry.reference):
        raise ManifestError(where, f"size {_show(size)}; expected bytes, 0 to {SIZE_MAX}")
    if not entry.reference:
        if not is_digest(entry.digest):
            raise ManifestError(where, "expected a digest of 64 hexadecimal digits")
        if entry.checksum:
            raise ManifestError(where, "has a checksum but no reference")
        return
    if entry.digest:
        raise ManifestError(where, "has both a digest and a reference")
    _check_text(where, entry.reference, REFERENCE_BYTES_MAX)
    if not _SCHEME.match(entry.reference):
        raise ManifestError(
            where, f"{_show(entry.reference)} is not a URI; expected, for example, s3://bucket/key"
        )
    if entry.checksum:
        _check_text(where, entry.checksum, CHECKSUM_BYTES_MAX)


def _check_text(where: str, text: str, bytes_max: int) -> None:
    if not text:
        raise ManifestError(where, "is empty")
    if not text.isascii() or not text.isprintable():
        for character in text:
            if reason := _REFUSED.get(unicodedata.category(character)):
                raise ManifestError(where, f"contains {reason}, U+{ord(character):04X}")
    if len(text.encode()) > bytes_max:
        raise ManifestError(where, f"is longer than {bytes_max} bytes")


def _check_length(data: bytes) -> None:
    if len(data) > MANIFEST_BYTES_MAX:
        raise ManifestError("text", f"{len(data)} bytes; at most {MANIFEST_BYTES_MAX}")


def folders_of(path: str) -> Iterator[str]:
    """Yield the folders above ``path``, the outermost first."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


# ---------------------------------------------------------------------- JSON


def _as_json(entry: Entry) -> dict[str, Any]:
    if entry.reference:
        return {"reference": entry.reference, "checksum": entry.checksum, "size": entry.size}
    return {"digest": entry.digest, "size": entry.size}


def _entry_of(path: str, facts: Any) -> Entry:
    kinds = ({"digest", "size"}, {"reference", "checksum", "size"})
    if not isinstance(facts, dict) or set(facts) not in kinds:
        raise ManifestError(
            _show(path), "expected digest and size, or reference, checksum and size"
        )
    for name in ("digest", "reference", "checksum"):
        if not isinstance(facts.get(name, ""), str):
            raise ManifestError(_show(path), f"{name}: expected a text")
    if "reference" in facts and not facts["reference"]:
        raise ManifestError(_show(path), "reference: is empty")
    return Entry(**facts)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a duplicate name: readers would disagree on which one counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ManifestError(_show(name), "occurs twice")
            seen.add(name)
    return made


def _show(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
