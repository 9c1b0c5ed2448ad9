"""One listener of a live feed: its interest, events sent, and events to send. No I/O."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Interest:
    """The runs and metrics that a listener watches; ``project`` None is the list of projects."""

    project: str | None
    runs: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()
    media: bool = False
    """Whether it looks at the media of its runs."""


@dataclass(frozen=True, slots=True)
class Look:
    """The current versions and states.

    Attributes:
        version: of the list of runs, or of projects; None before the first look.
        series: the version of each (run id, metric).
        runs: state and last sign of life of each run.
        metric_counts: how many metrics each run has.
        media: the version of the media of each run; empty if no listener watches them.
    """

    version: int | None = None
    series: Mapping[tuple[str, str], int] = field(default_factory=dict)
    runs: Mapping[str, tuple[str, float | None]] = field(default_factory=dict)
    metric_counts: Mapping[str, int] = field(default_factory=dict)
    media: Mapping[str, int] = field(default_factory=dict)


Event = tuple[str, dict[str, Any]]


class Subscription:
    """One listener. Changes not sent yet are kept by name, newest version only."""

    def __init__(self, subscription_id: str, interest: Interest) -> None:
        self.id = subscription_id
        self.interest = interest
        self.sent_count = 0
        self.left_at = 0.0
        self.rung = asyncio.Event()
        self.is_over = False
        self._sent_series: dict[tuple[str, str], int] = {}
        self._sent_runs: dict[str, tuple[str, float | None]] = {}
        self._sent_metrics: dict[str, int] = {}
        self._sent_media: dict[str, int] = {}
        self._sent_version: int | None = None
        self._look = Look()

    def note(self, look: Look) -> None:
        """Note the current versions; ring if the listener does not have them yet."""
        self._look = look
        if self._news():
            self.rung.set()

    def take(self) -> list[Event]:
        """Return the events that bring the listener up to date."""
        self.rung.clear()
        events = self._news()
        look = self._look
        self._sent_version = look.version
        self._sent_series = {key: version for key, version in look.series.items() if self._has(key)}
        self._sent_runs = {
            run: each for run, each in look.runs.items() if run in self.interest.runs
        }
        self._sent_metrics = {
            run: count for run, count in look.metric_counts.items() if run in self.interest.runs
        }
        self._sent_media = self._media_of(look)
        self.sent_count += len(events)
        return events

    def resend_all(self) -> None:
        """Send everything again: it is unknown which events arrived."""
        self._sent_series, self._sent_runs, self._sent_version = {}, {}, None
        self._sent_metrics, self._sent_media = {}, {}

    def _has(self, key: tuple[str, str]) -> bool:
        return key[0] in self.interest.runs and key[1] in self.interest.metrics

    def _news(self) -> list[Event]:
        look, events = self._look, list[Event]()
        if look.version != self._sent_version and look.version is not None:
            if self.interest.project is None:
                return [("projects", {"version": look.version})]
            events.append(("runs", {"runs_version": look.version}))
        changed = [
            {"run_id": run, "metric": metric, "version": version}
            for (run, metric), version in look.series.items()
            if self._has((run, metric)) and self._sent_series.get((run, metric)) != version
        ]
        if changed:
            events.append(("series", {"series": changed}))
        if grown := self._grown(look):
            events.append(("metrics", {"run_ids": grown}))
        media = self._media_of(look).items()
        if with_media := [run for run, each in media if self._sent_media.get(run, 0) != each]:
            events.append(("media", {"run_ids": with_media}))
        for run, (state, last_seen) in look.runs.items():
            if run in self.interest.runs and self._sent_runs.get(run) != (state, last_seen):
                events.append(("run", {"run_id": run, "state": state, "last_seen": last_seen}))
        return events

    def _media_of(self, look: Look) -> dict[str, int]:
        if not self.interest.media:
            return {}
        return {run: each for run, each in look.media.items() if run in self.interest.runs}

    def _grown(self, look: Look) -> list[str]:
        """Return the runs whose number of metrics differs from the number last sent."""
        return [
            run
            for run, count in look.metric_counts.items()
            if run in self.interest.runs and self._sent_metrics.get(run, 0) != count
        ]
