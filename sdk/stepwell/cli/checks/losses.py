"""What was refused, dropped, dead-lettered, quarantined or damaged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.text import count_text, counted

_BOUNDS: Final = {
    "connections_max": "raise connections_max, or log from fewer processes",
    "writers_max": "raise writers_max, or log from fewer processes",
    "hello_seconds": "something connects and says nothing; the daemon's log may say more",
    "spool_bytes_max": "see the sink, or raise spool_bytes_max; writers keep what they have",
    "writer_share_max": "one writer logs more than the store takes: see the sink, log less there",
    "in_flight_bytes_max": "nothing, if it is seldom: writers wait; else raise in_flight_bytes_max",
    "frame_bytes": "a client sends larger frames than may be: upgrade it",
    "metric_name_bytes": "a client sends longer names than may be: upgrade it, shorten them",
    "metrics_per_writer": "put what varies (ids, steps) into values, not into metrics' names",
    "schemas_per_writer": "log the same metrics together each time",
    "identifier_bytes": "shorten the project's, run's or rank's name",
    "relay_writers": "upgrade the daemon that relays",
    "relay_holes": "let a node's daemon empty its spool before its journals are sent elsewhere",
}
_DEAD_LETTERS: Final = ("dead_letter", "set_aside")
"""Folders of the spool; release 0.1 wrote the second."""

_DROPS: Final = {
    "journal_full": "run a daemon, raise STEPWELL_JOURNAL_BYTES_MAX, or STEPWELL_ON_FULL=block",
    "journal_disk": "make room on the disk of STEPWELL_DIR",
    "console_lines": "run a daemon, raise STEPWELL_JOURNAL_BYTES_MAX, or make room on its disk",
    "events": "run a daemon, raise STEPWELL_JOURNAL_BYTES_MAX, or make room on its disk",
    "writer_limit": "log fewer or smaller things at once; the run's console says what",
    "dead_letter": "see `stepwell spool replay --list`",
    "sample_names": "a sampler makes up names; take it out of the setting samplers",
    "sample_spool_full": "see the sink; samples of the node give way to runs",
    "sample_spool_failing": "repair the disk of --data, or make room",
    "other": "the run's gaps say why: `stepwell show RUN`",
}


def refused(totals: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each bound that was reached and each reason for which rows are gone."""
    for bound, times in totals.get("bounds_reached", {}).items():
        yield Finding(
            "bounds",
            Level.WARN,
            f"{bound} was reached {count_text(times)} times since the daemon's start",
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
        return f"{count_text(lost['rows'])} changes of config, summary or the like"
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
            f"{counted(frames, 'frame')}, refused by the sink for good, in {spool / folder}",
            "`stepwell spool replay --list` says why; `--all` sends them again after an upgrade",
        )
    if lost := _count(spool / "quarantine", "*.lost"):
        yield Finding(
            "spool",
            Level.WARN,
            f"{counted(lost, 'loss', 'losses')} of segments, noted in {spool / 'quarantine'}",
            "`stepwell spool verify` prints the notes; no run has a gap for them; delete the "
            "notes when they are read",
        )
    if damaged := _count(spool / "quarantine", "*.bytes"):
        yield Finding(
            "quarantine",
            Level.WARN,
            f"{count_text(damaged)} damaged pieces lie in {spool / 'quarantine'}",
            "check the disk (`dmesg`, smartctl); `stepwell show RUN` lists gaps, where frames of "
            "the run lie on both sides; delete them when nobody wants to look at them",
        )


def _count(folder: Path, pattern: str) -> int:
    try:
        return sum(path.is_file() for path in folder.glob(pattern))
    except OSError:
        return 0
