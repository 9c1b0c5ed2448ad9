"""The bytes of a draft: read once, hashed and stored in the blob store in one pass.

A held file that is a hard link is copied into the store while it is hashed, because the script may
still write to it. A file that belongs to the daemon alone is linked into the store.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from blake3 import blake3

from stepwell_daemon.artifacts.digests import Digests, FileMarks, is_settled
from stepwell_store.blob_store import BlobStore
from stepwell_wire.drafts import Held
from stepwell_wire.files import open_regular

_READ_BYTES: Final = 1 << 20
"""A file up to this size is read in one call."""
_PIECE_BYTES: Final = 128 << 10
"""A large file is read, hashed and written in pieces of this size. They fit in the processor's
cache. Writes of twice this size took three times as long with Linux 6.18 and ext4 on a machine that
had run for a day, because the kernel allocates the memory of one write in one piece."""
_BATCH_FILES: Final = 20_000
"""Number of files that are synced together; a sync takes a while even for few files."""
_BATCH_BYTES: Final = 256 << 20
_COPIED_TIME_NS: Final = 1_000_000
"""The minimum precision with which a file system stores the time of a copied link."""
_NO_FILE: Final = (errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.EISDIR)
_FICLONE: Final = 0x40049409
_MODE: Final = 0o640


class DraftSpoiledError(Exception):
    """The version cannot be made: a file differs from the given one; the text says which and
    why."""


class Hashed(NamedTuple):
    """One file of a draft.

    Attributes:
        is_linked: whether it shares its inode with the path that it came from.
        hashed_at_ns: when reading began; 0 if it was not read.
    """

    digest: str
    held: Held
    is_linked: bool
    hashed_at_ns: int = 0


class Bytes:
    """Hashes the files of one draft.

    Args:
        folder: the draft's folder.
        store: the store of new bytes; None if they are sent elsewhere on request.
        on_read: called with the number of bytes after each read.
        check_room: called with a size before that many bytes are written; may raise.
    """

    def __init__(
        self,
        folder: Path,
        store: BlobStore | None,
        digests: Digests,
        *,
        on_read: Callable[[int], None] = lambda size: None,
        check_room: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._folder, self._store, self._digests = str(folder), store, digests
        self._on_read, self._check_room = on_read, check_room
        self._ready: list[tuple[str, str]] = []
        self._syncing = _Syncing()
        self._found: dict[FileMarks, str] = {}
        self._seen: set[str] = set()
        self._ready_bytes = 0
        self._buffer = bytearray(_READ_BYTES)

    def look_up(self, files: Iterable[Held]) -> None:
        """Look up the noted digests of files before they are hashed."""
        self._found = self._digests.find(_marks(each) for each in files if each.ctime_ns)

    def hash(self, path: str, held: Held) -> Hashed:
        """Return the digest of one file; its bytes are in the store after `flush`.

        Raises:
            DraftSpoiledError: The file has changed.
            OSError: The disk fails.
        """
        descriptor = self._opened(path, held)
        try:
            found = os.fstat(descriptor)
            is_linked = (found.st_ino, found.st_dev) == (held.inode, held.dev)
            _check(path, held, found, is_linked=is_linked)
            known = self._known(held, found, is_linked=is_linked)
            if known:
                self._on_read(held.size)
                return Hashed(known, held, is_linked)
            began = time.time_ns()
            digest = self._read(descriptor, path, held, is_linked=is_linked)
            _check(path, held, os.fstat(descriptor), is_linked=is_linked)
        finally:
            os.close(descriptor)
        return Hashed(digest, held, is_linked, began)

    def keep(self, path: str, hashed: Hashed) -> None:
        """Copy the bytes of a file into the store if they are missing there, after `hash`.

        Raises:
            DraftSpoiledError, OSError: As for `hash`.
        """
        descriptor = self._opened(path, hashed.held)
        try:
            digest = self._read(descriptor, path, hashed.held, is_linked=hashed.is_linked)
        finally:
            os.close(descriptor)
        if digest != hashed.digest:
            raise DraftSpoiledError(_changed(path, "its bytes differ from the hashed ones"))

    def copy(self, path: str, hashed: Hashed, target: Path) -> None:
        """Copy the bytes of a file to ``target``; raises as `keep`."""
        self._check_room(hashed.held.size)
        descriptor = self._opened(path, hashed.held)
        try:
            digest = self._streamed(descriptor, target)
        except BaseException:
            _unlink(target)
            raise
        finally:
            os.close(descriptor)
        if digest != hashed.digest:
            _unlink(target)
            raise DraftSpoiledError(_changed(path, "its bytes differ from the hashed ones"))

    def flush(self) -> None:
        """Make the hashed files durable in the store.

        Raises:
            OSError: The disk fails.
        """
        self._begin_flush()
        self._syncing.wait()

    def discard(self) -> None:
        """Remove files from the store's scratch that `flush` did not store. Can be called twice."""
        ready, self._ready, self._ready_bytes = self._ready, [], 0
        for digest, scratch in self._syncing.end() + ready:
            self._seen.discard(digest)
            _unlink(scratch)

    # ------------------------------------------------------------------ inside

    def _opened(self, path: str, held: Held) -> int:
        try:
            return open_regular(f"{self._folder}/{held.number}", os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise DraftSpoiledError(
                f"{path}: the held file is missing; add it and log the artifact again"
            ) from error
        except PermissionError as error:
            raise DraftSpoiledError(
                f"{path}: the daemon has no right to read it; change its owner or mode, and "
                "log the artifact again"
            ) from error
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise DraftSpoiledError(
                f"{path}: the held file was replaced by something that is not a regular "
                "file; log the artifact again"
            ) from error

    def _known(self, held: Held, found: os.stat_result, *, is_linked: bool) -> str:
        """Return the noted digest of the source file, "" for none."""
        if not held.ctime_ns or (is_linked and found.st_ctime_ns != held.held_ctime_ns):
            return ""
        return self._found.get(_marks(held), "")

    def _read(self, descriptor: int, path: str, held: Held, *, is_linked: bool) -> str:
        """Hash the open file, and make sure that its bytes are stored."""
        if held.size <= _READ_BYTES:
            return self._read_small(descriptor, held)
        if self._store is None:
            return self._streamed(descriptor, None)
        scratch = self._store.new_scratch()
        try:
            if not is_linked and _linked(f"{self._folder}/{held.number}", scratch):
                digest = self._streamed(descriptor, None)
            elif _cloned(descriptor, scratch):
                copy = os.open(scratch, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    digest = self._streamed(copy, None)
                finally:
                    os.close(copy)
            else:
                self._check_room(held.size)
                digest = self._streamed(descriptor, scratch)
        except BaseException:
            _unlink(scratch)
            raise
        self._put(digest, scratch, held.size)
        return digest

    def _read_small(self, descriptor: int, held: Held) -> str:
        view = memoryview(self._buffer)[: held.size + 1]
        size = os.readv(descriptor, [view]) if held.size else 0
        while 0 < size < held.size:
            more = os.readv(descriptor, [view[size:]])
            if not more:
                break
            size += more
        self._on_read(size)
        data = view[:size]
        digest = str(blake3(data).hexdigest())
        if self._store is not None and digest not in self._seen:
            scratch = self._store.new_scratch()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            made = os.open(scratch, flags, _MODE)
            try:
                _write_whole(made, data)
            except BaseException:
                _unlink(scratch)
                raise
            finally:
                os.close(made)
            self._put(digest, scratch, size)
        return digest

    def _put(self, digest: str, scratch: str, size: int) -> None:
        self._seen.add(digest)
        self._ready.append((digest, scratch))
        self._ready_bytes += size
        if len(self._ready) >= _BATCH_FILES or self._ready_bytes >= _BATCH_BYTES:
            self._begin_flush()

    def _begin_flush(self) -> None:
        """Sync the finished files while the next ones are hashed."""
        if self._store is not None:
            self._syncing.begin(self._store, self._ready)
            self._ready, self._ready_bytes = [], 0

    def _streamed(self, descriptor: int, target: "str | Path | None") -> str:
        """Hash the open file from its start, and write it to ``target``."""
        hasher = blake3()
        view = memoryview(self._buffer)[:_PIECE_BYTES]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        made = -1 if target is None else os.open(target, flags, _MODE)
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            while size := os.readv(descriptor, [view]):
                hasher.update(view[:size])
                if made >= 0:
                    _write_whole(made, view[:size])
                self._on_read(size)
        finally:
            if made >= 0:
                os.close(made)
        return str(hasher.hexdigest())


class _Syncing:
    """Moves files into the store on another thread, one batch at a time."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._batch: list[tuple[str, str]] = []
        self._done: Future[int] | None = None

    def begin(self, store: BlobStore, batch: list[tuple[str, str]]) -> None:
        """Wait for the previous batch, then begin this one; raises as `wait`."""
        self.wait()
        if batch:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1)
            self._batch = batch
            self._done = self._thread.submit(store.put_all, batch)

    def wait(self) -> None:
        """Return once the last batch is durable.

        Raises:
            OSError: The disk fails.
        """
        if self._done is not None:
            self._done.result()
            self._batch, self._done = [], None

    def end(self) -> list[tuple[str, str]]:
        """When no batch runs any more, return the batch that failed."""
        with contextlib.suppress(OSError):
            self.wait()
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        failed, self._batch, self._done = self._batch, [], None
        return failed


def release_files(folder: Path, files: list[Hashed], digests: Digests) -> None:
    """Remove held links, then note digests: removing a link changes the file's change time."""
    found: list[tuple[FileMarks, str]] = []
    for each in files:
        held = each.held
        if not held.ctime_ns:
            continue
        if not each.is_linked:
            if each.hashed_at_ns and is_settled(held.mtime_ns, each.hashed_at_ns):
                found.append((_marks(held), each.digest))
            continue
        with contextlib.suppress(OSError):
            marks_after = _unlinked(f"{folder}/{held.number}", held)
            is_old = not each.hashed_at_ns or is_settled(held.mtime_ns, each.hashed_at_ns)
            if marks_after is not None and is_old:
                found.append((marks_after, each.digest))
    digests.note(found)


def _marks(held: Held) -> FileMarks:
    """Return the marks by which a source file is recognised as hashed before."""
    return FileMarks(held.dev, held.inode, held.size, held.mtime_ns, held.ctime_ns)


def _unlinked(path: str, held: Held) -> FileMarks | None:
    """Remove a held link; return the marks of its file after that, None if the file changed."""
    descriptor = open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        before = os.fstat(descriptor)
        os.unlink(path)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    for each in (before, after):
        if (each.st_size, each.st_mtime_ns) != (held.size, held.mtime_ns):
            return None
    return FileMarks(held.dev, held.inode, held.size, held.mtime_ns, after.st_ctime_ns)


def _check(path: str, held: Held, found: os.stat_result, *, is_linked: bool) -> None:
    if found.st_size != held.size:
        what = f"{found.st_size} bytes, expected {held.size}"
        if is_linked:
            raise DraftSpoiledError(_changed(path, what))
        raise DraftSpoiledError(
            f"{path}: the held copy has {what}: the machine may have lost power; log the "
            "artifact again"
        )
    if not held.held_ctime_ns:
        return  # It is a copy since it was added.
    apart_ns = abs(found.st_mtime_ns - held.mtime_ns)
    if apart_ns > (0 if is_linked else _COPIED_TIME_NS):
        raise DraftSpoiledError(_changed(path, "a later modification time"))


def _changed(path: str, what: str) -> str:
    return (
        f"{path}: changed in place after it was added ({what}); write a new file and rename it "
        "over the old one, or wait() for the version before you write"
    )


def _unlink(path: "str | Path") -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _linked(source: str, target: str) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        return False
    return True


def _cloned(descriptor: int, target: str) -> bool:
    made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
    try:
        fcntl.ioctl(made, _FICLONE, descriptor)
    except OSError:
        return False
    finally:
        os.close(made)
    return True


def _write_whole(descriptor: int, data: Any) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
