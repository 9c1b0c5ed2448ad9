"""Every system call of the spool, so that tests can make each of them fail."""

import errno
import os
from pathlib import Path

from stepwell_daemon import failpoints

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


class Disk:
    """The real disk. A test passes a subclass that fails at chosen calls."""

    def create(self, path: Path, size: int) -> int:
        """Create ``path`` with ``size`` bytes of reserved zeros and return its descriptor.

        Space is reserved so that a full disk fails here and not in the middle of a record.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
        try:
            if size:
                os.posix_fallocate(descriptor, 0, size)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                text = f"{error.strerror}: a new file needs {size:,} bytes"
                raise OSError(error.errno, text, str(path)) from error
            raise
        return descriptor

    def open_to_read(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def open_to_write(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def write(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
        """Write all of ``data`` at ``offset``."""
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            offset += written
            view = view[written:]

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """Return up to ``size`` bytes at ``offset``; fewer only at the end of the file."""
        data = os.pread(descriptor, size, offset)
        if len(data) == size or not data:
            return data
        pieces = [data]
        held = len(data)
        while held < size and (more := os.pread(descriptor, size - held, offset + held)):
            pieces.append(more)
            held += len(more)
        return b"".join(pieces)

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def make_folder(self, folder: Path) -> None:
        """Make ``folder`` and its missing parents durably; do nothing if it exists."""
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        self.sync_folder(folder.parent)

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_file(disk: Disk, path: Path, content: bytes) -> None:
    """Replace the content of ``path`` durably; after a crash it has the old or the new content."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = disk.create(temporary, 0)
    try:
        failpoints.hit("file.created")
        disk.write(descriptor, content, 0)
        failpoints.hit("file.written")
        disk.sync(descriptor)
        failpoints.hit("file.synced")
    finally:
        disk.close(descriptor)
    disk.rename(temporary, path)
    failpoints.hit("file.renamed")
    disk.sync_folder(path.parent)


def write_halting(disk: Disk, descriptor: int, data: bytes, offset: int, point: str) -> None:
    """Write all of ``data``; the fail-point ``point`` is after the first half."""
    if failpoints.is_armed(point):
        disk.write(descriptor, data[: len(data) // 2], offset)
        failpoints.hit(point)
    disk.write(descriptor, data, offset)
