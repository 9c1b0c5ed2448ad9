"""A machine's notes about its runs, and how the note of a deleted run is removed.

    <journals>/.runs/<project>/<run_id>.json   name, config, summary, state
    <journals>/.runs/<project>/<run_id>.step   next step, 8 bytes
    <journals>/.runs/<project>/<run_id>.peers  the step at which its processes at work began

    <journals>/.runs/<project>/<run_id>.removed   when the run was deleted, µs since 1970 UTC
    <journals>/.runs/<project>/<job>.turns     which starts a launcher's job had; of the SDK alone

The folder `.runs` belongs to the first user who logged there. Every other user of a shared folder
has one like it: `.runs-<uid>`. Notes contain the config, so users do not share them.

The SDK writes them, so that `resume` needs no server. Deleting a run also removes its notes: a
later run of the same id then starts new, instead of continuing after steps and a config that are
gone. Journals of the deleted run may still be there: then the last note is left, and journals that
began before that moment count no more.

Daemons that work for several users use these folders too. So no symbolic link is followed here, and
only files of the folder's owner are read or changed.
"""

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from stepwell_wire.files import open_regular

NOTES_FOLDER: Final = ".runs"
_FORGOTTEN: Final = ("step", "json", "peers")
"""In this order: a process that notes at this moment sees then that its run is deleted."""
_WRITER_FILE: Final = "writer.json"
_WRITER_BYTES_MAX: Final = 65_536
_MOMENT_BYTES_MAX: Final = 32
_STEP_BYTES: Final = 8
_TO_WRITE: Final = os.W_OK | os.X_OK


def notes_folder(journals_dir: Path, project: str, *, user: int | None = None) -> Path:
    """Return the folder of a user's notes about a project.

    Args:
        user: the user id; None: that of this process.

    Raises:
        PermissionError: Other users have made both folders that it could be.
    """
    return journals_dir / _name_for(journals_dir, user) / project


def run_note(journals_dir: Path, project: str, run_id: str, *, user: int | None = None) -> Path:
    return notes_folder(journals_dir, project, user=user) / f"{run_id}.json"


def step_note(journals_dir: Path, project: str, run_id: str, *, user: int | None = None) -> Path:
    return notes_folder(journals_dir, project, user=user) / f"{run_id}.step"


def peers_note(journals_dir: Path, project: str, run_id: str, *, user: int | None = None) -> Path:
    return notes_folder(journals_dir, project, user=user) / f"{run_id}.peers"


def unwritable_notes(journals_dir: Path) -> list[tuple[Path, str]]:
    """Return the folders in which this user cannot write notes, each with the reason."""
    try:
        root = journals_dir / _name_for(journals_dir, None)
    except PermissionError as error:
        return [(Path(error.filename), str(error.strerror))]
    found = []
    with contextlib.suppress(FileNotFoundError):
        projects = list(root.iterdir()) if os.access(root, os.R_OK) else []
        found = [each for each in (root, *sorted(projects)) if not os.access(each, _TO_WRITE)]
    return [(each, "no permission to write") for each in found if each.exists()]


def _name_for(journals_dir: Path, user: int | None) -> str:
    """Return the name of the folder with all notes of a user, see `notes_folder`.

    It is `.runs` if the user may have that one, else `.runs-<uid>`.
    """
    asked = os.geteuid() if user is None else user
    name = _taken_name(journals_dir, asked)
    if name is None and user is None:
        # Some file systems show another owner than the user of the process.
        asked = _owner_of_new_files(journals_dir, asked)
        name = _taken_name(journals_dir, asked)
    if name is not None:
        return name
    name = _name_beside(asked)
    try:
        owner = os.lstat(journals_dir / name).st_uid
    except FileNotFoundError:
        return name
    raise PermissionError(
        errno.EPERM, f"it belongs to user {owner}, not to user {asked}", str(journals_dir / name)
    )


def _taken_name(journals_dir: Path, user: int) -> str | None:
    """Return the folder that belongs to ``user``, or `.runs` if it is free; else None."""
    first: int | None = None
    with contextlib.suppress(OSError):
        first = os.lstat(journals_dir / NOTES_FOLDER).st_uid
        if first == user:
            return NOTES_FOLDER
    with contextlib.suppress(OSError):
        if os.lstat(journals_dir / _name_beside(user)).st_uid == user:
            return _name_beside(user)
    return NOTES_FOLDER if first is None else None


def _name_beside(user: int) -> str:
    return f"{NOTES_FOLDER}-{user}"


def _owner_of_new_files(journals_dir: Path, user: int) -> int:
    """Return the owner that a file has which ``user`` makes here; ``user`` if that fails."""
    name = journals_dir / f"{NOTES_FOLDER}-owner-{os.getpid()}-{time.monotonic_ns()}"
    try:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return user
    try:
        return os.fstat(descriptor).st_uid
    finally:
        os.close(descriptor)
        os.unlink(name)


def _all_names(journals_dir: Path) -> list[str]:
    """Return the names of the folders of notes of all users."""
    before = f"{NOTES_FOLDER}-"
    with contextlib.suppress(OSError):
        names = os.listdir(journals_dir)
        return [
            name
            for name in names
            if name == NOTES_FOLDER or (name.startswith(before) and name[len(before) :].isdecimal())
        ]
    return []


def read_step(descriptor: int) -> int:
    """Return the step in a step note; 0 if it is empty."""
    return int.from_bytes(os.pread(descriptor, _STEP_BYTES, 0), "little", signed=True)


