"""Missing data of a run, with reasons, for `stepwell show` and `stepwell export`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from stepwell.cli.text import counted, plain
from stepwell_wire.gaps import GapKind

if TYPE_CHECKING:
    from stepwell_store import Store

_NO_POINTS: Final = (GapKind.CONSOLE_LINES, GapKind.EVENTS, GapKind.JOURNAL_IN_DOUBT)
"""Kinds of gaps that are not of points, known or unknown in number."""


def gaps_of(store: "Store", project: str, run_ids: list[str]) -> list[dict[str, Any]]:
    """Return the gaps of runs as dicts."""
    from stepwell_store.queries import list_gaps

    return [asdict(gap) for gap in list_gaps(store, project, run_ids)]


def gap_text(gap: dict[str, Any]) -> str:
    """Return one gap in one line; without counts the lost amount is unknown."""
    first, last = gap["first_step"], gap["last_step"]
    span = f"steps {first} to {last}" if first != last else f"step {first}"
    if gap["kind"] == GapKind.CONSOLE_LINES:
        what = f"{counted(gap['rows'], 'line')} about {span}"
    elif gap["kind"] == GapKind.EVENTS:
        what = f"{counted(gap['rows'], 'change')} of config, summary or the like about {span}"
    elif gap["rows"] or gap["points"]:
        what = f"{counted(gap['points'], 'point')} in {counted(gap['rows'], 'row')} of {span}"
    elif gap["kind"] == GapKind.JOURNAL_IN_DOUBT:
        what = f"values of {span} may be wrong"
    elif first == last:
        what = f"rows logged before or after {span}, not counted"
    else:
        what = f"rows logged around {span}, not counted"
    return plain(f"{gap['reason']}: {what}")


def missing_text(gaps: list[dict[str, Any]]) -> str:
    """Return the amount that is missing by ``gaps``, "" for none."""
    points = sum(gap["points"] for gap in gaps)
    lines = sum(gap["rows"] for gap in gaps if gap["kind"] == GapKind.CONSOLE_LINES)
    events = sum(gap["rows"] for gap in gaps if gap["kind"] == GapKind.EVENTS)
    unknown = sum(not (gap["points"] or gap["kind"] in _NO_POINTS) for gap in gaps)
    parts = [f"{counted(points, 'point')}"] if points else []
    if unknown:
        parts.append(f"{counted(unknown, 'piece')} of unknown size")
    if lines:
        parts.append(f"{counted(lines, 'line')} of the console")
    if events:
        parts.append(f"{counted(events, 'change')} of config, summary or the like")
    return " and ".join(parts)


def doubt_text(gaps: list[dict[str, Any]]) -> str:
    """Return how many ranges of steps may have wrong values, "" for none."""
    doubts = sum(gap["kind"] == GapKind.JOURNAL_IN_DOUBT for gap in gaps)
    return f"values of {counted(doubts, 'range')} of steps may be wrong" if doubts else ""
