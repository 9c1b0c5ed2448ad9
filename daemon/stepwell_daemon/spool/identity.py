"""The spool's number: made at random with the spool, the daemon's id ever after."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Final

from stepwell_daemon.spool.disk import Disk, replace_file
from stepwell_daemon.spool.segment import list_segments, read_page, segment_path

FILE: Final = "spool.id"
_CONTENT: Final = re.compile(rb"[0-9a-f]{16}\n")


def spool_number(folder: Path, disk: Disk) -> int:
    """Return the number of the spool in ``folder``.

    The file holds no checksum, the segments do: a number that no segment carries is damaged, and
    it is written anew, as a lost one is, from what most segments say.

    Raises:
        NewerSpoolError: A later release wrote a segment.
        OSError: The folder cannot be read or written.
    """
    path = folder / FILE
    pages = [read_page(disk, segment_path(folder, each)) for each in list_segments(folder)]
    carried = Counter(page.spool for page in pages if page is not None)
    held = _read(path)
    if held and (held in carried or not carried):
        return held
    number = max(carried, key=lambda each: carried[each], default=0)
    number = number or int.from_bytes(os.urandom(8), "little") or 1
    replace_file(disk, path, f"{number:016x}\n".encode())
    return number


def _read(path: Path) -> int:
    """Return the number in ``path``, 0 where there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0
    return int(content, 16) if _CONTENT.fullmatch(content) else 0
