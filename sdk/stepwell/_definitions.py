"""`define_metric`: which summary a metric has and which other metric is its axis. Pure."""

import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from stepwell._names import metric_name, silent

SUMMARY_OPERATIONS: Final = ("min", "max", "mean", "last", "first", "best", "copy", "none")
GOALS: Final = ("minimize", "maximize")


class Definition(NamedTuple):
    """One `define_metric` call; ``name`` may end in ``*``."""

    name: str
    step_metric: str | None = None
    step_sync: bool = False
    summary: tuple[str, ...] = ()
    goal: str | None = None
    hidden: bool = False

    @property
    def prefix(self) -> str | None:
        """The start of matching names, if this is a glob."""
        return self.name[:-1] if self.name.endswith("*") else None

    def matches(self, metric: str) -> bool:
        prefix = self.prefix
        if prefix is None:
            return metric == self.name
        return metric.startswith(prefix) and not metric.startswith("_")

    def to_event(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "step_metric": self.step_metric,
            "step_sync": self.step_sync,
            "summary": list(self.summary),
            "goal": self.goal,
            "hidden": self.hidden,
        }


def make_definition(
    name: str,
    *,
    step_metric: Any = None,
    step_sync: bool | None = None,
    hidden: bool | None = None,
    summary: str | Iterable[str] | None = None,
    goal: str | None = None,
) -> Definition:
    """Check the arguments of `define_metric`.

    Raises:
        TypeError: ``name`` is no string, or ``step_metric`` neither name nor definition.
        ValueError: An unknown operation or goal, or a ``*`` that is not at the end.
    """
    if not isinstance(name, str):
        raise TypeError(f"define_metric: expected a metric name, not {type(name).__name__}")
    if not name or "*" in name[:-1]:
        raise ValueError(f"define_metric: {name!r}: a * is only allowed at the end of a name")
    name = _as_logged(name)
    if step_metric is not None:
        step_metric = getattr(step_metric, "name", step_metric)
        if not isinstance(step_metric, str):
            raise TypeError("define_metric: step_metric must be a name or a defined metric")
        step_metric = _as_logged(step_metric)
    words = summary.split(",") if isinstance(summary, str) else list(summary or ())
    operations = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    for operation in operations:
        if operation not in SUMMARY_OPERATIONS:
            raise ValueError(
                f"define_metric: unknown summary {operation!r}; expected one or more of "
                + ", ".join(SUMMARY_OPERATIONS)
            )
    if "copy" in operations:  # wandb's older word for the plain last value.
        operations = tuple(each for each in operations if each != "copy") or ("last",)
    if goal is not None and goal not in GOALS:
        raise ValueError(f"define_metric: unknown goal {goal!r}; expected minimize or maximize")
    sync = step_metric is not None if step_sync is None else bool(step_sync)
    return Definition(
        name=name,
        step_metric=step_metric,
        step_sync=sync and step_metric is not None,
        summary=operations,
        goal=goal,
        hidden=bool(hidden),
    )


def _as_logged(name: str) -> str:
    """Return ``name`` as `log` keeps it."""
    return name if name.endswith("*") else metric_name("", name, silent)


def merge(old: Definition | None, new: Definition) -> Definition:
    """Return ``new`` merged over the earlier definition of the same name."""
    if old is None:
        return new
    return Definition(
        name=new.name,
        step_metric=new.step_metric or old.step_metric,
        step_sync=new.step_sync if new.step_metric else old.step_sync,
        summary=new.summary or old.summary,
        goal=new.goal or old.goal,
        hidden=new.hidden or old.hidden,
    )


