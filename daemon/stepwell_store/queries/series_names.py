"""The existing series of some metrics in some runs, their lengths, and their owners."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.identity import fingerprint
from stepwell_store.queries.limits import Question

_STATISTICS: Final = """
SELECT metric_id, run_key, series, sum(count) AS points,
       sum(nan_count + positive_inf_count + negative_inf_count) AS non_finite,
       min(first.step) AS first_step, max(last.step) AS last_step,
       min(time_min) AS earliest, max(time_max) AS latest
FROM series_stats
WHERE project_id = {project_id:UInt64} AND metric_id IN {metric_ids:Array(UInt64)}
  AND run_key IN {run_keys:Array(UInt64)}
GROUP BY metric_id, run_key, series
"""

_LABELS: Final = """
SELECT DISTINCT label, series FROM series
WHERE project = {project:String} AND run_id IN {runs:Array(String)}
  AND metric IN {metrics:Array(String)}
"""


@dataclass(frozen=True, slots=True, eq=False)
class FoundSeries:
    """Series with points; every array has one entry for each series.

    Attributes:
        metric, run: indexes in the requested lists.
        owner: the series under whose number its points are counted. This is its own number. If
            labels are merged, it is the lowest number among the series of the same metric and run.
        points: number of stored points; ``non_finite`` of them are NaN or infinite.
        earliest, latest: µs since 1970 UTC.
        labels: empty texts if labels are merged.
    """

    metric: NDArray[np.intp]
    run: NDArray[np.intp]
    series: NDArray[np.uint64]
    owner: NDArray[np.uint64]
    points: NDArray[np.int64]
    non_finite: NDArray[np.int64]
    first_step: NDArray[np.int64]
    last_step: NDArray[np.int64]
    earliest: NDArray[np.int64]
    latest: NDArray[np.int64]
    labels: tuple[str, ...]

    def taken(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "FoundSeries":
        """Return some of the series."""
        places = np.arange(len(self.series))[chosen]
        arrays = {name: getattr(self, name)[places] for name in self.__slots__ if name != "labels"}
        return FoundSeries(**arrays, labels=tuple(self.labels[at] for at in places.tolist()))

    @property
    def is_joined(self) -> bool:
        """Whether any series is counted under another's number."""
        return bool((self.owner != self.series).any())


def find_series(
    question: Question,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    *,
    keeps_labels: bool,
) -> FoundSeries | None:
    """Return the series of ``metrics`` in ``run_ids`` by metric, run and label; None for none."""
    metric_ids = np.array([fingerprint(metric) for metric in metrics], dtype=np.uint64)
    run_keys = np.array([fingerprint(project, run_id) for run_id in run_ids], dtype=np.uint64)
    if not len(metric_ids) or not len(run_keys):
        return None
    rows = question.arrays(
        _STATISTICS,
        {
            "project_id": fingerprint(project),
            "metric_ids": np.unique(metric_ids).tolist(),
            "run_keys": np.unique(run_keys).tolist(),
        },
    )
    if not rows:
        return None
    metric = _places(metric_ids, rows["metric_id"])
    run = _places(run_keys, rows["run_key"])
    order = np.lexsort((rows["series"], run, metric))
    metric, run = metric[order], run[order]
    series = rows["series"][order]
    held = {
        name: rows[name][order].astype(np.int64)
        for name in ("points", "non_finite", "first_step", "last_step", "earliest", "latest")
    }
    if keeps_labels:
        labels = _labels(question, project, run_ids, metrics, series)
        found = FoundSeries(
            metric=metric, run=run, series=series, owner=series, labels=labels, **held
        )
        keys = list(zip(metric.tolist(), run.tolist(), labels, strict=True))
        return found.taken(np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.intp))
    begins = np.ones(len(series), dtype=bool)
    begins[1:] = (np.diff(metric) != 0) | (np.diff(run) != 0)
    owner = series[begins][np.cumsum(begins) - 1]
    labels = ("",) * len(series)
    return FoundSeries(metric=metric, run=run, series=series, owner=owner, labels=labels, **held)


def _places(known: NDArray[np.uint64], found: NDArray[np.uint64]) -> NDArray[np.intp]:
    order = np.argsort(known)
    return order[np.searchsorted(known[order], found)]


def _labels(
    question: Question,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    series: NDArray[np.uint64],
) -> tuple[str, ...]:
    rows = question.rows(
        _LABELS, {"project": project, "runs": list(run_ids), "metrics": list(metrics)}
    )
    label_of = {row["series"]: row["label"] for row in rows}
    return tuple(label_of.get(number, "") for number in series.tolist())
