"""`run.save`: files that belong to the run, kept as one artifact."""

import glob
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepwell._artifacts.artifact import Artifact
from stepwell._artifacts.files import DraftFiles
from stepwell._artifacts.holding import LINKED_FOLDER, broken_link
from stepwell._names import Warn
from stepwell_wire.artifact_names import RUN_FILES_TYPE
from stepwell_wire.staged import new_id

POLICIES: Final = ("live", "now", "end")
_UNMATCHED_SHOWN_MAX: Final = 10


class _Saved(NamedTuple):
    source: str
    marks: tuple[int, ...]
    again: bool


class _Pattern(NamedTuple):
    """What one call of `add` asked for.

    Attributes:
        given: the pattern as the call had it.
        whole: as an absolute path.
        root: the paths in the artifact are relative to it.
        names_root: the call had a ``base_path``; then a file that replaces another is meant so.
    """

    given: str
    whole: str
    root: str
    names_root: bool
    is_glob: bool
    again: bool

    def may_match_more(self) -> bool:
        """Return whether it can name more than one file."""
        return (self.is_glob and glob.has_magic(self.whole)) or os.path.isdir(self.whole)


class SavedFiles:
    """All files that one run saved; each `add` logs a version that has all of them.

    Each file is held once, in its state at the save; versions are made from the held files.

    Args:
        run_dir: the folder of `run.dir`.
    """

    def __init__(
        self,
        name: str,
        log: Callable[[Artifact], Artifact],
        warn: Warn,
        run_dir: Callable[[], Path],
    ) -> None:
        self._name, self._log, self._warn, self._run_dir = name, log, warn, run_dir
        self._files: dict[str, _Saved] = {}
        self._patterns: dict[_Pattern, bool] = {}  # Whether it has matched; not with policy "now".
        self._kept, self._pid = DraftFiles(new_id()), os.getpid()

    def add(self, pattern: str, base: Any, policy: str, *, is_pattern: bool) -> list[str]:
        """Keep the files that ``pattern`` names; return their paths."""
        if policy not in POLICIES:
            raise ValueError(f"save(): expected policy {', '.join(POLICIES)}, not {policy!r}")
        whole, has_base = os.path.abspath(pattern), base is not None
        root = os.fspath(base) if has_base else self._root_of(pattern, whole, is_glob=is_pattern)
        asked = _Pattern(
            pattern, whole, os.path.abspath(root), has_base, is_pattern, policy != "now"
        )
        added = []
        for path, saved in self._found(asked):
            if path in self._files:
                self._report_twin(asked, path, kept=saved, lost=self._files[path])
            added.append(self._keep(path, saved))
        if asked.again:
            self._patterns[asked] = bool(added) or self._patterns.get(asked, False)
        elif not added:
            self._warn(f"save {pattern}", f'{_no_match(pattern)}; policy="live" looks again later')
        unmatched = [each for each in self._unmatched() if each != asked]
        if self._look_again(unmatched) or added:
            self._log_all()
        return added

    def finish(self) -> None:
        """Log again if there are more files, or files changed that must be kept as they end."""
        changed = False
        for path, saved in list(self._files.items()):
            if not saved.again or not os.path.isfile(saved.source):
                continue
            marks = _marks(saved.source)
            if marks != saved.marks:
                self._keep(path, saved._replace(marks=marks))
                changed = True
        more = [
            each for each, matched in self._patterns.items() if matched and each.may_match_more()
        ]
        if self._look_again(more + self._unmatched()) or changed:
            self._log_all()
        unmatched = self._unmatched()
        for each in unmatched[:_UNMATCHED_SHOWN_MAX]:
            self._warn(f"save {each.given}", _no_match(each.given))
        if (hidden := len(unmatched) - _UNMATCHED_SHOWN_MAX) > 0:
            self._warn("save no match", f"save(): no file matched {hidden} more patterns")

    def _unmatched(self) -> list[_Pattern]:
        return [each for each, has_matched in self._patterns.items() if not has_matched]

    def _found(self, asked: _Pattern) -> Iterator[tuple[str, _Saved]]:
        """Yield the path in the artifact and the file, of all files that match now.

        Raises:
            ValueError: A file is not below the root.
        """
        found = sorted(glob.glob(asked.whole, recursive=True)) if asked.is_glob else [asked.whole]
        for path in found:
            for source in self._files_below(path):
                below = os.path.relpath(source, asked.root)
                if below.split(os.sep)[0] == "..":
                    raise ValueError(
                        f"{source}: not below {asked.root}; pass base_path=… with a folder that "
                        "contains the file"
                    )
                try:
                    saved = _Saved(source, _marks(source), asked.again)
                except FileNotFoundError:  # Such as a checkpoint that was just deleted.
                    continue
                yield below, saved

    def _look_again(self, patterns: list[_Pattern]) -> bool:
        """Keep the files that match now and did not before; return whether there are any."""
        has_new = False
        for each in patterns:
            try:
                for path, saved in self._found(each):
                    self._patterns[each] = True
                    if path in self._files:
                        self._report_twin(each, path, kept=self._files[path], lost=saved)
                        continue
                    self._keep(path, saved)
                    has_new = True
            except Exception as error:  # The call that gave the pattern has returned.
                self._patterns[each] = True
                self._warn(f"save {each.given}", f"save({each.given!r}): {error}")
        return has_new

    def _report_twin(self, asked: _Pattern, path: str, *, kept: _Saved, lost: _Saved) -> None:
        """Report that two files have one path, if no call said so."""
        if not asked.names_root and kept.source != lost.source:
            self._warn(
                f"save twin {path}",
                f"save(): {kept.source} replaces {lost.source}, because both are saved as "
                f"{path}; pass base_path=… with a folder that contains both",
            )

    def _root_of(self, pattern: str, whole: str, *, is_glob: bool) -> str:
        """Return the root of a call without ``base_path``.

        An absolute path keeps the name of its folder, so that files of one name from two folders
        are two files. In `run.dir` a path is relative to it; that of a rank above 0 keeps the name.
        """
        if not os.path.isabs(pattern):
            return os.getcwd()
        run_dir = self._run_dir()
        if Path(whole).is_relative_to(run_dir):
            return str(run_dir if run_dir.name == "files" else run_dir.parent)
        folder = os.path.dirname(whole)
        if not os.path.isdir(whole):
            folder = os.path.dirname(folder)
        while is_glob and glob.has_magic(folder):
            folder = os.path.dirname(folder)
        return folder

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

    def _keep(self, path: str, saved: _Saved) -> str:
        """Hold a file as ``path``; return its path on the disk."""
        if self._pid != os.getpid():  # A forked child; the files held so far belong to its parent.
            parents, self._kept, self._pid = self._kept, DraftFiles(new_id()), os.getpid()
            for each in self._files:
                self._kept.add_file(parents.held_path(each) or "", each)
        self._kept.add_file(saved.source, path, overwrite=True, may_link=saved.again)
        self._files[path] = saved
        return saved.source


def _no_match(pattern: str) -> str:
    return f"save({pattern!r}): no file matched"


def _marks(path: str) -> tuple[int, ...]:
    # Not the ctime: holding a file changes it.
    found = os.stat(path)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
