"""Staging: bytes that a run logs are written beside its journal, under a random id.

The trainer only copies the bytes into the page cache: the daemon hashes and encodes. A file counts
from its rename on, so a killed trainer leaves a whole file or none.
"""

import contextlib
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from stepwell_wire.drafts import DRAFT_FILE, ENTRIES_FILE, folder_name, key_of
from stepwell_wire.files import open_regular
from stepwell_wire.journal_files import WriterFile
from stepwell_wire.limits import STAGED_BYTES_MAX, STAGED_HEADER_BYTES_MAX
from stepwell_wire.staged import (
    FOOTER,
    PREFIX,
    UNFINISHED_SUFFIX,
    StagedHeader,
    file_name,
    new_id,
    pack_end,
)

FREE_BYTES_MIN: Final = 256 * 1024 * 1024
"""Free space that staging leaves on the journal's disk: rows are more important than blobs."""

WRITERS_TOGETHER: Final = 4
"""Limit of staged bytes in a folder of journals, as a multiple of one writer's limit."""

_LOOK_SECONDS: Final = 60.0
_OVERHEAD_BYTES: Final = STAGED_HEADER_BYTES_MAX + FOOTER.size

Piece = bytes | bytearray | memoryview


class Stage(Protocol):
    """Takes the bytes of media."""

    def keep(self, kind: str, about: Mapping[str, Any], pieces: Sequence[Piece]) -> dict[str, Any]:
        """Stage ``pieces`` as one payload and return the facts for the row.

        ``{"blob": id}``, or ``{"blob": None, "failed": why}`` if it could not be kept. Never
        raises for the disk or the quota.
        """

    def keep_file(
        self, kind: str, about: Mapping[str, Any], path: str | os.PathLike[str]
    ) -> dict[str, Any]:
        """Stage a copy of the file ``path``, as ``keep`` does."""

    def note_within(self, about: Mapping[str, Any], within: Sequence[str]) -> None:
        """Note that the payload of ``about``, a result of ``keep``, names the blobs ``within``.

        They are removed with it; if it was not kept they are removed at once.
        """


