"""Comparing a folder with a manifest."""

import os
from typing import NamedTuple

from stepwell._artifacts.fetching import digest_of
from stepwell._artifacts.target import Target
from stepwell.errors import DownloadError
from stepwell_wire.manifest import Manifest


class Differences(NamedTuple):
    """Differences between a folder and a manifest; paths, sorted.

    Attributes:
        extra: files that the manifest does not have.
    """

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.extra)


def compare(manifest: Manifest, root: str) -> Differences:
    """Read all files below ``root`` and return the differences. References are ignored.

    Raises:
        DownloadError: There is no such folder.
    """
    missing, changed = [], []
    with Target(root, manifest.entries, creates=False) as target:
        for path, entry in manifest.entries.items():
            if not entry.digest:
                continue
            try:
                with target.opened(path) as number:
                    if number is None:
                        missing.append(path)
                    elif digest_of(number, entry.size or 0) != entry.digest:
                        changed.append(path)
            except DownloadError:  # A link, or something that is no file.
                changed.append(path)
        extra = extra_files(manifest, root, target.parts_name)
    return Differences(tuple(sorted(missing)), tuple(sorted(changed)), tuple(extra))


def extra_files(manifest: Manifest, root: str, parts_name: str) -> list[str]:
    """Return the files and links below ``root`` that the manifest does not have."""
    found = []
    for folder, folders, files in os.walk(root):
        below = os.path.relpath(folder, root)
        if below == ".":
            folders[:] = [each for each in folders if each != parts_name]
        links = [each for each in folders if os.path.islink(os.path.join(folder, each))]
        for name in (*files, *links):
            path = name if below == "." else f"{below}/{name}"
            if path not in manifest.entries:
                found.append(path)
    return sorted(found)
