"""Copying files for a backup: whole and durable, without files that disappear meanwhile."""

import os
import shutil
from pathlib import Path
from typing import IO, Final

_FOLDER_MODE: Final = 0o700
_COPY_BYTES: Final = 1 << 20


def copy_open_file(source: IO[bytes], target: Path, *, size: int | None = None) -> int:
    """Copy the first ``size`` bytes of ``source``, all by default; return their number."""
    make_folder(target.parent)
    copied = 0
    with open(target, "xb", opener=_private) as file:
        while size is None or copied < size:
            wanted = _COPY_BYTES if size is None else min(_COPY_BYTES, size - copied)
            piece = source.read(wanted)
            if not piece:
                break
            file.write(piece)
            copied += len(piece)
        file.flush()
        os.fsync(file.fileno())
    return copied


def copy_file(source: Path, target: Path) -> int:
    """Copy ``source``; return its size, 0 if it no longer exists."""
    try:
        with source.open("rb") as file:
            return copy_open_file(file, target)
    except FileNotFoundError:
        if source.exists():
            raise  # The target's folder is missing, not the source.
        return 0


def copy_tree(source: Path, target: Path) -> int:
    """Copy all regular files and links below ``source``; return their bytes.

    Files that disappear meanwhile are left out, and so is a missing ``source``.
    """
    copied = 0
    for folder, folders, names in os.walk(source):  # Links to folders are among the folders.
        place = target / os.path.relpath(folder, source)
        make_folder(place)
        for name in [*folders, *names]:
            path = Path(folder, name)
            if path.is_symlink():
                shutil.copyfile(path, place / name, follow_symlinks=False)
            elif path.is_file():
                copied += copy_file(path, place / name)
    return copied


def make_folder(folder: Path) -> None:
    """Make ``folder`` and its parents, accessible only to their owner."""
    for each in (*reversed(folder.parents), folder):
        if not each.is_dir():
            each.mkdir(exist_ok=True, mode=_FOLDER_MODE)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
