"""Mend the journal of a dead writer, so that all of it that can be read is delivered.

What cannot be read, or is missing, is replaced by padding of the same length: every other byte
keeps its position, by which the daemon knows what it has already. A gap event for each stands at
the end. Files that are changed are kept as they were in `damaged/` beside the journal.

    mending = plan_mending(path)
    for each in mending.damage: ...
    mending.apply()
"""

import contextlib
import fcntl
import functools
import os
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal import JournalError
from stepwell_wire.journal_files import (
    LOCK_FILE,
    UNVERIFIED_SUFFIX,
    WRITER_FILE,
    WriterFile,
    has_restarted,
)
from stepwell_wire.records import HEADER_BYTES
from stepwell_wire.remains import (
    HOLE_BYTES_MAX,
    FoundSegment,
    behind_lost,
    find_segments,
    find_writer,
)
from stepwell_wire.rescue import (
    Stretch,
    doubt_event,
    ends_with_finish,
    filled,
    gap_events,
    last_time,
    padding,
    readable,
    taken_end,
)
from stepwell_wire.segment import (
    COMMITTED_AT,
    NEXT_AT,
    PAGE_BYTES,
    SEGMENT_SUFFIX,
    checked_slot_at,
    last_step,
    pack_acked,
    pack_checked,
    pack_page,
    segment_name,
)

KEPT_FOLDER: Final = "damaged"
_FILLER_BYTES_MAX: Final = 1 << 24
_MISSING: Final = "missing"


@dataclass(slots=True)
class Damage:
    """``size`` bytes from ``position`` on that are lost, or that cannot be believed."""

    position: int
    size: int
    what: str


