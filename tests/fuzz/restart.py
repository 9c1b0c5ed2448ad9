"""A kill and a start: what was written to a real segment is found again by the real recovery."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from stepwell_daemon.spool.recovery import RecoveredSpool, recover_spool
from stepwell_daemon.spool.segment import PAGE_BYTES, Location, Progress
from stepwell_daemon.spool.writer import Append, SpoolLog
from tests.daemon.disks import QuickDisk
from tests.fuzz.invariants import require

_SPOOL = 0x5157


def fast_folder() -> Path:
    """Return a new folder, in memory where the system has that."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="swf-", dir=shared if shared.is_dir() else None))


def check_restart(appends: Sequence[Append], marks: Mapping[int, int]) -> None:
    """Write ``appends``, then recover: every mark and every frame must be there.

    Args:
        marks: up to where each writer was acknowledged, by its number.
    """
    folder = fast_folder()
    try:
        found = _recovered(folder, appends)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    require(found.quarantined == 0, "a start quarantines what was acknowledged")
    require(len(found.salvage) == len(appends), "a start loses frames that were acknowledged")
    for number, mark in marks.items():
        state = found.writers.get(number)
        require(state is not None and state.durable == mark, f"the mark {mark} is not found again")


def _recovered(folder: Path, appends: Sequence[Append]) -> RecoveredSpool:
    disk = QuickDisk()
    size = PAGE_BYTES + sum(len(each.records) + 8192 for each in appends)
    log = SpoolLog(
        folder, _SPOOL, first_number=1, previous_end=PAGE_BYTES, segment_bytes=size, disk=disk
    )
    log.commit(appends)
    log.close()
    return recover_spool(folder, _SPOOL, Progress(Location(1, PAGE_BYTES)), disk)
