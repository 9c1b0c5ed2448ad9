"""Which of a job's runs a process begins, where the launcher names the job and not its runs.

    <journals>/.runs/<project>/<job>.turns    {restart: {"turn", "next", "began", "places"}}

The scripts that one job or one step of Slurm starts one after the other have the same names of
their launcher: two seeds in an sbatch script, training and evaluation in one srun. Each set of
ranks is a start, and each start has runs of its own. A rank that was in the last start already,
and whose process has ended, begins the next one. Other ranks join it.

torchrun is left out: it starts ranks again, also with other numbers, in the same run.
"""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stepwell._ranks import process_start
from stepwell_wire.processes import process_exists

_TOGETHER_SECONDS: Final = 60.0
"""A rank joins a start that is so young also if the ranks of it that are known have ended."""
_LOCK_SECONDS: Final = 2.0
_LOCK_PAUSE_SECONDS: Final = 0.01
_BYTES_MAX: Final = 4 * 1024 * 1024
_PARTS: Final = 3  # host, pid, start of a process


def turn_of_job(path: Path, label: str, count: int, *, restart: int, continues: bool) -> int:
    """Return the turn of the run that this process begins: 0 for the first one of the job.

    Args:
        path: the note; its folder exists.
        label: this process among its peers.
        count: runs that this process began before.
        restart: the launcher's restart of the job; each begins again at turn 0.
        continues: the script asks to continue a run, so this is no new start.

    Raises:
        OSError: The note cannot be read or written.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor)
        noted = _read(descriptor)
        start = _as_start(noted.get(str(restart)))
        if not continues and _is_over(start, label):
            start = {"turn": start["next"], "next": start["next"], "began": time.time()}
            start["places"] = {}
        start["places"][label] = _here()
        turn = int(start["turn"]) + count
        start["next"] = max(int(start["next"]), turn + 1)
        content = json.dumps({**noted, str(restart): start}).encode()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, content, 0)
        return turn
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock the note; a peer that was stopped as it held it does not hold up `init` for long.

    Raises:
        OSError: It is still locked after two seconds, or this folder has no locks.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            if time.monotonic() >= deadline:
                raise
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return


def _read(descriptor: int) -> dict[str, Any]:
    try:
        noted = json.loads(os.pread(descriptor, _BYTES_MAX, 0))
    except ValueError:  # Empty, or a process was killed as it wrote.
        return {}
    return noted if isinstance(noted, dict) else {}


def _as_start(noted: Any) -> dict[str, Any]:
    """Return the last start that is noted; a first one where none is."""
    try:
        places = {str(label): list(place) for label, place in noted["places"].items()}
        numbers = {name: int(noted[name]) for name in ("turn", "next")}
        return {**numbers, "began": float(noted["began"]), "places": places}
    except (TypeError, KeyError, ValueError, AttributeError):
        return {"turn": 0, "next": 0, "began": time.time(), "places": {}}


def _is_over(start: Mapping[str, Any], label: str) -> bool:
    """Return whether a process with this label cannot be of this start."""
    places = start["places"]
    if label in places:
        return not _is_at_work(places[label], elsewhere=False)
    if not places or 0 <= time.time() - start["began"] < _TOGETHER_SECONDS:
        return False
    return not any(_is_at_work(place, elsewhere=True) for place in places.values())


def _is_at_work(place: list[Any], *, elsewhere: bool) -> bool:
    """Return whether the process at ``place`` runs; ``elsewhere`` if it is on another machine."""
    if len(place) != _PARTS or not isinstance(place[1], int):
        return False
    host, pid, began = place
    if host != os.uname().nodename:
        return elsewhere
    return process_exists(pid) and began in ("", process_start(pid))


def _here() -> list[Any]:
    pid = os.getpid()
    return [os.uname().nodename, pid, process_start(pid)]
