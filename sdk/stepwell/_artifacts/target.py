"""The target folder of a download: no link below it is followed.

Each folder on the path of a file is opened from its parent, without following links. So a link that
someone makes before or during the download cannot lead a file out of the folder. The folder itself,
and those above it, are the caller's choice and may be links.

Files grow as parts in a separate folder and get their names when they are complete:

    <root>/.stepwell-parts/<digest>     grows; locked by the process that fetches it
    <root>/<path of the manifest>
"""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

from stepwell.errors import DownloadError

_PARTS: Final = ".stepwell-parts"
_NO_LOCKS: Final = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)
_POLL_SECONDS: Final = 0.05
_TRIES: Final = 100
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not to wait for a writer, should it be a pipe.
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class StoppedError(DownloadError):
    """Another file of the download failed, so this one is given up."""

    def __init__(self) -> None:
        super().__init__("the download was stopped")


class Target:
    """A folder, made if needed. Threads may share it."""

    def __init__(self, root: str, paths: Collection[str] = (), *, creates: bool = True) -> None:
        """
        Args:
            paths: those of the manifest; the folder of parts gets another name.

        Raises:
            DownloadError: The folder does not exist and cannot be made.
        """
        self.root = root
        try:
            if creates:
                os.makedirs(root, exist_ok=True)
            self._number = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise DownloadError(f"{root}: {error.strerror}; name another folder") from error
        taken = {path.partition("/")[0] for path in paths}
        self.parts_name = _PARTS
        while self.parts_name in taken:
            self.parts_name += "_"

    def close(self) -> None:
        with contextlib.suppress(OSError):  # Others may use the folder of parts.
            os.rmdir(self.parts_name, dir_fd=self._number)
        os.close(self._number)

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def where(self, path: str) -> str:
        """Return the whole path of a file."""
        return os.path.join(self.root, path)

    @contextmanager
    def opened(self, path: str) -> Iterator[int | None]:
        """Yield a descriptor to read a file from, None if it does not exist.

        Raises:
            DownloadError: A link is in the path, or the name is not that of a file.
        """
        with self._folder_of(path, creates=False) as folder:
            number = None if folder is None else self._open(folder, path)
        try:
            yield number
        finally:
            if number is not None:
                os.close(number)

    def place(self, part: str, path: str) -> None:
        """Rename a part to its file.

        Raises:
            DownloadError: The name is taken by something that is no file.
        """
        with self._folder_of(path, creates=True) as folder, self._parts() as parts:
            assert folder is not None
            name = path.rpartition("/")[2]
            self._check_name(folder, path)
            try:
                os.rename(part, name, src_dir_fd=parts, dst_dir_fd=folder)
            except OSError as error:
                raise DownloadError(f"{self.where(path)}: {error.strerror}") from error

    def remove(self, path: str) -> None:
        """Delete a file or a link, if it is there.

        Raises:
            DownloadError: A link is in the path, or it cannot be deleted.
        """
        with self._folder_of(path, creates=False) as folder:
            if folder is None:
                return
            try:
                os.unlink(path.rpartition("/")[2], dir_fd=folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise DownloadError(f"{self.where(path)}: {error.strerror}") from error

    @contextmanager
    def part(
        self, digest: str, is_stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[str, int] | None]:
        """Yield name and descriptor of the part for this blob, for this process alone.

        None if another process had it meanwhile: its file may be in place now. An unfinished part
        is continued at the next attempt.
        """
        name, number = self._open_part(digest)
        is_own = True
        try:
            while True:
                try:
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if is_stopped():
                        raise StoppedError from None
                    time.sleep(_POLL_SECONDS)
                except OSError as error:
                    if error.errno not in _NO_LOCKS:
                        raise
                    # A file system without locks: a separate part, which is not continued later.
                    own = self._open_part(f"{digest}.{secrets.token_hex(8)}")
                    os.close(number)
                    self.drop_part(name)
                    name, number = own
                    break
            is_own = self._is_still(name, number)
            yield (name, number) if is_own else None
        finally:
            if is_own and name != digest:
                self.drop_part(name)
            os.close(number)

    def drop_part(self, name: str) -> None:
        with contextlib.suppress(OSError), self._parts() as parts:
            os.unlink(name, dir_fd=parts)

    # ------------------------------------------------------------------ folders

    @contextmanager
    def _folder_of(self, path: str, *, creates: bool) -> Iterator[int | None]:
        *folders, _ = path.split("/")
        number = os.dup(self._number)
        try:
            for depth, name in enumerate(folders, 1):
                inner = self._step(number, name, "/".join(folders[:depth]), creates=creates)
                if inner is None:
                    yield None
                    return
                os.close(number)
                number = inner
            yield number
        finally:
            os.close(number)

    def _step(self, folder: int, name: str, path: str, *, creates: bool) -> int | None:
        for _ in range(_TRIES):
            try:
                return os.open(name, _FOLDER_FLAGS, dir_fd=folder)
            except FileNotFoundError:
                if not creates:
                    return None
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.ELOOP):
                    raise self._in_the_way(folder, name, path, "a folder") from None
                raise DownloadError(f"{self.where(path)}: {error.strerror}") from error
        raise DownloadError(
            f"{self.where(path)}: another process deletes this folder; stop it, or download into "
            "another folder"
        )

    def _open(self, folder: int, path: str) -> int | None:
        name = path.rpartition("/")[2]
        try:
            number = os.open(name, _READ_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise self._in_the_way(folder, name, path, "a file") from None
            raise DownloadError(f"{self.where(path)}: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise self._in_the_way(folder, name, path, "a file")
        return number

    def _check_name(self, folder: int, path: str) -> None:
        """Refuse to replace anything but a file."""
        name = path.rpartition("/")[2]
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise self._in_the_way(folder, name, path, "a file")

    def _in_the_way(self, folder: int, name: str, path: str, wanted: str) -> DownloadError:
        kind = "something else"
        with contextlib.suppress(OSError):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            kind = (
                "a link, which may lead out of the folder"
                if stat.S_ISLNK(mode)
                else "a folder"
                if stat.S_ISDIR(mode)
                else "a file"
                if stat.S_ISREG(mode)
                else "a device, pipe or socket"
            )
        return DownloadError(
            f"{self.where(path)}: is {kind}, expected {wanted}; move it away, or download "
            "into another folder"
        )

    # ------------------------------------------------------------------ parts

    @contextmanager
    def _parts(self) -> Iterator[int]:
        number = self._step(self._number, self.parts_name, self.parts_name, creates=True)
        assert number is not None
        try:
            yield number
        finally:
            os.close(number)

    def _open_part(self, name: str) -> tuple[str, int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        for _ in range(_TRIES):
            with self._parts() as parts:
                try:
                    number = os.open(name, flags, 0o666, dir_fd=parts)
                except FileNotFoundError:
                    continue  # Another process removed the folder of parts, as it was empty.
                except OSError as error:
                    if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                        raise DownloadError(f"{self.root}: {error.strerror}") from error
                    where = f"{self.parts_name}/{name}"
                    raise self._in_the_way(parts, name, where, "a part of a file") from None
                found = os.fstat(number)
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                    return name, number
                os.close(number)
                # A hard link of another file, or already removed: do not write into it.
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=parts)
        raise DownloadError(
            f"{self.where(self.parts_name)}: another process deletes files in this folder; stop "
            "it, or download into another folder"
        )

    def _is_still(self, name: str, number: int) -> bool:
        ours = os.fstat(number)
        try:
            with self._parts() as parts:
                found = os.stat(name, dir_fd=parts, follow_symlinks=False)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
