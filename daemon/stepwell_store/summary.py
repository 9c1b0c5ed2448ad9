"""The summary of a run: one value for each metric. This is its only definition.

    last value of each metric  →  operations of define_metric  →  values that were set by hand

A metric with defined operations has a dict of them, ``{"min": 0.1}``, as in wandb. ``last`` alone
gives the plain value, also ``copy`` of former clients; ``none`` leaves the metric out. If a metric
has floats and other values, the kind that was logged last counts. A value that was set (or deleted)
by hand is valid until the next log of its metric. If several writers log one metric, the latest
step counts, then the latest time. ``_step``, ``_timestamp`` and ``_runtime`` are added.

The summary is computed from stored rows only. So it is the same while a run is running, after a
kill, after ``finish`` and over resumes. Filters compare the same values inside the store
(queries/slots.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell_store.attributes import Assignment, nest
from stepwell_store.statistics import SeriesStatistics, join_statistics


@dataclass(frozen=True, slots=True)
class LastText:
    """The last logged value of a metric that is not a float.

    Attributes:
        value: of the latest step, then of the latest time.
        latest_us: the time of the last log of such a value, at any step.
    """

    value: Any
    latest_us: int


def summarise(
    statistics: Sequence[SeriesStatistics],
    texts: Mapping[str, LastText],
    defined: Mapping[str, Any],
    explicit: Iterable[Assignment],
) -> dict[str, Any]:
    """Return the summary without the values of ``add_automatic``.

    Args:
        statistics: of every series of the run.
        texts: by metric.
        defined: bodies of define_metric by name; a name may end in ``*``.
        explicit: rows of kind `summary`.
    """
    by_metric: dict[str, list[SeriesStatistics]] = {}
    for each in statistics:
        by_metric.setdefault(each.metric, []).append(each)
    summary: dict[str, Any] = {}
    logged_us = {metric: text.latest_us for metric, text in texts.items()}
    for metric in sorted({*by_metric, *texts}):
        parts = by_metric.get(metric)
        text = texts.get(metric)
        if parts is None:
            assert text is not None
            if text.value is not None:
                summary[metric] = text.value
            continue
        joined = join_statistics(parts)
        logged_us[metric] = max(logged_us.get(metric, 0), joined.time_max)
        if text is not None and text.latest_us >= joined.time_max:
            if text.value is not None:
                summary[metric] = text.value
            continue
        value = operated(joined, definition_of(metric, defined))
        if value is not None:
            summary[metric] = value
    holding = [each for each in explicit if each.version >= _latest(each.path, logged_us)]
    for assignment in holding:
        summary.pop(assignment.path, None)  # Including the defined operations.
    return nest(holding, onto=summary)


def add_automatic(
    summary: dict[str, Any], *, step: int, latest_us: int, started_us: int
) -> dict[str, Any]:
    """Add ``_step``, ``_timestamp`` and ``_runtime`` (seconds), unless the name exists.

    Args:
        step: the highest logged step.
        latest_us: the time of the last log; 0 adds no value.
        started_us: the start of the run, 0 if unknown. The time between an end and a resumption is
            included.
    """
    if latest_us:
        summary.setdefault("_step", step)
        summary.setdefault("_timestamp", latest_us / 1e6)
        if started_us:
            summary.setdefault("_runtime", max(0, latest_us - started_us) / 1e6)
    return summary


def operated(joined: SeriesStatistics, definition: Mapping[str, Any]) -> Any:
    """Return the summary of a metric by its definition: a value, a dict, or None for no value."""
    operations = definition.get("summary") or []
    if isinstance(operations, str):
        operations = operations.split(",")
    if "none" in operations:
        return None
    values = {name: _operate(name, joined, definition.get("goal")) for name in operations}
    known = {name: value for name, value in values.items() if value is not None}
    return joined.last[2] if not known or list(known) == ["last"] else known


def definition_of(metric: str, defined: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the definition for ``metric``: its own, else the longest matching glob's."""
    own = defined.get(metric)
    if own is None:
        globs = [name for name in defined if name.endswith("*") and metric.startswith(name[:-1])]
        own = defined[max(globs, key=len)] if globs else {}
    return own if isinstance(own, Mapping) else {}


def _latest(path: str, logged_us: Mapping[str, int]) -> int:
    """Return the time at which the metric of ``path``, or one above it, was last logged."""
    latest = logged_us.get(path, 0)
    end = path.find(".")
    while end >= 0:
        latest = max(latest, logged_us.get(path[:end], 0))
        end = path.find(".", end + 1)
    return latest


def _operate(name: str, joined: SeriesStatistics, goal: object) -> float | None:
    match name:
        case "min":
            return joined.minimum
        case "max":
            return joined.maximum
        case "mean":
            return joined.total / joined.finite_count if joined.finite_count else None
        case "first":
            return joined.first[2]
        case "last":
            return joined.last[2]
        case "best":
            return joined.maximum if goal in ("max", "maximize") else joined.minimum
    return None
