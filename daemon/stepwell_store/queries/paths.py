"""The paths for filters, sorting and columns of runs.

state name tags group job_type sweep notes created ended seen duration id host archived color
config.PATH    summary.PATH    metric.NAME[:last|min|max|mean|first|count]
A metric and a key may have the empty name: `summary.`, `config.`, `metric.`, `metric.:max`.
any other name: config.NAME if the project has it, else summary.NAME
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from stepwell_store.queries.filter import STATISTICS

STATES: Final = ("running", "finished", "failed", "crashed", "killed", "unknown")
STATE_ALIASES: Final = {"live": "running", "done": "finished", "crash": "crashed"}
"""The page's words for states."""
_ALIASES: Final = {"tag": "tags", "started": "created", "run_id": "id"}


class Kind(Enum):
    """The source of a path's value."""

    RUN = "run"
    CONFIG = "config"
    SUMMARY = "summary"
    METRIC = "metric"
    BARE = "bare"


class ValueKind(Enum):
    """The kind of value of a run's own field."""

    TEXT = "text"
    LIST = "list"
    MOMENT = "moment"
    DURATION = "duration"
    FLAG = "flag"


FIELDS: Final = {
    "state": ValueKind.TEXT,
    "name": ValueKind.TEXT,
    "tags": ValueKind.LIST,
    "group": ValueKind.TEXT,
    "job_type": ValueKind.TEXT,
    "sweep": ValueKind.TEXT,
    "notes": ValueKind.TEXT,
    "color": ValueKind.TEXT,
    "created": ValueKind.MOMENT,
    "ended": ValueKind.MOMENT,
    "seen": ValueKind.MOMENT,
    "duration": ValueKind.DURATION,
    "id": ValueKind.TEXT,
    "project": ValueKind.TEXT,
    "host": ValueKind.LIST,
    "archived": ValueKind.FLAG,
}


@dataclass(frozen=True, slots=True)
class Path:
    """One path; only metrics have a ``statistic``."""

    kind: Kind
    name: str
    statistic: str = ""


def parse_path(text: str) -> Path:
    """Return the path for ``text``; every text is a path."""
    name = _ALIASES.get(text, text)
    if name in FIELDS:
        return Path(Kind.RUN, name)
    head, dot, rest = text.partition(".")
    if dot and head in ("config", "summary"):
        return Path(Kind(head), rest)
    if dot and head == "metric":
        metric, colon, statistic = rest.rpartition(":")
        if colon and statistic in STATISTICS:
            return Path(Kind.METRIC, metric, statistic)
        return Path(Kind.METRIC, rest, "last")
    return Path(Kind.BARE, text)


def parents_of(path: str) -> list[str]:
    """Return the dotted paths above ``path``: ``a`` and ``a.b`` for ``a.b.c``."""
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]
