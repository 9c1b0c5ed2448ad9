"""The runs of this process, which of them the module-level names mean, and how they end.

The hooks (end of the interpreter, an uncaught exception, `sys.exit`, fork) are installed by the
first run, never by an import.
"""

import atexit
import contextlib
import gc
import os
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

from stepwell import _console_streams, _delivery, _recording

if TYPE_CHECKING:
    from stepwell._run import Run

INTERRUPTED_EXIT_CODE = 255

_builtin_exit = sys.exit
active: list["Run"] = []
shared_settings: object = None
"""What `setup` was given: settings of all runs to come."""
_current: "Run | None" = None
_job_runs = 0
_exit_code = 0
_hooked = False
_printed_before: BaseException | None = None
_kept_importing = False
_IMPORT_SECONDS_MAX = 2.0


def current() -> "Run | None":
    """Return the run that the module-level names mean."""
    return _current


def begin(run: "Run", *, make_current: bool) -> None:
    _hook()
    active.append(run)
    if make_current:
        bind(run)


def end(run: "Run") -> None:
    if run in active:
        active.remove(run)
    if _current is run:
        bind(None)


def bind(run: "Run | None") -> None:
    """Make ``run`` what `stepwell.log`, `stepwell.config` and the others mean."""
    global _current
    _current = run
    import stepwell

    stepwell._bind(run)


def count_of_job_run() -> int:
    """Return how many runs this process named after its launcher's job before, and count one."""
    global _job_runs
    _job_runs += 1
    return _job_runs - 1


def find(run_id: str, copy_id: str) -> "Run | None":
    """Return the run of this process that was pickled as ``copy_id``."""
    for run in active:
        if run.id == run_id and run._copy_id == copy_id:
            return run
    return None


def finish_all() -> None:
    """End what is still running, with what is known of why the process ends."""
    for run in list(active):
        with contextlib.suppress(Exception):
            run.finish(exit_code=_exit_code)


def _end_process() -> None:
    global _exit_code
    if (error := _printed_error()) is not None and error is not _printed_before:
        _exit_code = _code_of_error(type(error))
    finish_all()
    if (channel := sys.modules.get("stepwell._channel")) is not None:
        channel.outlive_interpreter()  # Again: ending the runs may have connected anew.


def _hook() -> None:
    global _hooked, _printed_before
    if _hooked:
        return
    _hooked = True
    _printed_before = _printed_error()
    atexit.register(_end_process)
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )
    excepthook = sys.excepthook
    exit_ = sys.exit

    def note_exception(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        global _exit_code
        _exit_code = _code_of_error(kind)
        excepthook(kind, error, traceback)

    def note_exit(status: Any = None) -> Any:
        global _exit_code
        _exit_code = exit_code_of(status)
        if exit_ is not _builtin_exit:
            exit_(status)  # Patched before: it may do something else.
        raise _Exit(*(status if isinstance(status, tuple) else () if status is None else (status,)))

    sys.excepthook = note_exception
    sys.exit = note_exit


class _Exit(SystemExit):
    """What `sys.exit` raises: it is forgotten where the script catches it.

    One that ends the process is dropped by the interpreter itself, when no frame runs any more.
    One that was caught is dropped within the frame that caught it.
    """

    def __del__(self) -> None:
        global _exit_code
        if sys._getframe().f_back is not None and _exit_code == exit_code_of(self.code):
            _exit_code = 0


_Exit.__name__ = _Exit.__qualname__ = "SystemExit"
_Exit.__module__ = "builtins"


def _printed_error() -> BaseException | None:
    """Return the exception that the interpreter printed last, None in an interactive one.

    It is noted before `sys.excepthook` is called, so it does not matter who set that hook. Where
    somebody types, it is the error of a line or a cell, and the process goes on.
    """
    if hasattr(sys, "ps1") or sys.flags.interactive or "IPython" in sys.modules:
        return None
    found = getattr(sys, "last_value", None)
    return found if isinstance(found, BaseException) else None


def _code_of_error(kind: type[BaseException]) -> int:
    return INTERRUPTED_EXIT_CODE if issubclass(kind, KeyboardInterrupt) else 1


def exit_code_of(status: Any) -> int:
    """Return the exit code that ``sys.exit(status)`` gives."""
    if status is None:
        return 0
    return status if isinstance(status, int) else 1


def _before_fork() -> None:
    global _kept_importing
    # Bounded: the import may itself wait for one that this thread is in the middle of.
    _kept_importing = _delivery.importing.acquire(timeout=_IMPORT_SECONDS_MAX)


def _after_fork() -> None:
    if _kept_importing:
        _delivery.importing.release()


def _after_fork_in_child() -> None:
    _delivery.importing = threading.Lock()
    channel = sys.modules.get("stepwell._channel")
    if channel is not None and hasattr(channel, "outlive_interpreter"):
        channel.outlive_interpreter()
        # Nor may the child collect what else grpc made: locks of threads that it does not have
        # would be waited for. What was alive at the fork stays as long as the child lives.
        gc.freeze()
    _recording.note_fork()
    _console_streams.forget_captures()
    for run in active:
        run._recording.reset_in_child()
