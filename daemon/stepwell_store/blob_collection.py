"""Deletion of unused blobs: rows of `blobs` and manifests name blobs by digest.

A blob is deleted if no row and no manifest names it, and if it was last put before the grace
period. Its row comes after its bytes, from spools that may wait for the store, so the period must
be longer than the longest outage of a node. The manifests of artifacts are in the blob store, so a
collector needs no hub.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stepwell_store.blob_store import BlobStore, StoredBlob
from stepwell_store.deletion import delete_any_rows
from stepwell_store.errors import QueryError
from stepwell_store.store import Store
from stepwell_wire.errors import ManifestError
from stepwell_wire.manifest import parse_manifest

logger = logging.getLogger("stepwell_store")

_AT_ONCE: Final = 1000
_TIMEOUT_SECONDS: Final = 600.0
_UNOWNED: Final = (
    "time < {before:Int64} "
    "AND (project, run_id) NOT IN (SELECT project, run_id FROM writers) "
    "AND (project, run_id) NOT IN (SELECT project, run_id FROM texts)"
)
"""A blob of a deleted run that was not stored yet when the run was deleted."""

_Named = Callable[[Sequence[str]], set[str]]
"""Returns those of the given digests that manifests name."""


_TABLE_ID: Final = (
    "SELECT toString(uuid) AS table_id, data_paths AS paths FROM system.tables "
    "WHERE database = currentDatabase() AND name = 'blobs'"
)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LOOKED_AT: Final = 100


class EmptyTableError(Exception):
    """No row names any blob, but the blob store has blobs and is not known to belong to this
    table."""


@dataclass(frozen=True, slots=True)
class Collected:
    """The deleted blobs, or those that would be deleted."""

    blobs: int = 0
    size: int = 0


class ManifestUnreadableError(Exception):
    """A manifest cannot be read, so its blobs are unknown."""


def collect_blobs(store: Store, blobs: BlobStore, *, before: float) -> Collected:
    """Delete the unnamed blobs that were not put since ``before``.

    Raises:
        EmptyTableError: No row names any blob; no blob was deleted.
        ManifestUnreadableError: A manifest is damaged; no blob was deleted.
    """
    note_table(store, blobs)
    delete_unowned_rows(store, before=before)
    count = size = 0
    for found in unnamed_blobs(store, blobs, before=before):
        if blobs.delete_unless_newer(found.digest, than=before):
            count, size = count + 1, size + found.size
    return Collected(count, size)


def unnamed_blobs(store: Store, blobs: BlobStore, *, before: float) -> Iterator[StoredBlob]:
    """Yield the unnamed blobs that were not put since ``before``.

    Raises:
        EmptyTableError: No row names any blob.
        ManifestUnreadableError: A manifest is damaged.
    """
    old: list[StoredBlob] = []
    by_manifests: _Named | None = None
    for found in blobs.walk():
        if found.put_at >= before:
            continue
        if by_manifests is None:
            _check_table(store, blobs)
            by_manifests = _named_by_manifests(blobs)
        old.append(found)
        if len(old) == _AT_ONCE:
            yield from _unnamed(store, old, by_manifests)
            old = []
    if old and by_manifests is not None:
        yield from _unnamed(store, old, by_manifests)


def delete_unowned_rows(store: Store, *, before: float) -> None:
    """Delete rows of `blobs` whose run is deleted."""
    delete_any_rows(store, "blobs", _UNOWNED, {"before": int(before * 1e6)})


def note_table(store: Store, blobs: BlobStore) -> None:
    """Note in the blob store that the table of rows belongs to it, as soon as this is certain.

    It is certain if a row names an existing blob, or if both are empty: later rows and blobs then
    belong together. After that, blobs are still deleted when the last row has gone with its run.
    """
    table_id = _table_id(store)
    if not table_id or blobs.is_of_table(table_id):
        return
    named = _some_digests(store)
    is_empty = not named and not any(blobs.walk()) and not any(blobs.manifests())
    if is_empty or any(blobs.stat(digest) for digest in named):
        blobs.note_table(table_id)


def _table_id(store: Store) -> str:
    """Return an id that differs from another table's of this name; "" if the server has none.

    The embedded engine does not return a table's UUID, but has it in the path of the table's data.
    """
    try:
        rows = store.query(_TABLE_ID)
    except QueryError:  # Servers before 20.10 do not have this column.
        return ""
    texts = [text for row in rows for text in (row["table_id"], *row["paths"])]
    found = [each for text in texts for each in _UUID.findall(text) if each.strip("0-")]
    return found[0] if found else ""


def _some_digests(store: Store) -> list[str]:
    sql = f"SELECT DISTINCT digest FROM blobs WHERE digest != '' LIMIT {_LOOKED_AT}"
    return [row["digest"] for row in store.query(sql)]


def _check_table(store: Store, blobs: BlobStore) -> None:
    if _some_digests(store):
        return
    table_id = _table_id(store)
    if not table_id or not blobs.is_of_table(table_id):
        raise EmptyTableError(
            "nothing was deleted: the blob store has blobs, but no row of the database "
            "refers to any, so they may not belong together; check blob_store and the "
            "database"
        )


def _named_by_manifests(blobs: BlobStore) -> _Named:
    # As bytes: some 100 bytes of memory for each file of artifacts.
    named: set[bytes] = set()
    for manifest_id, data in blobs.manifests():
        try:
            named.update(map(bytes.fromhex, parse_manifest(data).blobs()))
        except ManifestError as error:
            raise ManifestUnreadableError(
                f"{blobs.place}: reading the manifest {manifest_id} failed, so nothing was "
                f"deleted: {error}; restore it, or move it away if its version is not needed"
            ) from error
    return lambda digests: {each for each in digests if bytes.fromhex(each) in named}


def _unnamed(store: Store, old: Sequence[StoredBlob], by_manifests: _Named) -> Iterator[StoredBlob]:
    digests = [found.digest for found in old]
    rows = store.query(
        "SELECT DISTINCT digest FROM blobs WHERE digest IN {digests:Array(String)}",
        parameters={"digests": digests},
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    named = {row["digest"] for row in rows} | by_manifests(digests)
    yield from (found for found in old if found.digest not in named)
