"""Opening a spool: read its files, write salvaged records again, then allow appends."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stepwell_daemon import failpoints
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import DamagedStateError
from stepwell_daemon.spool.cursor import CursorFile
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.held import HeldSegments
from stepwell_daemon.spool.identity import spool_number
from stepwell_daemon.spool.quarantine import note
from stepwell_daemon.spool.recovery import RecoveredSpool, recover_spool
from stepwell_daemon.spool.segment import PAGE_BYTES, Location, Progress, list_segments
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.writer import SpoolLog
from stepwell_daemon.spool.writers_table import load_writers
from stepwell_daemon.writers import Registry

logger = logging.getLogger("stepwell_daemon.spool")

_SLOW_SYNC_SECONDS: Final = 1.0


@dataclass(slots=True)
class OpenedSpool:
    """The parts of a spool after a start, and the problems that were found."""

    number: int
    cursor_file: CursorFile
    progress: Progress
    registry: Registry
    log: SpoolLog
    held: HeldSegments
    problems: list[str]


def open_spool(
    folder: Path, settings: SpoolSettings, counters: Counters, disk: Disk
) -> OpenedSpool:
    """Open the spool in ``folder``; create it if it is missing.

    Raises:
        DaemonError: It cannot be opened; the error has the reason.
        OSError: The disk cannot be read or written.
    """
    disk.make_folder(folder)
    number = spool_number(folder, disk)
    cursor_file = CursorFile(folder / "cursor", disk)
    problems: list[str] = []
    progress, is_known = _open_cursor(folder, cursor_file, problems)
    found = recover_spool(folder, number, progress if is_known else None, disk)
    for problem in found.problems:
        logger.error("%s", problem)
    for name, what in found.losses.items():
        note(folder, name, what, disk)
    problems += found.problems
    counters.quarantined_records += found.quarantined
    counters.torn_bytes += found.torn_bytes
    progress, newest = _passed_by(progress, found)
    log = _open_log(folder, number, newest, found.last, settings, counters, disk)
    _adopt_salvage(log, found)
    held = HeldSegments(found.ends | log.ends, found.sizes | log.sizes, progress.cursor)
    if (
        not progress.extent_end
        and progress.cursor < log.end
        and not held.bytes_between(progress.cursor, log.end)
    ):
        progress = Progress(log.end)  # The segments between are gone.
    return OpenedSpool(number, cursor_file, progress, Registry(found.writers), log, held, problems)


def _open_cursor(
    folder: Path, cursor_file: CursorFile, problems: list[str]
) -> tuple[Progress, bool]:
    """Return the place where forwarding continues, and whether the file has it."""
    first = min(list_segments(folder), default=0) or _table_end(folder) + 1
    default = Progress(Location(first, PAGE_BYTES))
    is_there = cursor_file.path.exists()
    try:
        return cursor_file.open(default), is_there
    except DamagedStateError as error:
        logger.error("%s", error)
        problems.append(str(error))
        cursor_file.quarantine()
        return cursor_file.open(default), False


def _table_end(folder: Path) -> int:
    try:
        return load_writers(folder)[1].segment
    except DamagedStateError:
        return 0  # The recovery reports it.


def _passed_by(progress: Progress, found: RecoveredSpool) -> tuple[Progress, int]:
    """Return the place where forwarding continues, and the highest possible number of a segment."""
    newest = max(found.newest, progress.cursor.segment - 1)
    if any(progress.cursor.segment in run for run in found.missing):
        # The extent that was being sent cannot be read again.
        return Progress(progress.cursor), max(newest, progress.cursor.segment)
    return progress, newest


def _open_log(
    folder: Path,
    number: int,
    newest: int,
    last: Location,
    settings: SpoolSettings,
    counters: Counters,
    disk: Disk,
) -> SpoolLog:
    def observe_sync(seconds: float) -> None:
        counters.sync_seconds.observe(seconds)
        if seconds > _SLOW_SYNC_SECONDS:
            logger.warning("slow sync of the spool seconds=%.1f", seconds)

    return SpoolLog(
        folder,
        number,
        first_number=newest + 1,  # A number is never used twice: cursor and table may have it.
        previous_end=last.offset if last.segment == newest else PAGE_BYTES,
        segment_bytes=settings.segment_bytes,
        disk=disk,
        sync_groups=settings.sync_groups,
        observe_sync=observe_sync,
    )


def _adopt_salvage(log: SpoolLog, found: RecoveredSpool) -> None:
    if found.torn_bytes or found.quarantined or found.salvage:
        logger.warning(
            "the spool was not closed in order rewritten_frames=%d torn_bytes=%d quarantined=%d",
            len(found.salvage),
            found.torn_bytes,
            found.quarantined,
        )
    if found.salvage:
        failpoints.hit("recover.before-salvage")
        log.adopt(found.salvage)
        failpoints.hit("recover.salvaged")
