"""Which journals the daemon takes in.

A client names the folder of its journal, and a daemon may be able to read more than its clients.
The socket does not tell who calls, but a folder says whose it is, and no user can make one that
belongs to another. So a folder is taken in when it is the daemon's own user's, or lies, whatever
links led to it, in a folder that the daemon was told to look after.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stepwell_wire.errors import JournalError
from stepwell_wire.folder import JournalFolder

_OTHERS_MAY_WRITE: Final = 0o002


class JournalRefusedError(JournalError):
    """A journal that the daemon does not touch, with what is wrong, where, and what to do."""


class JournalPlaces:
    """The folders whose journals are taken in.

    Args:
        journals: the daemon's own folder of journals.
        roots: further folders, where journals of any user are taken in.
        user: the daemon's user id.
    """

    def __init__(
        self, journals: Path, roots: Sequence[Path] = (), *, user: int | None = None
    ) -> None:
        self.journals = journals
        self._roots = (journals, *roots)
        self._user = os.geteuid() if user is None else user

    def check(self, folder: JournalFolder) -> None:
        """Raise JournalRefusedError unless ``folder`` may be taken in."""
        if folder.owner == self._user:
            return
        real = folder.real_path()
        if not any(real.is_relative_to(os.path.realpath(root)) for root in self._roots):
            named = ", ".join(map(str, self._roots))
            raise JournalRefusedError(
                f"{folder.path}: a journal of user {folder.owner}, and the daemon runs as user "
                f"{self._user}; those of other users are taken in from {named} only. What a kill "
                f"leaves there waits for `stepwell sync`: set STEPWELL_DIR to a folder in there, "
                "or add its folder to the daemon's setting journal_roots"
            )
        if folder.mode & _OTHERS_MAY_WRITE:
            raise JournalRefusedError(
                f"{folder.path}: every user may write into this journal (mode "
                f"{folder.mode:03o}), so its content can be anybody's; take that away with "
                "`chmod o-w`"
            )

    def allows(self, folder: JournalFolder) -> bool:
        """Return whether ``check`` has nothing against ``folder``."""
        try:
            self.check(folder)
        except JournalRefusedError:
            return False
        return True

    def objection(self, path: str) -> str:
        """Return why the journal in ``path`` would not be taken in.

        "" where it would, and where there is none that the daemon can see.
        """
        try:
            folder = JournalFolder(Path(path))
        except (OSError, ValueError):
            return ""
        try:
            self.check(folder)
        except JournalRefusedError as error:
            return str(error)
        finally:
            folder.close()
        return ""
