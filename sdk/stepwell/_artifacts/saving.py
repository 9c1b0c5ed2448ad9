"""`run.save`: files that belong to the run, kept as one artifact."""

import glob
import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from stepwell._artifacts.artifact import Artifact
from stepwell._artifacts.files import DraftFiles
from stepwell._artifacts.holding import LINKED_FOLDER, broken_link
from stepwell._names import Warn
from stepwell_wire.artifact_names import RUN_FILES_TYPE
from stepwell_wire.staged import new_id

POLICIES: Final = ("live", "now", "end")


class _Saved(NamedTuple):
    source: str
    marks: tuple[int, ...]
    again: bool


class SavedFiles:
    """All files that one run saved; each `add` logs a version that has all of them.

    Each file is held once, in its state at the save; versions are made from the held files.
    """

    def __init__(self, name: str, log: Callable[[Artifact], Artifact], warn: Warn) -> None:
        self._name, self._log, self._warn = name, log, warn
        self._files: dict[str, _Saved] = {}
        self._kept, self._pid = DraftFiles(new_id()), os.getpid()

    def add(self, pattern: str, base: Any, policy: str, *, is_pattern: bool) -> list[str]:
        """Keep the files that ``pattern`` names; return their paths."""
        if policy not in POLICIES:
            raise ValueError(f"save(): expected policy {', '.join(POLICIES)}, not {policy!r}")
        root = os.path.abspath(os.fspath(base) if base is not None else _root_of(pattern))
        whole = os.path.abspath(pattern)
        found = sorted(glob.glob(whole, recursive=True)) if is_pattern else [whole]
        added: list[str] = []
        for path in found:
            for source in self._files_below(path):
                below = os.path.relpath(source, root)
                if below.split(os.sep)[0] == "..":
                    raise ValueError(
                        f"{source}: not below {root}; pass base_path=… with a folder that "
                        "contains the file"
                    )
                self._keep(below, _Saved(source, _marks(source), policy != "now"))
                added.append(source)
        if added:
            self._log_all()
        return added

    def finish(self) -> None:
        """Log again if a file changed that must be kept as it is at the end."""
        changed = False
        for path, saved in list(self._files.items()):
            if not saved.again or not os.path.isfile(saved.source):
                continue
            marks = _marks(saved.source)
            if marks != saved.marks:
                self._keep(path, saved._replace(marks=marks))
                changed = True
        if changed:
            self._log_all()

    def _log_all(self) -> None:
        artifact = Artifact(self._name, RUN_FILES_TYPE)
        for path in self._files:
            held = self._kept.held_path(path)
            assert held is not None
            artifact.add_file(held, path)
        self._log(artifact)

    def _files_below(self, path: str) -> list[str]:
        if not os.path.isdir(path):
            found = [path]
        else:
            found = []
            for folder, folders, files in os.walk(path):
                found += [os.path.join(folder, each) for each in files]
                for each in folders:
                    if os.path.islink(linked := os.path.join(folder, each)):
                        self._skip(linked, LINKED_FOLDER)
            found.sort()
        for each in found:
            if os.path.islink(each) and not os.path.exists(each):
                self._skip(each, broken_link(each))
        return [each for each in found if os.path.exists(each)]

    def _skip(self, path: str, why: str) -> None:
        self._warn(f"save {path}", f"save(): {path} was not kept: {why}")

    def _keep(self, path: str, saved: _Saved) -> None:
        if self._pid != os.getpid():  # A forked child; the files held so far belong to its parent.
            parents, self._kept, self._pid = self._kept, DraftFiles(new_id()), os.getpid()
            for each in self._files:
                self._kept.add_file(parents.held_path(each) or "", each)
        self._kept.add_file(saved.source, path, overwrite=True, may_link=saved.again)
        self._files[path] = saved


def _root_of(pattern: str) -> str:
    if not os.path.isabs(pattern):
        return os.getcwd()
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder


def _marks(path: str) -> tuple[int, ...]:
    # Not the ctime: holding a file changes it.
    found = os.stat(path)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
