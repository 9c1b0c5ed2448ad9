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
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal import (
    LOCK_FILE,
    UNVERIFIED_SUFFIX,
    WRITER_FILE,
    JournalError,
    WriterFile,
    boot_id,
)
from stepwell_wire.records import HEADER_BYTES
from stepwell_wire.rescue import Stretch, filled, gap_events, padding, readable
from stepwell_wire.segment import (
    ACKED_AT,
    COMMITTED_AT,
    MAGIC,
    PAGE,
    PAGE_BYTES,
    SEGMENT_SUFFIX,
    checked_slot_at,
    pack_checked,
    pack_page,
    segment_name,
    unpack_checked,
)

KEPT_FOLDER: Final = "damaged"
_FILLER_BYTES_MAX: Final = 1 << 24
_HOLE_BYTES_MAX: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Damage:
    """``size`` bytes from ``position`` on that are lost, or that cannot be believed."""

    position: int
    size: int
    what: str


@dataclass(slots=True)
class _File:
    """A segment as it was found; ``records`` is what is taken of it.

    Attributes:
        doubtful: bytes behind ``records`` that the machine's restart leaves in doubt.
        is_believed: whether a reader takes all of ``records`` as it lies.
    """

    base: int
    name: str
    records: bytes
    acked: int
    has_page: bool
    doubtful: int
    is_believed: bool


@dataclass(slots=True)
class Mending:
    """What is to be done to one journal.

    Attributes:
        damage: what is lost, oldest first.
        unverified_bytes: what could be read and is not believed, as the machine restarted.
    """

    path: Path
    info: WriterFile
    damage: list[Damage] = field(default_factory=list)
    unverified_bytes: int = 0
    _writes: dict[str, bytes] = field(default_factory=dict)
    _replaced: list[str] = field(default_factory=list)
    _gaps: list[bytes] = field(default_factory=list)

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
                    _replace(folder, name, self._writes[name])
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
        writer, is_there = _writer_of(folder, info, unverified=unverified)
        files = _files(folder, writer, unverified=unverified)
        mending = Mending(path, writer)
        if not is_there:
            mending._writes[WRITER_FILE] = writer.to_json().encode()
            mending._replaced.append(WRITER_FILE + UNVERIFIED_SUFFIX)
        bases = [file.base for file in files]
        followings = [*bases[1:], None]
        pieces = [_records_of(*each) for each in zip(files, followings, strict=True)]
        read = readable(pieces)
        for file, following, records, found in zip(files, followings, pieces, read, strict=True):
            _plan_file(mending, file, following, records, found)
        if mending.is_needed and mending.unverified_bytes:
            raise JournalError(
                f"{path}: {mending.unverified_bytes} bytes cannot be believed, as the machine "
                "restarted or nobody knows whether it did, and would be given up; say --unverified "
                "to take them as far as they read. Nothing was changed"
            )
        return mending


def _records_of(file: _File, following: int | None) -> bytes:
    """Return what of ``file`` can be records of it: not what lies behind the next one's base."""
    return file.records if following is None else file.records[: following - file.base]


def _plan_file(
    mending: Mending, file: _File, following: int | None, records: bytes, found: list[Stretch]
) -> None:
    if not file.has_page and following is None:
        # Without its page nobody knows where it ended: at the last thing that can be read.
        while found and found[-1].decoded is None:
            found.pop()
    end = found[-1].end if found else 0
    if following is not None and following - file.base - end > _HOLE_BYTES_MAX:
        raise JournalError(
            f"{mending.path}: {following - file.base - end} bytes are missing before "
            f"{segment_name(following)}, more than a journal holds; if that file is of another "
            "journal, move it away"
        )
    missing = 0 if following is None else following - file.base - len(records)
    if missing:
        if found and found[-1].decoded is None:
            found[-1].end += _part(missing)
        else:
            found.append(Stretch(end, end + _part(missing), None))
    is_cut = following is None and bool(found) and found[-1].end - found[-1].start < HEADER_BYTES
    if is_cut:
        cut = found.pop()  # No room for a record, and nothing behind it.
        mending.damage.append(Damage(file.base + cut.start, cut.end - cut.start, "no records"))
    damaged = [each for each in found if each.decoded is None]
    if any(each.end - each.start < HEADER_BYTES for each in damaged):
        raise JournalError(f"{mending.path / file.name}: too short for a record; move it away")
    for each in damaged:
        what = "no records" if each.start < end else "missing"
        mending.damage.append(Damage(file.base + each.start, each.end - each.start, what))
    mending._gaps += gap_events(found)
    mending.unverified_bytes += file.doubtful
    if not file.has_page:
        mending.damage.append(Damage(file.base, 0, "the page before the records"))
    gaps = b"".join(mending._gaps) if following is None else b""
    is_renamed = file.name != segment_name(file.base)
    if damaged or is_cut or is_renamed or gaps or not (file.has_page and file.is_believed):
        content = b"".join(filled(records, found)) + gaps
        mending._writes[segment_name(file.base)] = _segment(file.base, content, acked=file.acked)
        mending._replaced.append(file.name)
        limit = file.base + len(content)
        # A hole of any size is bridged by segments that hold nothing else.
        while following is not None and limit < following:
            size = _part(following - limit)
            mending.damage.append(Damage(limit, size, "missing"))
            mending._writes[segment_name(limit)] = _segment(limit, padding(size), acked=0)
            limit += size


