"""Drafts: versions of artifacts that a writer handed over and that are not committed yet.

    <journal>/artifact-<key>/   a complete draft, renamed into place; <key> is 32 random hex digits
        draft.json              its facts, see `Draft`
        entries                 one JSON array a line, see `Entry`; a later line wins
        0, 1, 2, …              the held files: hard links, clones or copies

    line := [path, number, size, mtime_ns, dev, inode, ctime_ns, held_ctime_ns]     a held file
          | [path, reference, checksum, size or null]                       bytes kept elsewhere
          | [path]                                                          removed again

The daemon moves the folder with one rename. Nothing but the standard library: training processes
import this. docs/formats/artifacts.md has the format.
"""

import json
import re
from collections.abc import Iterable
from json.encoder import encode_basestring as encode_text
from typing import Any, Final, NamedTuple

from stepwell_wire.artifact_names import (
    RUN_FILES_TYPE,
    check_alias,
    check_name,
    check_type,
    run_files_name,
)
from stepwell_wire.errors import ArtifactNameError, DraftError
from stepwell_wire.limits import IDENTIFIER_BYTES_MAX
from stepwell_wire.manifest import ENTRIES_MAX

PREFIX: Final = "artifact-"
DRAFT_FILE: Final = "draft.json"
ENTRIES_FILE: Final = "entries"
VERSION: Final = 1
DRAFT_BYTES_MAX: Final = 2 << 20
ENTRIES_BYTES_MAX: Final = 512 << 20
METADATA_BYTES_MAX: Final = 1 << 20
DESCRIPTION_CHARACTERS_MAX: Final = 65_536
ALIASES_MAX: Final = 100

_KEY: Final = re.compile(r"[0-9a-f]{32}")
_TEXTS: Final = ("key", "project", "run_id", "writer_id", "name", "type", "description")
_INTEGER_MAX: Final = 1 << 64


class Held(NamedTuple):
    """A file that is held in the draft's folder.

    Attributes:
        number: name of the held file.
        size, mtime_ns: of the source when it was held.
        dev, inode, ctime_ns: of the source before it was held; 0 where they are not known.
        held_ctime_ns: of the inode right after it was linked; 0 where it was not linked.
    """

    number: int
    size: int
    mtime_ns: int
    dev: int = 0
    inode: int = 0
    ctime_ns: int = 0
    held_ctime_ns: int = 0


class Reference(NamedTuple):
    """Bytes that are kept elsewhere."""

    uri: str
    checksum: str = ""
    size: int | None = None


class Draft(NamedTuple):
    """The content of ``draft.json``.

    Attributes:
        key: makes the commit idempotent; also the folder's name.
        again: id of a version, or key of an earlier draft, whose content is logged once more;
            "" for a draft with entries of its own.
    """

    key: str
    project: str
    run_id: str
    writer_id: str
    name: str
    type: str
    description: str
    metadata: dict[str, Any]
    aliases: tuple[str, ...]
    again: str = ""
    v: int = VERSION

    @property
    def is_run_files(self) -> bool:
        """Whether it has files that `run.save` keeps: its version gets the earlier ones, too."""
        return (
            not self.again
            and self.type == RUN_FILES_TYPE
            and self.name == run_files_name(self.run_id)
        )

    def to_json(self) -> bytes:
        """
        Raises:
            ValueError: The metadata cannot be written as JSON.
        """
        return json.dumps(self._asdict(), allow_nan=False, separators=(",", ":")).encode()


def folder_name(key: str) -> str:
    return PREFIX + key


