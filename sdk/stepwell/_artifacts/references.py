"""References: entries of an artifact whose bytes stay where they are."""

import os
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from stepwell._artifacts.holding import LINKED_FOLDER
from stepwell.errors import ArtifactFileError
from stepwell_wire.drafts import Reference
from stepwell_wire.manifest import REFERENCE_BYTES_MAX

_OBJECTS_MAX: Final = 200_000


def references_of(
    uri: str, name: str | None, *, max_objects: int | None = None
) -> dict[str, Reference]:
    """Return the references of ``uri``, by path in the artifact.

    Args:
        name: name of the file, or of the folder; None: the last part of the address.

    Raises:
        ArtifactFileError: It is no address, or names a missing file.
    """
    parts = urlsplit(uri)
    if not parts.scheme or len(uri.encode()) > REFERENCE_BYTES_MAX:
        raise ArtifactFileError(
            f"{uri[:200]!r}: expected an address such as s3://bucket/key of at most "
            f"{REFERENCE_BYTES_MAX} bytes; add a local file with add_file()"
        )
    if parts.scheme == "file":
        if "?" in uri or "#" in uri:
            raise ArtifactFileError(
                f"{uri}: contains ? or #, which end the path of an address; write %3F and "
                "%23 instead, as pathlib's as_uri() does"
            )
        return _of_files(uri, unquote(parts.path), name, max_objects or _OBJECTS_MAX)
    path = name or os.path.basename(parts.path.rstrip("/")) or parts.netloc
    if not path:
        raise ArtifactFileError(f"{uri!r}: no file name at the end; pass a name with name=…")
    return {path: Reference(uri)}


def _of_files(uri: str, local: str, name: str | None, objects_max: int) -> dict[str, Reference]:
    if os.path.isfile(local):
        return {name or os.path.basename(local): Reference(uri, "", _size_of(local))}
    if not os.path.isdir(local):
        raise ArtifactFileError(f"{uri}: no such file or folder")
    found: dict[str, Reference] = {}
    for folder, folders, files in os.walk(local):
        folders.sort()
        for each in folders:
            if os.path.islink(path := os.path.join(folder, each)):
                raise ArtifactFileError(f"{path}: {LINKED_FOLDER}")
        for each in sorted(files):
            path = os.path.join(folder, each)
            below = os.path.relpath(path, local)
            size = _size_of(path)
            address = f"{uri.rstrip('/')}/{quote(below)}"
            found[f"{name}/{below}" if name else below] = Reference(address, "", size)
            if len(found) > objects_max:
                raise ArtifactFileError(
                    f"{uri}: more than {objects_max} files; raise max_objects, or name a folder "
                    "with fewer"
                )
    return found


def _size_of(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError as error:
        is_broken = os.path.islink(path) and not os.path.exists(path)
        what = "a broken link; remove it" if is_broken else error.strerror
        raise ArtifactFileError(f"{path}: {what}") from error
