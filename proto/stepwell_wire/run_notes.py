"""A machine's notes about its runs, and how the note of a deleted run is removed.

    <journals>/.runs/<project>/<run_id>.json   name, config, summary, state
    <journals>/.runs/<project>/<run_id>.step   next step, 8 bytes

The SDK writes them, so that `resume` needs no server. Deleting a run also removes its note: a later
run of the same id then starts new, instead of continuing after steps and a config that are gone.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NOTES_FOLDER: Final = ".runs"


def notes_folder(journals_dir: Path, project: str) -> Path:
    return journals_dir / NOTES_FOLDER / project


def run_note(journals_dir: Path, project: str, run_id: str) -> Path:
    return notes_folder(journals_dir, project) / f"{run_id}.json"


def step_note(journals_dir: Path, project: str, run_id: str) -> Path:
    return notes_folder(journals_dir, project) / f"{run_id}.step"


def forget_runs(journals_dirs: Iterable[Path], project: str, run_ids: Iterable[str]) -> None:
    """Remove the notes of deleted runs; one that cannot be removed is left."""
    ids = list(run_ids)
    for journals_dir in journals_dirs:
        for run_id in ids:
            if not (_is_name(project) and _is_name(run_id)):
                continue  # The store holds any text; no note of ours has such a name.
            # In this order: a process that notes at this moment sees then that its run is deleted.
            for path in (
                step_note(journals_dir, project, run_id),
                run_note(journals_dir, project, run_id),
            ):
                with contextlib.suppress(OSError):
                    path.unlink()


def _is_name(text: str) -> bool:
    return bool(text) and text not in (".", "..") and not {"/", "\0"}.intersection(text)
