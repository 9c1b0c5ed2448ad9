"""Runs whose journals lie on this machine and are not in the store: what a command says of them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from stepwell.cli.options import Places
from stepwell.cli.text import counted
from stepwell_wire.journal_files import WRITER_FILE, WriterFile, find_journals
from stepwell_wire.places import found_fallback_journals


def journals_folders(where: Places) -> list[Path]:
    """Return the folders of journals: the usual one, and the one used where that was read-only."""
    folders = [where.journals, found_fallback_journals()]
    return [each for each in dict.fromkeys(folders) if each is not None and each.is_dir()]


def unsent_hint(where: Places, reference: str = "") -> str:
    """Return what to add to "not found" where a journal here has it, else "".

    Args:
        reference: RUN, PROJECT, PROJECT/ or PROJECT/RUN; "" for every run. The name of a run is in
            no journal's head, so a run is found by its id only.
    """
    whole = reference.removesuffix("/")
    found = sum(
        whole in ("", each.project, each.run_id, f"{each.project}/{each.run_id}")
        for each in _writers(where)
    )
    if not found:
        return ""
    wait = "waits" if found == 1 else "wait"
    of_it = "" if not whole else " of it"
    return f"; {counted(found, 'journal')}{of_it} {wait} on this machine: `stepwell sync` sends it"


def _writers(where: Places) -> Iterator[WriterFile]:
    for folder in journals_folders(where):
        journals: list[Path] = []
        with contextlib.suppress(OSError):  # The folder of another user: a hint only.
            journals = find_journals(folder)
        for journal in journals:
            with contextlib.suppress(OSError, ValueError):
                yield WriterFile.from_json((journal / WRITER_FILE).read_text("utf-8"))
