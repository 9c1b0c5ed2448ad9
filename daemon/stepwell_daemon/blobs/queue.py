"""The blob queue: staged files that the daemon has taken, on disk until their event is durable.

    <data>/blobs/waiting/<id>     a whole staged file, synced
    <data>/blobs/arriving/<id>    one that comes over the socket
    <data>/blobs/made/…           output of workers; emptied at a start of the daemon
    <data>/blobs/failed/<id>      files that could not be stored, the newest up to a bound

Taking is idempotent: it has no effect for a waiting id. All methods except the properties do I/O.
Methods that change files belong to one thread.
"""

import contextlib
import errno
import logging
import os
import shutil
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from stepwell_daemon import failpoints
from stepwell_daemon.errors import BlobRefusedError, BlobsWaitError
from stepwell_daemon.spool.disk import Disk
from stepwell_wire.drafts import key_of
from stepwell_wire.errors import StagedDamagedError
from stepwell_wire.files import open_regular
from stepwell_wire.folder import JournalFolder
from stepwell_wire.limits import STAGED_BYTES_MAX
from stepwell_wire.staged import PREFIX, StagedHeader, file_name, is_id, read_header

logger = logging.getLogger("stepwell_daemon")

Approve = Callable[[StagedHeader], None]

_FAILED_BYTES_MAX: Final = 256 << 20
_ARRIVING_SECONDS: Final = 7 * 86_400.0
_STALLED_SECONDS: Final = 3600.0
"""A received file that has not grown for this time is deleted if room is short; it is sent
again."""
_COPY_BYTES: Final = 1 << 20


