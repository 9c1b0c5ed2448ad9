"""Journals: what one writer logged, as it lies on disk, and how to read it when it is dead.

    folder   := <journals>/<run_id>-<writer_id>/
                writer.json | lock | <base, 20 digits>.seg …
    segment  := page of 4,096 bytes | records …, rest undefined
    page     := magic "SWJRNL01" | base u64 | committed u64 | acked u64
                | check slot | check slot, from byte 64 on
    slot     := turn u64 | position u64 | crc u32 | crc u32 of the slot before it

`base` is the position of the segment's first record, `committed` how far `log` has written,
`acked` how far the daemon has everything on disk. A check slot says the CRC-32 of the records
from `base` to its position; after a reboot only what a slot covers is believed, because pages may
have been written in any order. Records never cross segments: the next one's base is this one's
committed position. The standard library only: training processes import this.
"""

import fcntl
import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.records import EVENT_SCHEMA, SCHEMA, scan_records, unpack_event

MAGIC: Final = b"SWJRNL01"
PAGE_BYTES: Final = 4096
PAGE: Final = struct.Struct("<8sQQQ")
BASE_WORD: Final = 1  # index of the fields as 64-bit words of the page
COMMITTED_WORD: Final = 2
ACKED_WORD: Final = 3
SLOT: Final = struct.Struct("<QQI")
SLOT_OFFSETS: Final = (64, 128)
SUFFIX: Final = ".seg"
FORMAT_VERSION: Final = 1


class JournalError(Exception):
    """A journal that cannot be read: which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class WriterFile:
    """``writer.json``: who writes a journal."""

    version: int
    project: str
    run_id: str
    writer_id: str
    label: str
    scope: str
    host: str
    pid: int
    boot_id: str
    created_at: int  # microseconds since 1970 UTC
    mode: str

    def write(self, folder: Path) -> None:
        """Put the file into ``folder``, whole or not at all."""
        temporary = folder / "writer.json.tmp"
        temporary.write_text(json.dumps(asdict(self)))
        temporary.rename(folder / "writer.json")

    @classmethod
    def read(cls, folder: Path) -> "WriterFile":
        path = folder / "writer.json"
        try:
            fields = json.loads(path.read_text())
            known = {name: fields[name] for name in cls.__slots__}
        except FileNotFoundError as error:
            raise JournalError(
                f"{folder}: no writer.json; a journal's folder is expected"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{path}: cannot be read ({error}); is it a journal's?") from error
        if known["version"] > FORMAT_VERSION:
            raise JournalError(
                f"{path}: format {known['version']}, this stepwell reads {FORMAT_VERSION}; "
                "use a newer one"
            )
        return cls(**known)


def boot_id() -> str:
    """Return what names this boot of the kernel, or nothing where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def segment_name(base: int) -> str:
    return f"{base:020d}{SUFFIX}"


def pack_slot(turn: int, position: int, crc: int) -> bytes:
    body = SLOT.pack(turn, position, crc)
    return body + struct.pack("<I", zlib.crc32(body))


def read_slot(page: bytes | memoryview) -> tuple[int, int, int] | None:
    """Return (turn, position, crc) of the newer good check slot of ``page``, if any."""
    best: tuple[int, int, int] | None = None
    for offset in SLOT_OFFSETS:
        body = bytes(page[offset : offset + SLOT.size])
        (crc,) = struct.unpack_from("<I", page, offset + SLOT.size)
        if crc == zlib.crc32(body):
            slot = SLOT.unpack(body)
            if slot[0] and (best is None or slot[0] > best[0]):
                best = slot
    return best


