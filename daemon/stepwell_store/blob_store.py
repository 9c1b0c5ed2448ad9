"""The blob store: bytes under their digest, written once, read from any offset.

`BlobStore` is the interface; a bucket of objects could implement it. `FolderBlobStore` is the
default:

    <root>/ab/cdef…       a blob: the first two digits of its digest, then the other 62
    <root>/manifests/…    manifests of artifacts: their blobs are kept
    <root>/tables/…       an empty file for each table `blobs` that belongs to this store
    <root>/scratch/…      files that have no name yet

A blob's modification time is the time of its last put. A collector deletes blobs that have no name
(``delete_unless_newer``). It first renames a blob and then checks the time, so it never loses a
blob that is put at the same moment.
"""

import contextlib
import ctypes
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from stepwell_wire.staged import is_digest

_SCRATCH: Final = "scratch"
_TABLES: Final = "tables"
_MANIFESTS: Final = "manifests"
_MANIFEST_ID: Final = re.compile(r"[0-9a-f]{32}")
_PREFIX_DIGITS: Final = 2
_MODE: Final = 0o640
_SCRATCH_SECONDS: Final = 86_400.0
_SYNC_ALL_FROM: Final = 32
_ASIDE: Final = "aside-"
_ASIDE_SECONDS: Final = 60.0
"""A collector holds a blob aside for at most this time, unless it was killed."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A stored blob; ``put_at`` in seconds since 1970 UTC."""

    digest: str
    size: int
    put_at: float


class BlobStore(Protocol):
    """A place for blobs. All methods may be called from any thread, and raise OSError."""

    @property
    def place(self) -> str:
        """The place, for people."""

    def put(self, digest: str, source: Path) -> bool:
        """Store the file ``source`` under ``digest``, durably; return whether it is new.

        ``source`` may be gone afterwards. An existing blob counts as put now.
        """

    def put_all(self, found: Sequence[tuple[str, str]]) -> int:
        """Store files from paths of `new_scratch`; return the number of new blobs.

        All files may be gone afterwards, as for `put`.
        """

    def new_scratch(self) -> str:
        """Return a path for a new file, for `put_all`."""

    def touch(self, digest: str) -> bool:
        """Renew a blob as a put would; return False if it does not exist."""

    def stat(self, digest: str) -> StoredBlob | None:
        """Return the facts of a blob, None if it does not exist."""

    def open(self, digest: str) -> BinaryIO:
        """Open a blob to read from any offset.

        Raises:
            FileNotFoundError: It does not exist.
        """

    def delete_unless_newer(self, digest: str, *, than: float) -> bool:
        """Delete a blob that was not put since ``than``; return whether it is gone."""

    def walk(self) -> Iterator[StoredBlob]:
        """Yield every blob, in no order."""

    def keep_manifest(self, manifest_id: str, data: bytes) -> None:
        """Store a packed manifest under its version's id, durably; it replaces an earlier one.

        A collector that starts later keeps the blobs of the manifest. A collector that is running
        may delete them, unless each blob is touched afterwards.
        """

    def manifest(self, manifest_id: str) -> bytes:
        """Return a packed manifest.

        Raises:
            FileNotFoundError: It does not exist.
        """

    def drop_manifest(self, manifest_id: str) -> None:
        """Delete a manifest, if it exists."""

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """Yield the id and the bytes of every manifest, in no order."""

    def note_table(self, table_id: str) -> None:
        """Note that a table of rows belongs to this blob store."""

    def is_of_table(self, table_id: str) -> bool:
        """Return whether ``note_table`` noted that."""


