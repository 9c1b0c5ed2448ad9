"""The summary of a run: one value per metric, by what was defined and what was set.

    last value of each metric  →  operations of define_metric  →  explicit summary sets

A metric with defined operations has a dict of them, ``{"min": 0.1}``, as users know it from
wandb; ``none`` leaves it out. What was set by hand overrides whatever stood at its path.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stepwell_store.attributes import Assignment, nest
from stepwell_store.statistics import SeriesStatistics, join_statistics


def summarise(
    statistics: Sequence[SeriesStatistics],
    texts: Mapping[str, tuple[int, int, Any]],
    defined: Mapping[str, Any],
    explicit: Iterable[Assignment],
) -> dict[str, Any]:
    """Return the summary.

    Args:
        statistics: of every series of the run.
        texts: (step, time, value) of the last value that is no float, by metric.
        defined: bodies of define_metric by name; a name may end in ``*``.
        explicit: rows of kind `summary`.
    """
    by_metric: dict[str, list[SeriesStatistics]] = {}
    for each in statistics:
        by_metric.setdefault(each.metric, []).append(each)
    summary: dict[str, Any] = {}
    for metric in sorted({*by_metric, *texts}):
        parts = by_metric.get(metric)
        text = texts.get(metric)
        if parts is None:
            assert text is not None
            summary[metric] = text[2]
            continue
        joined = join_statistics(parts)
        if text is not None and text[:2] > joined.last[:2]:
            summary[metric] = text[2]
            continue
        definition = definition_of(metric, defined)
        operations = definition.get("summary") or []
        if isinstance(operations, str):
            operations = operations.split(",")
        if "none" in operations:
            continue
        values = {name: _operate(name, joined, definition.get("goal")) for name in operations}
        known = {name: value for name, value in values.items() if value is not None}
        summary[metric] = known if known else joined.last[2]
    return nest(explicit, onto=summary)


def definition_of(metric: str, defined: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the definition that holds for ``metric``: its own, else the longest glob's."""
    own = defined.get(metric)
    if own is None:
        globs = [name for name in defined if name.endswith("*") and metric.startswith(name[:-1])]
        own = defined[max(globs, key=len)] if globs else {}
    return own if isinstance(own, Mapping) else {}


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
        case "last" | "copy":
            return joined.last[2]
        case "best":
            return joined.maximum if goal in ("max", "maximize") else joined.minimum
    return None