def key_of(name: str) -> str | None:
    """Return the key of the draft whose folder is called ``name``; None for any other name."""
    found = name.removeprefix(PREFIX)
    return found if name.startswith(PREFIX) and is_key(found) else None


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def parse_draft(data: bytes, key: str) -> Draft:
    """Return the draft in ``data``.

    Raises:
        DraftError: ``data`` is not a draft, or is the draft of another key.
    """
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DraftError(DRAFT_FILE, f"invalid JSON ({error})") from error
    if not isinstance(facts, dict) or set(facts) != set(Draft._fields):
        raise DraftError(DRAFT_FILE, f"expected an object with {', '.join(Draft._fields)}")
    if facts["v"] != VERSION:
        raise DraftError(DRAFT_FILE, f"version {facts['v']!r}; this release reads {VERSION} only")
    for name in (*_TEXTS, "again"):
        if not isinstance(facts[name], str):
            raise DraftError(DRAFT_FILE, f"{name}: expected a text")
    for name in ("project", "run_id", "writer_id"):
        if not 0 < len(facts[name].encode("utf-8", "replace")) <= IDENTIFIER_BYTES_MAX:
            raise DraftError(DRAFT_FILE, f"{name}: expected 1 to {IDENTIFIER_BYTES_MAX} bytes")
    if facts["key"] != key or not is_key(key):
        raise DraftError(
            DRAFT_FILE, f"key {facts['key'][:80]!r} differs from the name of its folder"
        )
    if not isinstance(facts["metadata"], dict):
        raise DraftError(DRAFT_FILE, "metadata: expected an object")
    aliases = facts["aliases"]
    if not isinstance(aliases, list) or not all(isinstance(each, str) for each in aliases):
        raise DraftError(DRAFT_FILE, "aliases: expected a list of texts")
    draft = Draft(**{**facts, "aliases": tuple(aliases)})
    try:
        check_draft(draft)
    except (ArtifactNameError, ValueError) as error:
        raise DraftError(DRAFT_FILE, str(error)) from error
    return draft


def check_draft(draft: Draft) -> None:
    """Refuse names and sizes that are invalid for a version.

    Raises:
        ArtifactNameError: A name, type or alias.
        ValueError: A size.
    """
    check_name(draft.name)
    check_type(draft.type)
    for alias in draft.aliases:
        check_alias(alias)
    if len(draft.aliases) > ALIASES_MAX:
        raise ValueError(f"{len(draft.aliases)} aliases; at most {ALIASES_MAX}")
    if len(draft.description) > DESCRIPTION_CHARACTERS_MAX:
        raise ValueError(
            f"a description of {len(draft.description)} characters; at most "
            f"{DESCRIPTION_CHARACTERS_MAX}"
        )
    size = len(json.dumps(draft.metadata, allow_nan=False).encode())
    if size > METADATA_BYTES_MAX:
        raise ValueError(
            f"metadata of {size} bytes as JSON; at most {METADATA_BYTES_MAX}; put the rest "
            "into a file of the artifact"
        )


def pack_entry(path: str, entry: Held | Reference | None) -> str:
    """Return the line of an entry; for None the line of a path that was removed again."""
    if isinstance(entry, Held):
        return f"[{encode_text(path)},{','.join(map(str, entry))}]\n"
    values = [path] if entry is None else [path, *entry]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n"


def parse_entries(lines: Iterable[bytes]) -> dict[str, Held | Reference]:
    """Return the entries by path. Paths are not checked here: a manifest does that.

    Raises:
        DraftError: A line is not an entry.
    """
    found: dict[str, Held | Reference] = {}
    for line_number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            path, fields = values[0], values[1:]
            if not isinstance(path, str):
                raise TypeError("expected a path that is a text")
            if not fields:
                found.pop(path, None)
            elif isinstance(fields[0], str):
                found[path] = _reference(*fields)
            else:
                found[path] = _held(*fields)
        except (ValueError, TypeError, IndexError, KeyError, RecursionError) as error:
            raise DraftError(f"{ENTRIES_FILE}, line {line_number}", str(error)) from error
        if len(found) > ENTRIES_MAX:
            raise DraftError(ENTRIES_FILE, f"more than {ENTRIES_MAX} entries")
    return found


def _held(*fields: Any) -> Held:
    for each in fields:
        if type(each) is not int or not 0 <= each < _INTEGER_MAX:
            raise TypeError("expected integers, 0 or more")
    return Held(*fields)


def _reference(uri: str, checksum: Any, size: Any) -> Reference:
    if not isinstance(checksum, str) or not (size is None or type(size) is int):
        raise TypeError("expected a checksum and a size")
    return Reference(uri, checksum, size)
