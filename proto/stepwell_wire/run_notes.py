"""A machine's notes about its runs, and how the note of a deleted run is removed.

    <journals>/.runs/<project>/<run_id>.json   name, config, summary, state
    <journals>/.runs/<project>/<run_id>.step   next step, 8 bytes
    <journals>/.runs/<project>/<run_id>.peers  the step at which its processes at work began

The SDK writes them, so that `resume` needs no server. Deleting a run also removes its notes: a
later run of the same id then starts new, instead of continuing after steps and a config that are
gone. The journals of the deleted run's processes may still be there; the file `removed` in such a
folder has the project of the deleted run.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NOTES_FOLDER: Final = ".runs"
REMOVED_FILE: Final = "removed"
_STEP_BYTES: Final = 8


def notes_folder(journals_dir: Path, project: str) -> Path:
    return journals_dir / NOTES_FOLDER / project


def run_note(journals_dir: Path, project: str, run_id: str) -> Path:
    return notes_folder(journals_dir, project) / f"{run_id}.json"


def step_note(journals_dir: Path, project: str, run_id: str) -> Path:
    return notes_folder(journals_dir, project) / f"{run_id}.step"


def peers_note(journals_dir: Path, project: str, run_id: str) -> Path:
    return notes_folder(journals_dir, project) / f"{run_id}.peers"


def read_step(descriptor: int) -> int:
    """Return the step in a step note; 0 if it is empty."""
    return int.from_bytes(os.pread(descriptor, _STEP_BYTES, 0), "little", signed=True)


def raise_step(descriptor: int, next_step: int) -> None:
    """Note ``next_step``, unless the note has a larger one.

    Raises:
        OSError: The note cannot be written.
        OverflowError: The step does not fit.
    """
    if next_step > read_step(descriptor):
        os.pwrite(descriptor, next_step.to_bytes(_STEP_BYTES, "little", signed=True), 0)


def note_recovered_step(journals_dir: Path, project: str, run_id: str, next_step: int) -> None:
    """Note the step after the last one of a dead process, if the run has a step note.

    The process itself did so seconds before it died.
    """
    with contextlib.suppress(OSError, OverflowError):
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(step_note(journals_dir, project, run_id), flags)
        try:
            raise_step(descriptor, next_step)
        finally:
            os.close(descriptor)


def is_of_removed_run(journal: Path, project: str) -> bool:
    """Return whether the run of this journal was deleted since the journal began."""
    with contextlib.suppress(OSError):
        return project in (journal / REMOVED_FILE).read_text("utf-8").splitlines()
    return False


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
                peers_note(journals_dir, project, run_id),
            ):
                with contextlib.suppress(OSError):
                    path.unlink()
            _mark_journals(journals_dir, project, run_id)


def _mark_journals(journals_dir: Path, project: str, run_id: str) -> None:
    """Mark the journals of this id, of any project, with the project of the deleted run."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(OSError), os.scandir(journals_dir) as entries:
        for entry in entries:
            if not entry.name.startswith(f"{run_id}-"):
                continue
            with contextlib.suppress(OSError):
                descriptor = os.open(os.path.join(entry.path, REMOVED_FILE), flags, 0o660)
                try:
                    os.write(descriptor, f"{project}\n".encode())
                finally:
                    os.close(descriptor)


def _is_name(text: str) -> bool:
    return bool(text) and text not in (".", "..") and not {"/", "\0"}.intersection(text)
