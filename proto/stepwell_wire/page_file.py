"""The page's address beside the daemon's socket, for a run that asks before it is connected.

    <socket>.page   one line: the address; there as long as the daemon has a page

The welcome says the same a moment later. The file may be left by a daemon that was killed, so it
counts only while the socket answers, and only if the socket's owner wrote it.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Final

_BYTES_MAX: Final = 2048
_ADDRESS: Final = re.compile(r"https?://[!-~]+")


def page_file(socket: Path) -> Path:
    return socket.with_name(f"{socket.name}.page")


def note_page(socket: Path, address: str) -> None:
    """Write the address, or remove the file where there is none; a failure costs only comfort."""
    path = page_file(socket)
    with contextlib.suppress(OSError):
        if not address:
            path.unlink(missing_ok=True)
            return
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_text(f"{address}\n")
        fresh.replace(path)


def noted_page(socket: Path) -> str:
    """Return the address beside a socket that answers, "" where none is noted."""
    try:
        owner = socket.stat().st_uid
        with page_file(socket).open("rb") as file:
            if os.fstat(file.fileno()).st_uid != owner:
                return ""
            text = file.read(_BYTES_MAX).decode("ascii").strip()
    except (OSError, ValueError):
        return ""
    return text if _ADDRESS.fullmatch(text) else ""