class Tracker:
    """Running summary of one metric that was defined with operations."""

    def __init__(self, operations: tuple[str, ...], goal: str | None = None) -> None:
        self.operations, self.goal = operations, goal
        self.started = False
        self.overridden = False  # Set by hand since the last value.
        self.count = 0  # of finite values
        self.total = 0.0
        self.first = self.last = math.nan
        self.lowest, self.highest = math.inf, -math.inf

    def add(self, value: float) -> None:
        """NaN and infinities count as first and last only, as in the store."""
        self.overridden = False
        if not self.started:
            self.started, self.first = True, value
        self.last = value
        if math.isfinite(value):
            self.lowest = min(self.lowest, value)
            self.highest = max(self.highest, value)
            self.count += 1
            self.total += value

    def state(self) -> list[float]:
        """Return the state for ``resume``."""
        extremes = [self.lowest, self.highest]
        return [self.started, self.count, self.total, self.first, self.last, *extremes]

    def resume(self, state: list[float]) -> None:
        """Continue from an earlier process's state; an invalid one is ignored."""
        if len(state) == 7 and all(isinstance(each, int | float) for each in state):
            self.started, self.count = bool(state[0]), int(state[1])
            self.total, self.first, self.last, self.lowest, self.highest = map(float, state[2:])

    @property
    def hidden(self) -> bool:
        """Whether the metric has no value in the summary."""
        return "none" in self.operations

    def summary(self) -> dict[str, float] | None:
        """Return the values of the operations; None if the last value stands for them."""
        seen = self.highest >= self.lowest
        found: dict[str, float] = {}
        for operation in self.operations:
            if operation == "min" and seen:
                found["min"] = self.lowest
            elif operation == "max" and seen:
                found["max"] = self.highest
            elif operation == "mean" and self.count:
                found["mean"] = self.total / self.count
            elif operation == "first" and self.started:
                found["first"] = self.first
            elif operation == "last" and self.started:
                found["last"] = self.last
            elif operation == "best" and seen:
                found["best"] = self.highest if self.goal == "maximize" else self.lowest
        return None if not found or list(found) == ["last"] else found


class Definitions:
    """All definitions of a run and what they mean for a metric."""

    def __init__(self) -> None:
        self.by_name: dict[str, Definition] = {}
        self.trackers: dict[str, Tracker] = {}
        self._before: dict[str, list[float]] = {}

    def add(self, definition: Definition, *, overwrite: bool = False) -> Definition:
        old = None if overwrite else self.by_name.get(definition.name)
        merged = self.by_name[definition.name] = merge(old, definition)
        for metric, tracker in self.trackers.items():
            found = self.of(metric)
            if found is not None and found.summary:
                tracker.operations, tracker.goal = found.summary, found.goal
        return merged

    def of(self, metric: str) -> Definition | None:
        """Return the definition for ``metric``: its own, else the longest glob that matches."""
        exact = self.by_name.get(metric)
        if exact is not None and exact.prefix is None:
            return exact
        globs = [
            each
            for each in self.by_name.values()
            if each.prefix is not None and each.matches(metric)
        ]
        return max(globs, key=lambda each: len(each.name), default=None)

    def tracker_of(self, metric: str) -> Tracker | None:
        tracker = self.trackers.get(metric)
        if tracker is None:
            definition = self.of(metric)
            if definition is None or not definition.summary or definition.summary == ("last",):
                return None
            tracker = self.trackers[metric] = Tracker(definition.summary, definition.goal)
            tracker.resume(self._before.get(metric, []))
        return tracker

    def states(self) -> dict[str, list[float]]:
        """Return the state of every tracker, for a process that continues the run."""
        return {
            **self._before,
            **{metric: tracker.state() for metric, tracker in self.trackers.items()},
        }

    def resume(
        self, states: Mapping[str, list[float]], definitions: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Continue with the definitions and the states of trackers of an earlier process.

        Args:
            definitions: as ``to_event`` gives them; invalid ones are ignored.
        """
        self._before = dict(states)
        for each in definitions:
            with contextlib.suppress(TypeError, ValueError, KeyError):
                self.add(make_definition(**each))

    def override(self, metrics: Iterable[str]) -> None:
        """Note that the summaries of ``metrics`` were set by hand."""
        for metric in metrics:
            if metric in self.trackers:
                self.trackers[metric].overridden = True

    def missing_axes(self, metrics: tuple[str, ...]) -> tuple[str, ...]:
        """Return the step metrics that rows of ``metrics`` must be given."""
        if not self.by_name:
            return ()
        axes: dict[str, None] = {}
        for metric in metrics:
            definition = self.of(metric)
            if definition is not None and definition.step_sync and definition.step_metric:
                axes[definition.step_metric] = None
        return tuple(axis for axis in axes if axis not in metrics)