class FolderBlobStore:
    """A blob store in a folder."""

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        """
        Args:
            clock: seconds since 1970 UTC; decides how old the files in ``scratch`` are.
        """
        self.root = root
        self._root = str(root)
        self._clock = clock
        self._has_scratch = False

    @property
    def place(self) -> str:
        """See `BlobStore.place`."""
        return str(self.root)

    def put(self, digest: str, source: Path) -> bool:
        """See `BlobStore.put`."""
        target = Path(self._path(digest))
        if self.touch(digest):  # This comes first: from now on no collector deletes it.
            source.unlink(missing_ok=True)
            return False
        ready = self._scratch_path()
        try:
            self._make_durable(source, ready)
            self._make_folder(target.parent)
            os.utime(ready)
            os.rename(ready, target)
        except BaseException:
            # Otherwise each attempt on a full disk would leave one.
            with contextlib.suppress(OSError):
                os.unlink(ready)
            raise
        _sync_folder(target.parent)
        return True

    def put_all(self, found: Sequence[tuple[str, str]]) -> int:
        """See `BlobStore.put_all`. For many files the file system is synced as a whole, because a
        sync of each file takes milliseconds.
        """
        if len(found) < _SYNC_ALL_FROM:
            return sum(self.put(digest, Path(source)) for digest, source in found)
        ready: dict[str, str] = {}
        mode = self._mode()  # Independent of the umask.
        try:
            for digest, source in found:
                if digest in ready or self.touch(digest):
                    os.unlink(source)
                    continue
                os.chmod(source, mode)
                ready[digest] = source
            self._sync_all()
            for shard in sorted({digest[:_PREFIX_DIGITS] for digest in ready}):
                self._make_folder(self.root / shard)
            for digest, source in ready.items():
                os.rename(source, self._path(digest))
        except BaseException:
            for path in ready.values():
                with contextlib.suppress(OSError):
                    os.unlink(path)
            raise
        self._sync_all()
        return len(ready)

    def new_scratch(self) -> str:
        """See `BlobStore.new_scratch`."""
        if not self._has_scratch:
            self._make_scratch()
            self._has_scratch = True
        return f"{self._root}/{_SCRATCH}/{os.urandom(16).hex()}"

    def _sync_all(self) -> None:
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(self.root))
        finally:
            os.close(descriptor)

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            # Independent of the umask: a group that may read the store can read all of it.
            folder.chmod(stat.S_IMODE(self.root.stat().st_mode))
            _sync_folder(folder.parent)

    def touch(self, digest: str) -> bool:
        """See `BlobStore.touch`."""
        try:
            os.utime(self._path(digest))
        except FileNotFoundError:
            return False
        return True

    def stat(self, digest: str) -> StoredBlob | None:
        """See `BlobStore.stat`."""
        try:
            found = os.stat(self._path(digest))
        except FileNotFoundError:
            return None
        return StoredBlob(digest, found.st_size, found.st_mtime)

    def open(self, digest: str) -> BinaryIO:
        """See `BlobStore.open`."""
        return open(self._path(digest), "rb")

    def delete_unless_newer(self, digest: str, *, than: float) -> bool:
        """See `BlobStore.delete_unless_newer`."""
        path = self._path(digest)
        aside = self._scratch_path(_ASIDE + digest)
        try:
            if os.stat(path).st_mtime >= than:
                return False
            os.rename(path, aside)
            if os.stat(aside).st_mtime >= than:  # It was put between the two.
                os.rename(aside, path)
                return False
        except FileNotFoundError:
            return False
        os.unlink(aside)
        return True

    def walk(self) -> Iterator[StoredBlob]:
        """See `BlobStore.walk`; also removes leftovers of a kill in scratch."""
        self._clear_scratch()
        with contextlib.suppress(FileNotFoundError):
            for shard in sorted(os.listdir(self.root)):
                if len(shard) == _PREFIX_DIGITS:
                    yield from self._in_shard(shard)

    def keep_manifest(self, manifest_id: str, data: bytes) -> None:
        """See `BlobStore.keep_manifest`."""
        target = self._manifest_path(manifest_id)
        source, ready = self._scratch_path(), self._scratch_path()
        try:
            source.write_bytes(data)
            self._make_durable(source, ready)
            self._make_folder(target.parent)
            os.rename(ready, target)
        except BaseException:
            for left in (source, ready):
                with contextlib.suppress(OSError):
                    os.unlink(left)
            raise
        _sync_folder(target.parent)

    def manifest(self, manifest_id: str) -> bytes:
        """See `BlobStore.manifest`."""
        return self._manifest_path(manifest_id).read_bytes()

    def drop_manifest(self, manifest_id: str) -> None:
        """See `BlobStore.drop_manifest`."""
        self._manifest_path(manifest_id).unlink(missing_ok=True)

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """See `BlobStore.manifests`."""
        try:
            names = os.listdir(self.root / _MANIFESTS)
        except FileNotFoundError:
            return
        for name in names:
            if _MANIFEST_ID.fullmatch(name):
                with contextlib.suppress(FileNotFoundError):  # It was dropped meanwhile.
                    yield name, self.manifest(name)

    def note_table(self, table_id: str) -> None:
        """See `BlobStore.note_table`."""
        path = self._table_path(table_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        _sync_folder(path.parent)

    def is_of_table(self, table_id: str) -> bool:
        """See `BlobStore.is_of_table`."""
        return self._table_path(table_id).exists()

    def _table_path(self, table_id: str) -> Path:
        return self.root / _TABLES / str(uuid.UUID(table_id))

    def _manifest_path(self, manifest_id: str) -> Path:
        if not _MANIFEST_ID.fullmatch(manifest_id):
            raise ValueError(
                f"invalid manifest id {manifest_id[:80]!r}: expected 32 hexadecimal digits"
            )
        return self.root / _MANIFESTS / manifest_id

    def _in_shard(self, shard: str) -> Iterator[StoredBlob]:
        with contextlib.suppress(NotADirectoryError), os.scandir(self.root / shard) as entries:
            for entry in entries:
                digest = shard + entry.name
                if not is_digest(digest):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    yield StoredBlob(digest, found.st_size, found.st_mtime)

    def _path(self, digest: str) -> str:
        # A string: artifacts need ten thousands of them, and a Path costs as much as the file
        # access.
        if not is_digest(digest):
            raise ValueError(f"invalid digest {digest[:80]!r}: expected 64 hexadecimal digits")
        return f"{self._root}/{digest[:_PREFIX_DIGITS]}/{digest[_PREFIX_DIGITS:]}"

    def _scratch_path(self, name: str = "") -> Path:
        return self._make_scratch() / (name or uuid.uuid4().hex)

    def _make_scratch(self) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        folder = self.root / _SCRATCH
        self._make_folder(folder)
        return folder

    def _mode(self) -> int:
        """Return the permissions of a file: writers of the folder may touch its blobs."""
        return _MODE | (self.root.stat().st_mode & stat.S_IWGRP)

    def _make_durable(self, source: Path, ready: Path) -> None:
        """Make ``ready`` a synced file with the content of ``source``, which may be moved."""
        _move(source, ready)
        descriptor = os.open(ready, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, self._mode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _clear_scratch(self) -> None:
        now = self._clock()
        with contextlib.suppress(FileNotFoundError), os.scandir(self.root / _SCRATCH) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    age = now - entry.stat(follow_symlinks=False).st_ctime
                    if entry.name.startswith(_ASIDE):
                        if age > _ASIDE_SECONDS:
                            self._put_back(entry)
                    elif age > _SCRATCH_SECONDS:
                        os.unlink(entry.path)

    def _put_back(self, aside: os.DirEntry[str]) -> None:
        """Undo a deletion that a kill interrupted: the blob may have been put at that moment."""
        path = self._path(aside.name.removeprefix(_ASIDE))
        if not os.path.exists(path):
            os.rename(aside.path, path)
        else:
            os.unlink(aside.path)


def default_blob_store(data: Path) -> Path:
    """Return the folder of the blob store in a data folder."""
    return data / "blobstore"


def open_blob_store(data: Path, setting: str = "") -> BlobStore:
    """Return the blob store that a setting names; "" is the data folder's own.

    Raises:
        ValueError: The setting is not an absolute path.
    """
    if not setting:
        return FolderBlobStore(default_blob_store(data))
    path = Path(setting).expanduser()
    if not path.is_absolute():
        raise ValueError(f"blob_store is {setting!r}; expected the absolute path of a folder")
    return FolderBlobStore(path)


def _move(source: Path, target: Path) -> None:
    """Make ``target`` from ``source``, which may be gone afterwards."""
    try:
        os.rename(source, target)
    except OSError:  # It is on another file system.
        shutil.copyfile(source, target)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
