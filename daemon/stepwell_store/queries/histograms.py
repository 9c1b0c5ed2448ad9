"""Histograms: the list of them, and those of one metric over steps as one matrix.

Their number is limited: of each power-of-two range of steps, starting at 0, the last histogram is
returned. So only the end changes while a run grows. All are converted to one grid of bins, so that
a page draws them without further work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepwell_store.histogram_rows import StoredHistogram, from_row
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.metric_names import metric_names
from stepwell_store.queries.page import Page
from stepwell_store.store import Store

ROWS_MIN: Final = 2  # Steps below 0 and other steps are never in one range.
ROWS_MAX: Final = 1024
BINS_MAX: Final = 512
_FLAT: Final = 1e-12
"""A bin narrower than this part of the grid counts as one place: it is invisible, and the density
of a bin of 1e-308 would overflow."""
_STEP_MIN: Final = -(2**63)
_STEP_MAX: Final = 2**63 - 1
_OF_METRIC: Final = """
FROM histograms WHERE project = {project:String} AND run_id = {run_id:String}
AND metric = {metric:String} AND label = {label:String}
AND step BETWEEN {first:Int64} AND {last:Int64}
"""


@dataclass(frozen=True, slots=True)
class HistogramName:
    """A metric with logged histograms.

    Attributes:
        run_count, histogram_count: of the requested runs.
    """

    metric: str
    run_count: int
    histogram_count: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True)
class HistogramMatrix:
    """Histograms of one metric of one run on one grid.

    Attributes:
        labels: the writers with histograms; ``label`` is the one returned here.
        step_count: steps in the range with a histogram, before the reduction.
        level: each is the last of 2^level steps.
        version: of all steps; a different number means that some were added.
        low, high: the grid's first and last edge; its bins have equal widths.
        steps: shape (n,), ascending; the latest of a step that was logged more than once.
        times: shape (n,), microseconds since 1970 UTC.
        counts: shape (n, bins). The count of a logged bin is divided among the bins of the grid
            that it overlaps.
        own_low, own_high: shape (n,), the edges of each histogram itself.
        nan_count, positive_inf_count, negative_inf_count: shape (n,).
    """

    metric: str
    labels: tuple[str, ...]
    label: str
    step_count: int
    level: int
    version: int
    low: float
    high: float
    steps: NDArray[np.int64]
    times: NDArray[np.int64]
    counts: NDArray[np.float64]
    own_low: NDArray[np.float64]
    own_high: NDArray[np.float64]
    nan_count: NDArray[np.int64]
    positive_inf_count: NDArray[np.int64]
    negative_inf_count: NDArray[np.int64]


def list_histograms(
    store: Store,
    project: str,
    *,
    run_ids: Sequence[str] | None = None,
    search: str = "",
    limit: int = 1000,
    cursor: str | None = None,
    limits: Limits = DEFAULT,
) -> Page[HistogramName]:
    """Return the metrics that have histograms, by name.

    Args:
        run_ids: count only these runs.
        search: RE2; the name contains a match. ``(?i)`` in front ignores case.

    Raises:
        FilterError: ``search`` is not an RE2 expression.
        CursorError: The cursor does not belong to this list.
    """
    page = metric_names(
        Question(store, limits),
        "uniqExact(run_id) AS runs, count() AS histograms, min(step) AS first_step, "
        "max(step) AS last_step",
        "histograms",
        project,
        run_ids=run_ids,
        search=search,
        limit=limit,
        cursor=cursor,
    )
    found = tuple(
        HistogramName(
            row["metric"], row["runs"], row["histograms"], row["first_step"], row["last_step"]
        )
        for row in page.rows
    )
    return Page(found, page.next_cursor)


def histogram_matrix(
    store: Store,
    project: str,
    run_id: str,
    metric: str,
    *,
    label: str | None = None,
    first: int | None = None,
    last: int | None = None,
    rows_max: int = 256,
    bins: int = 64,
    limits: Limits = DEFAULT,
) -> HistogramMatrix:
    """Return the histograms of ``metric``; a matrix without rows if there are none.

    Args:
        label: of this writer, by default of the first one by name.
        first, last: steps, both included.
        rows_max: maximum number of histograms, 2 to 1024.
        bins: of the grid, 1 to 512.
    """
    if not ROWS_MIN <= rows_max <= ROWS_MAX or not 1 <= bins <= BINS_MAX:
        raise ValueError(f"rows_max must be {ROWS_MIN} to {ROWS_MAX}, bins 1 to {BINS_MAX}")
    question = Question(store, limits)
    where: dict[str, Any] = {"project": project, "run_id": run_id, "metric": metric}
    held = question.rows(
        "SELECT label, count() AS histograms FROM histograms WHERE project = {project:String} "
        "AND run_id = {run_id:String} AND metric = {metric:String} GROUP BY label ORDER BY label",
        where,
    )
    labels = tuple(row["label"] for row in held)
    chosen = label if label is not None else (labels[0] if labels else "")
    where |= {
        "label": chosen,
        "first": _STEP_MIN if first is None else first,
        "last": _STEP_MAX if last is None else last,
    }
    steps = question.arrays(f"SELECT step {_OF_METRIC}", where).get("step", np.empty(0, "<i8"))
    distinct = np.unique(np.asarray(steps, dtype=np.int64))
    kept, level = thinned(distinct, rows_max)
    rows = _rows(question, where, kept)
    histograms = [from_row(row) for row in rows]
    low, high = grid_range(histograms)
    return HistogramMatrix(
        metric=metric,
        labels=labels,
        label=chosen,
        step_count=len(distinct),
        level=level,
        version=sum(row["histograms"] for row in held),
        low=low,
        high=high,
        steps=np.array([row["step"] for row in rows], dtype=np.int64),
        times=np.array([row["time"] for row in rows], dtype=np.int64),
        counts=on_grid(histograms, low, high, bins),
        own_low=np.array([each.low for each in histograms], dtype=np.float64),
        own_high=np.array([each.high for each in histograms], dtype=np.float64),
        nan_count=np.array([each.nan_count for each in histograms], dtype=np.int64),
        positive_inf_count=np.array(
            [each.positive_inf_count for each in histograms], dtype=np.int64
        ),
        negative_inf_count=np.array(
            [each.negative_inf_count for each in histograms], dtype=np.int64
        ),
    )


def _rows(
    question: Question, where: Mapping[str, Any], steps: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Return the row of each step, the latest if there are several."""
    if not len(steps):
        return []
    found = question.rows(
        "SELECT step, time, low, high, edges, counts, nan_count, positive_inf_count, "
        f"negative_inf_count {_OF_METRIC} AND step IN {{steps:Array(Int64)}} ORDER BY step, time",
        {**where, "steps": steps.tolist()},
    )
    return list({row["step"]: row for row in found}.values())


