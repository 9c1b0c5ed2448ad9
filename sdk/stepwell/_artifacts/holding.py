"""Holding files: a held file stays unchanged, also if its original path is deleted or replaced.

A held file is a clone (reflink) if the file system supports it, else a hard link, else a copy. So
the program can delete a temporary folder or a rotated checkpoint. A hard link shares its bytes with
the path: a change in place is found later by size and time, and fails the version.
"""

import errno
import fcntl
import os
import shutil
import stat
from typing import Final

from stepwell.errors import ArtifactFileError
from stepwell_wire.drafts import Held

_FICLONE: Final = 0x40049409
_NO_LINK: Final = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP)
_ATTEMPTS_MAX: Final = 3
_MODE: Final = 0o660

LINKED_FOLDER: Final = "a link to a folder; add that folder itself, or remove the link"

_clones: dict[tuple[int, str], bool] = {}
"""Whether files of a device can be cloned into a folder, as found by trying."""
_CLONES_MAX: Final = 1000


def hold(source: str, target: str, number: int, *, may_link: bool = True) -> Held:
    """Hold ``source`` as ``target`` and return the facts to note.

    Args:
        may_link: False if another user's daemon reads it, which may not read the source.

    Raises:
        ArtifactFileError: There is no such file, or it is not a regular one.
        OSError: It cannot be read, or ``target`` cannot be written.
    """
    before = regular(source)
    if _cloned(source, target, before):
        return _noted(source, target, number, before)
    is_own = before.st_uid == os.geteuid() and before.st_mode & stat.S_IRUSR
    if may_link and is_own:  # The worker may not read other users' or unreadable files.
        try:
            # Linux links a symbolic link itself, which leads elsewhere from the hold folder.
            os.link(os.path.realpath(source) if os.path.islink(source) else source, target)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        else:
            if not os.path.islink(target):
                return _linked(target, number, before)
            os.unlink(target)  # The file was replaced by a link just now.
    shutil.copyfile(source, target)
    os.chmod(target, _MODE)
    return _noted(source, target, number, before)


def regular(source: str) -> os.stat_result:
    """Return the `stat` result of the file ``source``.

    Raises:
        ArtifactFileError: There is no such file, or it is not a regular one.
    """
    try:
        found = os.stat(source)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        what = "no such file; a file must exist when it is added"
        if os.path.islink(source):
            what = f"{broken_link(source)}; remove it, or create that file"
        raise ArtifactFileError(f"{source}: {what}") from error
    if not stat.S_ISREG(found.st_mode):
        is_folder = stat.S_ISDIR(found.st_mode)
        what = "a folder; add it with add_dir()" if is_folder else "neither a file nor a folder"
        raise ArtifactFileError(f"{source}: {what}")
    return found


def broken_link(path: str) -> str:
    """Return the words for a link that leads to no file."""
    return f"a broken link to {os.readlink(path)}"


def _cloned(source: str, target: str, before: os.stat_result) -> bool:
    """Make ``target`` a clone of ``source``; return False if that is not possible."""
    pair = (before.st_dev, target[: target.rfind("/")])
    if not _clones.get(pair, True):
        return False
    if len(_clones) >= _CLONES_MAX:
        _clones.clear()
    with open(source, "rb") as given:
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        try:
            fcntl.ioctl(made, _FICLONE, given.fileno())
        except OSError:
            _clones[pair] = False
            os.unlink(target)
            return False
        finally:
            os.close(made)
    _clones[pair] = True
    return True


def _linked(target: str, number: int, before: os.stat_result) -> Held:
    after = os.stat(target)
    is_same = (after.st_ino, after.st_size, after.st_mtime_ns) == (
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    )
    ctime_ns = before.st_ctime_ns if is_same else 0  # Else it was replaced just now.
    return Held(
        number,
        after.st_size,
        after.st_mtime_ns,
        after.st_dev,
        after.st_ino,
        ctime_ns,
        after.st_ctime_ns,
    )


def _noted(source: str, target: str, number: int, before: os.stat_result) -> Held:
    """Copy, again if the source changes meanwhile; return the facts to note."""
    for _ in range(_ATTEMPTS_MAX):
        after = os.stat(source)
        if _marks(after) == _marks(before) and os.stat(target).st_size == before.st_size:
            return Held(
                number,
                before.st_size,
                before.st_mtime_ns,
                before.st_dev,
                before.st_ino,
                before.st_ctime_ns,
            )
        before = after
        shutil.copyfile(source, target)
    raise ArtifactFileError(
        f"{source}: another process writes this file; add it when it is complete, or write "
        "it under another name and rename it"
    )


def _marks(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
