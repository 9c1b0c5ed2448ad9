"""The files of a version: its manifest, read and checked, and one object for each entry."""

import mimetypes
import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Final

from stepwell._artifacts.download import default_root, download
from stepwell._artifacts.fetching import new_hasher
from stepwell._hub_client import path_of
from stepwell._later_names import LaterNames, in_browser
from stepwell.errors import DownloadError, NotFoundError, UsageError
from stepwell_wire.errors import ManifestError
from stepwell_wire.manifest import Entry as _Entry
from stepwell_wire.manifest import Manifest, parse_manifest

if TYPE_CHECKING:
    from stepwell._artifacts.versions import VersionFacts
    from stepwell._hub_client import Hub

_TEXTS: Final = ("text/", "application/json")
_LATER: Final = {
    **in_browser("file.url"),
    "birth_artifact_id": "use the version's source_name",
    "delete": "log a version without it",
    "digest_algorithm": "digests are BLAKE3",
    "extra": "use the version's metadata",
    "id": "use file.name",
    "local_path": "use download()",
    "md5": "use file.digest, a BLAKE3",
    "parent_artifact": "use the version whose file it is",
    "path_uri": "use ref_url()",
    "run": "use logged_by() of the version",
    "skip_cache": "a download has no cache",
    "updated_at": "use created_at of the version",
}


def read_manifest(hub: "Hub", facts: "VersionFacts") -> Manifest:
    """Return the manifest of a version.

    Raises:
        DownloadError: Its digest, a path, a size or a count is wrong: no part of it is used.
        HubError: The hub does not have it.
    """
    where = f"{facts.project}/{facts.name}:{facts.version}"
    answer = hub.content("GET", f"{facts.path}/manifest")
    try:
        manifest = parse_manifest(answer)
        packed = manifest.pack()
    except ManifestError as error:
        raise DownloadError(
            f"{where}: the hub's answer contains an invalid manifest: {error}"
        ) from error
    hasher = new_hasher()
    hasher.update(packed)
    if hasher.hexdigest() != facts.digest:
        raise DownloadError(
            f"{where}: the hub's manifest does not match the digest of the version; the "
            "hub's blob store or the connection is damaged"
        )
    return manifest


class Entry(LaterNames):
    """One path of a version.

    Attributes:
        path: in the artifact.
        digest: BLAKE3 of the file; for a reference the checksum from its source, "" for none.
        size: in bytes; None for a reference of unknown size.
        ref: the address of a reference, None for a file.
    """

    _whose, _later = "a file's", _LATER

    def __init__(self, hub: "Hub", facts: "VersionFacts", path: str, entry: _Entry) -> None:
        self._hub, self._facts, self._entry = hub, facts, entry
        self.path = self.name = path
        self.digest = entry.digest or entry.checksum
        self.size = entry.size
        self.ref = entry.reference or None

    def download(
        self, root: str | os.PathLike[str] | None = None, skip_cache: bool | None = None
    ) -> str:
        """Fetch it below ``root`` and return its path; see `Artifact.download`."""
        folder = os.fspath(root) if root is not None else default_root(self._facts)
        made = download(self._hub, Manifest({self.path: self._entry}), folder)
        return os.path.join(made, self.path)

    def ref_target(self) -> str:
        """Return the address of a reference.

        Raises:
            UsageError: It is a file.
        """
        if self.ref is None:
            raise UsageError(f"{self.path} is a file, not a reference; fetch it with download()")
        return self.ref

    def ref_url(self) -> str:
        """Return the file's address in the hub."""
        return f"{self._hub.url}/api/v1{path_of('blobs', self._entry.digest)}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"


class ArtifactFile(Entry):
    """One file of a version, as `Artifact.files` returns it."""

    @property
    def url(self) -> str:
        return self.ref or self.ref_url()

    direct_url = url

    @property
    def size_bytes(self) -> int:
        return self.size or 0

    @property
    def mimetype(self) -> str:
        return mimetypes.guess_type(self.path)[0] or "application/octet-stream"

    def download(  # type: ignore[override]
        self,
        root: str | os.PathLike[str] = ".",
        replace: bool = False,
        exist_ok: bool = False,
    ) -> IO[Any]:
        """Fetch it below ``root`` and return it, opened for reading.

        Args:
            replace: overwrite an existing file. exist_ok: return an existing file as it is.

        Raises:
            UsageError: There is such a file.
            DownloadError: It cannot be fetched.
        """
        path = os.path.join(os.fspath(root), self.path)
        if os.path.lexists(path) and not replace:
            if not exist_ok:
                raise UsageError(f"{path} exists; pass replace=True, or exist_ok=True to keep it")
        else:
            path = super().download(root)
        if self.mimetype.startswith(_TEXTS):
            return open(path, encoding="utf-8")
        return open(path, "rb")


def entry_of(hub: "Hub", facts: "VersionFacts", manifest: Manifest, path: str) -> Entry:
    """Return one entry.

    Raises:
        NotFoundError: The version has no file of this path.
    """
    found = manifest.entries.get(path)
    if found is None:
        from stepwell.api._names import nearest

        raise NotFoundError(
            f"{facts.name}:{facts.version} has no file {path[:200]!r}"
            f"{nearest(path, list(manifest.entries))}",
            code="not_found",
        )
    return Entry(hub, facts, path, found)


def files_of(
    hub: "Hub", facts: "VersionFacts", manifest: Manifest, names: Sequence[str] | None
) -> list[ArtifactFile]:
    """Return the files of a version by path, all or those of these names."""
    wanted = None if names is None else {names} if isinstance(names, str) else set(names)
    return [
        ArtifactFile(hub, facts, path, entry)
        for path, entry in sorted(manifest.entries.items())
        if wanted is None or path in wanted
    ]
