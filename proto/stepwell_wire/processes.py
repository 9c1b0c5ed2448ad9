"""Processes of this machine, as far as they are visible here."""

import os


def process_exists(pid: int) -> bool:
    """Return whether a process has this id; True if that is unknown, as for 0."""
    if pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
