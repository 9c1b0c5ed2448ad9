"""One run: all facts except its points and console."""

import json
from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.attributes import NAMES, Assignment, nest, untyped
from stepwell_store.errors import RunNotFoundError
from stepwell_store.identity import fingerprint
from stepwell_store.queries.gaps import gaps_of
from stepwell_store.queries.last_rows import last_rows, latest_of
from stepwell_store.queries.limits import DEFAULT, Limits, Question, together
from stepwell_store.queries.overview import RunOverview, RunRef, overview_of
from stepwell_store.queries.signs_of_life import last_lines
from stepwell_store.queries.texts import last_texts
from stepwell_store.queries.writers import NO_WRITERS, state_of
from stepwell_store.statistics import named_statistics, series_names, statistics_rows
from stepwell_store.store import Store
from stepwell_store.summary import add_automatic, summarise

_KINDS: Final = ("config", "summary", "metadata", "run", "define_metric")
_VERSION_BITS: Final = (1 << 53) - 1  # The number must be exact in JSON.
_ATTRIBUTES: Final = """
SELECT toString(kind) AS its_kind, path, toString(type) AS its_type, float, int, text, deleted,
       version
FROM attributes
WHERE project = {project:String} AND run_id = {run_id:String}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail(RunOverview):
    """A run with its values.

    Attributes:
        config, summary, metadata: nested.
        defined_metrics: by name, the arguments of ``define_metric``.
        point_count: of all metrics and writers.
        last_step: the highest step of the history, also of a text or a medium; -1 without any.
        gap_count, dropped_points: missing parts, and the known number of points in them.
        version: a different number when any of these values changed.
    """

    config: dict[str, Any]
    summary: dict[str, Any]
    metadata: dict[str, Any]
    defined_metrics: dict[str, Any]
    metric_count: int
    point_count: int
    last_step: int
    gap_count: int
    dropped_points: int
    version: int


def get_run(store: Store, project: str, run_id: str, *, limits: Limits = DEFAULT) -> RunDetail:
    """Return one run.

    Raises:
        RunNotFoundError: No such run.
    """
    question = Question(store, limits)
    where = {"project": project, "run_id": run_id}
    both = {"projects": [project], "runs": [run_id]}
    names, rows, state, (held, newest), texts, others, gaps = together(
        lambda: series_names(question, project, run_id),
        lambda: statistics_rows(question, project, run_id),
        lambda: state_of(question, project, run_id),
        lambda: _assignments(question, where),
        lambda: last_texts(question, both),
        lambda: last_rows(question, both),
        lambda: gaps_of(question, project, [run_id]),
    )
    statistics = named_statistics(names, rows)
    if state is None and not statistics:
        raise RunNotFoundError(f"{project}/{run_id}", [])
    defined = {each.path: each.value for each in held.get("define_metric", ())}
    last_point = max((each.time_max for each in statistics), default=0)
    ref = RunRef(project, run_id)
    is_running = state is not None and state.state == "running"
    lines = last_lines(question, [(project, run_id)] if is_running else [])
    last_sign = max((last_point, *lines.values()))
    overview = overview_of(ref, state or NO_WRITERS, nest(held.get("run", ())), last_sign)
    latest_us, step = latest_of(
        *((each.time_max, each.last[0]) for each in statistics), others.get((project, run_id))
    )
    summary = add_automatic(
        summarise(statistics, texts.get((project, run_id), {}), defined, held.get("summary", ())),
        step=step,
        latest_us=latest_us,
        started_us=state.started_us if state else 0,
    )
    points = sum(each.count for each in statistics)
    return RunDetail(
        **{name: getattr(overview, name) for name in RunOverview.__dataclass_fields__},
        config=nest(held.get("config", ())),
        summary=summary,
        metadata=nest(held.get("metadata", ())),
        defined_metrics=defined,
        metric_count=len({each.metric for each in statistics}),
        point_count=points,
        last_step=step if latest_us else -1,
        gap_count=len(gaps),
        dropped_points=sum(gap.points for gap in gaps),
        version=_version(points, newest, state, len(gaps), texts, others),
    )


def _assignments(
    question: Question, where: dict[str, str]
) -> tuple[dict[str, list[Assignment]], tuple[int, int]]:
    """Return the assignments by kind, and a number that changes when one is added."""
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in question.rows(_ATTRIBUTES, where):
        key = (row["its_kind"], row["path"])
        if key not in latest or latest[key]["version"] <= row["version"]:
            latest[key] = row
    found: dict[str, list[Assignment]] = {}
    for (kind, path), row in latest.items():
        if kind in _KINDS:
            value = untyped(row["its_type"], row["float"], row["int"], row["text"])
            spelled = latest.get((kind + NAMES, path))
            names = ()
            # The value that was set last may have been spelled without dots.
            if spelled is not None and spelled["version"] == row["version"]:
                names = tuple(json.loads(spelled["text"]))
            each = Assignment(row["version"], path, value, bool(row["deleted"]), names)
            found.setdefault(kind, []).append(each)
    return found, (len(latest), max((row["version"] for row in latest.values()), default=0))


def _version(*parts: Any) -> int:
    return fingerprint(repr(parts)) & _VERSION_BITS
