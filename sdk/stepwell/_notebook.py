"""Cells of IPython: the tasks of a run before and after each of them.

Nothing here imports IPython: if it runs, it is imported already.
"""

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from stepwell._ending import ending_of_error
from stepwell._last_error import ending_text
from stepwell_wire.exit_note import Ending

_AFTER_CELL_SECONDS: Final = 0.05

_followed: list[Any] = []  # Shells that have our hooks already.
_ending: Ending | None = None


def is_kernel() -> bool:
    """Whether cells come from a notebook, not from a terminal."""
    return getattr(_shell(), "kernel", None) is not None


def follow_cells(
    begin_cell: Callable[[], None],
    rewrap_streams: Callable[[], None],
    show: Callable[[str, str], None],
) -> None:
    """Call ``begin_cell`` in and ``rewrap_streams`` after each later cell, if there are cells.

    IPython wraps the streams' `write` during a cell, and restores it afterwards.

    Args:
        show: takes a stream's name and the text of an error that ended a cell of a notebook: a
            kernel sends it to the page, not to stderr.
    """
    shell = _shell()
    if shell is None or any(each is shell for each in _followed):
        return

    def begin(*cell: Any) -> None:
        global _ending
        _ending = None
        begin_cell()

    def end(*result: Any) -> None:
        global _ending
        error = _error_of(*result) if is_kernel() else None
        if error is not None:
            _ending = ending_of_error(error)  # The error itself would keep the cell's objects.
            show("stderr", ending_text(error))
        # For output of threads between cells, after IPython has restored the streams.
        timer = threading.Timer(_AFTER_CELL_SECONDS, rewrap_streams)
        timer.daemon = True
        timer.start()

    with contextlib.suppress(Exception):
        shell.events.register("pre_run_cell", begin)
        shell.events.register("post_run_cell", end)
        _followed.append(shell)


def ending() -> Ending | None:
    """Return the ending by the error of the last cell of a notebook, None if it ended well."""
    return _ending


def forget_in_child() -> None:
    """Right after a fork: the cells are the parent's."""
    global _ending
    _ending = None


def _error_of(*result: Any) -> BaseException | None:
    for name in ("error_before_exec", "error_in_exec"):  # The first is a syntax error.
        error = getattr(result[0], name, None) if result else None
        if isinstance(error, BaseException):
            return error
    return None


def _shell() -> Any:
    module = sys.modules.get("IPython")
    try:
        return None if module is None else module.get_ipython()
    except Exception:  # It is being imported, or an old one.
        return None
