"""Runs whose journals lie on this machine and are not in the store: what a command says of them."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from stepwell.cli.options import Places
from stepwell.cli.text import counted
from stepwell_wire.errors import JournalError
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import find_journals
from stepwell_wire.places import found_fallback_journals
from stepwell_wire.run_notes import run_note


def journals_folders(where: Places) -> list[Path]:
    """Return the folders of journals: the usual one, and the one used where that was read-only."""
    folders = [where.journals, found_fallback_journals()]
    return [each for each in dict.fromkeys(folders) if each is not None and each.is_dir()]


def unsent_hint(where: Places, reference: str = "") -> str:
    """Return what to add to "not found" where a journal here has it, else "".

    Journals of processes that still run are left out: a daemon takes those by itself.

    Args:
        reference: id or name of a run, PROJECT, PROJECT/ or PROJECT/ either; "" for every run.
    """
    whole = reference.removesuffix("/")
    found = sum(not whole or whole in names for names in _waiting(where))
    if not found:
        return ""
    wait = "waits" if found == 1 else "wait"
    of_it = "" if not whole else " of it"
    return f"; {counted(found, 'journal')}{of_it} {wait} on this machine: `stepwell sync` sends it"


def _waiting(where: Places) -> Iterator[set[str]]:
    """Yield by which names the run of each journal is found."""
    for folder in journals_folders(where):
        journals: list[Path] = []
        with contextlib.suppress(OSError):  # The folder of another user: a hint only.
            journals = find_journals(folder)
        for journal in journals:
            with (
                contextlib.suppress(OSError, JournalError),
                contextlib.closing(JournalReader(journal)) as reader,
            ):
                if not reader.writer_is_alive():
                    yield _names(folder, reader.info.project, reader.info.run_id)


def _names(folder: Path, project: str, run_id: str) -> set[str]:
    found = {run_id}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found.add(str(json.loads(run_note(folder, project, run_id).read_text("utf-8"))["name"]))
    return {project, *found, *(f"{project}/{each}" for each in found)}
