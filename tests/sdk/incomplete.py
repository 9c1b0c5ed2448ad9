"""A journal whose process was killed while it created it."""

import os
import time
from pathlib import Path

from tests.sdk.conftest import python

KILLED_AT = """
import os, signal
def killed(*_): os.kill(os.getpid(), signal.SIGKILL)
os.{function} = killed
import stepwell
stepwell.init('p', settings={{'console': False}})
"""


def leave_incomplete(journals: Path, function: str = "posix_fallocate") -> Path:
    """Kill a process in the middle of making its journal; return what it left, made older."""
    done = python(KILLED_AT.format(function=function), STEPWELL_DIR=str(journals))
    assert done.returncode == -9, done.stderr
    (left,) = [path for path in journals.iterdir() if (path / "lock").exists()]
    assert left.name.startswith(".")
    grow_old(left)
    return left


def grow_old(folder: Path) -> None:
    before = time.time() - 7200
    os.utime(folder / "lock", (before, before))
