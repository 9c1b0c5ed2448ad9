"""Staged blobs: bytes beside a writer's journal that the daemon has not taken yet.

    <journal>/blob-<id>       a whole file; <id> is 32 random hexadecimal digits
    <journal>/blob-<id>.new   one that is being written; it does not count

    file   := payload | header | footer
    header := JSON object, see `StagedHeader`
    footer := header bytes u32 | header crc32 u32 | payload bytes u64 | payload crc32 u32 | 0 u32
              | magic

Little-endian throughout. The footer comes last: a truncated file has none. No I/O here but
`read_header`; nothing but the standard library at import: training processes import this.
"""

import json
import os
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from stepwell_wire.errors import StagedDamagedError
from stepwell_wire.limits import (
    IDENTIFIER_BYTES_MAX,
    STAGED_BYTES_MAX,
    STAGED_HEADER_BYTES_MAX,
)

PREFIX: Final = "blob-"
UNFINISHED_SUFFIX: Final = ".new"
MAGIC: Final = b"SWBLOB1\n"
FOOTER: Final = struct.Struct("<IIQII8s")

PIXELS: Final = "pixels"  # {"shape": [height, width, channels], "format": "png"}; uint8, rows first
FRAMES: Final = "frames"  # {"shape": [frames, height, width, channels], "fps": 4.0}; uint8
FILE: Final = "file"  # {"media_type": str}: kept as it is, after a look at what it is
TEXT: Final = "text"  # {"media_type": str}: UTF-8, kept as it is
TABLE: Final = "table"  # {}: rows in columns, see `table_rows`

_ID: Final = re.compile(r"[0-9a-f]{32}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_WHO: Final = ("project", "run_id", "writer_id", "label", "host")


class StagedHeader(NamedTuple):
    """The header of a staged file.

    Attributes:
        kind: how the payload is to be read: ``pixels``, ``frames``, ``file``, ``text``, ``table``.
        about: other facts for reading it, by kind.
        payload_bytes: size of the payload, which begins at offset 0.
        payload_crc32: its zlib CRC-32.
    """

    id: str
    project: str
    run_id: str
    writer_id: str
    label: str
    host: str
    pid: int
    kind: str
    about: Mapping[str, Any]
    payload_bytes: int = 0
    payload_crc32: int = 0


def new_id() -> str:
    """Return an id for a blob; random, so that processes need not coordinate."""
    return os.urandom(16).hex()


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Return whether ``text`` is a BLAKE3 digest: 64 hexadecimal digits, lower case."""
    return _DIGEST.fullmatch(text) is not None


def file_name(blob_id: str) -> str:
    return PREFIX + blob_id


def id_of(name: str) -> str | None:
    """Return the id of the whole staged file ``name``; None for any other name."""
    found = name.removeprefix(PREFIX)
    return found if name.startswith(PREFIX) and is_id(found) else None


def is_unfinished(name: str) -> bool:
    return (
        name.endswith(UNFINISHED_SUFFIX) and id_of(name.removesuffix(UNFINISHED_SUFFIX)) is not None
    )


def staged_bytes(folder: str | os.PathLike[str]) -> int:
    """Return the size of all whole staged files in ``folder``."""
    size = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if id_of(entry.name) is not None:
                size += entry.stat(follow_symlinks=False).st_size
    return size


def pack_end(header: StagedHeader) -> bytes:
    """Return header and footer, the bytes after the payload.

    Raises:
        ValueError: The header is larger than ``STAGED_HEADER_BYTES_MAX``.
    """
    fields = header._asdict()
    size, crc32 = fields.pop("payload_bytes"), fields.pop("payload_crc32")
    packed = json.dumps(fields, separators=(",", ":")).encode()
    if len(packed) > STAGED_HEADER_BYTES_MAX:
        raise ValueError(
            f"a header of {len(packed)} bytes; at most {STAGED_HEADER_BYTES_MAX} are allowed"
        )
    return packed + FOOTER.pack(len(packed), zlib.crc32(packed), size, crc32, 0, MAGIC)


def read_header(descriptor: int, where: str) -> StagedHeader:
    """Return the header of the open file; its payload is not read.

    Args:
        where: names the file in the error.

    Raises:
        StagedDamagedError: It is not a staged file, or is incomplete.
        OSError: It cannot be read.
    """
    size = os.fstat(descriptor).st_size
    if not FOOTER.size <= size <= STAGED_BYTES_MAX:
        raise StagedDamagedError(where, f"{size} bytes")
    footer = os.pread(descriptor, FOOTER.size, size - FOOTER.size)
    if len(footer) != FOOTER.size:
        raise StagedDamagedError(where, "the file became shorter during the read")
    header_bytes, header_crc32, payload_bytes, payload_crc32, _, magic = FOOTER.unpack(footer)
    if magic != MAGIC:
        raise StagedDamagedError(where, "no footer: the file is truncated or is not a staged file")
    if header_bytes > STAGED_HEADER_BYTES_MAX or payload_bytes + header_bytes + FOOTER.size != size:
        raise StagedDamagedError(
            where,
            f"{size} bytes, but its footer gives {payload_bytes} for the payload and "
            f"{header_bytes} for the header",
        )
    packed = os.pread(descriptor, header_bytes, payload_bytes)
    if zlib.crc32(packed) != header_crc32:
        raise StagedDamagedError(where, "the header does not match its checksum")
    return _header_of(packed, payload_bytes, payload_crc32, where)


def _header_of(packed: bytes, payload_bytes: int, payload_crc32: int, where: str) -> StagedHeader:
    try:
        fields = json.loads(packed)
        texts = {name: fields[name] for name in ("id", "kind", *_WHO)}
        pid, about = fields["pid"], fields["about"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StagedDamagedError(where, f"unreadable header: {error}") from error
    for name, value in texts.items():
        limit = 255 if name == "host" else IDENTIFIER_BYTES_MAX
        if not isinstance(value, str) or not _fits(value, limit):
            raise StagedDamagedError(
                where, f"{name} in the header is not a text of at most {limit} bytes"
            )
    if not is_id(texts["id"]) or not texts["run_id"] or not texts["writer_id"]:
        raise StagedDamagedError(where, "the header lacks a valid id, run_id or writer_id")
    if not isinstance(pid, int) or not 0 <= pid < 1 << 32 or not isinstance(about, dict):
        raise StagedDamagedError(where, "the header has an invalid pid or about")
    return StagedHeader(
        **texts, pid=pid, about=about, payload_bytes=payload_bytes, payload_crc32=payload_crc32
    )


def _fits(text: str, limit: int) -> bool:
    """Return whether ``text`` is at most ``limit`` bytes of UTF-8; JSON can hold other text."""
    try:
        return len(text.encode()) <= limit
    except UnicodeEncodeError:
        return False
