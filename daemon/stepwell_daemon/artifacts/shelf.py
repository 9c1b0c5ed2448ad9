"""The shelf: drafts that are the daemon's now, on disk until their version is made.

    <data>/artifacts/waiting/<key>/     a draft, as its writer left it (`stepwell_wire.drafts`)
    <data>/artifacts/arriving/<key>/    one that is being copied or comes over the socket
    <data>/artifacts/done/<key>.json    what became of it; the newest are kept for a week

Taking is idempotent: a key that waits or is done is taken. All methods but the properties do I/O;
those that change something belong to one thread.
"""

import contextlib
import errno
import json
import logging
import os
import shutil
import stat
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from stepwell_daemon import failpoints
from stepwell_daemon.errors import BlobRefusedError, BlobsWaitError
from stepwell_wire.drafts import (
    DRAFT_BYTES_MAX,
    DRAFT_FILE,
    ENTRIES_BYTES_MAX,
    ENTRIES_FILE,
    Draft,
    Held,
    folder_name,
    is_key,
    parse_draft,
    parse_entries,
)
from stepwell_wire.errors import DraftError
from stepwell_wire.files import open_regular
from stepwell_wire.folder import JournalFolder

logger = logging.getLogger("stepwell_daemon")

_DONE_SECONDS: Final = 7 * 86_400.0
_DONE_MAX: Final = 10_000
_REMOVE_EVERY: Final = 1000
"""After so many outcomes the old ones are removed."""
_FAILURES_MAX: Final = 20
_ARRIVING_SECONDS: Final = 7 * 86_400.0
_COPY_BYTES: Final = 1 << 20
_NO_FILE: Final = (errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.EISDIR)
"""A link, a pipe or a folder in place of a file: the content is wrong, not the disk."""
_CANNOT_RENAME: Final = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS)

Approve = Callable[[Draft], None]


