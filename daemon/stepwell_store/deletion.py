"""Deleting runs for real: the rows are gone from every active part when the call returns.

Replaced parts stay on disk for some minutes (old_parts_lifetime), unreachable by queries.
"""

from collections.abc import Mapping
from typing import Final

from stepwell_store.identity import fingerprint
from stepwell_store.store import Store
from stepwell_store.table_spec import Deletion
from stepwell_store.tables import deleted_with_a_run

_TIMEOUT_SECONDS: Final = 600.0

_OF_PROJECT: Final = "project = {project:String}"
_OF_RUN: Final = f"{_OF_PROJECT} AND run_id = {{run_id:String}}"
_PROJECT_KEY: Final = "project_id = {project_id:UInt64}"
_RUN_KEY: Final = f"{_PROJECT_KEY} AND run_key = {{run_key:UInt64}}"


def delete_run(store: Store, project: str, run_id: str) -> None:
    """Delete every row of the run. Repeating it, or deleting what is not there, does nothing.

    A writer that is still running adds new rows afterwards.
    """
    keys = {"project_id": fingerprint(project), "run_key": fingerprint(project, run_id)}
    _delete_all(store, _OF_RUN, {"project": project, "run_id": run_id}, _RUN_KEY, keys)


def delete_project(store: Store, project: str) -> None:
    """Delete every row of every run of the project, as ``delete_run`` does."""
    keys = {"project_id": fingerprint(project)}
    _delete_all(store, _OF_PROJECT, {"project": project}, _PROJECT_KEY, keys)


def _delete_all(
    store: Store,
    by_name: str,
    name: Mapping[str, object],
    by_key: str,
    keys: Mapping[str, object],
) -> None:
    for table in deleted_with_a_run():
        if table.deletion is Deletion.BY_RUN_KEY:
            _delete(store, table.name, by_key, keys)
        elif table.deletion is Deletion.BY_SERIES:
            condition = f"series IN (SELECT series FROM series WHERE {by_name})"
            _delete(store, table.name, condition, name)
        else:
            _delete(store, table.name, by_name, name)


def _delete(store: Store, table: str, condition: str, parameters: Mapping[str, object]) -> None:
    rows = store.query(
        f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1",
        parameters=parameters,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    if rows:  # A mutation without rows would still pass over every part.
        store.delete_rows(table, condition, parameters)
