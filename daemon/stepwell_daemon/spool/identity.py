"""The spool's number: made at random with the spool, the daemon's id ever after."""

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
    """The spool's number, 0 where nothing says it, and whether its own file says so."""

    number: int
    is_held: bool


def spool_number(folder: Path, disk: Disk) -> int:
    """Return the number of the spool in ``folder``; write it where its file does not say it.

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

    The file holds no checksum, the segments do: a number that no segment carries is damaged, and
    what most segments say counts, as it does for a lost one.

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
    """Return the number in ``path``, 0 where there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0
    return int(content, 16) if _CONTENT.fullmatch(content) else 0
