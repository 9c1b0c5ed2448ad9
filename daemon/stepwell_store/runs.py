"""Runs: which there are, how they stand, and what is known about one of them."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.attributes import Assignment, nest, untyped
from stepwell_store.errors import AmbiguousRunError, RunNotFoundError
from stepwell_store.event_rows import RUNNING
from stepwell_store.gaps import gaps_of
from stepwell_store.identity import fingerprint
from stepwell_store.statistics import metrics_of, series_statistics
from stepwell_store.store import Store
from stepwell_store.summary import summarise

_SECOND: Final = 1_000_000
# The worse state of several writers stands for the run.
_STATE_ORDER: Final = (RUNNING, "failed", "crashed", "killed", "finished")

_WRITERS: Final = """
SELECT project, run_id, writer_id, label, host, pid, rank, world_size, client, resumed,
       started_at, last_seen, tupleElement(ended, 1) AS state_time,
       tupleElement(ended, 2) AS state, tupleElement(ended, 3) AS exit_code
FROM (
    SELECT project, run_id, writer_id, max(w.label) AS label, max(w.host) AS host,
           max(w.pid) AS pid, max(w.rank) AS rank, max(w.world_size) AS world_size,
           max(w.client) AS client, max(w.resumed) AS resumed, max(w.started_at) AS started_at,
           max(w.last_seen) AS last_seen, max(w.state) AS ended
    FROM writers AS w
    WHERE ({project:String} = '' OR project = {project:String})
      AND ({run_id:String} = '' OR run_id = {run_id:String})
    GROUP BY project, run_id, writer_id
)
ORDER BY project, run_id, rank, started_at, writer_id
"""

_ATTRIBUTES: Final = """
SELECT project, run_id, kind, path, type, float, int, text, deleted, version
FROM attributes FINAL
WHERE ({project:String} = '' OR project = {project:String})
  AND ({run_id:String} = '' OR run_id = {run_id:String})
  AND kind IN {kinds:Array(String)}
