"""The runs of this process, which of them the module-level names mean, and how they end.

The hooks (end of the interpreter, `sys.exit`, `os._exit`, fork) are installed by the first run,
never by an import.
"""

import atexit
import contextlib
import functools
import gc
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from stepwell import (
    _console_streams,
    _current,
    _ending,
    _exit_note,
    _import_gate,
    _interpreter,
    _notebook,
    _relay_process,
)
from stepwell_wire.exit_note import UNKNOWN_EXIT_CODE, Ending, ending_of_status

if TYPE_CHECKING:
    from stepwell._active_run import ActiveRun

_REGULAR_LEAVERS = ("popen_fork", "forkserver")
"""Modules of multiprocessing, and of its twins, whose children end by `os._exit`, not `atexit`."""

active: list["ActiveRun"] = []
shared_settings: object = None
"""Arguments of `setup`: settings of all later runs."""


class EndedRun(NamedTuple):
    """A run that ended and is wholly delivered; ``page_url`` is an address of its hub."""

    page_url: str
    project: str
    run_id: str
    writer_id: str
    ended_at: float  # monotonic


ended: deque[EndedRun] = deque(maxlen=256)
ended_media: deque[EndedRun] = deque(maxlen=256)
"""The same runs, until a read has found their media stored."""
parent_ranks: set[int] = set()
"""Ranks of the parent's active runs when it forked this process; -1 for none."""
_job_runs = 0
_told: set[str] = set()  # Messages that are printed once in a process, for all runs.
_hooked = False


def current() -> "ActiveRun | None":
    """Return the run that the module-level names mean."""
    return _current.run


def begin(run: "ActiveRun", *, make_current: bool) -> None:
    _hook()
    active.append(run)
    if make_current:
        bind(run)


def end(run: "ActiveRun") -> None:
    if run in active:
        active.remove(run)
    if _current.run is run and not _interpreter.is_over:
        bind(None)
    journal = run._writer.journal
    if run._recording.is_delivered and run._recording.primary and journal is not None:
        page_url = run._recording.page_url.rstrip("/")
        writer_id = journal.info.writer_id
        noted = EndedRun(page_url, run.project, run.id, writer_id, time.monotonic())
        ended.append(noted)
        ended_media.append(noted)


def bind(run: "ActiveRun | None") -> None:
    """Make ``run`` the run of `stepwell.log`, `stepwell.config` and the others."""
    _current.bind(run)


def count_of_job_run() -> int:
    """Return how many runs of this process had the job's id so far, and count one more."""
    global _job_runs
    _job_runs += 1
    return _job_runs - 1


def is_first(what: str) -> bool:
    """Return whether ``what`` is asked for the first time in this process."""
    is_new = what not in _told
    _told.add(what)
    return is_new


def find(run_id: str, copy_id: str) -> "ActiveRun | None":
    """Return the run of this process that was pickled as ``copy_id``."""
    for run in active:
        if run.id == run_id and run._copy_id == copy_id:
            return run
    return None


def finish_all(ending: Ending | None = _ending.FINISHED) -> None:
    """End the active runs with ``ending``, None to leave that to the exit status."""
    for run in list(active):
        with contextlib.suppress(Exception):
            run._finish(ending)


def _end_process() -> None:
    if _ending.main_runs():
        return  # The exit handlers run early, and then `os._exit` is called.
    ending = _ending.find_ending()
    if ending is None and active and not _exit_note.can_write_at_exit():
        ending = Ending("finished", UNKNOWN_EXIT_CODE)
    if ending not in (None, _ending.FINISHED):
        _note_unprinted_error()
    _interpreter.is_over = True
    of_cell = _notebook.ending() if ending in (None, _ending.FINISHED) else None
    finish_all(of_cell or ending)  # The kernel exits with 0 after an error too.
    if (channel := sys.modules.get("stepwell._channel")) is not None:
        channel.outlive_interpreter()  # Again: ending the runs may have made new connections.
    if ending == _ending.INTERRUPTED:
        _ending.mark_interrupted()


def _note_unprinted_error() -> None:
    """Add the traceback that ended the script to the consoles, if stderr could not take it."""
    streams = sys.modules.get("stepwell._console_streams")
    error = getattr(sys, "last_value", None)
    if error is None or streams is None or "stderr" not in streams.failed:
        return
    for run in list(active):
        with contextlib.suppress(Exception):
            run._recording.console.note_error(error)


def _hook() -> None:
    global _hooked
    if _hooked:
        return
    _hooked = True
    # Its hook holds its lock over a fork, and grpc's import needs that lock. Hooks run in the
    # reverse order of registration: imported first, it runs after ours, which awaits the import.
    import logging  # noqa: F401

    _ending.watch_main()
    atexit.register(_end_process)
    os.register_at_fork(
        before=_import_gate.before_fork,
        after_in_parent=_import_gate.after_fork,
        after_in_child=_after_fork_in_child,
    )
    os._exit = _noting(os._exit)  # type: ignore[assignment]


def _noting(leave: Callable[[int], Any]) -> Callable[[int], Any]:
    """Return an `os._exit` that notes the end of the process for its runs.

    A child of multiprocessing ends its runs here: its exit code is only known now.
    """

    @functools.wraps(leave)
    def note_and_exit(status: int) -> Any:
        with contextlib.suppress(Exception):
            caller = str(sys._getframe(1).f_globals.get("__name__"))
            if caller.rpartition(".")[2] in _REGULAR_LEAVERS:
                finish_all(ending_of_status(status))
            for run in list(active):
                run._recording.note_exit(status)
        return leave(status)

    return note_and_exit


def _after_fork_in_child() -> None:
    _import_gate.after_fork_in_child()
    channel = sys.modules.get("stepwell._channel")
    if channel is not None and hasattr(channel, "outlive_interpreter"):
        channel.outlive_interpreter()
        # The child must not collect other objects of grpc either: it would wait for locks of
        # threads that it does not have. Objects alive at the fork stay as long as the child.
        gc.freeze()
    _relay_process.note_fork()
    _console_streams.forget_captures()
    _ending.forget_in_child()
    _notebook.forget_in_child()
    _exit_note.forget_in_child()
    for run in active:
        parent_ranks.add(run._rank)
        run._memory.leave_to_parent()
        run._recording.reset_in_child()
