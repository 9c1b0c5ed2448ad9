"""What was refused, dropped, dead-lettered, quarantined or damaged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.text import counted

_BOUNDS: Final = {
    "connections_max": "raise connections_max, or log from fewer processes",
    "writers_max": "raise writers_max, or log from fewer processes",
    "hello_seconds": "a client connects and sends no hello; see the daemon's log",
    "spool_bytes_max": "check the sink, or raise spool_bytes_max; writers keep their journals",
    "writer_share_max": "one writer logs faster than the store: check the sink, or log less",
    "in_flight_bytes_max": "writers wait; if this is frequent, raise in_flight_bytes_max",
    "frame_bytes": "a client sends too large frames: upgrade it",
    "metric_name_bytes": "a client sends too long names: upgrade it, or shorten them",
    "metrics_per_writer": "log ids and steps as values, not in the names of metrics",
    "schemas_per_writer": "log the same metrics together each time",
    "identifier_bytes": "shorten the name of project, run or rank",
    "relay_writers": "upgrade the daemon that relays",
    "relay_missing_ranges": (
        "wait until a node's daemon has emptied its spool before another daemon gets its journals"
    ),
}
_DEAD_LETTERS: Final = ("dead_letter", "set_aside")
"""Folders of the spool; release 0.1 wrote the second."""

_DROPS: Final = {
    "journal_full": "run a daemon, raise STEPWELL_JOURNAL_BYTES_MAX, or STEPWELL_ON_FULL=block",
    "journal_disk": "free space on the disk of STEPWELL_DIR",
    "console_lines": "run a daemon, raise STEPWELL_JOURNAL_BYTES_MAX, or free disk space",
    "events": "run a daemon, raise STEPWELL_JOURNAL_BYTES_MAX, or free disk space",
    "writer_limit": "log fewer or smaller values at once; the run's console names them",
    "dead_letter": "see `stepwell spool replay --list`",
    "sample_names": "a sampler produces too many names; remove it from the setting samplers",
    "sample_spool_full": "check the sink; rows of runs have priority over samples",
    "sample_spool_failing": "repair the disk of --data, or free space",
    "other": "see the gaps of the run: `stepwell show RUN`",
}


def refused(totals: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each bound that was reached and each reason for which rows are gone."""
    for bound, times in totals.get("bounds_reached", {}).items():
        yield Finding(
            "bounds",
            Level.WARN,
            f"{bound} was reached {counted(times, 'time')} since the daemon's start",
            _BOUNDS.get(bound, "see Bounds in docs/operations.md"),
        )
    for reason, lost in totals.get("dropped", {}).items():
        yield Finding(
            "dropped",
            Level.WARN,
            f"{reason}: lost {_what(reason, lost)}",
            _DROPS.get(reason, "see Bounds in docs/operations.md"),
        )


def _what(reason: str, lost: dict[str, int]) -> str:
    if reason == "console_lines":
        return f"{counted(lost['rows'], 'line')} of the console"
    if reason == "events":
        return f"{counted(lost['rows'], 'change')} of config, summary or the like"
    return f"{counted(lost['points'], 'point')} in {counted(lost['rows'], 'row')}"


def kept(data: Path) -> Iterator[Finding]:
    """Yield what is dead-lettered or quarantined in the spool of ``data``.

    Files from before the daemon's start count too.
    """
    spool = data / "spool"
    for folder in _DEAD_LETTERS:
        if not (frames := _count(spool / folder, "*.seg")):
            continue
        yield Finding(
            "dead letters",
            Level.WARN,
            f"{counted(frames, 'frame')}, rejected by the sink and kept in {spool / folder}",
            "see the reasons with `stepwell spool replay --list`; after an upgrade, use `--all`",
        )
    if lost := _count(spool / "quarantine", "*.lost"):
        yield Finding(
            "spool",
            Level.WARN,
            f"{counted(lost, 'loss', 'losses')} of segments, noted in {spool / 'quarantine'}",
            "read the notes with `stepwell spool verify`, then delete them; no run has a gap for "
            "these losses",
        )
    if damaged := _count(spool / "quarantine", "*.bytes"):
        yield Finding(
            "quarantine",
            Level.WARN,
            f"{spool / 'quarantine'} contains {counted(damaged, 'damaged piece')}",
            "check the disk (`dmesg`, smartctl) and the gaps (`stepwell show RUN`); delete the "
            "pieces if you do not need them",
        )


def _count(folder: Path, pattern: str) -> int:
    try:
        return sum(path.is_file() for path in folder.glob(pattern))
    except OSError:
        return 0
