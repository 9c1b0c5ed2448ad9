"""The files of a draft: its paths, and the held file of each."""

import errno
import filecmp
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from stepwell._artifacts.hold_folder import make_hold_folder, remove_hold_folder
from stepwell._artifacts.holding import LINKED_FOLDER, hold, regular
from stepwell.errors import ArtifactFileError
from stepwell_wire.drafts import ENTRIES_FILE, Held, Reference, pack_entry
from stepwell_wire.errors import ManifestError
from stepwell_wire.manifest import ENTRIES_MAX, check_path
from stepwell_wire.places import default_journals_dir, default_socket

_NEW_NS: Final = 60 * 10**9
_COPIED_FILE_BYTES_MAX: Final = 64 << 20
_COPIED_BYTES_MAX: Final = 256 << 20
_COPIED_FILES_MAX: Final = 100


class DraftFiles:
    """Paths and held files of one artifact that is being built.

    Attributes:
        entries: by path in the artifact.
        folder: the folder of the held files, None before the first.
    """

    def __init__(self, key: str) -> None:
        self.entries: dict[str, Held | Reference] = {}
        self.folder: Path | None = None
        self._key = key
        self._may_link = _daemon_is_own()
        self._copied_bytes = self._copied_files = 0
        self._next_number = 0
        self._folders: set[str] = set()
        self._remover: weakref.finalize[Any, Any] | None = None

    def add_file(
        self, source: str, path: str, *, overwrite: bool = False, may_link: bool = True
    ) -> None:
        """Hold the file ``source`` as ``path``.

        Args:
            may_link: False if a later change in place must not change the held file.

        Raises:
            ArtifactFileError: The file is missing, or the path is taken or invalid.
        """
        held = self._add(source, path, overwrite=overwrite, may_link=may_link)
        self._write(pack_entry(path, held))

    def add_folder(self, source: str, prefix: str, *, merge: bool) -> None:
        """Hold all files below ``source`` as paths below ``prefix``; see `add_file`.

        Args:
            merge: whether a taken path gets the new file.
        """
        lines = []
        try:
            for below, found in _walk(source, "", _own_folder()):
                path = f"{prefix}/{below}" if prefix else below
                lines.append(pack_entry(path, self._add(found, path, overwrite=merge)))
        finally:
            self._write("".join(lines))

    def add_reference(self, path: str, reference: Reference) -> None:
        """Add a reference to bytes stored elsewhere as ``path``; raises as `add_file`."""
        self._claim(path)
        if self.entries.get(path, reference) != reference:
            raise _taken(path)
        self._note(path, reference)
        self._write(pack_entry(path, reference))

    def open_new(self, path: str, mode: str, encoding: str | None) -> tuple[IO[Any], int]:
        """Return an open file that will be ``path``, and its number for `close_new`."""
        self._claim(path)
        if path in self.entries:
            raise _taken(path)
        number = self._number()
        return open(self._held(number), mode, encoding=encoding), number

    def close_new(self, path: str, number: int) -> None:
        """Take the file that was opened by `open_new` and is closed now; raises as `add_file`."""
        self._claim(path)  # Again: other files may have been added meanwhile.
        found = os.stat(self._held(number))
        held = Held(number, found.st_size, found.st_mtime_ns)
        self._note(path, held)
        self._write(pack_entry(path, held))

    def drop_new(self, number: int) -> None:
        """Forget a file that was opened by `open_new`."""
        os.unlink(self._held(number))

    def remove(self, path: str) -> None:
        """Remove a path, or all paths below a folder.

        Raises:
            FileNotFoundError: There is no such path.
        """
        below = [each for each in self.entries if each == path or each.startswith(f"{path}/")]
        if not below:
            raise FileNotFoundError(f"{path}: the artifact has no such file")
        for each in below:
            entry = self.entries.pop(each)
            if isinstance(entry, Held):
                os.unlink(self._held(entry.number))
        self._write("".join(pack_entry(each, None) for each in below))
        self._folders = {folder for each in self.entries for folder in _folders_of(each)}

    def held_path(self, path: str) -> str | None:
        """Return the held file of ``path``, None for a reference or an unknown path."""
        entry = self.entries.get(path)
        return self._held(entry.number) if isinstance(entry, Held) else None

    def ready(self) -> Path:
        """Return the folder with all files of a draft; the artifact still owns it."""
        if not self.entries:
            self._write("")
        return self._opened()

    def release(self) -> None:
        """Give up the folder of `ready`: it was moved away and has a new owner."""
        if self._remover is not None:
            self._remover.detach()

    # ------------------------------------------------------------------ inside

    def _add(self, source: str, path: str, *, overwrite: bool, may_link: bool = True) -> Held:
        self._claim(path)
        before = self.entries.get(path)
        if before is not None and not overwrite:
            if not isinstance(before, Held) or not self._is_same(source, before):
                raise _taken(path)
            return before
        number = self._number()
        # The version of an offline run is made at `stepwell sync`, maybe days later: by then the
        # script may have written to the same file again.
        may_link = may_link and self._may_link and not _has_offline_run()
        target, held = self._held(number), None
        if may_link and self._is_checkpoint(source):
            try:
                held = hold(source, target, number, may_link=False)
            except OSError as error:  # Such as a nearly full disk, where a link needs no space.
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                with suppress(FileNotFoundError):
                    os.unlink(target)
        if held is None:
            held = hold(source, target, number, may_link=may_link)
        self._note(path, held)
        if isinstance(before, Held):
            os.unlink(self._held(before.number))
        return held

    def _is_checkpoint(self, source: str) -> bool:
        """Whether the file was written just now, so the script may soon write to it again.

        Large files, and all after some files or bytes, are not among them: to copy them would take
        the script's time.
        """
        found = regular(source)
        is_new = time.time_ns() - found.st_mtime_ns < _NEW_NS
        left = min(_COPIED_FILE_BYTES_MAX, _COPIED_BYTES_MAX - self._copied_bytes)
        if not is_new or found.st_size > left or self._copied_files >= _COPIED_FILES_MAX:
            return False
        self._copied_bytes += found.st_size
        self._copied_files += 1
        return True

    def _is_same(self, source: str, held: Held) -> bool:
        found = regular(source)
        return found.st_size == held.size and filecmp.cmp(
            source, self._held(held.number), shallow=False
        )

    def _claim(self, path: str) -> None:
        """Refuse a path that cannot be in this artifact."""
        try:
            check_path(path)
        except ManifestError as error:
            raise ArtifactFileError(f"path in an artifact: {error.where}: {error.what}") from error
        if path in self._folders:
            raise ArtifactFileError(
                f"{path}: is a folder of the artifact; give the file another name"
            )
        for folder in _folders_of(path):
            if folder in self.entries:
                raise ArtifactFileError(f"{path}: {folder} is a file of the artifact, not a folder")
        if len(self.entries) >= ENTRIES_MAX and path not in self.entries:
            raise ArtifactFileError(
                f"{path}: an artifact has at most {ENTRIES_MAX} files; pack small ones together"
            )

    def _note(self, path: str, entry: Held | Reference) -> None:
        self.entries[path] = entry
        self._folders.update(_folders_of(path))

    def _number(self) -> int:
        self._next_number += 1
        return self._next_number - 1

    def _held(self, number: int) -> str:
        return f"{self._opened()}/{number}"

    def _opened(self) -> Path:
        if self.folder is None:
            self.folder = make_hold_folder(self._key)
            self._remover = weakref.finalize(self, remove_hold_folder, self.folder, os.getpid())
        return self.folder

    def _write(self, lines: str) -> None:
        with open(self._opened() / ENTRIES_FILE, "a", encoding="utf-8") as file:
            file.write(lines)