def find_journals(folder: Path) -> list[Path]:
    """Return the writers' folders in ``folder``, or itself if it is one, oldest first."""
    if (folder / "writer.json").exists():
        return [folder]
    if not folder.is_dir():
        return []
    found = [path.parent for path in folder.glob("*/writer.json")]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def try_lock(folder: Path) -> int | None:
    """Return a descriptor that holds the journal's lock, or None when its writer lives."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


@dataclass(slots=True)
class _Segment:
    path: Path
    base: int
    end: int  # position up to which its records are believed


class JournalReader:
    """Reads a writer's journal, live or dead. The state is that of the moment of opening."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info = WriterFile.read(path)
        self.unverified_bytes = 0
        self._suspect = bool(self.info.boot_id) and self.info.boot_id != boot_id()
        self._segments: list[_Segment] = []
        self._fds: dict[Path, int] = {}
        self.acked = 0
        self._open_segments()
        self.oldest = self._segments[0].base if self._segments else self.acked
        self.committed = self._segments[-1].end if self._segments else self.acked
        self.acked = max(self.acked, self.oldest)

    def _open_segments(self) -> None:
        names = sorted(p for p in self.path.glob(f"*{SUFFIX}") if p.stem.isdigit())
        for path in names:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._fds[path] = fd
            page = os.pread(fd, PAGE_BYTES, 0)
            if len(page) < PAGE_BYTES or page[:8] != MAGIC:
                self.unverified_bytes += max(0, os.fstat(fd).st_size - PAGE_BYTES)
                break
            _, base, committed, acked = PAGE.unpack_from(page)
            size = os.fstat(fd).st_size
            if base != int(path.stem) or not base <= committed <= base + size - PAGE_BYTES:
                self.unverified_bytes += size - PAGE_BYTES
                break
            if self._segments and self._segments[-1].end != base:
                break  # What lies between was not verified: the stream ends before it.
            self.acked = max(self.acked, acked)
            end = self._verified_end(fd, page, base, committed)
            self.unverified_bytes += committed - end
            self._segments.append(_Segment(path, base, end))
            if end != committed:
                break

    def _verified_end(self, fd: int, page: bytes, base: int, committed: int) -> int:
        if not self._suspect:
            return committed
        slot = read_slot(page)
        if slot is None or not base <= slot[1] <= committed:
            return base
        data = os.pread(fd, slot[1] - base, PAGE_BYTES)
        return slot[1] if zlib.crc32(data) == slot[2] else base

    def writer_is_alive(self) -> bool:
        """Return whether somebody holds the journal's lock."""
        fd = try_lock(self.path)
        if fd is None:
            return True
        os.close(fd)
        return False

    def read(self, position: int, bytes_max: int) -> bytes:
        """Return whole records from ``position``, at least one, about ``bytes_max``; b"" at the end.

        Raises:
            JournalError: The position is not held, or no record starts there.
        """
        for segment in self._segments:
            if segment.base <= position < segment.end:
                size = min(segment.end - position, bytes_max)
                data = self._bytes(segment, position, size)
                end = 0
                try:
                    for record in scan_records(data):
                        end = record.end
                except MalformedRecordsError as error:
                    if end == 0 and size < segment.end - position:
                        return self.read(position, bytes_max * 2)
                    if size == segment.end - position:
                        raise JournalError(
                            f"{segment.path}: no record at position {position + end} ({error}); "
                            "what lies before was taken, the file is kept"
                        ) from error
                return data[:end]
        if position < self.oldest:
            raise JournalError(f"{self.path}: position {position} is gone, oldest is {self.oldest}")
        return b""

    def _bytes(self, segment: _Segment, position: int, size: int) -> bytes:
        return os.pread(self._fds[segment.path], size, PAGE_BYTES + position - segment.base)

    def _events(self) -> Iterator[tuple[str, dict[str, object]]]:
        for segment in self._segments:
            data = self._bytes(segment, segment.base, segment.end - segment.base)
            try:
                for record in scan_records(data):
                    if record.schema == EVENT_SCHEMA:
                        yield unpack_event(data, record)
            except MalformedRecordsError:
                return

    def schemas(self) -> dict[int, tuple[str, ...]]:
        """Return every schema that is defined in what is held."""
        found: dict[int, tuple[str, ...]] = {}
        for kind, body in self._events():
            if kind == SCHEMA:
                number, keys = body["id"], body["keys"]
                assert isinstance(number, int)
                assert isinstance(keys, list)
                found[number] = tuple(keys)
        return found

    def mark_acked(self, position: int) -> None:
        """Write down that everything before ``position`` is safe elsewhere."""
        if not self._segments:
            return
        fd = os.open(self._segments[-1].path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.pwrite(fd, struct.pack("<Q", position), 8 * ACKED_WORD)
            os.fdatasync(fd)
        finally:
            os.close(fd)
        self.acked = max(self.acked, position)

    def remove(self) -> None:
        """Delete the journal; what could not be verified is kept under a name that says so.

        Raises:
            JournalError: Not everything in it is acknowledged.
        """
        if self.acked < self.committed:
            raise JournalError(
                f"{self.path}: {self.committed - self.acked} bytes are not acknowledged; kept"
            )
        if self.unverified_bytes:
            (self.path / "writer.json").rename(self.path / "writer.json.unverified")
            return
        # The folder stops being a journal first: nobody finds half of one.
        (self.path / "writer.json").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
