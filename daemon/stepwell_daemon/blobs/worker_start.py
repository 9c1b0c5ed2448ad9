"""The first steps of every worker process: drop rights, lower the priority, set limits."""

import argparse
import contextlib
import ctypes
import os
import resource
import signal
from typing import Final

from stepwell_wire.capabilities import drop_capabilities

_NICENESS: Final = 10
_PR_SET_PDEATHSIG: Final = 1


def start_worker() -> None:
    """Make this process a worker of the daemon that started it (`line_worker`)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory-bytes", type=int, required=True)
    options = parser.parse_args()
    drop_capabilities()
    # It dies with the daemon, however the daemon ends.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (options.memory_bytes, options.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