class Shelf:
    """The drafts of one daemon.

    Attributes:
        unread: drafts that wait and that the disk does not let be read, and why; not in ``keys``.
    """

    def __init__(self, folder: Path, *, free_bytes_min: int) -> None:
        """
        Args:
            free_bytes_min: what stays free on the disk for rows.
        """
        self.folder = folder
        self._waiting, self._arriving = folder / "waiting", folder / "arriving"
        self._done = folder / "done"
        self._free_bytes_min = free_bytes_min
        self._drafts: OrderedDict[str, Draft] = OrderedDict()
        self._failures: list[dict[str, Any]] = []
        self._finished = 0
        self.unread: dict[str, str] = {}

    def open(self) -> None:
        """Make the folders, remove what is old, and find what waits, oldest first.

        Raises:
            OSError: A folder cannot be made or read.
        """
        for each in (self._waiting, self._arriving, self._done):
            each.mkdir(parents=True, exist_ok=True)
        self._remove_old()
        self._find_failures()
        found = [
            (path.stat().st_mtime_ns, path.name)
            for path in self._waiting.iterdir()
            if is_key(path.name)
        ]
        for _, key in sorted(found):
            self._find(key)

    def find_unread(self) -> None:
        """Try once more what could not be read."""
        for key in list(self.unread):
            self._find(key)

    def _find(self, key: str) -> None:
        """Let a draft that lies in its place wait for its turn; a broken one has failed."""
        try:
            try:
                self._drafts[key] = self._read(self._waiting / key)
            except DraftError as error:
                self.finish(key, {"state": "failed", "reason": str(error)})
                self.remove(key)
        except OSError as error:
            self.unread[key] = f"{self._waiting / key}: {error.strerror or error}"
            logger.warning("a draft cannot be read now, it is left: %s", self.unread[key])
        else:
            self.unread.pop(key, None)

    @property
    def keys(self) -> list[str]:
        """What waits, oldest first."""
        return list(self._drafts)

    def __contains__(self, key: str) -> bool:
        return key in self._drafts or key in self.unread

    def has_taken(self, key: str) -> bool:
        """Return whether a draft waits or is done; one that was only refused may come again."""
        if key in self:
            return True
        outcome = self.outcome(key)
        return outcome is not None and not outcome.get("refused")

    def draft(self, key: str) -> Draft:
        return self._drafts[key]

    def find(self, key: str) -> Draft | None:
        """Return a draft that waits, None for one that does not, or no longer."""
        return self._drafts.get(key)

    def path(self, key: str) -> Path:
        """Return the folder of a draft that waits."""
        return self._waiting / key

    # ------------------------------------------------------------------ taking

    def take(
        self, folder: JournalFolder, key: str, *, approve: Approve, keep: bool = False
    ) -> None:
        """Take a draft out of an open journal's folder.

        Args:
            keep: leave the draft there.

        Raises:
            BlobRefusedError: ``approve`` has something against it, or it is no draft.
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
                    f"{folder.path / name}: user {owner} owns it and user {folder.owner} the "
                    "journal; give all to one user"
                )
            try:
                draft = parse_draft(_read_file(descriptor, DRAFT_FILE, DRAFT_BYTES_MAX), key)
            except DraftError as error:
                raise BlobRefusedError(f"{folder.path / name}: {error}") from error
            approve(draft)
            self._forget_refusal(key)
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
            except (DraftError, BlobRefusedError, OSError) as error:  # Written to meanwhile.
                self._undo(folder, key, is_moved=is_moved)
                what = f"{folder.path / name}: {error}"
                kind = BlobsWaitError if isinstance(error, OSError) else BlobRefusedError
                raise kind(what) from error
            if not keep and not is_moved:
                shutil.rmtree(name, ignore_errors=True, dir_fd=folder.descriptor)
        finally:
            os.close(descriptor)

    def _renamed(self, folder: JournalFolder, key: str) -> bool:
        """Rename a draft to where it waits; return False where it has to be copied."""
        try:
            os.rename(folder_name(key), self._waiting / key, src_dir_fd=folder.descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_RENAME:
                raise
            return False
        return True

    def _undo(self, folder: JournalFolder, key: str, *, is_moved: bool) -> None:
        """Put a draft back that was renamed, or remove its copy: it is not taken."""
        if not is_moved:
            for parent in (self._arriving, self._waiting):
                shutil.rmtree(parent / key, ignore_errors=True)
            return
        try:
            os.rename(self._waiting / key, folder_name(key), dst_dir_fd=folder.descriptor)
        except OSError as error:
            logger.warning("%s: a draft cannot be put back: %s", self._waiting / key, error)

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
                _copy_file(source, size, target / name)
            finally:
                os.close(source)

    def _settle(self, key: str, parent: Path, approve: Approve) -> None:
        """Make a whole draft in ``parent`` durable, and let it wait for its turn.

        The files that are held are not synced here: the worker finds those that were cut.
        """
        arrived = parent / key
        draft = self._read(arrived)
        approve(draft)  # Of a copy: its owner may have written meanwhile.
        for name in (ENTRIES_FILE, DRAFT_FILE):
            with contextlib.suppress(FileNotFoundError):
                _sync(arrived / name)
        _sync(arrived)
        os.utime(arrived)
        if parent != self._waiting:
            shutil.rmtree(self._waiting / key, ignore_errors=True)  # Of a try that failed here.
            os.rename(arrived, self._waiting / key)
        _sync(self._waiting)
        self._drafts[key] = draft
        failpoints.hit("artifact.taken")

    def check_room(self, size: int) -> None:
        """Raise BlobsWaitError where ``size`` bytes more leave too little to rows."""
        free = shutil.disk_usage(self.folder).free
        if free - size < self._free_bytes_min:
            raise BlobsWaitError(
                f"{self.folder}: {free} bytes are free, and blob_free_bytes_min "
                f"({self._free_bytes_min}) are left to rows: free some space"
            )

    # ------------------------------------------------------------------ over the socket

    def receive(self, key: str, name: str, size: int, offset: int, data: bytes, crc32: int) -> None:
        """Append a chunk of the file ``name`` of a draft.

        Raises:
            BlobRefusedError: It is damaged, or no file of a draft.
            BlobsWaitError: There is no room, or it does not follow what is there.
        """
        if self.has_taken(key):
            return
        _check_file_name(name)
        if zlib.crc32(data) != crc32:
            raise BlobRefusedError(f"a chunk of {name} at {offset} does not fit its checksum")
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
                raise BlobsWaitError(f"a chunk of {name} at {offset}; {here} bytes are here")
            os.lseek(descriptor, offset, os.SEEK_SET)
            _write_whole(descriptor, data)
        finally:
            os.close(descriptor)

    def arrived_bytes(self, key: str, name: str) -> int | None:
        """Return how much of a file has come, None where the whole draft was taken before.

        Raises:
            BlobRefusedError: No draft has a file of that name.
        """
        if self.has_taken(key):
            return None
        _check_file_name(name)
        try:
            return (self._arriving / key / name).stat().st_size
        except FileNotFoundError:
            return 0

    def accept(self, key: str, *, approve: Approve) -> None:
        """Take a draft all of whose files have come.

        Raises:
            BlobRefusedError: It is none, or ``approve`` has something against it.
        """
        if self.has_taken(key):
            return
        arrived = self._arriving / key
        try:
            try:
                approve(self._read(arrived))
            except FileNotFoundError:
                raise DraftError(DRAFT_FILE, "is missing") from None
            _set_times(arrived)
            self._forget_refusal(key)
            for path in arrived.iterdir():
                _sync(path)
            self._settle(key, self._arriving, approve)
        except (DraftError, BlobRefusedError) as error:
            shutil.rmtree(arrived, ignore_errors=True)
            raise BlobRefusedError(str(error)) from error

    # ------------------------------------------------------------------ what becomes of them

    def finish(self, key: str, outcome: dict[str, Any]) -> None:
        """Note durably what became of a draft; it still waits, until it is removed."""
        draft = self._drafts.get(key)
        named = {}
        if draft is not None:
            named = {"project": draft.project, "name": draft.name, "run_id": draft.run_id}
        facts = {"key": key, "at": time.time(), **named, **outcome}
        scratch = self._done / f".{key}"
        scratch.write_text(json.dumps(facts))
        _sync(scratch)
        os.rename(scratch, self._done / f"{key}.json")
        _sync(self._done)
        self._note_failure(facts)
        self._finished += 1
        if self._finished % _REMOVE_EVERY == 0:
            with contextlib.suppress(OSError):
                self._remove_old()
        failpoints.hit("artifact.noted")

    def refuse(self, key: str, reason: str) -> None:
        """Note that a draft is not taken; whoever waits for its version is told so.

        Taken after all, by a mended offer, it is as if it had never been refused.
        """
        if is_key(key) and not self.has_taken(key):
            known = self.outcome(key)
            if known is None or known["reason"] != reason:
                self.finish(key, {"state": "failed", "reason": reason, "refused": True})

    def _forget_refusal(self, key: str) -> None:
        (self._done / f"{key}.json").unlink(missing_ok=True)
        self._failures = [each for each in self._failures if each["key"] != key]

    def remove(self, key: str) -> None:
        """Let go of a draft that is done."""
        shutil.rmtree(self._waiting / key, ignore_errors=True)
        self._drafts.pop(key, None)

    def outcome(self, key: str) -> dict[str, Any] | None:
        """Return what `finish` noted; None for what was not done, or long ago."""
        if not is_key(key):
            return None
        try:
            found: dict[str, Any] = json.loads((self._done / f"{key}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found

    def failures(self) -> list[dict[str, Any]]:
        """Return the last drafts of which no version could be made, the newest first.

        One is dropped when a later version of its name is made.
        """
        return list(self._failures)

    def _note_failure(self, outcome: dict[str, Any]) -> None:
        if outcome.get("state") == "failed":
            self._failures.insert(0, outcome)
            del self._failures[_FAILURES_MAX:]
        elif self._failures:
            name = _full_name(outcome)
            self._failures = [each for each in self._failures if _full_name(each) != name]

    def _find_failures(self) -> None:
        """Find the last failures, so that those of an earlier daemon are told as well."""
        found = []
        for path in self._done.glob("*.json"):
            with contextlib.suppress(OSError):  # One less is told; nothing else depends on it.
                found.append(self.outcome(path.stem) or {})
        for each in sorted(found, key=lambda each: float(each.get("at") or 0.0)):
            self._note_failure(each)

    # ------------------------------------------------------------------ inside

    def _read(self, path: Path) -> Draft:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return parse_draft(_read_file(descriptor, DRAFT_FILE, DRAFT_BYTES_MAX), path.name)
        finally:
            os.close(descriptor)

    def _remove_old(self) -> None:
        now = time.time()
        for path in self._arriving.iterdir():
            if now - path.stat().st_mtime > _ARRIVING_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        found = sorted(
            ((path.stat().st_mtime, path) for path in self._done.iterdir()), reverse=True
        )
        for number, (noted_at, path) in enumerate(found):
            if number >= _DONE_MAX or now - noted_at > _DONE_SECONDS:
                path.unlink(missing_ok=True)


def _full_name(outcome: dict[str, Any]) -> tuple[Any, Any]:
    return (outcome.get("project"), outcome.get("name"))


def read_entries_file(descriptor: int) -> bytes:
    """Return the lines of a draft's entries; b"" for a draft without any.

    Raises:
        DraftError: They are too long, or no regular file.
        OSError: They cannot be read now.
    """
    try:
        return _read_file(descriptor, ENTRIES_FILE, ENTRIES_BYTES_MAX)
    except FileNotFoundError:
        return b""


def _read_file(folder: int, name: str, bytes_max: int) -> bytes:
    try:
        descriptor = open_regular(name, os.O_RDONLY, folder=folder)
    except FileNotFoundError:
        if name == DRAFT_FILE:
            raise DraftError(name, "is missing") from None
        raise
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise DraftError(name, error.strerror or str(error)) from error
    with open(descriptor, "rb") as file:
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise DraftError(name, f"more than {bytes_max} bytes")
    return data


def _check_file_name(name: str) -> None:
    if name not in (DRAFT_FILE, ENTRIES_FILE) and not (name.isascii() and name.isdigit()):
        raise BlobRefusedError(f"{name[:80]!r} is no file of a draft")


def _set_times(folder: Path) -> None:
    """Give files that came over a socket the times of the files that were given.

    Their sender has looked whether these were written to; only bytes were sent.

    Raises:
        DraftError: The entries are none.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        entries = parse_entries(read_entries_file(descriptor).splitlines())
    finally:
        os.close(descriptor)
    for held in entries.values():
        if isinstance(held, Held) and held.held_ctime_ns:
            with contextlib.suppress(FileNotFoundError):  # The worker says which one.
                os.utime(folder / str(held.number), ns=(held.mtime_ns, held.mtime_ns))


def _copy_file(source: int, size: int, target: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    made = os.open(target, flags, 0o640)
    try:
        offset = 0
        while data := os.pread(source, min(_COPY_BYTES, size - offset), offset):
            _write_whole(made, data)
            offset += len(data)
        found = os.fstat(source)  # A link that was written to is told by its time.
        os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fdatasync(made)
    finally:
        os.close(made)


def _write_whole(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync(path: Path) -> None:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)
        else:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