def raise_step(descriptor: int, next_step: int) -> None:
    """Note ``next_step``, unless the note has a larger one.

    Raises:
        OSError: The note cannot be written.
        OverflowError: The step does not fit.
    """
    if next_step > read_step(descriptor):
        os.pwrite(descriptor, next_step.to_bytes(_STEP_BYTES, "little", signed=True), 0)


def note_recovered_step(
    journals_dir: Path,
    project: str,
    run_id: str,
    next_step: int,
    *,
    began_us: int,
    user: int | None = None,
) -> None:
    """Note the step after the last one of a dead process, if the run has a step note.

    The process itself did so seconds before it died.

    Args:
        began_us: when its journal began, in µs since 1970 UTC.
        user: the owner of its journal; None: the user of this process.
    """
    with (
        contextlib.suppress(OSError, OverflowError),
        _notes(journals_dir, _name_for(journals_dir, user), project) as notes,
    ):
        if not _is_name(run_id) or began_us <= _removed_us(notes, run_id):
            return
        descriptor = _open_note(notes, f"{run_id}.step", os.O_RDWR)
        try:
            raise_step(descriptor, next_step)
        finally:
            os.close(descriptor)


def removed_us(journals_dir: Path, project: str, run_id: str) -> int:
    """Return when a run of this id was deleted, in µs since 1970 UTC; -1 if that is not noted."""
    with (
        contextlib.suppress(OSError),
        _notes(journals_dir, _name_for(journals_dir, None), project) as notes,
    ):
        return _removed_us(notes, run_id)
    return -1


def forget_runs(
    journals_dirs: Iterable[Path], project: str, run_ids: Iterable[str], *, removed_at: float
) -> None:
    """Remove the notes of all users about deleted runs; one that cannot be removed is left.

    Args:
        removed_at: seconds since 1970 UTC. A run of the same id that began later keeps its notes.
    """
    ids = list(run_ids)
    for journals_dir in journals_dirs:
        names = _all_names(journals_dir)
        for run_id in ids:
            if _is_name(project) and _is_name(run_id):  # The store holds any text.
                _forget_run(journals_dir, names, project, run_id, int(removed_at * 1e6))


def _forget_run(
    journals_dir: Path, names: Iterable[str], project: str, run_id: str, at_us: int
) -> None:
    began = list(_journals_began_us(journals_dir, project, run_id))
    if any(each > at_us for each in began):
        return
    for name in names:
        with contextlib.suppress(OSError), _notes(journals_dir, name, project) as notes:
            for suffix in _FORGOTTEN:
                with contextlib.suppress(OSError):
                    os.unlink(f"{run_id}.{suffix}", dir_fd=notes)
            if began:
                _note_removed(notes, run_id, at_us)


def _journals_began_us(journals_dir: Path, project: str, run_id: str) -> Iterator[int]:
    """Yield when each journal of the run began, in µs since 1970 UTC."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError), os.scandir(journals_dir) as entries:
        for entry in entries:
            if not entry.name.startswith(f"{run_id}-"):
                continue
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                folder = os.open(entry.path, flags)
                try:
                    text = _read(open_regular(_WRITER_FILE, os.O_RDONLY, folder=folder))
                finally:
                    os.close(folder)
                found = json.loads(text)
                if (found["project"], found["run_id"]) == (project, run_id):
                    yield int(found["created_at"])


def _note_removed(notes: int, run_id: str, at_us: int) -> None:
    fresh = f".{run_id}.removed.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, 0o600, dir_fd=notes)
    try:
        os.write(descriptor, str(at_us).encode())
        if (owner := os.fstat(notes)).st_uid != os.geteuid():
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.rename(fresh, f"{run_id}.removed", src_dir_fd=notes, dst_dir_fd=notes)
    except OSError:
        os.unlink(fresh, dir_fd=notes)
        raise
    finally:
        os.close(descriptor)


def _removed_us(notes: int, run_id: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        descriptor = _open_note(notes, f"{run_id}.removed", os.O_RDONLY)
        return int(_read(descriptor, _MOMENT_BYTES_MAX))
    return -1


@contextlib.contextmanager
def _notes(journals_dir: Path, folder: str, project: str) -> Iterator[int]:
    """Open the folder of a project's notes, in ``folder`` of the journals' folder.

    Raises:
        OSError: It is missing, or a symbolic link.
    """
    if not _is_name(project):
        raise FileNotFoundError(project)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    opened = [os.open(journals_dir, flags)]
    try:
        for name in (folder, project):
            opened.append(os.open(name, flags | os.O_NOFOLLOW, dir_fd=opened[-1]))
        yield opened[-1]
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _open_note(notes: int, name: str, flags: int) -> int:
    """Return the descriptor of a note.

    Raises:
        OSError: It is missing, is no regular file, or is not of the folder's owner.
    """
    descriptor = open_regular(name, flags, folder=notes)
    if os.fstat(descriptor).st_uid != os.fstat(notes).st_uid:
        os.close(descriptor)
        raise PermissionError(name)
    return descriptor


def _read(descriptor: int, bytes_max: int = _WRITER_BYTES_MAX) -> bytes:
    """Return the content of an open file, and close it."""
    try:
        return os.pread(descriptor, bytes_max, 0)
    finally:
        os.close(descriptor)


def _is_name(text: str) -> bool:
    return bool(text) and text not in (".", "..") and not {"/", "\0"}.intersection(text)
