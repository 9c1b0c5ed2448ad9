"""Folders without a journal, and the trackers whose files they contain instead."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from stepwell._other_users import journals_of_others
from stepwell_wire.journal_files import WRITER_FILE, find_journals, find_remains

_FILES_MAX: Final = 2_000
_META_BYTES: Final = 4096


def has_journals(folder: Path) -> bool:
    """Return whether ``folder`` is a journal or contains some, or is known to have had some.

    A folder in which runs are noted, or damaged journals were kept, has had some.
    """
    if (folder / WRITER_FILE).exists() or any(folder.glob("*.seg*")):
        return True
    if any(folder.glob(".runs*")) or (folder / "damaged").is_dir():
        return True
    return bool(find_journals(folder) or any(find_remains(folder)) or journals_of_others(folder))


def has_foreign_files(folder: Path) -> bool:
    """Return whether ``folder`` contains files of a known other tracker."""
    return _foreign_file(islice(_files_in(folder), _FILES_MAX)) is not None


def no_journal_text(path: Path) -> str:
    """Return the message for a folder without a journal, or a file, that a user names."""
    names = islice(_files_in(path) if path.is_dir() else iter([path]), _FILES_MAX)
    text = f"no journal of stepwell in {path}"
    if found := _foreign_file(names):
        tracker, name = found
        return f"{text}; stepwell cannot read the files of {tracker}, such as {name}"
    return f"{text}; name a journal or a folder of journals"


def _files_in(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place) / name for name in names)


def _foreign_file(files: Iterable[Path]) -> tuple[str, str] | None:
    """Return the first file of a known other tracker: the tracker's name and the file's."""
    for path in files:
        if path.suffix == ".wandb":
            return "Weights & Biases", path.name
        if ".tfevents." in path.name:
            return "TensorBoard", path.name
        if path.name == "meta.yaml" and _is_of_mlflow(path):
            return "MLflow", path.name
    return None


def _is_of_mlflow(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\nartifact_" in b"\n" + file.read(_META_BYTES)
    except OSError:
        return False
