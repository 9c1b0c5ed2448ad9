"""Journals that only another user, or root, can send: users may share a folder of journals."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from stepwell_wire.journal_files import JOURNAL_NAME, WRITER_FILE
from stepwell_wire.segment import SEGMENT_SUFFIX

_TO_ENTER: Final = os.R_OK | os.W_OK | os.X_OK
_TO_SEND: Final = os.R_OK | os.W_OK


def is_closed(folder: Path) -> bool:
    """Whether ``folder`` exists and this user may not look into it, so that it is no journal."""
    return os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK)


def without_others(journals: Iterable[Path]) -> list[Path]:
    """Return those of ``journals`` that this user can send."""
    return [each for each in journals if not _is_closed(each)]


def journals_of_others(folder: Path) -> list[Path]:
    """Return the journals in ``folder`` that this user cannot send.

    A folder that cannot be looked into counts if it has the name of a journal.
    """
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                found.append(Path(folder) / entry.name)
    return sorted(each for each in found if _may_be_journal(each) and _is_closed(each))


def _may_be_journal(folder: Path) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return JOURNAL_NAME.search(folder.name) is not None
    return any(name == WRITER_FILE or SEGMENT_SUFFIX in name for name in names)


def _is_closed(journal: Path) -> bool:
    """Return whether it belongs to another user and this one may not read or change it."""
    try:
        if os.lstat(journal).st_uid == os.geteuid():
            return False
        if not os.access(journal, _TO_ENTER):
            return True
        return any(not os.access(each, _TO_SEND) for each in journal.iterdir())
    except FileNotFoundError:
        return False
