"""Statistics of the series of a run, from `series_stats_by_run`; never from raw points."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from stepwell_store.identity import fingerprint

AGGREGATES: Final = """
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

    @property
    def mean(self) -> float | None:
        return self.total / self.finite_count if self.finite_count else None

    def statistic(self, name: str) -> float | int | None:
        """Return one of ``last, min, max, mean, first`` or ``count``."""
        match name:
            case "last":
                return self.last[2]
            case "first":
                return self.first[2]
            case "min":
                return self.minimum
            case "max":
                return self.maximum
            case "mean":
                return self.mean
        assert name == "count", name
        return self.count


class Asked(Protocol):
    """An object that returns rows for a query: a ``queries.limits.Question``."""

    def rows(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]: ...


def series_statistics(question: Asked, project: str, run_id: str) -> list[SeriesStatistics]:
    """Return the statistics of every series of one run, by metric and label."""
    return named_statistics(
        series_names(question, project, run_id), statistics_rows(question, project, run_id)
    )


def series_names(question: Asked, project: str, run_id: str) -> list[dict[str, Any]]:
    """Return ``metric, label, series`` of the run's series; some may come twice."""
    return question.rows(
        "SELECT metric, label, series FROM series "
        "WHERE project = {project:String} AND run_id = {run_id:String}",
        {"project": project, "run_id": run_id},
    )


def statistics_rows(question: Asked, project: str, run_id: str) -> list[dict[str, Any]]:
    """Return one row for each series of the run."""
    return question.rows(
        f"""
        SELECT series, {AGGREGATES} FROM series_stats_by_run
        WHERE project_id = {{project_id:UInt64}} AND run_key = {{run_key:UInt64}}
        GROUP BY series
        """,
        {"project_id": fingerprint(project), "run_key": fingerprint(project, run_id)},
    )


def named_statistics(
    names: Iterable[Mapping[str, Any]], rows: Iterable[dict[str, Any]]
) -> list[SeriesStatistics]:
    """Return the rows of ``statistics_rows`` by the names of ``series_names``."""
    by_series = {row["series"]: row for row in rows}
    named = {(name["metric"], name["label"]): name["series"] for name in names}
    return [
        statistics_from(metric, label, series, by_series[series])
        for (metric, label), series in sorted(named.items())
        if series in by_series
    ]


def statistics_from(metric: str, label: str, series: int, row: dict[str, Any]) -> SeriesStatistics:
    non_finite = row["nans"] + row["positive_infs"] + row["negative_infs"]
    has_any = row["points"] > non_finite
    return SeriesStatistics(
        metric=metric,
        label=label,
        series=series,
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


def join_statistics(parts: Sequence[SeriesStatistics]) -> SeriesStatistics:
    """Return the statistics of one series with the points of all ``parts`` (at least one)."""
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
        first=min(each.first for each in parts),
        last=max(each.last for each in parts),
        time_min=min(each.time_min for each in parts),
        time_max=max(each.time_max for each in parts),
    )
