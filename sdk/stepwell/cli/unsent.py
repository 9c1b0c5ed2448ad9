"""Hints about runs whose journals are on this machine but not in the store."""

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from stepwell.cli.daemon_client import status_of
from stepwell.cli.errors import CommandError
from stepwell.cli.options import Places
from stepwell.cli.text import counted
from stepwell_wire.errors import JournalError
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import WRITER_FILE, WriterFile, find_journals
from stepwell_wire.lock_notes import stores_elsewhere
from stepwell_wire.places import found_fallback_journals
from stepwell_wire.run_notes import run_note
from stepwell_wire.staged import staged_bytes

_FREE: Final = "`stepwell sync` sends {them}"
_FOLDERS_MAX: Final = 10
_IMPORTED: Final = "the daemon imports {them}, see `stepwell status`"


def journals_folders(where: Places) -> list[Path]:
    """Return the folders of journals that exist.

    They are the usual one, that of the daemon, and the one used where the usual one was read-only.
    """
    status = None
    if not where.journals_named:
        with contextlib.suppress(CommandError):  # The command itself reports it, if it needs one.
            status = status_of(where.socket)
    folders = [where.journals, daemons_journals(where, status), found_fallback_journals()]
    return [each for each in dict.fromkeys(folders) if each is not None and os.path.isdir(each)]


def daemons_journals(where: Places, status: Mapping[str, Any] | None) -> Path | None:
    """Return the folder from which the daemon of ``status`` imports journals.

    None if it is unknown, or if the user named a folder of journals or other data.
    """
    if status is None or where.journals_named:
        return None
    if where.data_named and where.data.resolve() != Path(status["data_dir"]).resolve():
        return None
    folder = str(status.get("journals_dir") or "")  # A daemon of an older release reports none.
    return Path(folder) if folder else None


def unsent_hint(where: Places, reference: str = "") -> str:
    """Return a hint for "not found" if a journal here has the run, else "".

    Journals of running processes are left out: they send their data themselves.

    Args:
        reference: RUN (id or name), PROJECT/RUN, PROJECT or PROJECT/; "" for every run.
    """
    whole = reference.removesuffix("/")
    found = Counter(_how_it_waits(each) for each in _journals_of(where, whole))
    of_it = "" if not whole else " of it"
    hint = ""
    for how in (_FREE, _IMPORTED):
        if number := found[how]:
            wait, them = ("waits", "it") if number == 1 else ("wait", "them")
            hint += f"; {counted(number, 'journal')}{of_it} {wait} on this machine: "
            hint += how.format(them=them)
    return hint


def waiting_journals(where: Places) -> list[Path]:
    """Return the journals here that `stepwell sync` would send."""
    return [each for each in _journals_of(where, "") if _how_it_waits(each) == _FREE]


def print_unsent(where: Places, reference: str = "") -> None:
    """Print a line if a journal here has data of ``reference`` that the store lacks."""
    if hint := unsent_hint(where, reference):
        print(
            f"stepwell: {reference or 'the data'} is not complete in this store{hint}",
            file=sys.stderr,
        )


def print_returning(where: Places, project: str, run_id: str = "") -> None:
    """Print the journals here that bring a deleted run, or all of a deleted project, back.

    Args:
        run_id: "" for every run of the project.
    """
    found = [
        journal
        for journal in _journals_of(where, project)
        if _is_of(journal, project, run_id) and _how_it_waits(journal)
    ]
    if not found:
        return
    wait, them, folder = ("wait", "them", "folders")
    if len(found) == 1:
        wait, them, folder = ("waits", "it", "folder")
    shown = ", ".join(map(str, found[:_FOLDERS_MAX]))
    more = f" and {len(found) - _FOLDERS_MAX} more" if len(found) > _FOLDERS_MAX else ""
    what = f"{project}/{run_id}" if run_id else f"project {project}"
    print(
        f"stepwell: {what} was deleted from the store; {counted(len(found), 'journal')} of it "
        f"{wait} on this machine: `stepwell sync` stores {them} again. To keep it deleted, "
        f"delete the {folder} {shown}{more}",
        file=sys.stderr,
    )


def _is_of(journal: Path, project: str, run_id: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        info = WriterFile.from_json((journal / WRITER_FILE).read_text("utf-8"))
        return info.project == project and run_id in ("", info.run_id)
    return False


def _journals_of(where: Places, whole: str) -> Iterator[Path]:
    """Yield the journals of the run or project ``whole``, "" for all."""
    for folder in journals_folders(where):
        journals: list[Path] = []
        with contextlib.suppress(OSError):  # Another user's folder: this is only a hint.
            journals = find_journals(folder)
        for journal in journals:
            with contextlib.suppress(OSError, ValueError):
                info = WriterFile.from_json((journal / WRITER_FILE).read_text("utf-8"))
                if stores_elsewhere(info.socket, where.socket, where.data):
                    continue  # The data of another store.
                if not whole or whole in _names(journal, info.project, info.run_id):
                    yield journal


def _how_it_waits(journal: Path) -> str:
    """Return who sends the journal, "" if its process runs or everything is acknowledged."""
    with (
        contextlib.suppress(OSError, JournalError),
        contextlib.closing(JournalReader(journal)) as reader,
    ):
        if reader.committed <= reader.acked and not staged_bytes(journal):
            return ""
        if not reader.writer_is_alive():
            return _FREE
        return _IMPORTED if reader.is_imported() else ""
    return ""


def _names(journal: Path, project: str, run_id: str) -> set[str]:
    found = {run_id}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        note = run_note(journal.parent, project, run_id, user=journal.stat().st_uid)
        found.add(str(json.loads(note.read_text("utf-8"))["name"]))
    return {project, *found, *(f"{project}/{each}" for each in found)}
