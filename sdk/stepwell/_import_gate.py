"""The gate between imports on our threads and forks.

A forked child would inherit the locks of half-imported modules, and wait without end for a thread
that it does not have. So a fork waits for the import of a large module, such as grpc.
"""

import threading
from typing import Final

importing = threading.Lock()
"""Held while such a module is imported on a thread of ours."""

_IMPORT_SECONDS_MAX: Final = 2.0


class _Keeping(threading.local):
    """For one thread: whether each fork that it has begun blocks imports."""

    def __init__(self) -> None:
        self.taken: list[bool] = []


_keeping = _Keeping()


def before_fork() -> None:
    """Block imports, after the current one has ended."""
    # Bounded: the import may itself wait for an import of this thread.
    _keeping.taken.append(importing.acquire(timeout=_IMPORT_SECONDS_MAX))


def after_fork() -> None:
    """Allow imports again, in the parent."""
    if _keeping.taken and _keeping.taken.pop():
        importing.release()


def after_fork_in_child() -> None:
    """Reset the gate: an import under way belongs to a thread of the parent."""
    global importing
    _keeping.taken.clear()
    importing = threading.Lock()
