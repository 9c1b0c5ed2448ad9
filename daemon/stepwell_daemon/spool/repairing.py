"""Repair of a spool while no daemon runs: the same steps as at a start of the daemon."""

import asyncio
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import AlreadyRunningError
from stepwell_daemon.spool.inspection import damage_text, damaged_places, verify_spool
from stepwell_daemon.spool.quarantine import FOLDER, quarantine
from stepwell_daemon.spool.segment import list_segments
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.spool import Spool


@dataclass(frozen=True, slots=True)
class RepairedSpool:
    """The findings, one line each, and whether the repair changed the spool."""

    found: list[str]
    is_changed: bool


def repair_spool(folder: Path) -> RepairedSpool:
    """Quarantine damaged bytes, and write the salvaged records of the end again.

    Raises:
        AlreadyRunningError: A daemon has the spool.
        DaemonError: It cannot be opened; the error has the reason.
    """
    descriptor = os.open(
        folder.parent / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(
                f"a daemon uses {folder}; stop it with `stepwell down` (a daemon repairs its "
                "spool at every start)"
            ) from error
        return asyncio.run(_repair(folder))
    finally:
        os.close(descriptor)


async def _repair(folder: Path) -> RepairedSpool:
    damage = verify_spool(folder).damage
    found = [damage_text(each) for each in damage if each["repairable"]]
    # A start checks only segments that the table of writers does not cover.
    if pieces := _quarantine_damage(folder):
        found.append(f"{pieces} damaged pieces are kept in {folder / FOLDER}")
    is_changed = bool(found)
    before = list_segments(folder)
    counters = Counters()
    spool = Spool(folder, SpoolSettings(), counters=counters)
    committing = asyncio.create_task(spool.run())
    try:
        await spool.settled()
    finally:
        committing.cancel()
        await asyncio.wait([committing])
        spool.save_writers()
        spool.close()
    if list_segments(folder) != before:
        found.append("frames after the last sync are rewritten")
        is_changed = True
    return RepairedSpool([*found, *spool.problems], is_changed)


def _quarantine_damage(folder: Path) -> int:
    """Keep a copy of bytes that are not valid records; return the number of pieces."""
    return sum(quarantine(*each) is not None for each in damaged_places(folder))
