"""Manifests of versions in the blob store, and the blobs that they name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from blake3 import blake3

from stepwell_hub.errors import ApiError
from stepwell_store.blob_store import BlobStore

MISSING_SHOWN_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Look:
    """The blobs of a manifest that the blob store has.

    Attributes:
        missing: digests that it does not have.
        wrong: why the manifest is wrong, "" if it is right.
    """

    missing: tuple[str, ...] = ()
    wrong: str = ""


def digest_of(packed: bytes) -> str:
    """Return the digest of a version with this packed manifest."""
    return blake3(packed).hexdigest()


def look(blobs: BlobStore, wanted: Mapping[str, int]) -> Look:
    """Look for all blobs of a manifest that is kept already: sizes by digest.

    Each blob that is there counts as put now: a collector that started before the manifest was
    kept does not delete it.

    Raises:
        OSError: The blob store cannot be used.
    """
    missing = []
    for digest, size in wanted.items():
        found = blobs.stat(digest) if blobs.touch(digest) else None
        if found is None:
            missing.append(digest)
        elif found.size != size:
            return Look(wrong=f"the blob {digest} has {found.size} bytes, not {size}")
    return Look(tuple(missing))


def read(blobs: BlobStore, version_id: str, digest: str) -> bytes:
    """Return the packed manifest of a version.

    Raises:
        ApiError: It is missing or damaged, or the blob store cannot be used.
    """
    try:
        packed = blobs.manifest(version_id)
    except FileNotFoundError as error:
        raise ApiError(
            404,
            "not_found",
            "the manifest of this version is missing; the version may have been deleted",
        ) from error
    except OSError as error:
        raise ApiError(503, "blobs_unavailable", f"the blob store: {error}") from error
    if digest_of(packed) != digest:
        raise ApiError(
            500,
            "manifest_damaged",
            f"the manifest {version_id} in {blobs.place} is damaged; restore it from a backup",
        )
    return packed


def entry_at(packed: bytes, path: str) -> dict[str, Any]:
    """Return the entry of a path as the manifest has it.

    Raises:
        ApiError: There is none.
    """
    found: dict[str, Any] | None = json.loads(packed)["entries"].get(path)
    if found is None:
        raise ApiError(404, "not_found", f"no file {path[:200]!r} in this version", field="path")
    return found
