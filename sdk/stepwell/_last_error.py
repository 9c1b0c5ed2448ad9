"""The exception that ends a run: which one it is, and its text.

The interpreter usually prints it after the end of the run: after a `with` block, or after a
`finally` that calls `finish()`. So the run adds the text to its console before it ends.
"""

import contextlib
import sys


def ending_text(error: BaseException) -> str:
    """Return the interpreter's text of the exception that ends a script; "" if it prints none."""
    if isinstance(error, SystemExit):
        code = error.code
        return "" if code is None or isinstance(code, int) else f"{code}\n"
    import traceback

    with contextlib.suppress(Exception):
        return "".join(traceback.format_exception(error))
    return f"{type(error).__name__}\n"


def error_at_finish(exit_code: int) -> BaseException | None:
    """Return the exception that is being handled when a run finishes, None without one.

    An exception that an outer handler is working on, as in a script that retries after a failure,
    does not count, unless the run has failed.
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
