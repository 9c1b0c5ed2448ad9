"""The paths of `wandb sync`: folders of runs, as `run.dir` has them, to the journals of those runs.

wandb/offline-run-20260105_101530-ID    the run ID
wandb                                   all runs that have such a folder there
anything else                           passed on: a journal or a folder of journals
"""

import argparse
import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from stepwell._tracker_files import has_journals, no_journal_text
from stepwell.cli.options import add_data, add_socket, places
from stepwell.cli.unsent import journals_folders
from stepwell_wire.journal_files import WRITER_FILE, WriterFile, find_journals

_RUN_FOLDER: Final = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-(.+)")


class NoRunFolderError(Exception):
    """A path is no run's folder and no journal, and contains none."""


def journals_of(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the paths for `stepwell sync`, and the ids of runs without a journal here.

    Raises:
        NoRunFolderError: One of them is neither a run's folder nor a folder with journals.
    """
    journals: dict[str, None] = {}
    missing: dict[str, None] = {}
    held: dict[str, list[str]] | None = None
    for path in paths:
        run_ids = list(_run_ids(Path(path)))
        if not run_ids:
            if not Path(path).exists():
                raise NoRunFolderError(f"{path}: no such folder")
            if not has_journals(Path(path)):
                raise NoRunFolderError(no_journal_text(Path(path)))
            journals[path] = None
            continue
        held = _held() if held is None else held
        for run_id in run_ids:
            found = held.get(run_id, [])
            journals.update(dict.fromkeys(found))
            if not found:
                missing[run_id] = None
    return list(journals), list(missing)


def _run_ids(path: Path) -> Iterator[str]:
    """Yield the ids in the name of a run's folder, or of the run folders in ``path``."""
    path = path.absolute()
    path = path.parent if path.name.split("-")[0] == "files" else path
    if (path / WRITER_FILE).exists():
        return
    if named := _RUN_FOLDER.fullmatch(path.name):
        yield named[1]
        return
    with contextlib.suppress(OSError):
        for each in sorted(path.iterdir()):
            if named := _RUN_FOLDER.fullmatch(each.name):
                yield named[1]


def _held() -> dict[str, list[str]]:
    """Return the journals of this machine by the ids of their runs."""
    parser = argparse.ArgumentParser()
    add_data(parser)
    add_socket(parser)
    found: dict[str, list[str]] = {}
    for folder in journals_folders(places(parser.parse_args([]))):
        with contextlib.suppress(OSError):
            for journal in find_journals(folder):
                with contextlib.suppress(OSError, ValueError):
                    info = WriterFile.from_json((journal / WRITER_FILE).read_text("utf-8"))
                    found.setdefault(info.run_id, []).append(str(journal))
    return found
