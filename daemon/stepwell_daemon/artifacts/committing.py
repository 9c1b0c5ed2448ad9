"""Making a version of a draft: hash, store the bytes, begin at the hub, commit. Runs in a worker.

Every step is idempotent: the draft's key identifies the version at the hub, and the digest
identifies a blob.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from blake3 import blake3

from stepwell_daemon.artifacts.digests import Digests
from stepwell_daemon.artifacts.draft_files import read_entries_file
from stepwell_daemon.artifacts.hashing import Bytes, DraftSpoiledError, Hashed, release_files
from stepwell_daemon.artifacts.hub_calls import (
    NOT_FOUND,
    HubAwayError,
    HubCalls,
    HubRefusesError,
)
from stepwell_daemon.artifacts.run_files import commit_on_top
from stepwell_store.blob_store import BlobStore
from stepwell_wire.drafts import Draft, Held, Reference, parse_entries
from stepwell_wire.errors import DraftError, ManifestError
from stepwell_wire.manifest import Entry, Manifest

_ROUNDS_MAX: Final = 100
"""Requests for missing digests: the hub names 10,000 blobs at a time, an artifact has 200,000."""


class _EarlierBytesMissingError(DraftSpoiledError):
    """The blob store lacks the bytes of an earlier version, and the draft does not have them."""


class Elsewhere(Protocol):
    """The destination of bytes that this daemon does not store itself."""

    def put(self, digest: str, size: int, path: Path) -> None:
        """Send the file ``path``; the receiver may have removed it afterwards.

        Raises:
            HubAwayError: Not possible now.
            HubRefusesError: Never possible.
        """


@dataclass(slots=True)
class Job:
    """One draft.

    Attributes:
        again: id of the version whose manifest the new one gets, "" if the draft has files.
        elsewhere: the destination of bytes if ``store`` is None.
        report: called with the progress: files and bytes, done and in all.
        files: the hashed files, for `clean`.
    """

    folder: Path
    draft: Draft
    hub: HubCalls
    digests: Digests
    scratch: Path
    store: BlobStore | None = None
    elsewhere: Elsewhere | None = None
    again: str = ""
    report: Callable[[dict[str, int]], None] = lambda progress: None
    check_room: Callable[[int], None] = lambda size: None
    files: list[Hashed] = field(default_factory=list)
    progress: dict[str, int] = field(default_factory=dict)


def commit(job: Job) -> dict[str, Any]:
    """Return the version of the draft, as the hub answers it.

    Raises:
        DraftSpoiledError: The version can never be made; the text says why.
        HubAwayError, OSError: Not possible now.
    """
    try:
        if job.again:
            return _committed(job, _manifest_again(job), {})
        manifest, by_digest = _manifest_of(job)
        if job.draft.is_run_files:
            return _committed_on_top(job, manifest, by_digest)
        return _committed(job, manifest.pack(), by_digest)
    except (DraftError, ManifestError) as error:
        raise DraftSpoiledError(str(error)) from error
    except HubRefusesError as error:
        raise DraftSpoiledError(f"the hub rejects the artifact ({error.code}): {error}") from error


def clean(job: Job) -> None:
    """Remove the held files of a finished draft."""
    release_files(job.folder, job.files, job.digests)


def _manifest_again(job: Job) -> bytes:
    """Return the manifest of an earlier version whose content is logged again."""
    try:
        return job.hub.manifest(job.hub.version(job.again))
    except HubAwayError as error:
        if error.status != NOT_FOUND:
            raise
        raise DraftSpoiledError(
            "the version to log again was deleted; add the files to a new artifact"
        ) from error


def _manifest_of(job: Job) -> tuple[Manifest, dict[str, Hashed]]:
    """Hash all files; return the manifest, and the hashed files by digest."""
    descriptor = os.open(job.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        entries = parse_entries(read_entries_file(descriptor).splitlines())
    finally:
        os.close(descriptor)
    held = [each for each in entries.values() if isinstance(each, Held)]
    job.progress = {
        "files_done": 0,
        "files": len(held),
        "bytes_done": 0,
        "bytes": sum(each.size for each in held),
    }
    job.report(job.progress)
    found = _bytes_of(job)
    found.look_up(held)
    by_digest: dict[str, Hashed] = {}
    made: dict[str, Entry] = {}
    try:
        for path, entry in entries.items():
            if isinstance(entry, Reference):
                made[path] = Entry(size=entry.size, reference=entry.uri, checksum=entry.checksum)
                continue
            hashed = found.hash(path, entry)
            job.files.append(hashed)
            by_digest.setdefault(hashed.digest, hashed)
            made[path] = Entry(digest=hashed.digest, size=entry.size)
            job.progress["files_done"] += 1
            job.report(job.progress)
        found.flush()
    finally:
        found.discard()
    return Manifest(made), by_digest


def _committed_on_top(job: Job, manifest: Manifest, by_digest: dict[str, Hashed]) -> dict[str, Any]:
    """Commit the files of a run with those that it saved earlier; see `run_files`."""

    def commit_one(packed: bytes) -> dict[str, Any]:
        # The earlier files may differ at the next attempt, and a key is for one content.
        key = f"{job.draft.key}-{blake3(packed).hexdigest(length=8)}"
        return _committed(job, packed, by_digest, key)

    try:
        return commit_on_top(job.hub, job.draft, manifest, commit_one)
    except _EarlierBytesMissingError:  # The files of this draft are kept all the same.
        return commit_one(manifest.pack())


def _committed(
    job: Job, manifest: bytes, by_digest: dict[str, Hashed], key: str = ""
) -> dict[str, Any]:
    """
    Args:
        key: of the version at the hub; default the draft's.
    """
    draft, hub = job.draft, job.hub
    facts = {
        "key": key or draft.key,
        "name": draft.name,
        "type": draft.type,
        "description": draft.description,
        "metadata": draft.metadata,
        "run_id": draft.run_id,
    }
    begun = hub.begin(draft.project, facts, manifest)
    version: dict[str, Any] = begun["version"]
    for _ in range(_ROUNDS_MAX):
        if version["state"] == "committed":
            return version
        if version["state"] != "pending":
            raise DraftSpoiledError(
                f"the hub has the version as {version['state']}: "
                f"{version['reason'] or 'see the page'}"
            )
        if begun["missing"]:
            _keep_missing(job, begun["missing"], by_digest)
            begun = hub.missing(version["id"])
            version = begun["version"]
            continue
        try:
            version = hub.commit(version["id"], draft.aliases)
        except HubRefusesError as error:
            if error.code != "blobs_missing":
                raise
            begun = hub.missing(version["id"])
            version = begun["version"]
    raise HubAwayError(
        "the hub does not find blobs that were stored; set blob_store of the daemon and of "
        "the hub to the same blob store",
        is_alone=True,
    )


def _keep_missing(job: Job, digests: list[str], by_digest: dict[str, Hashed]) -> None:
    """Store bytes in the blob store that the hub checks."""
    bytes_ = _bytes_of(job)
    try:
        for digest in digests:
            hashed = by_digest.get(digest)
            if hashed is None:
                raise _EarlierBytesMissingError(
                    f"the bytes of blob {digest} of an earlier version are missing; add the file "
                    "and log the artifact again"
                )
            if job.store is not None:
                bytes_.keep(digest, hashed)
                continue
            assert job.elsewhere is not None
            target = job.scratch / digest
            bytes_.copy(digest, hashed, target)
            try:
                job.elsewhere.put(digest, hashed.held.size, target)
            finally:
                target.unlink(missing_ok=True)
        bytes_.flush()
    finally:
        bytes_.discard()


def _bytes_of(job: Job) -> Bytes:
    def note_read(size: int) -> None:
        job.progress["bytes_done"] = job.progress.get("bytes_done", 0) + size
        job.report(job.progress)

    return Bytes(job.folder, job.store, job.digests, on_read=note_read, check_room=job.check_room)