def _has_offline_run() -> bool:
    from stepwell import _session

    return any(run._recording.settings.mode == "offline" for run in list(_session.active))


def _daemon_is_own() -> bool:
    """Return whether the daemon, if there is one, runs as this user and can read its files."""
    try:
        return os.stat(default_socket()).st_uid == os.geteuid()
    except OSError:
        return True


def _own_folder() -> tuple[int, int] | None:
    """Return device and inode of the folder of journals; None without one."""
    try:
        found = os.stat(default_journals_dir())
    except OSError:
        return None
    return (found.st_dev, found.st_ino)


def _walk(folder: str, below: str, skip: tuple[int, int] | None) -> Iterator[tuple[str, str]]:
    """Yield the path below ``folder`` and the path of every file in it, by name.

    Args:
        skip: device and inode of a folder that is left out: journals change while they are read.
    """
    with os.scandir(folder) as listed:
        entries = sorted(listed, key=lambda each: each.name)
    for entry in entries:
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False):
            found = entry.stat(follow_symlinks=False)
            if (found.st_dev, found.st_ino) != skip:
                yield from _walk(entry.path, name, skip)
        elif os.path.isdir(entry.path):  # False for a loop, which `entry.is_dir` raises.
            raise ArtifactFileError(f"{entry.path}: {LINKED_FOLDER}")
        else:
            yield name, entry.path


def _folders_of(path: str) -> Iterator[str]:
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def _taken(path: str) -> ArtifactFileError:
    return ArtifactFileError(
        f"{path}: the artifact already has another file of this name; give the new file "
        "another name, or pass overwrite=True"
    )
