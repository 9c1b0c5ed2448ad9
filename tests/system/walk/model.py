"""What must be stored, in plain Python: written after docs/cli.md and docs/logging.md alone.

Moments are numbers of a count: the walk does one thing after the other, so their order is that of
the clock. No class here does I/O.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_moments = itertools.count(1)
DELETED = object()
ENDS = ("running", "failed", "crashed", "killed", "finished")
"""States of a writer, the most important first."""


def now() -> int:
    """Return a moment later than all before."""
    return next(_moments)


class Value(NamedTuple):
    """One logged value: a point, or what is no number."""

    step: int
    moment: int
    value: Any

    @property
    def is_point(self) -> bool:
        return isinstance(self.value, float)


Series = tuple[str, str]
"""Metric and label."""


@dataclass
class ModelWriter:
    """One process that logged into a run."""

    label: str
    began: int
    resumed: bool
    state: str = "running"
    ended: int = 0
    must_print: list[str] = field(default_factory=list)
    """Lines that must be stored, in order."""
    may_print: list[str] = field(default_factory=list)
    """Lines after them, of which the last may be lost: the process was killed."""


@dataclass
class ModelRun:
    """One run."""

    project: str
    run_id: str
    name: str = ""
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    said: dict[str, Any] = field(default_factory=dict)
    """Name, tags and notes as its scripts gave them to `init`."""
    settled: set[str] = field(default_factory=set)
    """Those of them that rank 0 gave, or an edit."""
    config: dict[str, Any] = field(default_factory=dict)
    values: dict[Series, list[Value]] = field(default_factory=dict)
    images: list[tuple[str, str, int, int]] = field(default_factory=list)
    """Metric, label, step and number of the picture."""
    defined: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_hand: dict[str, tuple[int, Any]] = field(default_factory=dict)
    writers: list[ModelWriter] = field(default_factory=list)
    next_step: int = 0
    """Where its first rank stood; where it was killed, at most."""
    last_step: int = -1
    """The highest step that a row was logged at, open or not."""

    @property
    def ref(self) -> str:
        return f"{self.project}/{self.run_id}"

    @property
    def state(self) -> str:
        """The worst of its writers', of those since it was last resumed.

        Where the others finished, a rank but the first that crashed does not count.
        """
        since = max((each.began for each in self.writers if each.resumed), default=0)
        counted = [
            each
            for each in self.writers
            if each.state == "running" or max(each.began, each.ended) >= since
        ]
        states = {each.state for each in counted}
        others = {
            each.state for each in counted if each.state != "crashed" or each.label in ("", "rank0")
        }
        return min(states if others != {"finished"} else others, key=ENDS.index)

    def add(self, label: str, step: int, data: dict[str, Any]) -> None:
        """Add one call of `log`."""
        moment = now()
        for metric, value in data.items():
            number = float(value) if isinstance(value, bool | int | float) else value
            self.values.setdefault((metric, label), []).append(Value(step, moment, number))

    def points(self) -> dict[Series, list[tuple[int, float]]]:
        """Return step and value of every point, sorted, by series."""
        found = {
            series: sorted_points((each.step, each.value) for each in values if each.is_point)
            for series, values in self.values.items()
        }
        return {series: points for series, points in found.items() if points}

    def labels(self) -> set[str]:
        """Return the labels under which any value was logged."""
        labels = {label for (_, label), values in self.values.items() if values}
        return labels | {label for _, label, _, _ in self.images}

    def history(self) -> list[dict[str, Any]]:
        """Return the rows of an export: by step and, where there are several, label."""
        latest: dict[tuple[int, str], dict[str, Value]] = {}
        for (metric, label), values in self.values.items():
            for each in values:
                row = latest.setdefault((each.step, label), {})
                if metric not in row or row[metric].moment < each.moment:
                    row[metric] = each
        for metric, label, step, number in self.images:
            latest.setdefault((step, label), {})[metric] = Value(step, 0, Picture(number))
        apart = len(self.labels()) > 1
        return [
            {
                "_step": step,
                **({"_label": label} if apart else {}),
                **{metric: row[metric].value for metric in sorted(row)},
            }
            for (step, label), row in sorted(latest.items())
        ]

    def metrics(self) -> dict[str, list[Value]]:
        """Return the values of each metric, of all labels."""
        found: dict[str, list[Value]] = {}
        for (metric, _), values in self.values.items():
            found.setdefault(metric, []).extend(values)
        return {metric: values for metric, values in found.items() if values}

    def summary(self) -> dict[str, Any]:
        """Return what `show` must have, without pictures, `_timestamp` and `_runtime`."""
        found: dict[str, Any] = {}
        latest: dict[str, int] = {}
        for metric, logged in self.metrics().items():
            values = [each for each in logged if each.value is not None]
            definition = self._definition(metric)
            if not values or "none" in (definition.get("summary") or []):
                continue  # With "none", a value that was set by hand stays.
            latest[metric] = max(each.moment for each in values)
            value = _summed_up(values, definition)
            if value is not None:
                found[metric] = value
        for name, (moment, value) in self.by_hand.items():
            if moment > latest.get(name, 0):
                found[name] = value
        steps = [each.step for values in self.values.values() for each in values]
        steps += [step for _, _, step, _ in self.images]
        if steps:
            found["_step"] = max(steps)
        return found

    def _definition(self, metric: str) -> dict[str, Any]:
        if metric in self.defined:
            return self.defined[metric]
        globs = [
            name for name in self.defined if name.endswith("*") and metric.startswith(name[:-1])
        ]
        return self.defined[max(globs, key=len)] if globs else {}


class Picture(NamedTuple):
    """An image in a history, by its number."""

    number: int


def sorted_points(points: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return ``points`` in an order that NaN has a place in."""

    def key(point: tuple[int, float]) -> tuple[int, bool, float]:
        step, value = point
        return (step, True, 0.0) if math.isnan(value) else (step, False, value)

    return sorted(points, key=key)


