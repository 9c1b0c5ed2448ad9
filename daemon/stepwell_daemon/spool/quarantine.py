"""Bytes of the spool that are no record: kept, never deleted."""

import logging
from pathlib import Path
from typing import Final

from stepwell_daemon.spool.disk import Disk, replace_file
from stepwell_daemon.spool.record import Damage, Read

logger = logging.getLogger("stepwell_daemon.spool")

FOLDER: Final = "quarantine"
_COPY_BYTES_MAX: Final = 64 << 20


def path_of(folder: Path, segment: int, damage: Damage) -> Path:
    """Return where a copy of the damaged bytes is kept."""
    return folder / FOLDER / f"{segment:016d}-{damage.offset}-{damage.end}.bytes"


def quarantine(folder: Path, segment: int, damage: Damage, read: Read, disk: Disk) -> Path | None:
    """Copy the damaged bytes into ``folder``/quarantine; return where they are.

    Quarantining the same bytes twice makes one file. A disk that cannot take the copy does not
    stop the daemon: the segment itself is still there.
    """
    path = path_of(folder, segment, damage)
    size = min(damage.end - damage.offset, _COPY_BYTES_MAX)
    logger.error(
        "damaged record in the spool, skipped segment=%d offset=%d bytes=%d kept=%s",
        segment,
        damage.offset,
        damage.end - damage.offset,
        path,
    )
    if not size or path.exists():
        return path if size else None
    try:
        disk.make_folder(path.parent)
        replace_file(disk, path, read(size, damage.offset))
    except OSError as error:
        logger.warning("cannot keep a copy of damaged bytes: %s", error)
        return None
    return path
