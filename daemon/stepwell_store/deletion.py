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

_OF_RUN: Final = "project = {project:String} AND run_id = {run_id:String}"
_CONDITIONS: Final = {
    Deletion.BY_SERIES: f"series IN (SELECT series FROM series WHERE {_OF_RUN})",
    Deletion.BY_RUN_KEY: "project_id = {project_id:UInt64} AND run_key = {run_key:UInt64}",
    Deletion.BY_NAME: _OF_RUN,
    Deletion.BY_NAME_LAST: _OF_RUN,
}


def delete_run(store: Store, project: str, run_id: str) -> None:
    """Delete every row of the run. Repeating it, or deleting what is not there, does nothing.

    A writer that is still running adds new rows afterwards.
    """
    name = {"project": project, "run_id": run_id}
    keys = {"project_id": fingerprint(project), "run_key": fingerprint(project, run_id)}
    for table in deleted_with_a_run():
        assert table.deletion is not None
        parameters = keys if table.deletion is Deletion.BY_RUN_KEY else name
        _delete(store, table.name, _CONDITIONS[table.deletion], parameters)


def _delete(store: Store, table: str, condition: str, parameters: Mapping[str, object]) -> None:
    rows = store.query(
        f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1",
        parameters=parameters,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    if rows:  # A mutation without rows would still pass over every part.
        store.delete_rows(table, condition, parameters)
