"""The shelf: drafts that the daemon has taken, on disk until their version is made.

    <data>/artifacts/waiting/<key>/     a draft, as its writer left it (`stepwell_wire.drafts`)
    <data>/artifacts/arriving/<key>/    one that is being copied or comes over the socket
    <data>/artifacts/done/              the outcomes (`outcomes`)

Taking is idempotent: it has no effect for a key that waits or is done. All methods except the
properties do I/O. Methods that change files belong to one thread.
"""

import contextlib
import errno
import logging
import os
import shutil
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from stepwell_daemon import failpoints
from stepwell_daemon.artifacts.draft_files import (
    check_file_name,
    copy_file,
    read_draft,
    read_draft_at,
    set_times,
    sync,
    write_whole,
)
from stepwell_daemon.artifacts.outcomes import Outcomes
from stepwell_daemon.errors import BlobRefusedError, BlobsWaitError
from stepwell_wire.drafts import DRAFT_FILE, ENTRIES_FILE, Draft, folder_name, is_key
from stepwell_wire.errors import DraftError
from stepwell_wire.files import open_regular
from stepwell_wire.folder import JournalFolder

logger = logging.getLogger("stepwell_daemon")

_ARRIVING_SECONDS: Final = 7 * 86_400.0
_CANNOT_RENAME: Final = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS)

Approve = Callable[[Draft], None]


