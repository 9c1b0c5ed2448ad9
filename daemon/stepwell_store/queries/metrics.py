"""Metrics: the names of a project, and the statistics of one run."""

from collections.abc import Sequence
from dataclasses import dataclass

from stepwell_store.identity import fingerprint
from stepwell_store.queries.limits import DEFAULT, Limits, Question, together
from stepwell_store.queries.metric_names import metric_names
from stepwell_store.queries.page import Page
from stepwell_store.queries.step_metrics import read_definitions, step_metrics
from stepwell_store.statistics import SeriesStatistics, join_statistics, series_statistics
from stepwell_store.store import Store


@dataclass(frozen=True, slots=True)
class MetricName:
    """A metric of a project.

    Attributes:
        run_count: of the requested runs.
        point_count: of these runs.
        step_metric: the metric of its x axis, from the last ``define_metric`` of these runs: of its
            own name, else of the longest glob. None: the step. ``_step``, ``_timestamp`` and
            ``_runtime`` are the axes of that name.
    """

    metric: str
    run_count: int | None
    point_count: int
    step_metric: str | None = None


@dataclass(frozen=True, slots=True)
class MetricStatistics:
    """A metric in one run; ``min``, ``max`` and ``mean`` are None without a finite value.

    Attributes:
        labels, series: of the writers that log it, merged here.
        first, last: by step, then time. ``last_time`` is in seconds since 1970 UTC.
    """

    metric: str
    labels: tuple[str, ...]
    series: tuple[int, ...]
    count: int
    nan_count: int
    positive_inf_count: int
    negative_inf_count: int
    min: float | None
    max: float | None
    mean: float | None
    first: float
    last: float
    first_step: int
    last_step: int
    last_time: float


def list_metrics(
    store: Store,
    project: str,
    *,
    run_ids: Sequence[str] | None = None,
    search: str = "",
    limit: int = 1000,
    cursor: str | None = None,
    limits: Limits = DEFAULT,
) -> Page[MetricName]:
    """Return the metrics of a project by name.

    Args:
        run_ids: only metrics of these runs; None for all runs.
        search: RE2; the name contains a match. ``(?i)`` in front ignores case.

    Raises:
        FilterError: ``search`` is not an RE2 expression.
        CursorError: The cursor does not belong to this list.
    """
    question = Question(store, limits)
    page = metric_names(
        question,
        "min(s.metric_id) AS id",
        "series AS s",
        project,
        run_ids=run_ids,
        search=search,
        limit=limit,
        cursor=cursor,
    )
    shown = page.rows
    names = [row["metric"] for row in shown]
    counts, definitions = together(
        lambda: _counts(question, project, run_ids, [row["id"] for row in shown]),
        lambda: read_definitions(question, project, run_ids, names),
    )
    steps = step_metrics(question, project, run_ids, names, definitions)
    found = []
    for row in shown:
        runs, points = counts.get(row["id"], (0, 0))
        found.append(MetricName(row["metric"], runs, points, steps.get(row["metric"])))
    return Page(tuple(found), page.next_cursor)


def run_metrics(
    store: Store, project: str, run_id: str, *, limits: Limits = DEFAULT
) -> tuple[MetricStatistics, ...]:
    """Return each metric of a run by name, with the series of all labels merged."""
    by_metric: dict[str, list[SeriesStatistics]] = {}
    for each in series_statistics(Question(store, limits), project, run_id):
        by_metric.setdefault(each.metric, []).append(each)
    return tuple(map(_joined, by_metric.values()))


def run_series(
    store: Store, project: str, run_id: str, *, limits: Limits = DEFAULT
) -> tuple[MetricStatistics, ...]:
    """Return each series of a run, by metric and label."""
    found = series_statistics(Question(store, limits), project, run_id)
    return tuple(_joined([each]) for each in found)


def _counts(
    question: Question, project: str, run_ids: Sequence[str] | None, ids: list[int]
) -> dict[int, tuple[int, int]]:
    """Return (runs, points) of each metric."""
    if not ids:
        return {}
    parameters: dict[str, object] = {"project_id": fingerprint(project), "ids": ids}
    narrowed = ""
    if run_ids is not None:
        narrowed = "AND run_key IN {keys:Array(UInt64)}"
        parameters["keys"] = [fingerprint(project, run_id) for run_id in run_ids]
    rows = question.rows(
        "SELECT metric_id, uniqExact(run_key) AS run_count, sum(count) AS point_count "
        "FROM series_stats WHERE project_id = {project_id:UInt64} "
        f"AND metric_id IN {{ids:Array(UInt64)}} {narrowed} GROUP BY metric_id",
        parameters,
    )
    return {row["metric_id"]: (row["run_count"], row["point_count"]) for row in rows}


def _joined(parts: Sequence[SeriesStatistics]) -> MetricStatistics:
    joined = join_statistics(parts)
    return MetricStatistics(
        metric=joined.metric,
        labels=tuple(each.label for each in parts),
        series=tuple(each.series for each in parts),
        count=joined.count,
        nan_count=joined.nan_count,
        positive_inf_count=joined.positive_inf_count,
        negative_inf_count=joined.negative_inf_count,
        min=joined.minimum,
        max=joined.maximum,
        mean=joined.mean,
        first=joined.first[2],
        last=joined.last[2],
        first_step=joined.first[0],
        last_step=joined.last[0],
        last_time=joined.last[1] / 1_000_000,
    )
