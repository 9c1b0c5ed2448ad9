"""Statistics of series: of one run in detail, of many runs for a table; never from raw points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.identity import fingerprint
from stepwell_store.store import Store

_METRIC_IDS_MAX: Final = 2000  # More in one IN list: reading the whole project is quicker.

_AGGREGATES: Final = """
    sum(count) AS points, sum(nan_count) AS nans,
    sum(positive_inf_count) AS positive_infs, sum(negative_inf_count) AS negative_infs,
    min(min) AS minimum, max(max) AS maximum, sum(sum) AS total,
    min(first) AS first_point, max(last) AS last_point,
    min(time_min) AS earliest, max(time_max) AS latest
"""


@dataclass(frozen=True, slots=True)
class SeriesStatistics:
    """One series as a whole; ``minimum``, ``maximum`` and ``mean`` are None without finite values.

    Attributes:
        first, last: (step, time in µs, value).
    """

    metric: str
    label: str
    series: int
    count: int
    nan_count: int
    positive_inf_count: int
    negative_inf_count: int
    minimum: float | None
    maximum: float | None
    total: float
    first: tuple[int, int, float]
    last: tuple[int, int, float]
    time_min: int
    time_max: int

    @property
    def finite_count(self) -> int:
        return self.count - self.nan_count - self.positive_inf_count - self.negative_inf_count


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One metric's statistics in many runs, a run an entry; all of shape (runs,).

    ``minimum``, ``maximum`` and ``mean`` are NaN where a run has no finite value.
    """

    run_keys: NDArray[np.uint64]
    count: NDArray[np.uint64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    mean: NDArray[np.float64]
    last: NDArray[np.float64]
    last_step: NDArray[np.int64]


def series_statistics(store: Store, project: str, run_id: str) -> list[SeriesStatistics]:
    """Return the statistics of every series of one run, by metric and label."""
    where = {"project": project, "run_id": run_id}
    names = store.query(
        "SELECT DISTINCT metric, label, series, metric_id FROM series "
        "WHERE project = {project:String} AND run_id = {run_id:String} ORDER BY metric, label",
        parameters=where,
    )
    ids = sorted({row["metric_id"] for row in names})
    narrowed = "AND metric_id IN {ids:Array(UInt64)}" if 0 < len(ids) <= _METRIC_IDS_MAX else ""
    rows = store.query(
        f"""
        SELECT series, {_AGGREGATES} FROM series_stats
        WHERE project_id = {{project_id:UInt64}} AND run_key = {{run_key:UInt64}} {narrowed}
        GROUP BY series
        """,
        parameters={
            "project_id": fingerprint(project),
            "run_key": fingerprint(project, run_id),
            **({"ids": ids} if narrowed else {}),
        },
    )
    by_series = {row["series"]: row for row in rows}
    return [
        _statistics(name["metric"], name["label"], by_series[name["series"]])
        for name in names
        if name["series"] in by_series
    ]


def metrics_of(
    store: Store,
    project: str,
    run_id: str,
    *,
    statistics: Sequence[SeriesStatistics] | None = None,
) -> list[dict[str, Any]]:
    """Return each metric of a run with its statistics, the labels' series joined, by name.

    Keys: ``metric, labels, series, count, nan_count, positive_inf_count, negative_inf_count,
    min, max, mean, first, last, first_step, last_step, last_time`` (seconds).
    """
    if statistics is None:
        statistics = series_statistics(store, project, run_id)
    by_metric: dict[str, list[SeriesStatistics]] = {}
    for each in statistics:
        by_metric.setdefault(each.metric, []).append(each)
    return [_metric(metric, parts) for metric, parts in by_metric.items()]


def table_statistics(
    store: Store, project: str, metrics: Sequence[str], *, timeout_seconds: float = 30
) -> dict[str, TableColumn]:
    """Return the statistics of ``metrics`` in every run of ``project`` that has them.

    ``run_keys`` are ``fingerprint(project, run_id)``, in no order. Series of several labels are
    joined.
    """
    ids = {fingerprint(metric): metric for metric in metrics}
    if not ids:
        return {}
    columns = store.arrays(
        """
        SELECT metric_id, run_key, sum(count) AS points,
               sum(count - nan_count - positive_inf_count - negative_inf_count) AS finite,
               min(min) AS minimum, max(max) AS maximum, sum(sum) AS total,
               max(last.step) AS newest_step,
               argMax(last.value, bitShiftLeft(toInt128(last.step), 64) + last.time) AS newest
        FROM series_stats
        WHERE project_id = {project_id:UInt64} AND metric_id IN {ids:Array(UInt64)}
        GROUP BY metric_id, run_key
        SETTINGS optimize_aggregation_in_order = 1
        """,
        parameters={"project_id": fingerprint(project), "ids": list(ids)},
        timeout_seconds=timeout_seconds,
    )
    if not columns:
        return {}
    known = np.array(sorted(ids), dtype=np.uint64)
    numbers = np.searchsorted(known, columns["metric_id"]).astype(np.min_scalar_type(len(known)))
    order = np.argsort(numbers, kind="stable")  # Of so small numbers: a radix sort.
    bounds = np.searchsorted(numbers[order], np.arange(len(known) + 1)).tolist()
    parts = {
        metric_id: order[bounds[number] : bounds[number + 1]]
        for number, metric_id in enumerate(known.tolist())
    }
    return {
        ids[metric_id]: _table_column({name: held[part] for name, held in columns.items()})
        for metric_id, part in parts.items()
        if len(part)
    }


def _table_column(columns: dict[str, NDArray[Any]]) -> TableColumn:
    finite = columns["finite"].astype(np.int64)
    has_any = finite > 0
    mean = np.full(len(finite), np.nan)
    np.divide(columns["total"], finite, out=mean, where=has_any)
    return TableColumn(
        run_keys=columns["run_key"],
        count=columns["points"],
        minimum=np.where(has_any, columns["minimum"], np.nan),
        maximum=np.where(has_any, columns["maximum"], np.nan),
        mean=mean,
        last=columns["newest"],
        last_step=columns["newest_step"],
    )


def _statistics(metric: str, label: str, row: dict[str, Any]) -> SeriesStatistics:
    odd = row["nans"] + row["positive_infs"] + row["negative_infs"]
    has_any = row["points"] > odd
    return SeriesStatistics(
        metric=metric,
        label=label,
        series=row["series"],
        count=row["points"],
        nan_count=row["nans"],
        positive_inf_count=row["positive_infs"],
        negative_inf_count=row["negative_infs"],
        minimum=row["minimum"] if has_any else None,
        maximum=row["maximum"] if has_any else None,
        total=row["total"],
        first=_point(row["first_point"]),
        last=_point(row["last_point"]),
        time_min=row["earliest"],
        time_max=row["latest"],
    )


def _point(held: dict[str, Any] | list[Any]) -> tuple[int, int, float]:
    step, time_us, value = held.values() if isinstance(held, dict) else held
    return step, time_us, value


def _metric(metric: str, parts: Sequence[SeriesStatistics]) -> dict[str, Any]:
    joined = join_statistics(parts)
    return {
        "metric": metric,
        "labels": [each.label for each in parts],
        "series": [each.series for each in parts],
        "count": joined.count,
        "nan_count": joined.nan_count,
        "positive_inf_count": joined.positive_inf_count,
        "negative_inf_count": joined.negative_inf_count,
        "min": joined.minimum,
        "max": joined.maximum,
        "mean": joined.total / joined.finite_count if joined.finite_count else None,
        "first": joined.first[2],
        "last": joined.last[2],
        "first_step": joined.first[0],
        "last_step": joined.last[0],
        "last_time": joined.last[1] / 1_000_000,
    }


def join_statistics(parts: Sequence[SeriesStatistics]) -> SeriesStatistics:
    """Return what one series with the points of all ``parts`` (at least one) would have."""
    if len(parts) == 1:
        return parts[0]
    lows = [each.minimum for each in parts if each.minimum is not None]
    highs = [each.maximum for each in parts if each.maximum is not None]
    return SeriesStatistics(
        metric=parts[0].metric,
        label="",
        series=parts[0].series,
        count=sum(each.count for each in parts),
        nan_count=sum(each.nan_count for each in parts),
        positive_inf_count=sum(each.positive_inf_count for each in parts),
        negative_inf_count=sum(each.negative_inf_count for each in parts),
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        total=sum(each.total for each in parts),
        first=min((each.first for each in parts), key=lambda point: point[:2]),
        last=max((each.last for each in parts), key=lambda point: point[:2]),
        time_min=min(each.time_min for each in parts),
        time_max=max(each.time_max for each in parts),
    )
