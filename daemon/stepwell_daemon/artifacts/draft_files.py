"""The files of a draft's folder: read, copied, written and synced. Links are never followed."""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

from stepwell_daemon.errors import BlobRefusedError
from stepwell_wire.drafts import (
    DRAFT_BYTES_MAX,
    DRAFT_FILE,
    ENTRIES_BYTES_MAX,
    ENTRIES_FILE,
    Draft,
    Held,
    parse_draft,
    parse_entries,
)
from stepwell_wire.errors import DraftError
from stepwell_wire.files import open_regular

_COPY_BYTES: Final = 1 << 20
_NO_FILE: Final = (errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.EISDIR)
"""A link, a pipe or a folder instead of a file: the content is wrong, not the disk."""


def read_draft(folder: Path) -> Draft:
    """Return the draft of a folder that is named by its key.

    Raises:
        DraftError: The folder is not a draft.
        OSError: It cannot be read now.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return read_draft_at(descriptor, folder.name)
    finally:
        os.close(descriptor)


def read_draft_at(folder: int, key: str) -> Draft:
    """Return the draft ``key`` of an open folder; raises as `read_draft`."""
    return parse_draft(_read_file(folder, DRAFT_FILE, DRAFT_BYTES_MAX), key)


def read_entries_file(descriptor: int) -> bytes:
    """Return the lines of a draft's entries; b"" for a draft without any.

    Raises:
        DraftError: They are too long, or not a regular file.
        OSError: They cannot be read now.
    """
    try:
        return _read_file(descriptor, ENTRIES_FILE, ENTRIES_BYTES_MAX)
    except FileNotFoundError:
        return b""


def _read_file(folder: int, name: str, bytes_max: int) -> bytes:
    try:
        descriptor = open_regular(name, os.O_RDONLY, folder=folder)
    except FileNotFoundError:
        if name == DRAFT_FILE:
            raise DraftError(name, "is missing") from None
        raise
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise DraftError(name, error.strerror or str(error)) from error
    with open(descriptor, "rb") as file:
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise DraftError(name, f"more than {bytes_max} bytes")
    return data


def check_file_name(name: str) -> None:
    """Raise BlobRefusedError unless ``name`` is a valid name for a file of a draft."""
    if name not in (DRAFT_FILE, ENTRIES_FILE) and not (name.isascii() and name.isdigit()):
        raise BlobRefusedError(f"{name[:80]!r} is not a valid name of a file of a draft")


def set_times(folder: Path) -> None:
    """Set the times of received files to the times of the source files.

    The sender has checked whether the sources changed; the socket carries only bytes.

    Raises:
        DraftError: The entries are invalid.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        entries = parse_entries(read_entries_file(descriptor).splitlines())
    finally:
        os.close(descriptor)
    for held in entries.values():
        if isinstance(held, Held) and held.held_ctime_ns:
            with contextlib.suppress(FileNotFoundError):  # The worker reports which one.
                os.utime(folder / str(held.number), ns=(held.mtime_ns, held.mtime_ns))


def copy_file(source: int, size: int, target: Path) -> None:
    """Copy ``size`` bytes of an open file durably, with its times."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    made = os.open(target, flags, 0o640)
    try:
        offset = 0
        while data := os.pread(source, min(_COPY_BYTES, size - offset), offset):
            write_whole(made, data)
            offset += len(data)
        found = os.fstat(source)  # The time of a link shows a later write.
        os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fdatasync(made)
    finally:
        os.close(made)


def write_whole(descriptor: int, data: bytes) -> None:
    """Write all of ``data``."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync(path: Path) -> None:
    """Make a file or folder durable."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)
        else:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
