"""Limits and cores that a personal daemon does not inherit from the script that started it.

A script may run with `ulimit -f`, `ulimit -s` or bound to a few cores. Its daemon outlives it,
serves other scripts, and writes files of any size.
"""

import logging
import os
import resource
import sys
from contextlib import suppress
from typing import Final

logger = logging.getLogger("stepwell_daemon")

STACK_BYTES: Final = 8 << 20
"""The kernel's default. Threads of the engine need more than a script's small limit, and with an
unlimited stack some C libraries give each thread a small one."""

_RAISED: Final = (
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_CPU,
    resource.RLIMIT_DATA,
    resource.RLIMIT_AS,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_NPROC,
)


def leave_behind() -> None:
    """Undo the limits of the starting process, as far as its rights go.

    The stack's limit takes effect at a program's start, so this process then executes itself again,
    once.
    """
    for kind in _RAISED:
        _raise(kind)
    with suppress(OSError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    if _set_stack():
        os.execv(sys.executable, sys.orig_argv)


def _raise(kind: int) -> None:
    """Raise a limit to unlimited, or to the hard limit if more is not allowed."""
    soft, hard = resource.getrlimit(kind)
    if kind != resource.RLIMIT_NOFILE and soft != resource.RLIM_INFINITY:
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (hard, hard))


def _set_stack() -> bool:
    """Give threads a stack of the usual size; return whether that changed a limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if hard == resource.RLIM_INFINITY or hard >= STACK_BYTES:
        wanted = [(STACK_BYTES, hard)]
    else:
        wanted = [(STACK_BYTES, STACK_BYTES), (hard, hard)]  # The first needs a privilege.
    for limits in wanted:
        if soft == limits[0]:
            return False
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_STACK, limits)
            return True
    return False