def _summed_up(values: list[Value], definition: dict[str, Any]) -> Any:
    """Return the summary of one metric, None for nothing."""
    points = [each for each in values if each.is_point]
    others = [each for each in values if not each.is_point]
    operations = definition.get("summary") or []
    found = dict(_operated(operations, definition.get("goal"), points)) if points else {}
    if found and list(found) != ["last"]:
        return found
    is_other = others and max(map(_moment, others)) > max(map(_moment, points), default=0)
    return max(others if is_other else points, key=_place).value


def _operated(
    operations: list[str], goal: str | None, points: list[Value]
) -> Iterator[tuple[str, float]]:
    finite = [each.value for each in points if math.isfinite(each.value)]
    for operation in operations:
        if operation in ("first", "last"):
            yield operation, (min if operation == "first" else max)(points, key=_place).value
        elif not finite:
            continue
        elif operation == "mean":
            yield operation, sum(finite) / len(finite)
        elif operation == "best":
            yield operation, (max if goal == "maximize" else min)(finite)
        else:
            yield operation, {"min": min, "max": max}[operation](finite)


def _moment(value: Value) -> int:
    return value.moment


def _place(value: Value) -> tuple[int, int]:
    return value.step, value.moment


@dataclass
class Model:
    """All runs that must be stored, and those that must not."""

    runs: dict[tuple[str, str], ModelRun] = field(default_factory=dict)
    leaving: set[tuple[str, str]] = field(default_factory=set)
    """Runs that were deleted by force while their writers were at work, and may come and go."""
    known: set[tuple[str, str]] = field(default_factory=set)
    """Runs that this machine remembers."""
    reports: dict[str, dict[str, str]] = field(default_factory=dict)
    """Text of each report, by project and id."""

    def of_project(self, project: str) -> list[ModelRun]:
        return [run for run in self.runs.values() if run.project == project]
