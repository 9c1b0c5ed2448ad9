"""The paths of `wandb sync`: folders of runs, as `run.dir` has them, to the journals of those runs.

wandb/offline-run-20260105_101530-ID    the run ID
wandb                                   all runs
anything else                           passed on: a journal or a folder of journals
"""

import argparse
import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from stepwell._tracker_files import has_foreign_files, has_journals, no_journal_text
from stepwell.cli.options import Places, add_data, add_socket, places
from stepwell.cli.unsent import journals_folders, waiting_journals
from stepwell_wire.journal_files import WRITER_FILE, WriterFile, find_journals

_RUN_FOLDER: Final = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-(.+)")
_PARENT: Final = "wandb"


class NoRunFolderError(Exception):
    """A path is no run's folder and no journal, and contains none."""


class Found(NamedTuple):
    """What the paths of `wandb sync` name.

    Attributes:
        paths: for `stepwell sync`: journals and folders of journals.
        preview: the same; for all journals, those that wait.
        missing: the ids of runs without a journal here.
        is_all: a path is the folder `wandb`: all journals of this machine.
        others: journals that wait, which no path names.
    """

    paths: list[str]
    preview: list[str]
    missing: list[str]
    is_all: bool
    others: list[Path]


def journals_of(paths: Iterable[str]) -> Found:
    """Find the journals for `wandb sync`.

    The folder `wandb` stands for all runs. It has a folder only of those that used ``run.dir``.

    Raises:
        NoRunFolderError: One of the paths is neither a run's folder nor a folder with journals.
    """
    where = _places()
    named: dict[str, None] = {}
    of_runs: dict[str, None] = {}
    missing: dict[str, None] = {}
    held: dict[str, list[str]] | None = None
    is_all = names_runs = False
    for path in paths:
        own = _run_id(Path(path))
        run_ids = [own] if own else _ids_in(Path(path))
        is_all = is_all or (not own and (bool(run_ids) or _is_parent(Path(path))))
        if not run_ids and not _is_parent(Path(path)):
            if not Path(path).exists():
                raise NoRunFolderError(f"{path}: no such folder")
            if not has_journals(Path(path)):
                raise NoRunFolderError(no_journal_text(Path(path)))
            named[path] = None
            continue
        names_runs = True
        held = _held(where) if held is None else held
        for run_id in run_ids:
            of_runs.update(dict.fromkeys(held.get(run_id, ())))
            if run_id not in held:
                missing[run_id] = None
    waiting = waiting_journals(where) if names_runs else []
    if is_all:
        folders = [str(folder) for folder in journals_folders(where) if has_journals(folder)]
        preview = [*named, *map(str, waiting)]
        return Found([*named, *folders], preview, list(missing), is_all, [])
    found = [*named, *of_runs]
    others = [each for each in waiting if str(each) not in of_runs]
    return Found(found, found, list(missing), is_all, others)


def _run_id(path: Path) -> str:
    """Return the id in the name of a run's folder, "" if it is none."""
    path = path.absolute()
    path = path.parent if path.name.split("-")[0] == "files" else path
    named = None if _is_journal(path) else _RUN_FOLDER.fullmatch(path.name)
    return named[1] if named else ""


def _ids_in(path: Path) -> list[str]:
    """Return the ids of the run folders in ``path``."""
    with contextlib.suppress(OSError):
        if not _is_journal(path):
            return [each for each in map(_run_id, sorted(path.iterdir())) if each]
    return []


def _is_parent(path: Path) -> bool:
    """Return whether ``path`` is a folder `wandb`, or one that no run needed yet."""
    if path.absolute().name != _PARENT or has_journals(path):
        return False
    return not path.exists() or (path.is_dir() and not has_foreign_files(path))


def _is_journal(path: Path) -> bool:
    return (path / WRITER_FILE).exists()


def _places() -> Places:
    parser = argparse.ArgumentParser()
    add_data(parser)
    add_socket(parser)
    return places(parser.parse_args([]))


def _held(where: Places) -> dict[str, list[str]]:
    """Return the journals of this machine by the ids of their runs."""
    found: dict[str, list[str]] = {}
    for folder in journals_folders(where):
        with contextlib.suppress(OSError):
            for journal in find_journals(folder):
                with contextlib.suppress(OSError, ValueError):
                    info = WriterFile.from_json((journal / WRITER_FILE).read_text("utf-8"))
                    found.setdefault(info.run_id, []).append(str(journal))
    return found
