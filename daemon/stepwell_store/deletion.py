"""Deleting runs for real: the rows are gone from every active part when the call returns.

Replaced parts stay on disk for some minutes (old_parts_lifetime), unreachable by queries.
"""

from collections.abc import Mapping
from typing import Final

from stepwell_store.identity import fingerprint
from stepwell_store.store import Store

_TIMEOUT_SECONDS: Final = 600.0

_BY_SERIES: Final = ("points", "rollups")
_BY_NAME: Final = ("attributes", "console", "texts", "gaps", "events", "series", "writers")
"""In this order: what names the run goes last, so that a deletion cut short can be repeated."""


def delete_run(store: Store, project: str, run_id: str) -> None:
    """Delete every row of the run. Repeating it, or deleting what is not there, does nothing.

    A writer that is still running adds new rows afterwards.
    """
    name = {"project": project, "run_id": run_id}
    of_run = "project = {project:String} AND run_id = {run_id:String}"
    for table in _BY_SERIES:
        _delete(store, table, f"series IN (SELECT series FROM series WHERE {of_run})", name)
    keys = {"project_id": fingerprint(project), "run_key": fingerprint(project, run_id)}
    _delete(
        store,
        "series_stats",
        "project_id = {project_id:UInt64} AND run_key = {run_key:UInt64}",
        keys,
    )
    for table in _BY_NAME:
        _delete(store, table, of_run, name)


def _delete(store: Store, table: str, condition: str, parameters: Mapping[str, object]) -> None:
    rows = store.query(
        f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1",
        parameters=parameters,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    if rows:  # A mutation without rows would still pass over every part.
        store.delete_rows(table, condition, parameters)