def thinned(steps: NDArray[np.int64], rows_max: int) -> tuple[NDArray[np.int64], int]:
    """Return at most ``rows_max`` of the steps, ascending, and the level of the reduction."""
    kept = np.unique(steps)
    level = 0
    while len(kept) > rows_max:
        level += 1
        ranges = kept >> level
        is_last = np.ones(len(kept), dtype=bool)
        is_last[:-1] = ranges[:-1] != ranges[1:]
        kept = kept[is_last]
    return kept, level


def grid_range(histograms: Sequence[StoredHistogram]) -> tuple[float, float]:
    """Return the edges that include every value; (0, 1) without any."""
    filled = [each for each in histograms if each.counts.any()]
    if not filled:
        return 0.0, 1.0
    low, high = min(each.low for each in filled), max(each.high for each in filled)
    if low < high:
        return low, high
    half = abs(low) / 10 or 0.5
    return low - half, high + half


def on_grid(
    histograms: Sequence[StoredHistogram], low: float, high: float, bins: int
) -> NDArray[np.float64]:
    """Return the counts of each histogram in ``bins`` bins from ``low`` to ``high``.

    Values are assumed to be spread evenly over their own bin; sums do not change.
    """
    grid = np.linspace(0.0, 1.0, bins + 1)
    matrix = np.zeros((len(histograms), bins))
    for row, each in zip(matrix, histograms, strict=True):
        edges = (each.edges - low) / (high - low)
        is_flat = np.diff(edges) < _FLAT
        if is_flat.any():
            places = (edges[:-1][is_flat] * bins).astype(np.int64)
            np.add.at(row, np.clip(places, 0, bins - 1), each.counts[is_flat])
        if not is_flat.all():
            counts = np.where(is_flat, 0.0, each.counts)
            up_to = np.concatenate(([0.0], np.cumsum(counts)))
            row += np.diff(np.interp(grid, edges, up_to))
    return matrix
