"""The spool's number: made at random with the spool; from then on the daemon's id."""

import contextlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from stepwell_daemon.errors import NewerSpoolError
from stepwell_daemon.spool.disk import Disk, replace_file
from stepwell_daemon.spool.segment import list_segments, read_page, segment_path

FILE: Final = "spool.id"
_CONTENT: Final = re.compile(rb"[0-9a-f]{16}\n")


class FoundNumber(NamedTuple):
    """The spool's number, 0 if unknown, and whether its own file has it."""

    number: int
    is_held: bool


def spool_number(folder: Path, disk: Disk) -> int:
    """Return the number of the spool in ``folder``; write it if its file does not have it.

    Raises:
        NewerSpoolError: A later release wrote a segment.
        OSError: The folder cannot be read or written.
    """
    for each in list_segments(folder):
        read_page(disk, segment_path(folder, each))
    number, is_held = find_number(folder, disk)
    if is_held:
        return number
    number = number or int.from_bytes(os.urandom(8), "little") or 1
    replace_file(disk, folder / FILE, f"{number:016x}\n".encode())
    return number


def find_number(folder: Path, disk: Disk) -> FoundNumber:
    """Return the number of the spool in ``folder``; changes nothing.

    The file has no checksum, but the segments do. A number that is in no segment is damaged. Then,
    or if the file is lost, the number in most segments is valid.

    Raises:
        OSError: The folder cannot be read.
    """
    carried: Counter[int] = Counter()
    for each in list_segments(folder):
        with contextlib.suppress(NewerSpoolError, FileNotFoundError):  # Freed since it was listed.
            page = read_page(disk, segment_path(folder, each))
            if page is not None:
                carried[page.spool] += 1
    held = _read(folder / FILE)
    if held and (held in carried or not carried):
        return FoundNumber(held, is_held=True)
    return FoundNumber(max(carried, key=lambda each: carried[each], default=0), is_held=False)


def _read(path: Path) -> int:
    """Return the number in ``path``, 0 without one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0
    return int(content, 16) if _CONTENT.fullmatch(content) else 0