class Stager:
    """Stages blobs beside one journal. Any thread may stage.

    Attributes:
        dropped: blobs that were not kept.
    """

    def __init__(
        self,
        folder: Path,
        info: WriterFile,
        *,
        bytes_max: int,
        on_staged: Callable[[], None] = lambda: None,
        free_bytes_min: int = FREE_BYTES_MIN,
        together_bytes_max: int | None = None,
    ) -> None:
        """
        Args:
            bytes_max: limit of the bytes that are staged and not taken.
            together_bytes_max: the same, with all other journals beside this one; None: no limit.
                Trainers that crash and restart leave their blobs, if no daemon takes them.
            on_staged: called after each.
            free_bytes_min: free space that staging leaves on the disk.
        """
        self.folder, self.info = folder, info
        self.dropped = 0
        self.on_staged = on_staged
        self._bytes_max, self._free_bytes_min = bytes_max, free_bytes_min
        self._together_bytes_max = together_bytes_max
        self._others_bytes, self._looked_at = 0, -_LOOK_SECONDS
        self._lock = threading.RLock()  # A signal handler may log in the middle of this.
        self._sizes: dict[str, int] = {}
        self._held_bytes = 0
        self._unsynced: list[str] = []
        self._within: dict[str, Sequence[str]] = {}
        self._reserved = 0

    # ------------------------------------------------------------------ staging

    def keep(self, kind: str, about: Mapping[str, Any], pieces: Sequence[Piece]) -> dict[str, Any]:
        """See `Stage.keep`."""
        size = sum(memoryview(piece).nbytes for piece in pieces)
        return self._keep(kind, about, size, lambda: iter(pieces))

    def keep_file(
        self, kind: str, about: Mapping[str, Any], path: str | os.PathLike[str]
    ) -> dict[str, Any]:
        """See `Stage.keep_file`."""
        try:
            descriptor = open_regular(path, os.O_RDONLY)
        except OSError as error:
            return self._drop(f"{os.fspath(path)}: {error.strerror or error}")
        try:
            size = os.fstat(descriptor).st_size
            return self._keep(kind, about, size, lambda: _chunks(descriptor, size))
        finally:
            os.close(descriptor)

    def _keep(
        self,
        kind: str,
        about: Mapping[str, Any],
        size: int,
        pieces: Callable[[], Iterable[Piece]],
    ) -> dict[str, Any]:
        why = self._reserve(size)
        if why:
            return self._drop(why)
        blob_id = new_id()
        try:
            written = self._write(blob_id, kind, about, pieces())
        except OSError as error:
            return self._drop(f"{self.folder}: {error.strerror or error}")
        finally:
            with self._lock:
                self._reserved -= size
        with self._lock:
            self._sizes[blob_id] = written
            self._held_bytes += written
            self._unsynced.append(blob_id)
        self.on_staged()
        return {"blob": blob_id}

    def _reserve(self, size: int) -> str:
        """Count ``size`` bytes as staged; return why they cannot be, "" where they can."""
        if size > STAGED_BYTES_MAX - _OVERHEAD_BYTES:
            return f"{size} bytes are more than the limit of one blob, {STAGED_BYTES_MAX}"
        with self._lock:
            held = self._held_bytes + self._reserved
            if held + size > self._bytes_max:
                return (
                    f"{held} bytes wait for the daemon and {size} more exceed blob_bytes_max "
                    f"({self._bytes_max}); check with `stepwell doctor` that the daemon "
                    "runs, or raise STEPWELL_BLOB_BYTES_MAX"
                )
            self._reserved += size
        why = self._beside_others(held + size)
        if why:
            with self._lock:
                self._reserved -= size
            return why
        try:
            found = os.statvfs(self.folder)
        except OSError:
            return ""  # The write will raise the error.
        free = found.f_bavail * found.f_frsize
        if free - size < self._free_bytes_min:
            with self._lock:
                self._reserved -= size
            return (
                f"{self.folder}: {free} bytes are free, of which {self._free_bytes_min} are "
                "reserved for rows; free some space or name another folder with STEPWELL_DIR"
            )
        return ""

    def _beside_others(self, size: int) -> str:
        """Return why ``size`` bytes are too many beside what other writers left, else ""."""
        if self._together_bytes_max is None:
            return ""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._others_bytes = _staged_beside(self.folder)
        if self._others_bytes + size <= self._together_bytes_max:
            return ""
        return (
            f"{self._others_bytes} bytes of media of other runs in {self.folder.parent} wait "
            f"for the daemon; the limit for all runs is {self._together_bytes_max} "
            f"({WRITERS_TOGETHER} times blob_bytes_max); start the daemon, or send them with "
            "`stepwell sync`"
        )

    def _write(
        self, blob_id: str, kind: str, about: Mapping[str, Any], pieces: Iterable[Piece]
    ) -> int:
        """Write one file and return its size."""
        path = self.folder / file_name(blob_id)
        scratch = f"{path}{UNFINISHED_SUFFIX}"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660)
        try:
            size = crc32 = 0
            for piece in pieces:
                crc32 = zlib.crc32(piece, crc32)
                size += _write_whole(descriptor, piece)
            end = pack_end(self._header(blob_id, kind, about, size, crc32))
            size += _write_whole(descriptor, end)
            os.rename(scratch, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(scratch)
            raise
        finally:
            os.close(descriptor)
        return size

    def _header(
        self, blob_id: str, kind: str, about: Mapping[str, Any], size: int, crc32: int
    ) -> StagedHeader:
        info = self.info
        return StagedHeader(
            id=blob_id,
            project=info.project,
            run_id=info.run_id,
            writer_id=info.writer_id,
            label=info.label,
            host=info.host,
            pid=info.pid,
            kind=kind,
            about=about,
            payload_bytes=size,
            payload_crc32=crc32,
        )

    def _drop(self, why: str) -> dict[str, Any]:
        self.dropped += 1
        return {"blob": None, "failed": why}

    # ------------------------------------------------------------------ after staging

    def staged(self) -> list[str]:
        """Return the ids that the daemon has not taken, oldest first."""
        with self._lock:
            return list(self._sizes)

    @property
    def staged_bytes(self) -> int:
        return self._held_bytes

    def note_draft(self, key: str) -> None:
        """Accept a draft of an artifact that was put beside the journal.

        Its files do not count towards ``bytes_max``: most are links to files that are there anyway.
        """
        with self._lock:
            self._sizes[folder_name(key)] = 0
            self._unsynced.append(folder_name(key))
        self.on_staged()

    def forget(self, blob_ids: Iterable[str]) -> None:
        """Remove blobs that the daemon has taken."""
        for blob_id in blob_ids:
            remove_staged(self.folder, blob_id)
            self._let_go(blob_id)

    def withdraw(self, blob_ids: Iterable[str]) -> None:
        """Remove blobs that no row will name, and the blobs that only they name."""
        for blob_id in blob_ids:
            within = self._within.pop(blob_id, ())
            self.forget([blob_id, *within])

    def note_within(self, about: Mapping[str, Any], within: Sequence[str]) -> None:
        """See `Stage.note_within`."""
        if not within:
            return
        named = about.get("blob")
        if named is None:
            self.forget(within)
        else:
            self._within[str(named)] = within

    def look(self) -> None:
        """Forget blobs that another process handed over and removed."""
        for blob_id in self.staged():
            if not os.path.exists(staged_path(self.folder, blob_id)):
                self._let_go(blob_id)

    def _let_go(self, blob_id: str) -> None:
        with self._lock:
            self._held_bytes -= self._sizes.pop(blob_id, 0)
            self._within.pop(blob_id, None)

    def sync(self) -> None:
        """Sync blobs staged since the last call to disk; OSError if the disk fails."""
        with self._lock:
            waiting, self._unsynced = self._unsynced, []
        if not waiting:
            return
        try:
            for blob_id in waiting:
                self._sync_file(blob_id)
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError:
            with self._lock:  # The next call tries all of them again.
                self._unsynced = waiting + self._unsynced
            raise

    def _sync_file(self, blob_id: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # Taken meanwhile.
            if key_of(blob_id) is not None:
                sync_draft(self.folder / blob_id)
                return
            descriptor = os.open(self.folder / file_name(blob_id), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)


def staged_path(folder: Path, name: str) -> Path:
    """Return where a staged blob, or the draft of an artifact, is beside a journal."""
    return folder / (file_name(name) if key_of(name) is None else name)


def remove_staged(folder: Path, name: str) -> None:
    """Remove a staged blob, or the draft of an artifact, if it exists."""
    if key_of(name) is not None:
        import shutil  # Here: importing costs, and most runs log no artifact.

        shutil.rmtree(folder / name, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        os.unlink(folder / file_name(name))


def sync_draft(folder: Path) -> None:
    """Sync a draft to disk: its description, then the folder.

    The held files may be large and are not synced; the daemon finds truncated ones.
    """
    for name in (ENTRIES_FILE, DRAFT_FILE):
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _staged_beside(folder: Path) -> int:
    """Return the bytes staged in the folders beside ``folder``; an unreadable one counts 0."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(folder.parent) as neighbours:
        for each in neighbours:
            if each.name == folder.name or not each.is_dir(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError), os.scandir(each.path) as entries:
                for entry in entries:
                    if entry.name.startswith(PREFIX):
                        with contextlib.suppress(OSError):
                            total += entry.stat(follow_symlinks=False).st_size
    return total


def blobs_in(value: Any) -> list[str]:
    """Return the ids that ``value``, as a row keeps it, names."""
    if isinstance(value, Mapping):
        named = value.get("blob")
        inside = [each for item in value.values() for each in blobs_in(item)]
        return [named, *inside] if isinstance(named, str) and "_type" in value else inside
    if isinstance(value, list):
        return [each for item in value for each in blobs_in(item)]
    return []


def _write_whole(descriptor: int, piece: Piece) -> int:
    """Write all of ``piece`` and return its size in bytes."""
    rest = memoryview(piece).cast("B")
    size = len(rest)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    return size


def _chunks(descriptor: int, size: int) -> Iterable[bytes]:
    """Yield the first ``size`` bytes: a file that grows meanwhile may have no end."""
    while chunk := os.read(descriptor, min(1 << 20, size)):
        size -= len(chunk)
        yield chunk
