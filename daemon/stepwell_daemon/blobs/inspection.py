"""The content of a daemon's blob queue, for tools: read only, also while the daemon runs."""

import contextlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stepwell_wire.errors import StagedDamagedError
from stepwell_wire.files import open_regular
from stepwell_wire.staged import is_id, read_header

_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class BlobReport:
    """The queue.

    Attributes:
        waiting, waiting_bytes: files that are not in the blob store yet.
        failed: files that are kept because they were unusable.
        damaged: waiting files that differ from the staged ones, with the reason.
    """

    waiting: int = 0
    waiting_bytes: int = 0
    failed: int = 0
    damaged: tuple[str, ...] = ()


def inspect_queue(folder: Path, *, read_all: bool = False) -> BlobReport:
    """Return the content of the queue in ``folder``, ``<data>/blobs``.

    Args:
        read_all: compare every payload with its checksum.
    """
    count = size = 0
    damaged: list[str] = []
    for path in _files(folder / "waiting"):
        with contextlib.suppress(FileNotFoundError):  # It was processed meanwhile.
            count, size = count + 1, size + path.stat().st_size
            if read_all and (why := _damage(path)):
                damaged.append(why)
    failed = sum(1 for _ in _files(folder / "failed"))
    return BlobReport(count, size, failed, tuple(damaged))


def _files(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if is_id(name)]
    except FileNotFoundError:
        return []


def _damage(path: Path) -> str:
    """Return the damage of a staged file, "" for none."""
    descriptor = open_regular(path, os.O_RDONLY)
    try:
        header = read_header(descriptor, str(path))
        crc32 = offset = 0
        while offset < header.payload_bytes:
            size = min(_READ_BYTES, header.payload_bytes - offset)
            data = os.pread(descriptor, size, offset)
            if not data:
                break
            crc32 = zlib.crc32(data, crc32)
            offset += len(data)
    except StagedDamagedError as error:
        return str(error)
    finally:
        os.close(descriptor)
    return "" if crc32 == header.payload_crc32 else f"{path}: the bytes do not match their checksum"
