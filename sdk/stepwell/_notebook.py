"""Cells of IPython: what a run has to do before and after each of them.

Nothing here imports IPython: where it runs, it is there.
"""

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

_AFTER_CELL_SECONDS: Final = 0.05

_followed: list[Any] = []  # Shells whose cells are followed already.


def is_kernel() -> bool:
    """Whether cells come from a notebook, not from a terminal."""
    return getattr(_shell(), "kernel", None) is not None


def follow_cells(see_to_streams: Callable[[], None], show: Callable[[str, str], None]) -> None:
    """Call ``see_to_streams`` in and after each cell that follows, where there are cells.

    IPython wraps the streams' `write` for the time of a cell, and puts back what it found.

    Args:
        show: takes a stream's name and the text of an error that ended a cell of a notebook: a
            kernel sends it to the page, past stderr.
    """
    shell = _shell()
    if shell is None or any(each is shell for each in _followed):
        return

    def begin(*cell: Any) -> None:
        see_to_streams()

    def end(*result: Any) -> None:
        error = getattr(result[0], "error_in_exec", None) if result else None
        if error is not None and is_kernel():
            from stepwell._last_error import ending_text

            show("stderr", ending_text(error))
        # For what threads print between the cells, once IPython has put back what it found.
        timer = threading.Timer(_AFTER_CELL_SECONDS, see_to_streams)
        timer.daemon = True
        timer.start()

    with contextlib.suppress(Exception):
        shell.events.register("pre_run_cell", begin)
        shell.events.register("post_run_cell", end)
        _followed.append(shell)


def _shell() -> Any:
    module = sys.modules.get("IPython")
    try:
        return None if module is None else module.get_ipython()
    except Exception:  # It is being imported, or an old one.
        return None
