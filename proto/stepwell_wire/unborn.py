"""Journals that were not finished being made, or removed: hidden folders of killed processes.

A writer makes its journal in a folder whose name begins with a dot, holds the lock in there from
the beginning, and renames the folder when it is whole. Whoever removes one hides it likewise, and
takes the lock's file away last. Where the lock is free, nobody does either.
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
_TEMPORARY_SUFFIX: Final = ".tmp"
"""What a repair writes before it has its name."""
_YOUNG_SECONDS: Final = 60.0
"""A writer takes the lock in the moment after it made it; what is younger is left alone."""


def remove_unborn(journals: Path, may_remove: Callable[[JournalFolder], bool]) -> int:
    """Remove the hidden journals in ``journals`` that nobody holds; return how many.

    Args:
        may_remove: says of a folder whether it is the caller's business.
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
        age_seconds = time.time() - os.fstat(folder.descriptor).st_mtime
        if not names and age_seconds >= _YOUNG_SECONDS and may_remove(folder):
            os.rmdir(path)  # Only an empty one can be removed so.
            return True
        if LOCK_FILE not in names or not all(map(_is_ours, names)) or not may_remove(folder):
            return False
        lock = open_regular(LOCK_FILE, os.O_RDWR, folder=folder.descriptor)
        held.callback(os.close, lock)
        if time.time() - os.fstat(lock).st_mtime < _YOUNG_SECONDS:
            return False
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(folder.descriptor)):
            return False  # Renamed since: it is whole, and its writer has ended.
        folder.remove(last=LOCK_FILE)
        return True
    return False


def _is_ours(name: str) -> bool:
    return (
        name in (LOCK_FILE, WRITER_FILE, EXIT_FILE)
        or name.startswith(SPARE_PREFIX)
        or name.endswith((SEGMENT_SUFFIX, UNVERIFIED_SUFFIX, _TEMPORARY_SUFFIX))
    )
