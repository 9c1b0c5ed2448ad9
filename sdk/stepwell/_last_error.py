"""The exception that ends a run: which one it is, and its text.

The interpreter prints it when the run is over, as a rule: after a `with` block was left, or after
a `finally` that calls `finish()`. So the run takes the text along before it ends.
"""

import contextlib
import sys


def ending_text(error: BaseException) -> str:
    """Return what the interpreter prints of the exception that ends a script; "" for nothing."""
    if isinstance(error, SystemExit):
        code = error.code
        return "" if code is None or isinstance(code, int) else f"{code}\n"
    import traceback

    with contextlib.suppress(Exception):
        return "".join(traceback.format_exception(error))
    return f"{type(error).__name__}\n"


def error_at_finish(exit_code: int) -> BaseException | None:
    """Return the exception in the midst of which a run is finished, None without one.

    One that is handled further out, by a script that tries again after a failure, is none of this
    run, unless the run has failed.
    """
    error = sys.exception()
    if error is None or exit_code != 0:
        return error
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__")):
        frame = frame.f_back
    traceback = error.__traceback__
    return error if traceback is not None and traceback.tb_frame is frame else None


def _is_ours(module: object) -> bool:
    return isinstance(module, str) and module.split(".", 1)[0] == "stepwell"
