"""How this process ends, from the state of the interpreter at its end.

Python does not pass this to exit handlers. But the frame of the main module, kept from the first
run on, shows where it ended: at its return, or by an exception. Either the exception was printed,
and its traceback begins at this frame, or it was a SystemExit. The interpreter reads the code of a
SystemExit after the last frame, and drops it. Our `sys.exit` raises a subclass that notes this
read. For any other SystemExit only the C library gets the code (see `_exit_note.py`).

So the result does not depend on `sys.excepthook`, on handlers, or on the thread that raised.
"""

import gc
import signal
import sys
import threading
from types import FrameType
from typing import Any

from stepwell_wire.exit_note import Ending, ending_of_signal, ending_of_status

FINISHED = Ending("finished", 0)
INTERRUPTED = ending_of_signal(signal.SIGINT)

_main_frame: FrameType | None = None
_asked: Ending | None = None
_builtin_exit = sys.exit
_code_of = SystemExit.__dict__["code"]
_LONG_MAX = 2**63


def watch_main() -> None:
    """Keep the frame of the main module, and let `sys.exit` raise our SystemExit."""
    global _main_frame
    _main_frame = _find_main_frame()
    if sys.exit is _builtin_exit:  # Another one may do something else.
        sys.exit = _exit


def find_ending() -> Ending | None:
    """Return how this process ends, for an exit handler; None if only its exit status shows it."""
    if _asked is not None:
        return _asked
    frame = _main_frame
    if frame is None:
        return None
    if _has_returned(frame):
        return FINISHED
    traceback = getattr(sys, "last_traceback", None)
    if traceback is not None and traceback.tb_frame is frame:
        return ending_of_error(getattr(sys, "last_value", None))
    return None


def ending_of_error(error: BaseException | None) -> Ending:
    """Return the ending of a process, a child or a ``with`` block that ``error`` ends."""
    if error is None:
        return FINISHED
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, SystemExit):
        return ending_of_status(status_of(error.code))
    return ending_of_status(1)


def status_of(code: Any) -> int:
    """Return the exit status that the interpreter makes of the code of a SystemExit."""
    if code is None:
        return 0
    if not isinstance(code, int):
        return 1
    return int(code) & 0xFF if -_LONG_MAX <= code < _LONG_MAX else 0xFF


def mark_interrupted() -> None:
    """Let the process end by SIGINT again, as after every Ctrl-C that was not handled.

    The interpreter notes that a KeyboardInterrupt ended a script, and forgets this when it runs
    other code: an import at exit is enough.
    """
    try:
        eval("interrupt()", {"interrupt": _interrupt})
    except KeyboardInterrupt:
        return


def _interrupt() -> None:
    raise KeyboardInterrupt


def _find_main_frame() -> FrameType | None:
    """Return the outermost frame of the main thread, if it belongs to a program.

    Other frames, of a program that embeds Python or of a greenlet, may hold large objects.
    """
    frame = _frame_of_main_thread()
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    if frame is None:
        return None
    code = frame.f_code
    is_program = code.co_name == "<module>" or code.co_name == "_run_module_as_main"
    return frame if is_program else None


def _frame_of_main_thread() -> FrameType | None:
    """Return the current frame of the main thread.

    Until Python 3.12, a garbage collection within ``sys._current_frames`` may deadlock with a
    thread that begins or ends (https://github.com/python/cpython/issues/106883).
    """
    main = threading.main_thread().ident
    if main == threading.get_ident():
        return sys._getframe()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(main or 0)
    finally:
        if was_enabled:
            gc.enable()


def _has_returned(frame: FrameType) -> bool:
    try:
        import opcode
    except (ImportError, OSError):  # No free descriptor: the exit status shows the end.
        return False
    last = frame.f_code.co_code[frame.f_lasti]
    return opcode.opname[last] in ("RETURN_VALUE", "RETURN_CONST")


def main_runs() -> bool:
    """Return whether the program has not ended yet, as far as is known."""
    frame = _main_frame
    running = None if frame is None else _frame_of_main_thread()
    while running is not None:
        if running is frame:
            return True
        running = running.f_back
    return False


def _exit(status: Any = None, /) -> Any:
    """Exit the interpreter by raising SystemExit(status), as `sys.exit` does."""
    raise _Exit(*(status if isinstance(status, tuple) else () if status is None else (status,)))


class _Exit(SystemExit):
    """The SystemExit of `sys.exit`: it notes when the interpreter ends because of it."""

    @property
    def code(self) -> Any:
        found = _code_of.__get__(self)
        if _is_asked_by_interpreter():
            global _asked
            _asked = ending_of_status(status_of(found))
        return found

    @code.setter
    def code(self, value: Any) -> None:
        _code_of.__set__(self, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return (SystemExit, self.args, self.__dict__ or None)


_Exit.__name__ = _Exit.__qualname__ = "SystemExit"
_Exit.__module__ = "builtins"


def _is_asked_by_interpreter() -> bool:
    """Return whether no frame is below the caller of this: the program has ended."""
    try:
        sys._getframe(2)
    except ValueError:
        return True
    return False


def forget_in_child() -> None:
    """Right after a fork."""
    global _asked
    _asked = None
