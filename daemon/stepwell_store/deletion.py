"""Deleting runs: when the call returns, the rows are gone from every active part.

Replaced parts stay on disk for some minutes (old_parts_lifetime), unreachable by queries.

Each deletion is noted in `removed_runs` first: the catalog of artifacts names runs by their ids,
and a new run may get the id of a deleted one.

Writers that are running when their run is deleted by force are noted in `removed_writers`. The
daemon of such a writer reads the note and drops the writer's further records (``removals.py``).
``sweep_removed`` deletes the rows that come before that. The names of their series stay until
then, so that their points are found. A deletion is one mutation for each table and 500 runs.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.blocks import Block
from stepwell_store.errors import RunIsRunningError
from stepwell_store.event_rows import RUNNING
from stepwell_store.identity import fingerprint
from stepwell_store.native import Column, number_column, text_column
from stepwell_store.store import Store
from stepwell_store.table_block import block_columns
from stepwell_store.table_spec import DeletionOrder
from stepwell_store.tables import (
    POINTS,
    REMOVED_RUNS,
    REMOVED_WRITERS,
    ROLLUPS,
    SERIES,
    SERIES_STATS,
    SERIES_STATS_BY_RUN,
    WRITERS,
    deleted_with_a_run,
)
from stepwell_store.writer import WriterInfo

_TIMEOUT_SECONDS: Final = 600.0
_RUNS_AT_ONCE: Final = 500
_REMOVED_SECONDS_MAX: Final = 30 * 86_400
"""A daemon forgets a writer that is absent for this time; no more rows of it can come."""
_KEPT_WHILE_WRITING: Final = (SERIES.name, REMOVED_WRITERS.name)
_NAMELESS: Final = f"series NOT IN (SELECT series FROM {SERIES.name})"

_WRITERS: Final = """
SELECT run_id, writer_id, host, tupleElement(ended, 2) AS state
FROM (
    SELECT run_id, writer_id, max(w.host) AS host, max(w.state) AS ended
    FROM writers AS w WHERE {of_runs} GROUP BY run_id, writer_id
)
"""
RunKey = tuple[str, str]
"""Project and run id."""

_OF_WRITERS: Final = "writer_id IN {writer_ids:Array(String)}"
_REMOVED: Final = f"""
SELECT project, run_id, writer_id, max(removed_at) AS at FROM {REMOVED_WRITERS.name}
GROUP BY project, run_id, writer_id ORDER BY project, run_id
"""


@dataclass(frozen=True, slots=True)
class _Scope:
    """Some runs of a project, always by their ids, so that a run that starts meanwhile is not
    included."""

    project: str
    run_ids: tuple[str, ...]

    @property
    def of_runs(self) -> str:
        return "project = {project:String} AND run_id IN {run_ids:Array(String)}"

    @property
    def parameters(self) -> dict[str, Any]:
        return {"project": self.project, "run_ids": list(self.run_ids)}

    def rows(self, deletion: DeletionOrder) -> tuple[str, dict[str, Any]]:
        """Return the condition for the rows of a table, and its parameters."""
        match deletion:
            case DeletionOrder.BY_SERIES:
                named = f"series IN (SELECT series FROM {SERIES.name} WHERE {self.of_runs})"
                return named, self.parameters
            case DeletionOrder.BY_RUN_KEY:
                project = {"project_id": fingerprint(self.project)}
                keys = [fingerprint(self.project, run_id) for run_id in self.run_ids]
                condition = "project_id = {project_id:UInt64} AND run_key IN {keys:Array(UInt64)}"
                return condition, {**project, "keys": keys}
        return self.of_runs, self.parameters


def delete_runs(
    store: Store,
    run_ids: Mapping[str, Sequence[str]],
    *,
    force: bool = False,
    look_seconds: float = _TIMEOUT_SECONDS,
    begins: Callable[[], object] = lambda: None,
) -> None:
    """Delete every row of some runs, given by project, after a check of all of them.

    A repetition, or the deletion of a missing run, has no effect.

    Args:
        force: delete also running runs, and later rows of their writers.
        look_seconds: time limit of the check whether they run.
        begins: called after that check, before the first deletion.

    Raises:
        RunIsRunningError: Some still run, without ``force``; no row was deleted.
    """
    pieces = [
        _Scope(project, tuple(ids[start : start + _RUNS_AT_ONCE]))
        for project, ids in run_ids.items()
        for start in range(0, len(ids), _RUNS_AT_ONCE)
    ]
    _delete_scopes(store, pieces, force=force, look_seconds=look_seconds, begins=begins)


def delete_project(
    store: Store,
    project: str,
    *,
    force: bool = False,
    look_seconds: float = _TIMEOUT_SECONDS,
    begins: Callable[[list[str]], object] = lambda run_ids: None,
) -> list[str]:
    """Delete each run that ``project`` has now, as ``delete_runs`` does; return their ids.

    Args:
        begins: called with the ids after the check of all runs, before the first deletion. An
            exception from it ends the deletion.

    Raises:
        RunIsRunningError: Some still run, without ``force``; no row was deleted.
    """
    ids = _run_ids(store, project, look_seconds)
    delete_runs(
        store,
        {project: ids},
        force=force,
        look_seconds=look_seconds,
        begins=lambda: begins(ids),
    )
    return ids


@dataclass(frozen=True, slots=True)
class RemovedWriter:
    """A writer that was running when its run was deleted by force."""

    project: str
    run_id: str
    writer_id: str
    removed_at_us: int


def removed_writers(store: Store) -> list[RemovedWriter]:
    """Return the noted writers, by project and run."""
    return [
        RemovedWriter(row["project"], row["run_id"], row["writer_id"], int(row["at"]))
        for row in store.query(_REMOVED)
    ]


@dataclass(frozen=True, slots=True)
class Swept:
    """The result of a sweep.

    Attributes:
        done: no more rows of these runs can come.
        ended: all writers of these have ended; the next sweep without rows is their last.
        waiting: rows of these can still come.
    """

    done: tuple[RunKey, ...] = ()
    ended: frozenset[RunKey] = frozenset()
    waiting: frozenset[RunKey] = frozenset()


def sweep_removed(
    store: Store,
    *,
    now: float,
    before: Swept = Swept(),
    silent: Collection[str] = (),
    begun_again: Collection[RunKey] = (),
    should_stop: Callable[[], bool] = lambda: False,
) -> Swept:
    """Delete the rows of removed writers that came since the last sweep.

    To be called about every minute. A new run under the same id is kept.

    Args:
        now: seconds since 1970 UTC.
        before: the result of the last sweep.
        silent: ids of writers whose rows are all stored, because the caller drops later ones.
        begun_again: runs that have a new writer, whose rows may not be stored yet.
        should_stop: called before each deletion; the next sweep continues from there.
    """
    removed: dict[RunKey, dict[str, int]] = {}
    for each in removed_writers(store):
        at = removed.setdefault((each.project, each.run_id), {})
        at[each.writer_id] = each.removed_at_us
    done, all_ended, waiting = [], [], set(removed)
    for key, at in removed.items():
        if should_stop():
            break
        scope = _Scope(key[0], (key[1],))
        writers = {row["writer_id"]: row for row in _writers(store, scope)}
        if key in begun_again or writers.keys() - at.keys():
            _delete_of_writers(store, scope, at)
            waiting.discard(key)
            continue
        ended = {name for name, row in writers.items() if row["state"] not in ("", RUNNING)}
        oldest = (now - _REMOVED_SECONDS_MAX) * 1e6
        over = {name for name, at_us in at.items() if name in ended or at_us < oldest}
        over.update(at.keys() & silent)
        kept = (*_KEPT_WHILE_WRITING, WRITERS.name)
        found = _delete_rows(store, scope, kept=kept, should_stop=should_stop)
        if len(over) < len(at):
            # Rows of another daemon's writer can still come. Its sweep finds only its own notes,
            # and would treat a writer without a note as a new one.
            _delete_of_writers(store, scope, at.keys() & silent)
            continue
        # An older daemon may store a writer's end before other rows of the same extent.
        if at.keys() - silent and (found or key not in before.ended):
            all_ended.append(key)
            continue
        if should_stop():
            break
        _delete_rows(store, scope)
        done.append(key)
        waiting.discard(key)
    return Swept(tuple(done), frozenset(all_ended), frozenset(waiting))


@dataclass(frozen=True, slots=True)
class Orphans:
    """Points without a series name: no query finds them."""

    series: int
    points: int
    all_points: int


def find_orphans(store: Store) -> Orphans:
    """Return the size of the rows of series without a name. Reads a column of all points."""
    (row,) = store.query(
        f"SELECT uniqExact(series) AS numbers, count() AS held FROM {POINTS.name} "
        f"WHERE {_NAMELESS}",
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    (whole,) = store.query(f"SELECT count() AS held FROM {POINTS.name}")
    return Orphans(int(row["numbers"]), int(row["held"]), int(whole["held"]))


def remove_orphans(store: Store) -> None:
    """Delete the rows of series without a name.

    Names are stored before their points, so a series that has just begun has a name.
    """
    for table in (POINTS, ROLLUPS, SERIES_STATS, SERIES_STATS_BY_RUN):
        delete_any_rows(store, table.name, _NAMELESS, {})


def _delete_scopes(
    store: Store,
    scopes: Sequence[_Scope],
    *,
    force: bool,
    look_seconds: float,
    begins: Callable[[], object],
) -> None:
    writers = {scope: _writers(store, scope, look_seconds) for scope in scopes}
    running = {scope: sorted(_running_runs(writers[scope])) for scope in scopes}
    if not force and any(running.values()):
        raise RunIsRunningError(
            [f"{scope.project}/{run_id}" for scope in scopes for run_id in running[scope]]
        )
    begins()
    _note_removed_runs(store, scopes)
    for scope in scopes:
        at_work = [row for row in writers[scope] if row["state"] == RUNNING]
        if not at_work:
            _delete_rows(store, scope)
            continue
        _delete_former_writers(store, scope, at_work)
        _note_removed(store, scope.project, at_work)
        _delete_rows(store, scope, kept=_KEPT_WHILE_WRITING)
        ended = sorted({row["run_id"] for row in writers[scope]} - set(running[scope]))
        if ended:
            _delete_rows(store, _Scope(scope.project, tuple(ended)))


def _run_ids(store: Store, project: str, seconds: float) -> list[str]:
    """Return the runs of which any table with run names has a row."""
    named = [table for table in deleted_with_a_run() if "run_id" in table.key]
    rows = store.query(
        "SELECT DISTINCT run_id FROM ("
        + " UNION ALL ".join(
            f"SELECT DISTINCT run_id FROM {table.name} WHERE project = {{project:String}}"
            for table in named
        )
        + ")",
        parameters={"project": project},
        timeout_seconds=seconds,
    )
    return sorted(row["run_id"] for row in rows)


def _writers(
    store: Store, scope: _Scope, seconds: float = _TIMEOUT_SECONDS
) -> list[dict[str, Any]]:
    return store.query(
        _WRITERS.replace("{of_runs}", scope.of_runs),
        parameters=scope.parameters,
        timeout_seconds=seconds,
    )


def _running_runs(writers: Iterable[Mapping[str, Any]]) -> set[str]:
    return {row["run_id"] for row in writers if row["state"] == RUNNING}


def _delete_former_writers(
    store: Store, scope: _Scope, at_work: Sequence[Mapping[str, Any]]
) -> None:
    """Delete the rows of ended writers, of the running runs.

    This comes before the note of the running writers: a sweep at the same time would treat a writer
    without a note as one that began the run again.
    """
    running = _Scope(scope.project, tuple(sorted({row["run_id"] for row in at_work})))
    condition, parameters = running.rows(DeletionOrder.BY_NAME)
    condition += " AND writer_id NOT IN {at_work:Array(String)}"
    at_work_ids = [row["writer_id"] for row in at_work]
    delete_any_rows(store, WRITERS.name, condition, {**parameters, "at_work": at_work_ids})


def _delete_of_writers(store: Store, scope: _Scope, writer_ids: Collection[str]) -> None:
    """Delete the rows that name one of these writers, and their notes last.

    Points have no writer: the run keeps them.
    """
    if not writer_ids:
        return
    condition, parameters = scope.rows(DeletionOrder.BY_NAME)
    condition += f" AND {_OF_WRITERS}"
    parameters["writer_ids"] = list(writer_ids)
    for table in deleted_with_a_run():
        if any(column.name == "writer_id" for column in table.columns):
            delete_any_rows(store, table.name, condition, parameters)


def _note_removed_runs(store: Store, scopes: Sequence[_Scope]) -> None:
    at = time.time_ns() // 1000
    by_shard: dict[int, list[int]] = {}
    for scope in scopes:
        for run_id in scope.run_ids:
            who = WriterInfo(scope.project, run_id, "", "", "run", "", 0)
            key = fingerprint(scope.project, run_id)
            by_shard.setdefault(store.shard_of(who), []).append(key)
    for shard, keys in by_shard.items():
        values = {
            "run_key": number_column("run_key", "UInt64", keys),
            "removed_at": number_column("removed_at", "Int64", [at] * len(keys)),
        }
        columns = block_columns(REMOVED_RUNS, values)
        block = Block(REMOVED_RUNS.name, len(keys), columns, shard=shard)
        store.insert(block, f"removed-runs-{at}-{shard}-{block.digest()}")


def _note_removed(store: Store, project: str, writers: Sequence[Mapping[str, Any]]) -> None:
    """Note ``writers``, shard by shard."""
    at = time.time_ns() // 1000
    by_shard: dict[int, list[Mapping[str, Any]]] = {}
    for row in writers:
        who = WriterInfo(project, row["run_id"], row["writer_id"], "", "run", row["host"], 0)
        by_shard.setdefault(store.shard_of(who), []).append(row)
    for shard, rows in by_shard.items():
        values: dict[str, Column] = {
            "project": text_column("project", [project] * len(rows)),
            "run_id": text_column("run_id", [row["run_id"] for row in rows]),
            "writer_id": text_column("writer_id", [row["writer_id"] for row in rows]),
            "removed_at": number_column("removed_at", "Int64", [at] * len(rows)),
        }
        columns = block_columns(REMOVED_WRITERS, values)
        block = Block(REMOVED_WRITERS.name, len(rows), columns, shard=shard)
        store.insert(block, f"removed-{at}-{shard}-{block.digest()}")


def _delete_rows(
    store: Store,
    scope: _Scope,
    *,
    kept: Sequence[str] = (),
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Delete from every table except ``kept``; return whether there were rows."""
    found = False
    for table in deleted_with_a_run():
        assert table.deletion is not None
        if table.name not in kept and not should_stop():
            found |= delete_any_rows(store, table.name, *scope.rows(table.deletion))
    return found


def delete_any_rows(
    store: Store, table: str, condition: str, parameters: Mapping[str, object]
) -> bool:
    """Delete the rows of ``condition``; return whether there were any.

    A mutation without rows would still read every part. The question counts all rows rather than
    stop at the first: where one shard answers at once, a cluster ends the question at the others,
    which may not have the rows of a subquery yet and then answer that its table is missing.
    """
    (row,) = store.query(
        f"SELECT count() AS held FROM {table} WHERE {condition}",
        parameters=parameters,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    if row["held"]:
        store.delete_rows(table, condition, parameters)
    return bool(row["held"])
