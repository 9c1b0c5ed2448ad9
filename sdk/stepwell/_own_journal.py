"""The journal of a writer of this process: the writer's description, and the folder."""

import errno
import os
import time
from pathlib import Path
from typing import Final

from stepwell._identity import new_writer_id
from stepwell._journal import Journal
from stepwell._settings import Settings
from stepwell._terminal import Voice
from stepwell_wire.journal_files import WriterFile, boot_id
from stepwell_wire.limits import EVENT_BYTES_MAX
from stepwell_wire.places import SOCKET_PATH_BYTES_MAX, fallback_journals_dir
from stepwell_wire.segment import PAGE_BYTES

_SEGMENT_BYTES_MIN: Final = (EVENT_BYTES_MAX // PAGE_BYTES + 3) * PAGE_BYTES
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


def writer_file(settings: Settings, run_id: str, label: str) -> WriterFile:
    """Return the description of a new writer of this process."""
    return WriterFile(
        project=settings.project,
        run_id=run_id,
        writer_id=new_writer_id(),
        label=label,
        scope="run",
        host=os.uname().nodename,
        pid=os.getpid(),
        boot_id=boot_id(),
        created_at=time.time_ns() // 1000,
        mode=settings.mode,
        socket=_noted_socket(settings.socket),
    )


def _noted_socket(path: str) -> str:
    """Return ``path``, "" if no socket can have it or JSON cannot hold it."""
    try:
        return path if len(path.encode()) <= SOCKET_PATH_BYTES_MAX else ""
    except UnicodeEncodeError:
        return ""


def make_journal(settings: Settings, run_id: str, label: str, voice: Voice) -> Journal | None:
    """Return a journal of a new writer; None, with a warning, if none can be made.

    If the folder for journals has no room, it is made in the folder for temporary files.
    """
    for turn in range(2):
        parent = settings.journals_dir
        try:
            if turn == 1:
                parent = _temporary_journals()
            return Journal(
                parent,
                writer_file(settings, run_id, label),
                segment_bytes=_segment_bytes(settings),
                bytes_max=settings.journal_bytes_max,
                durable=settings.mode == "offline",
            )
        except OSError as error:
            space = "free some space or " if error.errno in _NO_SPACE else ""
            voice.warn_once(
                f"journal {parent}",
                f"{parent}: creating a journal there failed: {error.strerror or error}; "
                f"{space}name another folder with STEPWELL_DIR",
            )
    return None


def _segment_bytes(settings: Settings) -> int:
    """Return the size of a segment: two of them, the fewest, fit into the limit of the journal.

    A segment has room for any event, also with a smaller limit.
    """
    half = settings.journal_bytes_max // 2 // PAGE_BYTES * PAGE_BYTES
    return min(settings.journal_segment_bytes, max(half, _SEGMENT_BYTES_MIN))


def _temporary_journals() -> Path:
    """Return a folder for journals below the one for temporary files.

    Raises:
        PermissionError: Another user made the folder of that name, and could read what is in it.
    """
    folder = fallback_journals_dir()
    own = folder.parent
    own.mkdir(mode=0o700, exist_ok=True)
    found = own.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022 or own.is_symlink():
        raise PermissionError(
            errno.EPERM,
            "the folder belongs to another user or other users may write to it",
            str(own),
        )
    return folder
