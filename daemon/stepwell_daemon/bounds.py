"""Bounds: their names, and the rows and points that are dropped at them, by reason.

The name of a bound is the name of its setting, or of its fixed limit. Refused data stays with its
sender, and the bound counts as reached. Dropped data is lost, and counted in rows and points.
docs/operations.md has the table.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from stepwell_wire.gaps import REPORTED_BY_WRITERS, kind_of_gap
from stepwell_wire.records import GAP
from stepwell_wire.rows import Event

BOUNDS: Final = (
    "connections_max",
    "writers_max",
    "hello_seconds",
    "spool_bytes_max",
    "writer_share_max",
    "in_flight_bytes_max",
    "frame_bytes",
    "metric_name_bytes",
    "metrics_per_writer",
    "schemas_per_writer",
    "identifier_bytes",
    "relay_writers",
    "relay_missing_ranges",
)
"A bound at which the daemon refuses or waits, with its counter."

DEAD_LETTER: Final = "dead_letter"
SAMPLE_SPOOL_FULL: Final = "sample_spool_full"
SAMPLE_SPOOL_FAILING: Final = "sample_spool_failing"
SAMPLE_NAMES: Final = "sample_names"
OTHER: Final = "other"

DROPS: Final = (
    *(kind.value for kind in REPORTED_BY_WRITERS),
    DEAD_LETTER,
    SAMPLE_SPOOL_FULL,
    SAMPLE_SPOOL_FAILING,
    SAMPLE_NAMES,
    OTHER,
)
"""Every reason under which rows and points are counted; clients cannot add reasons."""

_COUNT_MAX: Final = 1 << 53
"""Maximum of one addition: Prometheus counters are float64, and one event must not spoil them."""


class Dropped(NamedTuple):
    """Rows and points that were dropped for ``reason``."""

    reason: str
    rows: int
    points: int


def reported_by_writers(events: Iterable[Event]) -> tuple[Dropped, ...]:
    """Return the losses in the gap events among ``events``; their bodies may have any content."""
    return tuple(
        Dropped(
            _reason(event.body),
            _count(event.body.get("rows")),
            _count(event.body.get("points")),
        )
        for event in events
        if event.kind == GAP and isinstance(event.body, dict)
    )


def _reason(body: dict[str, Any]) -> str:
    kind = kind_of_gap(body)
    return kind.value if kind in REPORTED_BY_WRITERS else OTHER


def _count(value: Any) -> int:
    return min(max(value, 0), _COUNT_MAX) if isinstance(value, int) else 0
