"""Kinds of gaps: why something is missing, as code asks for it.

A gap's ``reason`` says the same to people, with its numbers; no code depends on it. Only for gaps
of releases without kinds the kind is inferred from the reason, here and by the same list in the
store.
"""

from enum import StrEnum
from typing import Any, Final


class GapKind(StrEnum):
    """The values are on disk and in messages: new ones may be added, none may change."""

    JOURNAL_FULL = "journal_full"
    """Rows did not fit into the journal."""
    JOURNAL_DISK = "journal_disk"
    """Rows were dropped, as the disk or the system refused the journal's files."""
    CONSOLE_LINES = "console_lines"
    """Lines of the console did not fit; ``rows`` counts lines."""
    EVENTS = "events"
    """Config, summary and the like did not fit; ``rows`` counts events."""
    WRITER_LIMIT = "writer_limit"
    """Values of names beyond the limit of names per writer."""
    JOURNAL_DAMAGED = "journal_damaged"
    """A dead writer's journal could not be read there."""
    JOURNAL_IN_DOUBT = "journal_in_doubt"
    """No data is missing, but it may be wrong: part of the journal has no valid checksum."""
    SPOOL_DAMAGED = "spool_damaged"
    """A daemon's spool could not be read there."""
    DEAD_LETTER = "dead_letter"
    """The sink refused a frame for good; a daemon keeps it in ``file``."""
    REPLAYED = "replayed"
    """The data of the gap with the same ``file`` is no longer missing."""
    UNKNOWN = "unknown"


REPORTED_BY_WRITERS: Final = (
    GapKind.JOURNAL_FULL,
    GapKind.JOURNAL_DISK,
    GapKind.CONSOLE_LINES,
    GapKind.EVENTS,
    GapKind.WRITER_LIMIT,
)
"""Kinds of data that the SDK itself had to drop."""

FORMER_REASONS: Final = (
    ("console, ", GapKind.CONSOLE_LINES),
    ("events, ", GapKind.EVENTS),
    ("journal full", GapKind.JOURNAL_FULL),
    ("disk", GapKind.JOURNAL_DISK),
    ("limit", GapKind.WRITER_LIMIT),
    ("journal damaged, ", GapKind.JOURNAL_DAMAGED),
    ("journal taken as it reads, ", GapKind.JOURNAL_IN_DOUBT),
    ("damaged in the spool, ", GapKind.SPOOL_DAMAGED),
    ("refused by the store, ", GapKind.DEAD_LETTER),
    ("replayed: ", GapKind.REPLAYED),
)
"""How the reasons of gaps without a kind begin. Never changed: new gaps say their kind."""

_KINDS: Final = {kind.value: kind for kind in GapKind}


def kind_of_gap(body: dict[str, Any]) -> GapKind:
    """Return the kind of a gap event; UNKNOWN for a kind that this release does not know."""
    if "kind" in body:
        kind = body["kind"]
        return _KINDS.get(kind, GapKind.UNKNOWN) if isinstance(kind, str) else GapKind.UNKNOWN
    reason = str(body.get("reason"))
    found = (kind for begin, kind in FORMER_REASONS if reason.startswith(begin))
    return next(found, GapKind.UNKNOWN)


def file_of_gap(body: dict[str, Any], kind: GapKind) -> str:
    """Return the name of the file that keeps the missing data, "" if there is none."""
    if "file" in body:
        return str(body["file"])
    if kind not in (GapKind.DEAD_LETTER, GapKind.REPLAYED):
        return ""
    return str(body.get("reason")).rpartition("/")[2]
