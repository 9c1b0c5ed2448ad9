"""Folders of held files that no run has yet, beside the journals.

    <journals>/.held/<owner>.lock        flock is held while the process lives
    <journals>/.held/<owner>-<key>/      one artifact that is being built

`log_artifact` renames such a folder into the run's journal. Folders of killed processes are removed
by the next process that builds an artifact.
"""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

from stepwell_wire.places import default_journals_dir, fallback_journals_dir

HELD: Final = ".held"
_LOCK: Final = ".lock"
_MODE: Final = 0o2770

_owners: dict[tuple[int, Path], str] = {}
"""This process's name in a folder of held files, by process id and folder."""
_locks: list[int] = []


def make_hold_folder(key: str) -> Path:
    """Return a new folder for the files of the artifact ``key``.

    Raises:
        OSError: It cannot be made, neither beside the journals nor in the temporary folder.
    """
    try:
        return _make(default_journals_dir() / HELD, key)
    except OSError:
        return _make(fallback_journals_dir() / HELD, key)


def remove_hold_folder(folder: Path, pid: int) -> None:
    """Remove a folder that was not logged; only in the process that made it."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def _make(root: Path, key: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    owner = _owners.get((os.getpid(), root)) or _become_owner(root)
    folder = root / f"{owner}-{key}"
    folder.mkdir(mode=_MODE)
    return folder


def _become_owner(root: Path) -> str:
    remove_abandoned(root)
    owner = f"{os.getpid()}-{os.urandom(4).hex()}"
    path = root / f"{owner}.new"  # Another process takes any lock that is free.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o660)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.rename(path, root / f"{owner}{_LOCK}")
    _locks.append(descriptor)  # Until the process ends.
    _owners[os.getpid(), root] = owner
    return owner


def remove_abandoned(root: Path) -> None:
    """Remove the folders of processes that have ended."""
    for name in os.listdir(root):
        if not name.endswith(_LOCK):
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(root / name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                owner = name.removesuffix(_LOCK)
                for each in os.listdir(root):
                    if each.startswith(f"{owner}-"):
                        shutil.rmtree(root / each, ignore_errors=True)
                os.unlink(root / name)
            finally:
                os.close(descriptor)


def copy_folder(folder: Path, target: Path) -> None:
    """Copy the files of ``folder`` to a new folder ``target`` on another file system.

    Raises:
        OSError: It cannot be copied; ``target`` is removed.
    """
    try:
        target.mkdir(mode=_MODE)
        for name in os.listdir(folder):
            shutil.copyfile(folder / name, target / name)
            found = os.stat(folder / name)  # A changed link is recognised by its time.
            os.utime(target / name, ns=(found.st_atime_ns, found.st_mtime_ns))
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
