"""The page's address beside the daemon's socket, for a run that asks before it is connected.

    <socket>.page   the address, and on a second line the hub's folder, where its key is; there as
                    long as the daemon has a page

The welcome says the same a moment later. The file may be left by a daemon that was killed, so it
counts only while the socket answers, and only if the socket's owner wrote it.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Final

_BYTES_MAX: Final = 2048
_MODE: Final = 0o644
"""Users who may enter the socket's folder may know the address; it has no key."""
_ADDRESS: Final = re.compile(r"https?://[!-~]+")


def page_file(socket: Path) -> Path:
    return socket.with_name(f"{socket.name}.page")


def note_page(socket: Path, address: str, hub_folder: str = "") -> None:
    """Write the address, or remove the file without one; a failure costs only convenience."""
    path = page_file(socket)
    with contextlib.suppress(OSError):
        if not address:
            path.unlink(missing_ok=True)
            return
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_text(f"{address}\n{hub_folder}\n")
        fresh.chmod(_MODE)
        fresh.replace(path)


def noted_page(socket: Path) -> str:
    """Return the address beside a socket that answers, "" if none is noted."""
    return noted_hub(socket)[0]


def noted_hub(socket: Path) -> tuple[str, str]:
    """Return the page's address beside a socket and the hub's folder, "" for a missing one."""
    try:
        owner = socket.stat().st_uid
        with page_file(socket).open("rb") as file:
            if os.fstat(file.fileno()).st_uid != owner:
                return "", ""
            address, _, folder = os.fsdecode(file.read(_BYTES_MAX)).partition("\n")
    except (OSError, ValueError):
        return "", ""
    folder = folder.removesuffix("\n")
    is_whole = _ADDRESS.fullmatch(address) and (not folder or os.path.isabs(folder))
    return (address, folder) if is_whole else ("", "")