class BlobQueue:
    """The files of the queue."""

    def __init__(
        self,
        folder: Path,
        *,
        bytes_max: int,
        free_bytes_min: int,
        disk: Disk | None = None,
    ) -> None:
        """
        Args:
            bytes_max: limit of all waiting files.
            free_bytes_min: space on the disk that is reserved for rows.
        """
        self._folder = folder
        self._waiting, self._arriving = folder / "waiting", folder / "arriving"
        self._made, self._failed = folder / "made", folder / "failed"
        self._bytes_max, self._free_bytes_min = bytes_max, free_bytes_min
        self._disk = disk or Disk()
        self._held: OrderedDict[str, int] = OrderedDict()
        self._bytes_held = 0

    def open(self) -> None:
        """Make the folders, remove leftovers of a kill, and load the waiting files, oldest
        first."""
        for each in (self._waiting, self._arriving, self._made, self._failed):
            each.mkdir(parents=True, exist_ok=True)
        for path in self._made.iterdir():
            path.unlink(missing_ok=True)
        self._forget_stalled(_ARRIVING_SECONDS)
        found = [(path.stat(), path.name) for path in self._waiting.iterdir()]
        found.sort(key=lambda each: (each[0].st_mtime_ns, each[1]))
        self._held, self._bytes_held = OrderedDict(), 0
        for info, name in found:
            if is_id(name):
                self._hold(name, info.st_size)

    @property
    def ids(self) -> list[str]:
        return list(self._held)

    @property
    def count(self) -> int:
        return len(self._held)

    @property
    def bytes_held(self) -> int:
        return self._bytes_held

    @property
    def bytes_max(self) -> int:
        return self._bytes_max

    def failed(self) -> list[str]:
        """Return the ids of files that are kept because they were unusable."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(os.listdir(self._failed))
        return []

    def __contains__(self, blob_id: str) -> bool:
        return blob_id in self._held

    # ------------------------------------------------------------------ taking

    def check_room(self, size: int) -> None:
        """Raise BlobsWaitError if ``size`` more bytes do not fit now.

        Raises:
            BlobRefusedError: They do not even fit into an empty queue.
        """
        if size > self._bytes_max:
            raise BlobRefusedError(
                f"the blob has {size} bytes, more than blob_queue_bytes_max "
                f"({self._bytes_max}): raise it"
            )
        held = self.bytes_held + self._arriving_bytes()
        if held + size > self._bytes_max:
            self._forget_stalled(_STALLED_SECONDS)
            held = self.bytes_held + self._arriving_bytes()
        if held + size > self._bytes_max:
            raise BlobsWaitError(
                f"the blob queue holds {held} bytes, and {size} more exceed "
                f"blob_queue_bytes_max ({self._bytes_max}): raise it, or see `stepwell "
                "status` for the reason why blobs are not stored"
            )
        self._check_free(size)

    def _check_free(self, size: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if free - size < self._free_bytes_min:
            raise BlobsWaitError(
                f"{self._folder}: {free} bytes are free, and blob_free_bytes_min "
                f"({self._free_bytes_min}) reserves space for rows: free disk space"
            )

    def _arriving_bytes(self) -> int:
        with os.scandir(self._arriving) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)

    def _forget_stalled(self, seconds: float) -> None:
        """Remove received files that have not grown for ``seconds``."""
        oldest = time.time() - seconds
        for path in self._arriving.iterdir():
            if path.lstat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def take(
        self, folder: JournalFolder, blob_id: str, *, approve: Approve, keep: bool = False
    ) -> StagedHeader:
        """Take a staged file out of an open journal's folder; return its header.

        Args:
            keep: leave the file there.

        Raises:
            BlobRefusedError: ``approve`` refuses it.
            FileNotFoundError: It is not there.
            BlobsWaitError: There is no room now.
            StagedDamagedError: It is not a complete staged file; it is kept in ``failed``.
            OSError: It cannot be read or moved.
        """
        name = file_name(blob_id)
        descriptor = folder.open(name, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            if size > STAGED_BYTES_MAX:
                raise BlobRefusedError(
                    f"{folder.path / name}: {size} bytes; the maximum is {STAGED_BYTES_MAX}"
                )
            self.check_room(size)
            try:
                header = self._checked(descriptor, blob_id, str(folder.path / name))
            except StagedDamagedError:
                self._keep_damaged(folder, name, descriptor, size, stays=keep)
                raise
            approve(header)

            def check(copy: int) -> None:
                """Compare the copy with the approved file: an owner can write meanwhile."""
                if read_header(copy, str(folder.path / name)) != header:
                    raise StagedDamagedError(str(folder.path / name), "its header changed")

            target = self._waiting / blob_id
            try:
                if keep:
                    self._copy(descriptor, size, target, check)
                    self._disk.sync_folder(self._waiting)
                else:
                    self._move(folder, name, descriptor, size, target, check)
            except StagedDamagedError as error:
                raise BlobRefusedError(
                    f"it was changed while the daemon read it: {error}"
                ) from error
        finally:
            os.close(descriptor)
        self._hold(blob_id, size)
        failpoints.hit("blob.taken")
        return header

    def _checked(self, descriptor: int, blob_id: str, where: str) -> StagedHeader:
        header = read_header(descriptor, where)
        if header.id != blob_id:
            raise StagedDamagedError(where, f"its header has the id {header.id}")
        return header

    def _keep_damaged(
        self, folder: JournalFolder, name: str, descriptor: int, size: int, *, stays: bool
    ) -> None:
        target = self._failed / name.removeprefix(PREFIX)
        if stays:
            self._copy(descriptor, size, target)
        else:
            self._move(folder, name, descriptor, size, target)
        self._bound_failed()

    def _move(
        self,
        folder: JournalFolder,
        name: str,
        descriptor: int,
        size: int,
        target: Path,
        check: Callable[[int], None] = lambda copy: None,
    ) -> None:
        """Make the open file ``name`` durable as ``target``, and remove it from its folder if that
        is possible.

        Args:
            check: called with the descriptor of a copy, if one has to be made.
        """
        if not self._renamed(folder, name, descriptor, target):
            self._copy(descriptor, size, target, check)
            with contextlib.suppress(OSError):
                folder.unlink(name)
        self._disk.sync_folder(target.parent)

    def _renamed(self, folder: JournalFolder, name: str, descriptor: int, target: Path) -> bool:
        """Rename the open file to ``target``; return False if it has to be copied.

        A file of another user is copied: a worker has no right to read it, and its owner could
        change it here.
        """
        if os.fstat(descriptor).st_uid != os.geteuid():
            return False
        os.fsync(descriptor)
        try:
            os.rename(name, target, src_dir_fd=folder.descriptor)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS):
                raise
            return False
        if not os.path.samestat(os.lstat(target), os.fstat(descriptor)):
            target.unlink(missing_ok=True)  # Another file was put in its place meanwhile.
            raise BlobRefusedError(f"{folder.path / name} was replaced while the daemon read it")
        return True

    def _copy(
        self,
        descriptor: int,
        size: int,
        target: Path,
        check: Callable[[int], None] = lambda copy: None,
    ) -> None:
        """Make the first ``size`` bytes durable as ``target``; the file may grow meanwhile."""
        scratch = self._arriving / f"{target.name}.copy"
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        made = os.open(scratch, flags, 0o640)
        try:
            offset = 0
            while data := os.pread(descriptor, min(_COPY_BYTES, size - offset), offset):
                offset += _write_whole(made, data)
            check(made)
            os.fsync(made)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
        finally:
            os.close(made)
        scratch.rename(target)

    def _hold(self, blob_id: str, size: int) -> None:
        self._bytes_held += size - self._held.get(blob_id, 0)
        self._held[blob_id] = size

    # ------------------------------------------------------------------ over the socket

    def arrived_bytes(self, name: str) -> int:
        """Return the number of bytes of ``name`` that were received over the socket."""
        try:
            return (self._arriving / name).stat().st_size
        except FileNotFoundError:
            return 0

    def receive(self, name: str, size: int, offset: int, data: bytes, crc32: int) -> None:
        """Append a chunk of a file of ``size`` bytes.

        Raises:
            BlobRefusedError: Its offset is not the end of the received bytes, or it is damaged.
            BlobsWaitError: There is no room now, or the file must be sent again from the start.
        """
        if offset == 0:
            self.check_room(size)
        self._check_free(len(data))
        if zlib.crc32(data) != crc32:
            raise BlobRefusedError(f"a chunk of {name} at {offset} does not match its checksum")
        path = self._arriving / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o640)
        try:
            here = os.fstat(descriptor).st_size
            if here > size:  # Another file was sent under its name.
                path.unlink(missing_ok=True)
                raise BlobsWaitError(
                    f"{here} bytes were received, more than the {size} of the file; send it "
                    "again from the start"
                )
            if offset != here:
                raise BlobRefusedError(
                    f"a chunk of {name} at offset {offset}, but {here} bytes were received"
                )
            if offset + len(data) > size:
                raise BlobRefusedError(f"a chunk of {name} goes beyond its {size} bytes")
            os.lseek(descriptor, here, os.SEEK_SET)
            _write_whole(descriptor, data)
        finally:
            os.close(descriptor)

    def arriving_path(self, name: str) -> Path:
        return self._arriving / name

    def forget_arriving(self, name: str) -> None:
        (self._arriving / name).unlink(missing_ok=True)

    def accept(self, blob_id: str, *, approve: Approve) -> StagedHeader:
        """Take a file that was received completely over the socket; return its header.

        Raises:
            BlobRefusedError: ``approve`` refuses it.
            StagedDamagedError: It is not a complete staged file; it is removed, and must be sent
                again.
        """
        path = self._arriving / blob_id
        descriptor = open_regular(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            try:
                header = self._checked(descriptor, blob_id, str(path))
                approve(header)
            except (StagedDamagedError, BlobRefusedError):
                path.unlink(missing_ok=True)
                raise
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        path.rename(self._waiting / blob_id)
        self._disk.sync_folder(self._waiting)
        self._hold(blob_id, size)
        failpoints.hit("blob.taken")
        return header

    # ------------------------------------------------------------------ working off

    def path(self, blob_id: str) -> Path:
        return self._waiting / blob_id

    def scratch_path(self, blob_id: str) -> Path:
        """Return the path at which a worker may write its output for a blob."""
        return self._made / blob_id

    def header(self, blob_id: str) -> StagedHeader:
        """Return the header of a waiting blob.

        Raises:
            StagedDamagedError: The file was damaged since it was taken.
            OSError: It cannot be read.
        """
        path = self._waiting / blob_id
        descriptor = open_regular(path, os.O_RDONLY)
        try:
            return self._checked(descriptor, blob_id, str(path))
        finally:
            os.close(descriptor)

    def put_behind(self, blob_id: str) -> None:
        """Move a blob to the end of the queue; a worker's output for it is removed."""
        (self._made / blob_id).unlink(missing_ok=True)
        if blob_id in self._held:
            self._held.move_to_end(blob_id)

    def remove(self, blob_id: str, *, keep: bool = False) -> None:
        """Remove a finished blob.

        Args:
            keep: keep it in ``failed``, for inspection.
        """
        if keep:
            with contextlib.suppress(FileNotFoundError):
                (self._waiting / blob_id).rename(self._failed / blob_id)
            self._bound_failed()
        else:
            (self._waiting / blob_id).unlink(missing_ok=True)
        (self._made / blob_id).unlink(missing_ok=True)
        self._bytes_held -= self._held.pop(blob_id, 0)

    def _bound_failed(self) -> None:
        """Remove the oldest failed files beyond the bound."""
        found = [(path.stat(), path) for path in self._failed.iterdir()]
        found.sort(key=lambda each: each[0].st_mtime_ns, reverse=True)
        held = 0
        for info, path in found:
            held += info.st_size
            if held > _FAILED_BYTES_MAX:
                path.unlink(missing_ok=True)


def staged_names(folder: JournalFolder) -> Iterator[str]:
    """Yield the ids of complete staged files and the names of drafts in an open folder, oldest
    first."""
    from stepwell_wire.staged import id_of

    found = []
    for name in folder.names():
        staged = name if key_of(name) is not None else id_of(name)
        if staged is not None:
            with contextlib.suppress(FileNotFoundError):
                info = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
                found.append((info.st_mtime_ns, staged))
    for _, blob_id in sorted(found):
        yield blob_id


def _write_whole(descriptor: int, data: bytes) -> int:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    return len(data)