"""

_LAST_POINTS: Final = """
SELECT run_key, max(s.time_max) AS time_max
FROM series_stats AS s
WHERE ({project:String} = '' OR project_id = {project_id:UInt64})
GROUP BY run_key
"""


@dataclass(frozen=True, slots=True)
class RunRef:
    """Which run: unique in a store."""

    project: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.project}/{self.run_id}"


def list_runs(
    store: Store, *, project: str | None = None, limit: int = 1000
) -> list[dict[str, Any]]:
    """Return the runs, the one that started last first.

    Each has ``project, run_id, name, state, exit_code, started_at, ended_at, last_seen, writers,
    hosts`` and what `run` events set (``tags, group, job_type, notes``). Moments are seconds
    since 1970 UTC, None where unknown; ``ended_at`` is None while the run is running.
    """
    rows = store.query(_WRITERS, parameters={"project": project or "", "run_id": ""})
    by_run: dict[RunRef, list[dict[str, Any]]] = {}
    for row in rows:
        by_run.setdefault(RunRef(row["project"], row["run_id"]), []).append(row)
    newest = sorted(by_run, key=lambda ref: -max(row["started_at"] for row in by_run[ref]))[:limit]
    described = _described(store, project or "", "")
    seen = {
        row["run_key"]: row["time_max"]
        for row in store.query(
            _LAST_POINTS,
            parameters={"project": project or "", "project_id": fingerprint(project or "")},
        )
    }
    return [
        _overview(
            ref,
            by_run[ref],
            described.get(ref, {}),
            seen.get(fingerprint(ref.project, ref.run_id), 0),
        )
        for ref in newest
    ]


def find_run(store: Store, reference: str) -> RunRef:
    """Return the run that ``reference`` names: run id, display name, or PROJECT/ either.

    Raises:
        RunNotFoundError: None has it; the error holds the nearest names.
        AmbiguousRunError: Several have it.
    """
    named = [
        (RunRef(row["project"], row["run_id"]), row["name"])
        for row in store.query(
            """
            SELECT w.project AS project, w.run_id AS run_id, a.text AS name
            FROM (
                SELECT project, run_id FROM (
                    SELECT project, run_id FROM writers
                    UNION ALL SELECT project, run_id FROM series
                ) GROUP BY project, run_id
            ) AS w
            LEFT JOIN (
                SELECT project, run_id, text FROM attributes FINAL
                WHERE kind = 'run' AND path = 'name' AND NOT deleted
            ) AS a ON a.project = w.project AND a.run_id = w.run_id
            ORDER BY project, run_id
            """
        )
    ]
    for choose in (
        lambda ref, name: str(ref) == reference,
        lambda ref, name: ref.run_id == reference,
        lambda ref, name: f"{ref.project}/{name}" == reference,
        lambda ref, name: name == reference,
    ):
        found = [ref for ref, name in named if choose(ref, name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise AmbiguousRunError(reference, [str(ref) for ref in found])
    spellings = {text: None for ref, name in named for text in (ref.run_id, name, str(ref)) if text}
    nearest = difflib.get_close_matches(reference, spellings, n=3, cutoff=0.4)
    raise RunNotFoundError(reference, nearest or list(spellings)[:3])


def run_detail(store: Store, project: str, run_id: str) -> dict[str, Any]:
    """Return all that is known of one run except its points and console.

    On top of what ``list_runs`` gives: ``config``, ``summary`` and ``metadata`` (nested),
    ``metrics`` (see ``metrics_of``), ``defined_metrics``, ``writers`` as a list, ``gaps`` and
    ``dropped_points``.

    Raises:
        RunNotFoundError: No such run.
    """
    where = {"project": project, "run_id": run_id}
    writers = store.query(_WRITERS, parameters=where)
    statistics = series_statistics(store, project, run_id)
    if not writers and not statistics:
        raise RunNotFoundError(f"{project}/{run_id}", [])
    kinds = ["config", "summary", "metadata", "run", "define_metric"]
    held = _assignments(store, project, run_id, kinds).get(RunRef(project, run_id), {})
    defined = {each.path: each.value for each in held.get("define_metric", ())}
    last_point = max((each.time_max for each in statistics), default=0)
    detail = _overview(RunRef(project, run_id), writers, nest(held.get("run", ())), last_point)
    gaps = gaps_of(store, project, [run_id])
    for gap in gaps:
        del gap["run_id"]
    detail |= {
        "config": nest(held.get("config", ())),
        "metadata": nest(held.get("metadata", ())),
        "summary": summarise(
            statistics, _last_texts(store, project, run_id), defined, held.get("summary", ())
        ),
        "metrics": metrics_of(store, project, run_id, statistics=statistics),
        "defined_metrics": defined,
        "writers": [_writer(row) for row in writers],
        "gaps": gaps,
        "dropped_points": sum(gap["points"] for gap in gaps),
    }
    return detail


def run_state(writers: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    """Return the state and exit code of a run from the rows of its writers.

    A writer that had ended before the run was resumed says nothing about it any more. Of the
    others one that runs makes the run running; else the worst end counts.
    """
    resumed_at = max((row["started_at"] for row in writers if row["resumed"]), default=0)
    counting = [
        row
        for row in writers
        if row["started_at"] >= resumed_at
        or row["state"] == RUNNING
        or row["state_time"] >= resumed_at
    ]
    states = {row["state"]: row["exit_code"] for row in counting if row["state"]}
    for state in _STATE_ORDER:
        if state in states:
            return state, states[state]
    return next(iter(states.items()), ("unknown", 0))


def _overview(
    ref: RunRef,
    writers: Sequence[Mapping[str, Any]],
    described: Mapping[str, Any],
    last_point_us: int,
) -> dict[str, Any]:
    state, exit_code = run_state(writers)
    started = min((row["started_at"] for row in writers if row["started_at"]), default=0)
    seen = max((row["last_seen"] for row in writers), default=0)
    ended = max((row["state_time"] for row in writers), default=0) if state != RUNNING else 0
    return {
        "project": ref.project,
        "run_id": ref.run_id,
        "name": described.get("name") or ref.run_id,
        "state": state,
        "exit_code": exit_code,
        "started_at": _seconds(started),
        "ended_at": _seconds(ended),
        "last_seen": _seconds(max(seen, last_point_us)),
        "writers": len(writers),
        "hosts": sorted({row["host"] for row in writers if row["host"]}),
        "tags": described.get("tags") or [],
        "group": described.get("group") or "",
        "job_type": described.get("job_type") or "",
        "notes": described.get("notes") or "",
    }


def _writer(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("writer_id", "label", "host", "pid", "rank", "world_size", "client", "state")
    return {
        **{name: row[name] for name in kept},
        "exit_code": row["exit_code"],
        "started_at": _seconds(row["started_at"]),
        "last_seen": _seconds(row["last_seen"]),
    }


def _described(store: Store, project: str, run_id: str) -> dict[RunRef, dict[str, Any]]:
    held = _assignments(store, project, run_id, ["run"])
    return {ref: nest(kinds["run"]) for ref, kinds in held.items()}


def _assignments(
    store: Store, project: str, run_id: str, kinds: list[str]
) -> dict[RunRef, dict[str, list[Assignment]]]:
    found: dict[RunRef, dict[str, list[Assignment]]] = {}
    parameters = {"project": project, "run_id": run_id, "kinds": kinds}
    for row in store.query(_ATTRIBUTES, parameters=parameters):
        value = untyped(row["type"], row["float"], row["int"], row["text"])
        assignment = Assignment(row["version"], row["path"], value, bool(row["deleted"]))
        of_run = found.setdefault(RunRef(row["project"], row["run_id"]), {})
        of_run.setdefault(row["kind"], []).append(assignment)
    return found


def _last_texts(store: Store, project: str, run_id: str) -> dict[str, tuple[int, int, Any]]:
    """Return (step, time, value) of the last value that is no float, by metric."""
    rows = store.query(
        """
        SELECT metric, max((step, time, type, text)) AS last FROM texts
        WHERE project = {project:String} AND run_id = {run_id:String}
        GROUP BY metric ORDER BY metric
        """,
        parameters={"project": project, "run_id": run_id},
    )
    return {row["metric"]: (*row["last"][:2], text_value(*row["last"][2:])) for row in rows}


def text_value(type_name: str, text: str) -> Any:
    """Return the value that a row of `texts` holds."""
    match type_name:
        case "null":
            return None
        case "json":
            return json.loads(text)
    return text


def _seconds(time_us: int) -> float | None:
    return time_us / _SECOND if time_us else None
