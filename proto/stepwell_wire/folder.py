"""A journal's folder, held by a descriptor: all files are opened, renamed and removed inside it.

The owner of a folder can put a symbolic link or another folder in its place at any moment. That
must not lead a reader with more rights than the owner to other files. So this module follows no
link, and a file must belong to the folder's owner: an owner cannot link another user's file into
the folder and have it read.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path

from stepwell_wire.files import open_regular


class JournalFolder:
    """An open folder.

    Attributes:
        path: where it was found.
        descriptor: the open folder, -1 once closed.
        owner: the user id that owns it.
        mode: its permission bits.

    Raises:
        OSError: The folder is missing, is a symbolic link, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.descriptor = os.open(
                path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            )
        except NotADirectoryError as error:
            if os.path.islink(path):
                why = "a symbolic link; name the folder itself"
                raise OSError(errno.ELOOP, why, os.fspath(path)) from error
            raise
        info = os.fstat(self.descriptor)
        self.owner, self.mode = info.st_uid, stat.S_IMODE(info.st_mode)

    def real_path(self) -> Path:
        """Return the folder's path as the kernel reports it, without symbolic links."""
        try:
            return Path(os.readlink(f"/proc/self/fd/{self.descriptor}"))
        except OSError:
            return Path(os.path.realpath(self.path))

    def names(self) -> list[str]:
        """Return the names in the folder; none once it was removed."""
        return os.listdir(self.descriptor)

    def open(self, name: str, flags: int) -> int:
        """Open the owner's regular file ``name`` and return its descriptor.

        Raises:
            OSError: It cannot be opened, is not a regular file or belongs to another user.
        """
        descriptor = open_regular(name, flags, folder=self.descriptor)
        owner = os.fstat(descriptor).st_uid
        if owner != self.owner:
            os.close(descriptor)
            why = (
                f"owner is uid {owner}, expected uid {self.owner} as of its folder; move the "
                "file away, or chown folder and file to one user"
            )
            raise OSError(errno.EPERM, why, name)
        return descriptor

    def open_lock(self, name: str) -> int:
        """Open the file ``name`` to lock it; create it if it is missing.

        It may belong to any user: nothing is read from it or written to it.

        Raises:
            OSError: It cannot be opened or created.
        """
        with contextlib.suppress(FileNotFoundError):
            return open_regular(name, os.O_RDWR, folder=self.descriptor)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, 0o660, dir_fd=self.descriptor)
        except FileExistsError:  # Another process was faster.
            return open_regular(name, os.O_RDWR, folder=self.descriptor)
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, self.owner, -1)
        return descriptor

    def size_of(self, name: str) -> int:
        """Return the size of ``name`` in bytes, following no link."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_size

    def rename(self, name: str, target: str) -> None:
        os.rename(name, target, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def remove(self, *, last: str) -> None:
        """Remove the folder and its content as far as possible, the file ``last`` at the end.

        First the folder is renamed with a leading dot: the rest after a kill is not a journal.
        """
        import shutil  # Here: training processes import this file but never call this.

        with contextlib.suppress(OSError):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            parent = os.open("..", flags, dir_fd=self.descriptor)
            try:
                own_name = self._hide(parent)
                for name in sorted(self.names(), key=lambda each: (each == last, each)):
                    try:
                        self.unlink(name)
                    except IsADirectoryError:
                        shutil.rmtree(name, ignore_errors=True, dir_fd=self.descriptor)
                os.rmdir(own_name, dir_fd=parent)  # Fails unless the folder is empty.
            finally:
                os.close(parent)

    def _hide(self, parent: int) -> str:
        """Rename the folder if possible; return its name in ``parent``."""
        name = self.path.name
        hidden = f".{name}"
        with contextlib.suppress(OSError):
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not name.startswith(".") and os.path.samestat(found, os.fstat(self.descriptor)):
                os.rename(name, hidden, src_dir_fd=parent, dst_dir_fd=parent)
                return hidden
        return name

    def close(self) -> None:
        """Close the descriptor; safe to call twice."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
