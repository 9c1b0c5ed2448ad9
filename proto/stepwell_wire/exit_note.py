"""The exit note: how a process ended that had no time to write its end into the journal.

The file `exit` in a journal's folder, empty at first:

    offset 0                     b"exit:" and the exit status, one byte
    offset 64                    b"stop": an agent of a sweep ends the process with a signal,
                                 because its trial was stopped
    offset NUMBER * 128 KiB      a traceback, written by signal NUMBER before it ended the process

The offset names the signal, because its handler can write nothing but a traceback (see
`_exit_note.py` of the SDK). The file is sparse: each of these takes one block on disk.
"""

import contextlib
import os
import signal
from typing import Final, NamedTuple

from stepwell_wire.folder import JournalFolder

EXIT_FILE: Final = "exit"
STATUS: Final = b"exit:"
STOP: Final = b"stop"
STOP_OFFSET: Final = 64
REGION_BYTES: Final = 128 * 1024
"""More than a traceback of the 100 frames that are written at most."""
NOTED_SIGNALS: Final = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGXCPU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGQUIT,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGIO,
    signal.SIGPWR,
    signal.SIGSYS,
)
"""Signals that end a process by default, and that schedulers, terminals, timers and people send.

Without SIGPROF: profilers in C do not start if it has a handler. Without real-time signals: each
signal takes a descriptor of the process.
"""
UNKNOWN_EXIT_CODE: Final = -1
_SIGNAL_CODE: Final = 128
"""An exit code above it names a signal, as in a shell."""


class Ending(NamedTuple):
    """How a process ended: the content of a ``finish`` event.

    Attributes:
        state: finished, failed, killed or crashed.
        exit_code: 0 to 255 as a shell shows it: 128 and the number for a signal; -1 where unknown.
    """

    state: str
    exit_code: int


CRASHED: Final = Ending("crashed", UNKNOWN_EXIT_CODE)
FINISHED: Final = Ending("finished", 0)
KNOWN_STATES: Final = frozenset({"finished", "failed", "killed", "crashed"})


def ending_of_status(status: int) -> Ending:
    """Return the end of a process that exits with ``status``; the system keeps its lowest byte."""
    code = status & 0xFF
    return Ending("failed" if code else "finished", code)


def ending_of_signal(number: int) -> Ending:
    """Return the end of a process that signal ``number`` ended."""
    return Ending("killed", _SIGNAL_CODE + number)


def signal_of(exit_code: int) -> str:
    """Return the name of the signal in the exit code of a killed process, else ""."""
    with contextlib.suppress(ValueError):
        return signal.Signals(exit_code - _SIGNAL_CODE).name
    return ""


def read_ending(folder: JournalFolder) -> Ending | None:
    """Return the end from the note in ``folder``; None if it is empty or missing.

    A process that was ended because its trial was stopped is finished, as after `TrialStopped`.
    """
    try:
        descriptor = folder.open(EXIT_FILE, os.O_RDONLY)
    except OSError:
        return None
    try:
        was_stopped = os.pread(descriptor, len(STOP), STOP_OFFSET) == STOP
        for number in NOTED_SIGNALS:
            if os.pread(descriptor, 1, number * REGION_BYTES).strip(b"\0"):
                is_the_stop = was_stopped and number == signal.SIGTERM
                return FINISHED if is_the_stop else ending_of_signal(number)
        noted = os.pread(descriptor, len(STATUS) + 1, 0)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if len(noted) <= len(STATUS) or not noted.startswith(STATUS):
        return FINISHED if was_stopped else None  # SIGKILL leaves no note.
    return ending_of_status(noted[-1])
