"""Lost parts of the spool: bytes that are not records, and notes of missing or truncated files.

Kept in a separate folder, never deleted.
"""

import contextlib
import logging
import time
from pathlib import Path
from typing import Final

from stepwell_daemon.spool.disk import Disk, replace_file
from stepwell_daemon.spool.record import Damage
from stepwell_daemon.spool.walker import SegmentFile

logger = logging.getLogger("stepwell_daemon.spool")

FOLDER: Final = "quarantine"
_COPY_BYTES_MAX: Final = 64 << 20
_NOTE_SUFFIX: Final = ".lost"
_NOTE_BYTES_MAX: Final = 4096


def path_of(folder: Path, segment: int, damage: Damage) -> Path:
    """Return the path of the copy of the damaged bytes."""
    return folder / FOLDER / f"{segment:016d}-{damage.offset}-{damage.end}.bytes"


def quarantine(segment: SegmentFile, damage: Damage) -> Path | None:
    """Copy the damaged bytes into the folder ``quarantine``; return their path.

    Quarantining the same bytes twice makes one file. A disk that cannot take the copy does not
    stop the daemon: the segment itself is still there.
    """
    path = path_of(segment.path.parent, segment.number, damage)
    size = min(damage.end - damage.offset, _COPY_BYTES_MAX)
    logger.error(
        "skipped a damaged record of the spool segment=%d offset=%d bytes=%d kept=%s",
        segment.number,
        damage.offset,
        damage.end - damage.offset,
        path,
    )
    if not size or path.exists():
        return path if size else None
    try:
        segment.disk.make_folder(path.parent)
        replace_file(segment.disk, path, segment.read(size, damage.offset))
    except OSError as error:
        logger.warning("copying damaged bytes into quarantine failed: %s", error)
        return None
    return path


def note(folder: Path, name: str, what: str, disk: Disk) -> None:
    """Store a note of a loss that leaves no bytes; the same note twice makes one file.

    Args:
        name: identifies the loss, so that each is noted once.
        what: the text, stored with the time.
    """
    path = folder / FOLDER / f"{name}{_NOTE_SUFFIX}"
    if path.exists():
        return
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    try:
        disk.make_folder(path.parent)
        replace_file(disk, path, f"{moment}: {what}\n".encode()[:_NOTE_BYTES_MAX])
    except OSError as error:
        logger.warning("noting a loss in quarantine failed: %s", error)


def notes(folder: Path) -> list[str]:
    """Return the notes in ``folder``/quarantine, oldest segment first."""
    found = []
    for path in sorted((folder / FOLDER).glob(f"*{_NOTE_SUFFIX}")):
        with contextlib.suppress(OSError), path.open("rb") as file:
            found.append(file.read(_NOTE_BYTES_MAX).decode("utf-8", "replace").strip())
    return found
