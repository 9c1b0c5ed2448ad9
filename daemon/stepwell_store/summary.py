"""The summary of a run: one value for each metric. This is its only definition.

    last value of each metric  →  operations of define_metric  →  values that were set by hand

The last value is the last one that is not None. A metric with only None has no value.

A metric with defined operations has a dict of them, ``{"min": 0.1}``, as in wandb. ``last`` alone
gives the plain value, also ``copy`` of former clients; ``none`` leaves out what is logged. If a
metric has floats and other values, its operations are those of the floats; without operations, the
kind that was logged last counts. A value that was set (or deleted) by hand is valid until the next
log of its metric, not counting None; with ``none`` it stays. If several writers log one metric, the
latest step counts, then the latest time. ``_step``, ``_timestamp`` and ``_runtime`` are added.

The summary is computed from stored rows only. So it is the same while a run is running, after a
kill, after ``finish`` and over resumes. Filters compare the same values inside the store
(queries/slots.py).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.attributes import Assignment, nest
from stepwell_store.statistics import SeriesStatistics, join_statistics

_MEDIUM: Final = "._type"


@dataclass(frozen=True, slots=True)
class LastText:
    """The last logged value of a metric that is neither a float nor None.

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
    logged_us: dict[str, int] = {}
    for metric in sorted({*by_metric, *texts}):
        definition = definition_of(metric, defined)
        operations = operations_of(definition)
        if "none" in operations:
            continue  # A value that was set by hand stays over later logs.
        parts = by_metric.get(metric)
        text = texts.get(metric)
        logged_us[metric] = 0 if text is None else text.latest_us
        value: Any = None if text is None else text.value
        if parts is not None:
            joined = join_statistics(parts)
            if text is None or text.latest_us < joined.time_max:
                value = joined.last[2]
            value = operated(joined, operations, definition.get("goal")) or value
            logged_us[metric] = max(logged_us[metric], joined.time_max)
        summary[metric] = value
    holding = [each for each in explicit if each.version >= _latest(each.path, logged_us)]
    for assignment in holding:
        summary.pop(assignment.path, None)  # Including the defined operations.
        if assignment.path.endswith(_MEDIUM):  # The SDK logs a medium that is set, too.
            summary.pop(assignment.path.removesuffix(_MEDIUM), None)
    if deleted := {each.path: each.version for each in holding if each.deleted}:
        for metric in list(summary):  # A deletion deletes the metrics below, until their next log.
            if any(logged_us[metric] < deleted.get(above, 0) for above in _above(metric)):
                del summary[metric]
    return nest(holding, onto=summary)


def add_automatic(
    summary: dict[str, Any], *, step: int, latest_us: int, started_us: int
) -> dict[str, Any]:
    """Add ``_step``, ``_timestamp`` and ``_runtime`` (seconds), unless the name exists.

    Args:
        step: the highest logged step, also of rows without a number.
        latest_us: the time of the last log, also of one without a number; 0 adds no value.
        started_us: the start of the run, 0 if unknown. The time between an end and a resumption is
            included.
    """
    if latest_us:
        summary.setdefault("_step", step)
        summary.setdefault("_timestamp", latest_us / 1e6)
        if started_us:
            summary.setdefault("_runtime", max(0, latest_us - started_us) / 1e6)
    return summary


def operated(
    joined: SeriesStatistics, operations: Sequence[str], goal: object
) -> dict[str, float] | None:
    """Return the values of ``operations``; None if the last value stands for them."""
    values = {name: _operate(name, joined, goal) for name in operations}
    known = {name: value for name, value in values.items() if value is not None}
    return None if not known or list(known) == ["last"] else known


def compared(value: Any, definition: Mapping[str, Any]) -> Any:
    """Return the one of a metric's defined operations that filters and sorts compare: the first.

    Args:
        value: of the metric in the summary; a value that is no dict of operations is returned.
    """
    if not isinstance(value, dict):
        return value
    return next((value[name] for name in operations_of(definition) if name in value), value)


def operations_of(definition: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the operations of one ``define_metric``."""
    operations: Sequence[str] = definition.get("summary") or []
    return operations.split(",") if isinstance(operations, str) else operations


def definition_of(metric: str, defined: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the definition for ``metric``: its own, else the longest matching glob's."""
    own = defined.get(metric)
    if own is None:
        globs = [name for name in defined if name.endswith("*") and metric.startswith(name[:-1])]
        own = defined[max(globs, key=len)] if globs else {}
    return own if isinstance(own, Mapping) else {}


def _latest(path: str, logged_us: Mapping[str, int]) -> int:
    """Return the time at which the metric of ``path``, or one above it, was last logged."""
    return max(logged_us.get(path, 0), *(logged_us.get(each, 0) for each in _above(path)), 0)


def _above(path: str) -> Iterator[str]:
    end = path.find(".")
    while end >= 0:
        yield path[:end]
        end = path.find(".", end + 1)


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