@dataclass(slots=True)
class Mending:
    """What is to be done to one journal.

    Attributes:
        damage: what is lost, oldest first.
        doubts: what is taken as it reads, though no checksum holds that should.
        unverified_bytes: what could be read and is not believed, as the machine restarted.
    """

    path: Path
    info: WriterFile
    damage: list[Damage] = field(default_factory=list)
    doubts: list[Damage] = field(default_factory=list)
    unverified_bytes: int = 0
    _writes: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    _replaced: list[str] = field(default_factory=list)

    @property
    def is_needed(self) -> bool:
        return bool(self._writes)

    def apply(self) -> Path | None:
        """Do it; return where the files lie as they were, None where nothing was changed.

        Raises:
            JournalError: The writer runs, or the disk does not take it; what was there is kept.
        """
        if not self._writes:
            return None
        with _held(self.path, make=True) as folder:
            names = folder.names()
            if not all(name in names for name in self._replaced if name.endswith(SEGMENT_SUFFIX)):
                raise JournalError(f"{self.path}: delivered meanwhile; nothing was changed")
            try:
                kept = self._keep(folder)
                # Who writes comes last: before, nobody takes the folder for a whole journal.
                # The last segment comes first: it tells of the gaps.
                names = sorted(self._writes, reverse=True)
                for name in sorted(names, key=lambda name: name == WRITER_FILE):
                    _replace(folder, name, self._writes[name]())
                for name in self._replaced:
                    if name not in self._writes:
                        folder.unlink(name)
                os.fsync(folder.descriptor)
            except OSError as error:
                raise JournalError(
                    f"{error.filename or self.path}: {error.strerror}; what was there is kept, "
                    "try again when the disk takes it"
                ) from error
        return kept

    def _lose(self, position: int, size: int, what: str) -> Stretch:
        self.damage.append(Damage(position, size, what))
        return Stretch(position, position + size, None)

    def _write(
        self, file: FoundSegment, found: Sequence[Stretch], more: bytes = b"", *, acked: int
    ) -> None:
        def content() -> bytes:
            records = b"".join(filled(file.records, found)) + more
            # An ack beyond the end would not be believed.
            believed = min(acked, file.base + len(records))
            return _segment(file.base, records, acked=believed, is_last=file.following is None)

        self._writes[segment_name(file.base)] = content
        if not file.is_new:
            self._replaced.append(file.name)

    def _keep(self, folder: JournalFolder) -> Path:
        where = folder.real_path()
        parent = where.parent / KEPT_FOLDER
        number = 0
        while (kept := parent / f"{where.name}-{number}").exists():
            number += 1
        parent.mkdir(exist_ok=True)
        if parent.is_symlink():
            raise JournalError(f"{parent}: a link, expected a folder; move it away")
        kept.mkdir(mode=0o700)
        target = os.open(kept, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for name in sorted({*self._replaced, WRITER_FILE} & set(folder.names())):
                with open(folder.open(name, os.O_RDONLY), "rb") as file:
                    _write_new(name, file.read(), folder=target)
            os.fsync(target)
        finally:
            os.close(target)
        _sync_folder(parent)
        return kept


def plan_mending(
    path: Path, *, info: WriterFile | None = None, unverified: bool = False
) -> Mending:
    """Read every byte of the journal in ``path`` and return what would mend it; changes nothing.

    Args:
        info: who wrote it, where ``writer.json`` cannot be read.
        unverified: also take what cannot be believed after a restart of the machine, as far as
            it reads: some of its values may never have reached the disk.

    Raises:
        JournalError: It is in use, it is no journal, or nobody knows whose it is.
    """
    with _held(path) as folder:
        writer, is_there = find_writer(folder, info, unverified=unverified)
        files, given_up = find_segments(folder, writer, unverified=unverified)
        mending = Mending(path, writer)
        mending._replaced += given_up
        if not is_there:
            mending._writes[WRITER_FILE] = lambda: writer.to_json().encode()
            mending._replaced.append(WRITER_FILE + UNVERIFIED_SUFFIX)
        _plan_files(mending, files, is_front_known=not has_restarted(writer))
        if mending.is_needed and mending.unverified_bytes:
            raise JournalError(
                f"{path}: {mending.unverified_bytes} bytes cannot be believed, as the machine "
                "restarted or nobody knows whether it did, and would be given up; say --unverified "
                "to take them as far as they read. Nothing was changed"
            )
        return mending


def _plan_files(mending: Mending, files: list[FoundSegment], *, is_front_known: bool) -> None:
    acked = max(file.acked for file in files)
    found_in = readable([file.records for file in files])
    if files[-1].is_end_guessed:
        found_in = _guess_end(files, found_in)
    lost_end = _lost_end(files[-1], found_in[-1])
    if lost_end or files[-1].limit + files[-1].cut_bytes > max(files[-1].limit, acked):
        files = [*files, behind_lost(files[-1])]
        found_in.append([])
    first, last = files[0], files[-1]
    journal: list[Stretch] = []
    doubts = b""
    stale: list[tuple[FoundSegment, list[Stretch]]] = []
    if is_front_known and first.base > acked:
        journal.append(mending._lose(acked, first.base - acked, _MISSING))
    for file, found in zip(files, found_in, strict=True):
        if is_front_known:
            file.settle(acked)
        is_changed = _plan_file(mending, file, found)
        if file.doubted_at is not None:
            doubts += _doubt(mending, file, found)
        journal += (
            Stretch(file.base + each.start, file.base + each.end, each.decoded) for each in found
        )
        if file is not last:
            if is_changed:
                mending._write(file, found, acked=file.acked)
            elif file.is_stale:
                stale.append((file, found))
            journal += _fillers(mending, file, found)
    if lost_end:
        for each in mending.damage:
            if each.what == _MISSING and each.position >= files[-2].limit:
                each.what = "missing, or less: nobody knows where the journal ended"
    gaps = b"".join(gap_events(journal, acked=acked, lost_end=lost_end)) + doubts
    if is_changed or gaps:
        # The gap that tells of a missing first segment also ends the search for it.
        given_up = max(acked, first.base) if is_front_known else last.acked
        mending._write(last, found, gaps, acked=given_up)
    if mending._writes:
        for file, found in stale:
            mending._write(file, found, acked=file.acked)


def _guess_end(files: list[FoundSegment], found_in: list[list[Stretch]]) -> list[list[Stretch]]:
    """Take of the last file what its writer wrote; return what all of them read as then."""
    last = files[-1]
    before_us = None
    for file, found in zip(files[-2::-1], found_in[-2::-1], strict=True):
        before_us = last_time(file.records, found)
        if before_us is not None:
            break
    end = taken_end(last.records, found_in[-1], proven=last.proven, before_us=before_us)
    last.records = last.records[:end]
    return readable([file.records for file in files])


def _lost_end(last: FoundSegment, found: list[Stretch]) -> str:
    """Return what to say of the journal's end, "" where it is known."""
    if last.is_followed or last.file_bytes < PAGE_BYTES:
        return "journal damaged, its end is missing"
    if last.is_end_guessed and not ends_with_finish(last.records, found):
        return "journal damaged, its end may be missing"
    return ""


def _plan_file(mending: Mending, file: FoundSegment, found: list[Stretch]) -> bool:
    """Settle what stands in the place of what cannot be read; return whether that is a change."""
    is_last = file.following is None
    end = found[-1].end if found else 0
    missing = 0 if file.following is None else file.following - file.limit
    if missing > HOLE_BYTES_MAX:
        raise JournalError(
            f"{mending.path}: {missing} bytes are missing before "
            f"{segment_name(file.limit + missing)}, more than a journal holds; if that file is of "
            "another journal, move it away"
        )
    if missing:
        if found and found[-1].decoded is None:
            found[-1].end += _part(missing)
        else:
            found.append(Stretch(end, end + _part(missing), None))
    is_cut = is_last and bool(found) and found[-1].end - found[-1].start < HEADER_BYTES
    if is_cut:
        cut = found.pop()  # No room for a record, and nothing behind it.
        mending._lose(file.base + cut.start, cut.end - cut.start, "no records")
    damaged = [each for each in found if each.decoded is None]
    if any(each.end - each.start < HEADER_BYTES for each in damaged):
        raise JournalError(f"{mending.path / file.name}: too short for a record; move it away")
    for each in damaged:
        what = "no records" if each.start < end else _MISSING
        mending._lose(file.base + each.start, each.end - each.start, what)
    mending.unverified_bytes += file.doubtful
    if not file.has_page:
        mending._lose(file.base, 0, "the page before the records")
    elif file.is_word_wrong:
        mending._lose(file.limit, 0, "the note of where the journal ends")
    is_renamed = file.name != segment_name(file.base)
    return bool(damaged) or is_cut or is_renamed or not (file.has_page and file.is_believed)


def _doubt(mending: Mending, file: FoundSegment, found: list[Stretch]) -> bytes:
    """Note what of ``file`` is taken though no checksum holds; return the event that says so."""
    start = file.doubted_at or 0
    size = len(file.records) - start
    event = doubt_event(found, size, last_step(file.records[:start]))
    if event:
        what = "no checksum holds; taken as they read"
        mending.doubts.append(Damage(file.base + start, size, what))
    return event


def _fillers(mending: Mending, file: FoundSegment, found: list[Stretch]) -> Iterator[Stretch]:
    """Bridge what is missing behind ``file`` with segments that hold nothing else."""
    limit = file.base + (found[-1].end if found else 0)
    while file.following is not None and limit < file.following:
        size = _part(file.following - limit)
        mending._writes[segment_name(limit)] = functools.partial(_filler, limit, size)
        yield mending._lose(limit, size, _MISSING)
        limit += size


def _part(size: int) -> int:
    """Return how much of a hole one segment bridges; the rest is never less than a record."""
    return size if size <= _FILLER_BYTES_MAX else _FILLER_BYTES_MAX - HEADER_BYTES


@contextlib.contextmanager
def _held(path: Path, *, make: bool = False) -> Iterator[JournalFolder]:
    """Be the only one at the journal, as its writer or a recoverer would.

    Without a lock file nobody is; with ``make`` it is made.
    """
    with contextlib.ExitStack() as held:
        try:
            folder = JournalFolder(path)
            held.callback(folder.close)
            if make or LOCK_FILE in folder.names():
                lock = folder.open_lock(LOCK_FILE)
                held.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(f"{path}: in use; its writer, or a daemon, holds it") from error
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from error
        yield folder


# ---------------------------------------------------------------------------- what is written


def _segment(base: int, records: bytes, *, acked: int = 0, is_last: bool = False) -> bytes:
    """Return the whole file of a segment of which every byte can be believed."""
    page = bytearray(pack_page(base))
    end = PAGE_BYTES + len(records)
    page[COMMITTED_AT : COMMITTED_AT + 8] = end.to_bytes(8, "little")
    for at, word in pack_acked(acked):
        page[at : at + 8] = word
    if not is_last:
        page[NEXT_AT : NEXT_AT + 8] = (base + len(records)).to_bytes(8, "little")
    slot = pack_checked(end, zlib.crc32(records))
    page[checked_slot_at(0) : checked_slot_at(0) + len(slot)] = slot
    return bytes(page) + records


def _filler(base: int, size: int) -> bytes:
    return _segment(base, padding(size))


def _replace(folder: JournalFolder, name: str, content: bytes) -> None:
    """Write ``name`` anew, for the folder's owner and with the rights of the lock beside it."""
    temporary = f".{name}.tmp"
    folder.unlink(temporary)
    like = os.stat(LOCK_FILE, dir_fd=folder.descriptor, follow_symlinks=False)
    _write_new(temporary, content, folder=folder.descriptor, like=like)
    folder.rename(temporary, name)


def _write_new(
    name: str, content: bytes, *, folder: int, like: os.stat_result | None = None
) -> None:
    """Write a file that is not there yet, durably but for its name."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(content)
        file.flush()
        if like is not None:
            os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
            if os.geteuid() == 0:
                os.fchown(file.fileno(), os.fstat(folder).st_uid, like.st_gid)
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
