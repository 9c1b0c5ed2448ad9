"""The journals that the daemon imports.

A client names the folder of its journal, and a daemon may be able to read more than its clients.
The socket does not show the caller's user. But a folder has an owner, and a user cannot make a
folder that belongs to another user. So a folder is imported in two cases: it belongs to the
daemon's own user, or its real path, without links, is below one of the configured folders.
"""

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stepwell_wire.errors import JournalError
from stepwell_wire.files import open_regular
from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal_files import (
    JOURNAL_NAME,
    LOCK_FILE,
    WRITER_FILE,
    find_journals,
    noted_socket,
)
from stepwell_wire.lock_notes import stores_elsewhere
from stepwell_wire.places import found_fallback_journals
from stepwell_wire.repair import KEPT_FOLDER

_OTHERS_MAY_WRITE: Final = 0o002
_NO_RIGHT: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


class JournalRefusedError(JournalError):
    """A journal that the daemon leaves alone, with the problem, the place and the remedy."""


class JournalPlaces:
    """The folders whose journals are imported.

    Args:
        journals: the daemon's own folder of journals.
        roots: further folders, from which journals of any user are imported.
        socket: the daemon's; None: journals in the fallback folder are not searched.
        data: the daemon's data folder; None: journals of other daemons are imported too.
        user: the daemon's user id.
    """

    def __init__(
        self,
        journals: Path,
        roots: Sequence[Path] = (),
        *,
        socket: Path | None = None,
        data: Path | None = None,
        user: int | None = None,
    ) -> None:
        self.journals = journals
        self._socket, self._data = socket, data
        self._roots = (journals, *roots)
        self._user = os.geteuid() if user is None else user

    def check(self, folder: JournalFolder) -> None:
        """Raise JournalRefusedError unless ``folder`` may be imported."""
        if folder.owner == self._user:
            return
        real = folder.real_path()
        if not any(real.is_relative_to(os.path.realpath(root)) for root in self._roots):
            named = ", ".join(map(str, self._roots))
            raise JournalRefusedError(
                f"{folder.path}: the owner of the journal is user {folder.owner}, but the "
                f"daemon runs as user {self._user} and imports journals of other users only "
                f"from {named}. Run `stepwell sync` as that user to send it; set "
                "STEPWELL_DIR to a folder below one of these, or add the journal's folder "
                "to the daemon's setting journal_roots, to have it imported"
            )
        if folder.mode & _OTHERS_MAY_WRITE:
            raise JournalRefusedError(
                f"{folder.path}: every user may write into this journal (mode "
                f"{folder.mode:03o}), so the daemon does not import it; remove that right "
                "with `chmod o-w`"
            )

    def allows(self, folder: JournalFolder) -> bool:
        """Return whether ``check`` accepts ``folder``."""
        try:
            self.check(folder)
        except JournalRefusedError:
            return False
        return True

    def is_missing(self, journal: Path) -> bool:
        """Return whether ``journal`` was removed.

        Not if its parent is missing too: a file system may not be mounted now. The daemon's own
        folder in its data folder is on the same one as the data: a restored back-up has none.
        """
        # os.path: Path.exists() raises for a name that is too long, and clients choose it.
        if os.path.exists(journal):
            return False
        parent = journal.parent
        is_own = self._data is not None and parent == self.journals == self._data / "journals"
        return is_own or os.path.exists(parent)

    def fallback_folder(self) -> Path | None:
        """Return the folder that writers of our user use if theirs cannot be written, or None."""
        if self._socket is None:
            return None
        try:
            folder = found_fallback_journals()
        except OSError:  # No folder for temporary files can be written now.
            return None
        return None if folder == self.journals else folder

    def find(self) -> list[Path]:
        """Return the journals in the own folder, and those of this daemon in the fallback folder.

        In the own folder, other users may have a folder for their journals. Journals that our user
        may not read are included. Journals of another daemon that stores elsewhere are left to it,
        also while it is down.

        The fallback folder is shared by all daemons of one user, so there each journal is
        imported only by the daemon whose socket it names.
        """
        found = find_journals(self.journals)
        for path in self._folders_of_others():
            if JOURNAL_NAME.search(path.name) is None:
                with contextlib.suppress(OSError):
                    found += find_journals(path)
                    found += _hidden_journals(path)
        found += _hidden_journals(self.journals)
        found = [path for path in found if not self._is_of_other_store(path)]
        if (folder := self.fallback_folder()) is not None:
            found += [path for path in find_journals(folder) if self._is_ours(path)]
        return found

    def _folders_of_others(self) -> list[Path]:
        """Return the folders in the own folder that belong to other users."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self.journals) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == KEPT_FOLDER:
                    continue
                with contextlib.suppress(OSError):
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_folder and entry.stat(follow_symlinks=False).st_uid != self._user:
                        found.append(self.journals / entry.name)
        return sorted(found)

    def _is_ours(self, path: Path) -> bool:
        assert self._socket is not None
        named = noted_socket(path)  # "": `stepwell doctor` reports it.
        return bool(named) and os.path.realpath(named) == os.path.realpath(self._socket)

    def _is_of_other_store(self, path: Path) -> bool:
        """Return whether the daemon that the writer used stores in another folder than ours."""
        if self._socket is None or self._data is None:
            return False
        return stores_elsewhere(noted_socket(path), self._socket, self._data)

    def objection(self, path: str) -> str:
        """Return why the journal in ``path`` would not be imported.

        "" if it would be, or if the daemon sees no journal there.
        """
        try:
            folder = JournalFolder(Path(path))
        except (OSError, ValueError):
            return self.obstacle(path)
        try:
            self.check(folder)
        except JournalRefusedError as error:
            return str(error)
        finally:
            folder.close()
        return self.obstacle(path)

    def obstacle(self, path: str | Path) -> str:
        """Return why our user cannot import the journal in ``path``, "" if its rights suffice.

        To import a journal is to read its files and to delete them. The lock shows both: all files
        of a journal have the same owner, group and rights.
        """
        try:
            folder = JournalFolder(Path(path))
            try:
                os.close(open_regular(LOCK_FILE, os.O_RDWR, folder=folder.descriptor))
            finally:
                folder.close()
        except OSError as error:
            return self._no_right(path, error) if error.errno in _NO_RIGHT else ""
        except ValueError:
            return ""
        return ""

    def _no_right(self, path: str | Path, error: OSError) -> str:
        owner, as_owner = "another user", "as its user"
        with contextlib.suppress(OSError):
            user = os.stat(path, follow_symlinks=False).st_uid
            owner, as_owner = f"user {user}", f"as user {user}"
        return (
            f"{path}: the owner of the journal is {owner}, and the daemon, user {self._user}, may "
            f"not change it ({error.strerror}), so the daemon does not import it after a kill. "
            f"Run `stepwell sync` {as_owner} to send it. To have such journals imported, run the "
            "daemon as root, or let its group change them: see the section "
            '"Journals of other users" of docs/operations.md'
        )


def _hidden_journals(folder: Path) -> list[Path]:
    """Return the folders in ``folder`` with a journal's name that our user may not enter."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if JOURNAL_NAME.search(entry.name) is None or entry.name.startswith("."):
                continue
            try:
                os.stat(os.path.join(entry.path, WRITER_FILE))
            except PermissionError:
                found.append(folder / entry.name)
            except OSError:
                continue
    return sorted(found)
