"""Incomplete journals: hidden folders that killed processes left.

A writer creates its journal in a folder whose name begins with a dot, and renames it when it is
complete. A journal gets such a name again before it is removed. Both processes hold the lock in it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stepwell_wire.exit_note import EXIT_FILE
from stepwell_wire.files import open_regular
from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal_files import LOCK_FILE, UNVERIFIED_SUFFIX, WRITER_FILE
from stepwell_wire.segment import SEGMENT_SUFFIX

SPARE_PREFIX: Final = "spare-"
_OLD_SECONDS: Final = 3600.0
"""A younger folder may belong to a process that has not taken its lock yet."""


def remove_incomplete(journals: Path, may_remove: Callable[[JournalFolder], bool]) -> int:
    """Remove the unlocked hidden folders in ``journals``, an hour after they were created.

    Args:
        may_remove: returns whether the caller may remove a folder.

    Returns:
        how many were removed.
    """
    try:
        with os.scandir(journals) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(".")]
    except OSError:
        return 0
    return sum(_remove(journals / name, may_remove) for name in names)


def _remove(path: Path, may_remove: Callable[[JournalFolder], bool]) -> bool:
    with contextlib.ExitStack() as held, contextlib.suppress(OSError):
        folder = JournalFolder(path)
        held.callback(folder.close)
        names = folder.names()
        if not all(map(_is_ours, names)) or not may_remove(folder):
            return False
        if not names:
            if _is_old(folder.descriptor):
                os.rmdir(path)  # Fails unless the folder is empty.
                return True
            return False
        lock = open_regular(LOCK_FILE, os.O_RDWR, folder=folder.descriptor)
        held.callback(os.close, lock)
        if not _is_old(lock):
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(folder.descriptor)):
            return False  # Renamed since: it is complete, and its writer has ended.
        folder.remove(last=LOCK_FILE)
        return True
    return False


def _is_old(descriptor: int) -> bool:
    return time.time() - os.fstat(descriptor).st_mtime >= _OLD_SECONDS


def _is_ours(name: str) -> bool:
    return (
        name in (LOCK_FILE, WRITER_FILE, EXIT_FILE)
        or name.startswith(SPARE_PREFIX)
        or name.endswith((SEGMENT_SUFFIX, UNVERIFIED_SUFFIX, ".tmp"))
    )
