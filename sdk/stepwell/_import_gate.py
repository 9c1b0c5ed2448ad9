"""The gate between imports on our threads and forks.

A forked child would inherit the locks of half-imported modules, and wait for ever for a thread that
it does not have. So a fork waits for the import of a large module, such as grpc's.
"""

import threading
from typing import Final

importing = threading.Lock()
"""Held while such a module is imported on a thread of ours."""

_IMPORT_SECONDS_MAX: Final = 2.0


class _Keeping(threading.local):
    """Of one thread: whether each fork that it is in the middle of keeps imports out."""

    def __init__(self) -> None:
        self.taken: list[bool] = []


_keeping = _Keeping()


def before_fork() -> None:
    """Keep imports out, after the one that is under way."""
    # Bounded: the import may itself wait for one that this thread is in the middle of.
    _keeping.taken.append(importing.acquire(timeout=_IMPORT_SECONDS_MAX))


def after_fork() -> None:
    """Let imports in again, in the parent."""
    if _keeping.taken and _keeping.taken.pop():
        importing.release()


def after_fork_in_child() -> None:
    """Begin anew: whoever imported something is a thread of the parent's."""
    global importing
    _keeping.taken.clear()
    importing = threading.Lock()
