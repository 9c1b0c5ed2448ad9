"""Code that runs in a forked child."""

import os
import signal
from typing import Any

ALARM_SECONDS = 60


def in_fork(work: Any) -> int:
    """Run ``work`` in a forked child; return its exit code, a hang is a failure."""
    child = os.fork()
    if child == 0:
        signal.alarm(ALARM_SECONDS)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
