"""Marks in exit notes that an agent ends the processes of a trial, because it was stopped.

The processes of a command's trial may get SIGTERM before their ``log`` raises `TrialStopped`. The
mark lets their runs end alike in both cases. A process cannot set it when the signal ends it, so
its agent does, before it sends the signal:

    STEPWELL_SWEEP_STOP_PATH      a folder of the agent, for one trial
    STEPWELL_SWEEP_STOP_PATH/*    one file for each run's journal: the path of its exit note
    STEPWELL_SWEEP_STOP_PATH.on   exists when the agent ends the processes
    STEPWELL_SWEEP_STOP_PATH.met  exists when a process raised `TrialStopped`

A trial may end by itself just as it is stopped. Without the last file and without a signal it was
not stopped. In a container without the folder, runs are not marked.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from stepwell_wire.exit_note import EXIT_FILE, STOP, STOP_OFFSET

VARIABLE: Final = "STEPWELL_SWEEP_STOP_PATH"


class StopNotes:
    """The agent's side, for one trial.

    Args:
        path: of the folder; it is created.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.path = path

    @property
    def has_runs(self) -> bool:
        """Whether a process of the trial has begun a run; it may stop by itself."""
        try:
            return any(self.path.iterdir())
        except OSError:  # Something emptied the folder of temporary files.
            return False

    @property
    def is_met(self) -> bool:
        """Whether a process of the trial has raised `TrialStopped`."""
        return _met_of(self.path).exists()

    def mark(self) -> None:
        """Mark the runs that have begun, and let those mark themselves that begin from now on."""
        with contextlib.suppress(OSError):  # A full disk: the trial ends nevertheless.
            _sign_of(self.path).touch()
            for each in self.path.iterdir():
                _mark(os.fsdecode(each.read_bytes()))


def register(journal: Path) -> None:
    """Let the agent of this process, if any, mark the exit note of a run that begins."""
    named = os.environ.get(VARIABLE)
    if not named:
        return
    note = journal / EXIT_FILE
    with contextlib.suppress(OSError):
        listed = Path(named) / os.urandom(8).hex()
        listed.write_bytes(os.fsencode(note.absolute()))
        if _sign_of(Path(named)).exists():
            _mark(os.fspath(note))


def note_met() -> None:
    """Tell the agent of this process, if any, that `TrialStopped` is raised here."""
    if named := os.environ.get(VARIABLE):
        with contextlib.suppress(OSError):
            _met_of(Path(named)).touch()


def _met_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.met")


def _sign_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.on")


def _mark(note: str) -> None:
    with contextlib.suppress(OSError):  # Its run has ended.
        descriptor = os.open(note, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, STOP, STOP_OFFSET)
        finally:
            os.close(descriptor)
