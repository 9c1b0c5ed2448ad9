"""The spool's number: made at random with the spool, the daemon's id ever after."""

import os
from pathlib import Path
from typing import Final

from stepwell_daemon.spool.disk import Disk, replace_file
from stepwell_daemon.spool.segment import list_segments, read_page, segment_path

FILE: Final = "spool.id"


def spool_number(folder: Path, disk: Disk) -> int:
    """Return the number of the spool in ``folder``.

    A lost file is written anew from what the segments say.
    """
    path = folder / FILE
    try:
        number = int(path.read_text(), 16)
    except (FileNotFoundError, ValueError):
        number = 0
    if number:
        return number
    pages = (read_page(disk, segment_path(folder, each)) for each in list_segments(folder)[::-1])
    number = next((page.spool for page in pages if page is not None), 0)
    number = number or int.from_bytes(os.urandom(8), "little") or 1
    replace_file(disk, path, f"{number:016x}\n".encode())
    return number