def _part(size: int) -> int:
    """Return how much of a hole one segment bridges; the rest is never less than a record."""
    return size if size <= _FILLER_BYTES_MAX else _FILLER_BYTES_MAX - HEADER_BYTES


# ---------------------------------------------------------------------------- what is there


def _writer_of(
    folder: JournalFolder, info: WriterFile | None, *, unverified: bool
) -> tuple[WriterFile, bool]:
    """Return who wrote the journal, and whether its ``writer.json`` says so."""
    names = [WRITER_FILE, *([WRITER_FILE + UNVERIFIED_SUFFIX] if unverified else [])]
    problem = f"no {WRITER_FILE}"
    for name in names:
        try:
            with open(folder.open(name, os.O_RDONLY), encoding="utf-8") as file:
                return WriterFile.from_json(file.read()), name == WRITER_FILE
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            problem = f"{name}: {error}"
    if info is not None:
        return info, False
    raise JournalError(
        f"{folder.path}: {problem}; what is held cannot be assigned to a run, say whose it is with "
        "--project and --run"
    )


def _files(folder: JournalFolder, info: WriterFile, *, unverified: bool) -> list[_File]:
    here = boot_id()
    restarted = not here or info.boot_id != here
    suffixes = (SEGMENT_SUFFIX, SEGMENT_SUFFIX + UNVERIFIED_SUFFIX)[: 1 + unverified]
    named: dict[int, str] = {}
    for name in sorted(folder.names()):
        for suffix in suffixes:
            digits = name.removesuffix(suffix)
            if digits != name and digits.isascii() and digits.isdigit() and not int(digits) & 7:
                named.setdefault(int(digits), name)
    found = []
    for base, name in sorted(named.items()):
        try:
            with open(folder.open(name, os.O_RDONLY), "rb") as opened:
                data = opened.read()
        except OSError as error:
            raise JournalError(f"{folder.path / name}: {error.strerror}") from error
        found.append(_read_file(base, name, data, restarted=restarted, unverified=unverified))
    if not found:
        raise JournalError(f"{folder.path}: no segments; there is nothing to repair")
    return found


def _read_file(base: int, name: str, data: bytes, *, restarted: bool, unverified: bool) -> _File:
    has_page = len(data) >= PAGE_BYTES and PAGE.unpack_from(data)[:2] == (MAGIC, base)
    if not has_page:
        claimed = len(data) & ~7
        acked = 0
    else:
        _, _, committed, acked = PAGE.unpack_from(data)
        claimed = max(PAGE_BYTES, min(committed, len(data)) & ~7)
        if acked & 7 or acked > base + claimed - PAGE_BYTES:
            acked = 0
    believed = claimed if has_page else PAGE_BYTES
    if restarted:
        checked = unpack_checked(data[:PAGE_BYTES]) if has_page else []
        believed = next(
            (
                end
                for end, crc in checked
                if PAGE_BYTES <= end <= len(data)
                and not end & 7
                and zlib.crc32(data[PAGE_BYTES:end]) == crc
            ),
            PAGE_BYTES,
        )
    if restarted and not unverified:
        claimed = max(claimed, believed)
        return _File(
            base, name, data[PAGE_BYTES:believed], acked, has_page, claimed - believed, True
        )
    return _File(base, name, data[PAGE_BYTES:claimed], acked, has_page, 0, believed >= claimed)


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


def _segment(base: int, records: bytes, *, acked: int) -> bytes:
    """Return the whole file of a segment of which every byte can be believed."""
    page = bytearray(pack_page(base))
    end = PAGE_BYTES + len(records)
    page[COMMITTED_AT : COMMITTED_AT + 8] = end.to_bytes(8, "little")
    page[ACKED_AT : ACKED_AT + 8] = acked.to_bytes(8, "little")
    slot = pack_checked(end, zlib.crc32(records))
    page[checked_slot_at(0) : checked_slot_at(0) + len(slot)] = slot
    return bytes(page) + records


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