class Shelf:
    """The drafts of one daemon.

    Attributes:
        outcomes: the outcomes of finished and refused drafts.
        unread: waiting drafts that cannot be read, and why; not in ``keys``.
    """

    def __init__(self, folder: Path, *, free_bytes_min: int) -> None:
        """
        Args:
            free_bytes_min: space on the disk that is reserved for rows.
        """
        self.folder = folder
        self._waiting, self._arriving = folder / "waiting", folder / "arriving"
        self.outcomes = Outcomes(folder / "done")
        self._free_bytes_min = free_bytes_min
        self._drafts: OrderedDict[str, Draft] = OrderedDict()
        self.unread: dict[str, str] = {}

    def open(self) -> None:
        """Make the folders, remove old files, and load the waiting drafts, oldest first.

        Raises:
            OSError: A folder cannot be made or read.
        """
        for each in (self._waiting, self._arriving):
            each.mkdir(parents=True, exist_ok=True)
        self._remove_old()
        self.outcomes.open()
        found = [
            (path.stat().st_mtime_ns, path.name)
            for path in self._waiting.iterdir()
            if is_key(path.name)
        ]
        for _, key in sorted(found):
            self._find(key)

    def find_unread(self) -> None:
        """Read again the drafts that could not be read."""
        for key in list(self.unread):
            self._find(key)

    def _find(self, key: str) -> None:
        """Queue a draft that is in its place; an invalid one is noted as failed."""
        try:
            try:
                self._drafts[key] = read_draft(self._waiting / key)
            except DraftError as error:
                self.finish(key, {"state": "failed", "reason": str(error)})
                self.remove(key)
        except OSError as error:
            self.unread[key] = f"{self._waiting / key}: {error.strerror or error}"
            logger.warning("reading a draft failed, skipping it: %s", self.unread[key])
        else:
            self.unread.pop(key, None)

    @property
    def keys(self) -> list[str]:
        """The waiting drafts, oldest first."""
        return list(self._drafts)

    def __contains__(self, key: str) -> bool:
        return key in self._drafts or key in self.unread

    def has_taken(self, key: str) -> bool:
        """Return whether a draft waits or is done; a refused draft may be offered again."""
        if key in self:
            return True
        outcome = self.outcomes.find(key)
        return outcome is not None and not outcome.get("refused")

    def draft(self, key: str) -> Draft:
        return self._drafts[key]

    def find(self, key: str) -> Draft | None:
        """Return a waiting draft, or None."""
        return self._drafts.get(key)

    def path(self, key: str) -> Path:
        """Return the folder of a waiting draft."""
        return self._waiting / key

    # ------------------------------------------------------------------ taking

    def take(
        self, folder: JournalFolder, key: str, *, approve: Approve, keep: bool = False
    ) -> None:
        """Take a draft out of an open journal's folder.

        Args:
            keep: leave the draft there.

        Raises:
            BlobRefusedError: ``approve`` refuses it, or it is not a draft.
            FileNotFoundError: It is not there.
            BlobsWaitError: It cannot be moved now.
            OSError: It cannot be read.
        """
        if self.has_taken(key):
            return
        name = folder_name(key)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=folder.descriptor)
        try:
            owner = os.fstat(descriptor).st_uid
            if owner != folder.owner:
                raise BlobRefusedError(
                    f"{folder.path / name}: its owner is user {owner}, the owner of the "
                    f"journal is user {folder.owner}; change the owner of one of them"
                )
            try:
                draft = read_draft_at(descriptor, key)
            except DraftError as error:
                raise BlobRefusedError(f"{folder.path / name}: {error}") from error
            approve(draft)
            self.outcomes.forget(key)
            try:
                is_moved = owner == os.geteuid() and not keep and self._renamed(folder, key)
                if not is_moved:
                    self._copy(descriptor, key)
            except OSError as error:
                raise BlobsWaitError(
                    f"{folder.path / name}: {error.filename or ''}: {error.strerror or error}"
                ) from error
            try:
                self._settle(key, self._waiting if is_moved else self._arriving, approve)
            # The owner wrote to it meanwhile.
            except (DraftError, BlobRefusedError, OSError) as error:
                self._undo(folder, key, is_moved=is_moved)
                what = f"{folder.path / name}: {error}"
                kind = BlobsWaitError if isinstance(error, OSError) else BlobRefusedError
                raise kind(what) from error
            if not keep and not is_moved:
                shutil.rmtree(name, ignore_errors=True, dir_fd=folder.descriptor)
        finally:
            os.close(descriptor)

    def _renamed(self, folder: JournalFolder, key: str) -> bool:
        """Rename a draft into ``waiting``; return False if it has to be copied."""
        try:
            os.rename(folder_name(key), self._waiting / key, src_dir_fd=folder.descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_RENAME:
                raise
            return False
        return True

    def _undo(self, folder: JournalFolder, key: str, *, is_moved: bool) -> None:
        """Put a renamed draft back, or remove its copy: it is not taken."""
        if not is_moved:
            for parent in (self._arriving, self._waiting):
                shutil.rmtree(parent / key, ignore_errors=True)
            return
        try:
            os.rename(self._waiting / key, folder_name(key), dst_dir_fd=folder.descriptor)
        except OSError as error:
            logger.warning("%s: moving a draft back failed: %s", self._waiting / key, error)

    def _copy(self, descriptor: int, key: str) -> None:
        """Copy a draft into ``arriving``: the regular files of its folder, links not followed."""
        target = self._arriving / key
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for name in os.listdir(descriptor):
            source = open_regular(name, os.O_RDONLY, folder=descriptor)
            try:
                size = os.fstat(source).st_size
                self.check_room(size)
                copy_file(source, size, target / name)
            finally:
                os.close(source)

    def _settle(self, key: str, parent: Path, approve: Approve) -> None:
        """Make a complete draft in ``parent`` durable, and queue it.

        The held files are not synced here: the worker detects truncated ones.
        """
        arrived = parent / key
        draft = read_draft(arrived)
        approve(draft)  # In a copy: its owner may have written meanwhile.
        for name in (ENTRIES_FILE, DRAFT_FILE):
            with contextlib.suppress(FileNotFoundError):
                sync(arrived / name)
        sync(arrived)
        os.utime(arrived)
        if parent != self._waiting:
            # From an attempt that failed here.
            shutil.rmtree(self._waiting / key, ignore_errors=True)
            os.rename(arrived, self._waiting / key)
        sync(self._waiting)
        self._drafts[key] = draft
        failpoints.hit("artifact.taken")

    def check_room(self, size: int) -> None:
        """Raise BlobsWaitError if ``size`` more bytes leave too little space for rows."""
        free = shutil.disk_usage(self.folder).free
        if free - size < self._free_bytes_min:
            raise BlobsWaitError(
                f"{self.folder}: {free} bytes are free, and blob_free_bytes_min "
                f"({self._free_bytes_min}) reserves space for rows: free disk space"
            )

    # ------------------------------------------------------------------ over the socket

    def receive(self, key: str, name: str, size: int, offset: int, data: bytes, crc32: int) -> None:
        """Append a chunk of the file ``name`` of a draft.

        Raises:
            BlobRefusedError: It is damaged, or not a file of a draft.
            BlobsWaitError: There is no room, or the offset is not the end of the received bytes.
        """
        if self.has_taken(key):
            return
        check_file_name(name)
        if zlib.crc32(data) != crc32:
            raise BlobRefusedError(f"a chunk of {name} at {offset} does not match its checksum")
        self.check_room(len(data))
        folder = self._arriving / key
        folder.mkdir(exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(folder / name, flags, 0o640)
        try:
            here = os.fstat(descriptor).st_size
            if not data:
                return
            if here != offset or offset + len(data) > size:
                raise BlobsWaitError(
                    f"a chunk of {name} at offset {offset}, but {here} bytes were received"
                )
            os.lseek(descriptor, offset, os.SEEK_SET)
            write_whole(descriptor, data)
        finally:
            os.close(descriptor)

    def arrived_bytes(self, key: str, name: str) -> int | None:
        """Return the number of received bytes of a file, None if the whole draft was taken before.

        Raises:
            BlobRefusedError: No draft has a file of that name.
        """
        if self.has_taken(key):
            return None
        check_file_name(name)
        try:
            return (self._arriving / key / name).stat().st_size
        except FileNotFoundError:
            return 0

    def accept(self, key: str, *, approve: Approve) -> None:
        """Take a draft when all of its files were received.

        Raises:
            BlobRefusedError: It is not a draft, or ``approve`` refuses it.
        """
        if self.has_taken(key):
            return
        arrived = self._arriving / key
        try:
            try:
                approve(read_draft(arrived))
            except FileNotFoundError:
                raise DraftError(DRAFT_FILE, "is missing") from None
            set_times(arrived)
            self.outcomes.forget(key)
            for path in arrived.iterdir():
                sync(path)
            self._settle(key, self._arriving, approve)
        except (DraftError, BlobRefusedError) as error:
            shutil.rmtree(arrived, ignore_errors=True)
            raise BlobRefusedError(str(error)) from error

    # ------------------------------------------------------------------ outcomes

    def finish(self, key: str, outcome: dict[str, Any]) -> None:
        """Note the outcome of a draft durably; the draft waits until it is removed."""
        self.outcomes.note(key, self._drafts.get(key), outcome)
        failpoints.hit("artifact.noted")

    def refuse(self, key: str, reason: str) -> None:
        """Note that a draft is refused; callers that wait for its version get this answer.

        If a corrected offer is taken later, the refusal is removed.
        """
        if is_key(key) and not self.has_taken(key):
            known = self.outcomes.find(key)
            if known is None or known["reason"] != reason:
                self.finish(key, {"state": "failed", "reason": reason, "refused": True})

    def remove(self, key: str) -> None:
        """Remove a finished draft."""
        shutil.rmtree(self._waiting / key, ignore_errors=True)
        self._drafts.pop(key, None)

    def _remove_old(self) -> None:
        now = time.time()
        for path in self._arriving.iterdir():
            if now - path.stat().st_mtime > _ARRIVING_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
