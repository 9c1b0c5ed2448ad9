"""Media at a step, and whether media of some runs changed."""

from collections.abc import Sequence
from typing import Final

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.media import MediaValue, media_values, media_where
from stepwell_store.store import Store

METRICS_MAX: Final = 1000
VALUES_MAX: Final = 5000

# First the places without the texts, because texts are most of the bytes.
_AT: Final = f"""
SELECT run_id, metric, label, step, time, text FROM texts
WHERE {{is_media}} AND metric IN {{{{metrics:Array(String)}}}}
  AND (metric, run_id, label, step, time) IN (
    SELECT metric, run_id, label, tupleElement(newest, 1), tupleElement(newest, 2) FROM (
        SELECT metric, run_id, label, max((step, time)) AS newest FROM texts
        WHERE project = {{{{project:String}}}} AND run_id IN {{{{runs:Array(String)}}}}
          AND metric IN {{{{metrics:Array(String)}}}} AND type = 'json'{{until}}
        GROUP BY metric, run_id, label
    )
)
ORDER BY metric, run_id, label LIMIT 1 BY metric, run_id, label LIMIT {VALUES_MAX}
"""


def media_at(
    store: Store,
    project: str,
    run_ids: Sequence[str],
    metrics: Sequence[str],
    *,
    step: int | None = None,
    limits: Limits = DEFAULT,
) -> tuple[MediaValue, ...]:
    """Return the newest value of each metric, run and label at or before ``step``.

    Args:
        step: None: the newest of all.

    Returns:
        By metric, run and label; ``VALUES_MAX`` at most. A metric whose newest JSON is not a medium
        has none.

    Raises:
        ValueError: More than ``METRICS_MAX`` metrics, or too many runs.
    """
    if len(metrics) > METRICS_MAX:
        raise ValueError(f"{len(metrics)} metrics; a request can have at most {METRICS_MAX}")
    is_media, parameters = media_where(project, run_ids)
    parameters["metrics"] = list(metrics)
    until = ""
    if step is not None:
        until = " AND step <= {step:Int64}"
        parameters["step"] = step
    question = Question(store, limits)
    rows = question.rows(_AT.format(is_media=is_media, until=until), parameters)
    return media_values(question, project, rows)


def media_versions(
    store: Store, project: str, run_ids: Sequence[str], *, limits: Limits = DEFAULT
) -> dict[str, int]:
    """Return a number for each run that has media, by run id.

    It increases when a value is logged and when the bytes of one are ready or have failed. JSON
    values that are not media count too, because distinguishing them would mean reading every text.
    """
    if not run_ids:
        return {}
    where = "WHERE project = {project:String} AND run_id IN {runs:Array(String)}"
    rows = Question(store, limits).rows(
        "SELECT run_id, sum(n) AS version FROM ("
        f"SELECT run_id, count() AS n FROM texts {where} AND type = 'json' GROUP BY run_id "
        f"UNION ALL SELECT run_id, uniqExact(blob) AS n FROM blobs {where} GROUP BY run_id"
        ") GROUP BY run_id",
        {"project": project, "runs": list(run_ids)},
    )
    return {row["run_id"]: int(row["version"]) for row in rows}
