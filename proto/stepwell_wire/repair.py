"""Repair of a dead writer's journal: what `salvage.py` decides, done to its files.

    repair = plan_repair(path)
    for each in repair.damage: ...
    repair.apply()

The original files are kept in `damaged/` beside the journal.
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

from stepwell_wire.errors import JournalError
from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal_files import (
    LOCK_FILE,
    UNVERIFIED_SUFFIX,
    WRITER_FILE,
    WriterFile,
    has_restarted,
)
from stepwell_wire.salvage import SegmentDamage, UnsalvageableError, salvage
from stepwell_wire.segment import (
    COMMITTED_AT,
    NEXT_AT,
    PAGE_BYTES,
    SEGMENT_SUFFIX,
    checked_slot_at,
    pack_acked,
    pack_checked,
    pack_page,
    segment_base,
    segment_name,
)

KEPT_FOLDER: Final = "damaged"


@dataclass(slots=True)
class Repair:
    """The changes that repair one journal.

    Attributes:
        damage: the lost ranges, and those that are kept without a valid checksum.
        unverified_bytes: readable bytes that are not used, because the machine restarted.
    """

    path: Path
    info: WriterFile
    damage: list[SegmentDamage] = field(default_factory=list)
    unverified_bytes: int = 0
    _writes: dict[str, bytes] = field(default_factory=dict)
    _replaced: list[str] = field(default_factory=list)

    @property
    def is_needed(self) -> bool:
        return bool(self._writes)

    def apply(self) -> Path | None:
        """Repair the journal; return the folder of the original files, None if nothing was changed.

        Raises:
            JournalError: The writer runs, or writing failed; the original files are kept.
        """
        if not self._writes:
            return None
        with _held(self.path, make=True) as folder:
            names = folder.names()
            if not all(name in names for name in self._replaced if name.endswith(SEGMENT_SUFFIX)):
                raise JournalError(
                    f"{self.path}: its rows were delivered in the meantime; nothing was changed"
                )
            try:
                kept = self._keep(folder)
                # writer.json comes last: without it the folder does not count as a journal.
                # The last segment comes first: it has the gap events.
                names = sorted(self._writes, reverse=True)
                for name in sorted(names, key=lambda name: name == WRITER_FILE):
                    _replace(folder, name, self._writes[name])
                for name in self._replaced:
                    if name not in self._writes:
                        folder.unlink(name)
                os.fsync(folder.descriptor)
            except OSError as error:
                raise JournalError(
                    f"{error.filename or self.path}: {error.strerror}; the original files "
                    "are kept; try again when the disk accepts writes"
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
            raise JournalError(f"{parent}: a symbolic link, expected a folder; move it away")
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


def plan_repair(path: Path, *, info: WriterFile | None = None, unverified: bool = False) -> Repair:
    """Read every byte of the journal in ``path`` and return its repair; changes nothing.

    Args:
        info: who wrote it, if ``writer.json`` cannot be read.
        unverified: also use unverified data after a restart of the machine, as far as it is
            readable: some of its values may never have reached the disk.

    Raises:
        JournalError: It is in use, is not a journal, or its run is unknown.
    """
    with _held(path) as folder:
        writer, is_there = _find_writer(folder, info, unverified=unverified)
        names = _segments(folder, unverified=unverified)
        files = {base: _read(folder, name) for base, name in names.items()}
    try:
        found = salvage(files, restarted=has_restarted(writer), unverified=unverified)
    except UnsalvageableError as error:
        raise JournalError(f"{path}: {error}") from error
    repair = Repair(path, writer, found.damage, found.unverified_bytes)
    repair._replaced += [names[base] for base in found.given_up]
    for base, name in names.items():
        if base not in found.given_up and name != segment_name(base):
            found.segments.setdefault(base, files[base][PAGE_BYTES:])
    for base, records in found.segments.items():
        is_last = base == found.last
        # Readers reject an ack beyond the end.
        acked = min(found.acked, base + len(records)) if is_last else 0
        repair._writes[segment_name(base)] = _segment(base, records, acked=acked, is_last=is_last)
        repair._replaced.append(names[base])
    if not is_there:
        repair._writes[WRITER_FILE] = writer.to_json().encode()
        repair._replaced.append(WRITER_FILE + UNVERIFIED_SUFFIX)
    if repair.is_needed and repair.unverified_bytes:
        raise JournalError(
            f"{path}: {repair.unverified_bytes} bytes cannot be verified, as the machine "
            "restarted or may have; this repair would discard them. Nothing was changed; "
            "add --unverified to keep the readable part of them"
        )
    return repair


def _find_writer(
    folder: JournalFolder, info: WriterFile | None, *, unverified: bool
) -> tuple[WriterFile, bool]:
    """Return who wrote the journal, and whether its ``writer.json`` says so."""
    problem = f"no {WRITER_FILE}"
    for name in (WRITER_FILE, WRITER_FILE + UNVERIFIED_SUFFIX)[: 1 + unverified]:
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
        f"{folder.path}: {problem}; the run of these records is unknown: give --project, "
        "--run and --unverified"
    )


def _segments(folder: JournalFolder, *, unverified: bool) -> dict[int, str]:
    """Return the names of the segments, by base."""
    suffixes = (SEGMENT_SUFFIX, SEGMENT_SUFFIX + UNVERIFIED_SUFFIX)[: 1 + unverified]
    named: dict[int, str] = {}
    for name in sorted(folder.names()):
        for suffix in suffixes:
            base = segment_base(name, suffix)
            if base is not None:
                named.setdefault(base, name)
    if not named:
        raise JournalError(f"{folder.path}: no segments, so no data to repair; remove the folder")
    return named


def _read(folder: JournalFolder, name: str) -> bytes:
    try:
        with open(folder.open(name, os.O_RDONLY), "rb") as opened:
            return opened.read()
    except OSError as error:
        raise JournalError(f"{folder.path / name}: {error.strerror}") from error


@contextlib.contextmanager
def _held(path: Path, *, make: bool = False) -> Iterator[JournalFolder]:
    """Hold the journal's lock, as its writer or a recoverer would.

    Without a lock file there is no lock to hold; with ``make`` the file is created.
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
            raise JournalError(
                f"{path}: in use by its writer or by a daemon; try again when it has ended"
            ) from error
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from error
        yield folder


# ---------------------------------------------------------------------------- what is written


def _segment(base: int, records: bytes, *, acked: int = 0, is_last: bool = False) -> bytes:
    """Return the whole file of a segment, with a checksum over all records."""
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


def _replace(folder: JournalFolder, name: str, content: bytes) -> None:
    """Replace ``name``, with the folder's owner and the permissions of the lock beside it."""
    temporary = f".{name}.tmp"
    folder.unlink(temporary)
    like = os.stat(LOCK_FILE, dir_fd=folder.descriptor, follow_symlinks=False)
    _write_new(temporary, content, folder=folder.descriptor, like=like)
    folder.rename(temporary, name)


def _write_new(
    name: str, content: bytes, *, folder: int, like: os.stat_result | None = None
) -> None:
    """Write a new file with fsync; the caller syncs its folder."""
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
