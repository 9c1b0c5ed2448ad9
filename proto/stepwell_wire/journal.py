"""Journals: the files of one writer, and how other processes read them.

One folder a writer: `writer.json` (who writes), `lock` (held with flock while it lives) and
segments (see `segment.py`) named by the position of their first record, in 20 decimal digits.
Segments follow each other without a missing range. A file named `spare-…` belongs to the writer
alone.

Unverified data, after a restart of the machine or damage, is quarantined, never deleted.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stepwell_wire.commands import command_text
from stepwell_wire.errors import JournalError, MalformedRecordsError
from stepwell_wire.exit_note import Ending, read_ending
from stepwell_wire.folder import JournalFolder
from stepwell_wire.held_segments import HeldSegments
from stepwell_wire.journal_files import (
    LOCK_FILE,
    UNVERIFIED_SUFFIX,
    WRITER_FILE,
    WriterFile,
    has_restarted,
)
from stepwell_wire.lock_holder import holder_pids
from stepwell_wire.records import HEADER, HEADER_BYTES, aligned, check_header
from stepwell_wire.run_notes import note_recovered_step
from stepwell_wire.segment import (
    PAGE_BYTES,
    SEGMENT_SUFFIX,
    definitions,
    last_step,
    whole_records,
)

_STEPS_BYTES: Final = 8 * 1024 * 1024


def _no_journal(path: Path, *, has_records: bool = False) -> JournalError:
    if has_records:
        return JournalError(f"{path}: {unknown_run_text(path)}")
    return JournalError(f"{path}: no {WRITER_FILE}, so not a journal of stepwell")


def assigning_command(path: Path) -> str:
    return command_text("journal", "repair", path, rest="--unverified --project … --run …")


def unknown_run_text(path: Path) -> str:
    """Return the message for a folder of records whose run is unknown."""
    return (
        f"contains records but no {WRITER_FILE}, so their run is unknown; assign them with "
        f"{assigning_command(path)}"
    )


class JournalReader:
    """Reads a writer's folder, of a live writer or a dead one.

    Args:
        check: called with the open folder first; its error ends the attempt.

    Attributes:
        info: who writes.
    """

    def __init__(self, path: Path, *, check: Callable[[JournalFolder], None] | None = None) -> None:
        self.path = Path(path)
        try:
            self._folder = JournalFolder(self.path)
        except FileNotFoundError as error:
            raise _no_journal(self.path) from error
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror}") from error
        try:
            if check is not None:
                check(self._folder)
            self.info = self._read_info()
        except BaseException:
            self._folder.close()
            raise
        self._restarted = has_restarted(self.info)
        self._lock_descriptor: int | None = None
        self._held = HeldSegments(self.path, self._folder, restarted=self._restarted)
        try:
            self._held.look()
        except BaseException:
            self.close()
            raise

    @property
    def folder(self) -> JournalFolder:
        """The open folder, until the reader is closed."""
        return self._folder

    def _read_info(self) -> WriterFile:
        try:
            with open(self._folder.open(WRITER_FILE, os.O_RDONLY), encoding="utf-8") as file:
                return WriterFile.from_json(file.read())
        except FileNotFoundError as error:
            has_records = any(name.endswith(SEGMENT_SUFFIX) for name in self._folder.names())
            raise _no_journal(self.path, has_records=has_records) from error
        except (OSError, ValueError) as error:
            raise JournalError(
                f"{self.path / WRITER_FILE}: {error}; the run of these records is unknown: "
                f"assign them with {assigning_command(self.path)}, or move the folder away"
            ) from error

    # ------------------------------------------------------------------ who holds it

    def writer_is_alive(self) -> bool:
        """Return whether another process holds the journal: its writer or a recoverer."""
        if self._lock_descriptor is not None:
            return False
        if not self.take_lock():
            return True
        self.release_lock()
        return False

    def is_imported(self) -> bool:
        """Return whether another process than the writer holds it: a daemon or `stepwell sync`.

        False if the holder is unknown.
        """
        if self._lock_descriptor is not None:
            return False
        try:
            descriptor = self._folder.open_lock(LOCK_FILE)
        except OSError:
            return False
        try:
            pids = holder_pids(descriptor)
        finally:
            os.close(descriptor)
        return bool(pids) and self.info.pid > 0 and self.info.pid not in pids

    def take_lock(self) -> bool:
        """Become the journal's only reader; False if its writer or another reader holds it."""
        if self._lock_descriptor is not None:
            return True
        try:
            descriptor = self._folder.open_lock(LOCK_FILE)
        except FileNotFoundError:
            return False  # The folder is missing: its writer or another recoverer was faster.
        except OSError as error:
            raise JournalError(f"{self.path / LOCK_FILE}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock_descriptor = descriptor
        return True

    def release_lock(self) -> None:
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None

    # ------------------------------------------------------------------ what is held

    def noted_ending(self) -> Ending | None:
        """Return how the dead writer ended, as its exit note says; None without one."""
        return read_ending(self._folder)

    @property
    def oldest(self) -> int:
        """The oldest position still held."""
        return self._held.oldest

    @property
    def committed(self) -> int:
        """The position just past the last valid record; each call reads it again."""
        self._held.look()
        return self._held.limit

    @property
    def acked(self) -> int:
        """The position up to which the writer or a recoverer got acks."""
        return self._held.acked

    @property
    def unverified_bytes(self) -> int:
        """The number of bytes after the last valid one."""
        return self._held.unverified_bytes

    def damage(self, had: int = 0) -> str:
        """Return a description of damage in a dead writer's journal.

        Returns "" if there is none, or if another process removed the folder in the meantime. Reads
        every record that has a checksum. After a restart of the machine it always returns "": the
        disk may hold older numbers, and data without a valid checksum is unverified, not damaged.

        Args:
            had: the position up to which all data is stored elsewhere, acknowledged or not.

        Raises:
            JournalError: A segment cannot be opened.
            OSError: A segment cannot be read.
        """
        self._held.look()  # The writer may have continued since, and died.
        if self._restarted:
            return ""
        had = max(had, self.acked)
        found = self._held.missing(had) or self._held.changed(had)
        return "" if self._is_gone() else found

    def _is_gone(self) -> bool:
        """Return whether a process that has all data removed the folder, or hid it to remove it."""
        with contextlib.suppress(OSError):
            found = os.stat(self.path, follow_symlinks=False)
            return not os.path.samestat(found, os.fstat(self._folder.descriptor))
        return True

    def read(self, position: int, bytes_max: int) -> bytes:
        """Return whole records from ``position`` on, from one segment; ``b""`` at the end.

        At most ``bytes_max``, but at least one record, however large.

        Raises:
            JournalError: ``position`` is before the oldest held one, or the bytes there are not
                records.
        """
        if position < self.oldest:
            raise JournalError(
                f"{self.path}: position {position} is no longer in the journal, which begins "
                f"at {self.oldest}"
            )
        held = self._held
        segment = held.segment_of(position)
        if segment is None:
            held.look()
            segment = held.segment_of(position)
        if segment is None:
            return b""
        offset = position - segment.base + PAGE_BYTES
        available = segment.end - offset
        if available <= bytes_max:
            return held.bytes_of(segment, offset, available)
        chunk = held.bytes_of(segment, offset, min(available, max(bytes_max, HEADER_BYTES)))
        end = whole_records(chunk)
        if end == 0:
            if available < HEADER_BYTES:
                raise JournalError(
                    f"{segment.path}: offset {offset}: {available} bytes are left, expected "
                    f"a record of at least {HEADER_BYTES} bytes"
                )
            schema, size, _, _ = HEADER.unpack_from(chunk)
            try:
                check_header(schema, size, 0, available)
            except MalformedRecordsError as error:
                raise JournalError(f"{segment.path}: offset {offset}: {error}") from error
            return held.bytes_of(segment, offset, aligned(size))
        return chunk[:end]

    def next_step(self) -> int:
        """Return one more than the last row's step in the held segments, 0 without a row.

        Raises:
            JournalError: The bytes of a segment are not records.
        """
        step = -1
        position = self.oldest
        while records := self.read(position, _STEPS_BYTES):
            position += len(records)
            found = last_step(records)
            step = step if found is None else found
        return step + 1

    def schemas(self) -> dict[int, tuple[str, ...]]:
        """Return every schema that is defined in the held segments."""
        held = self._held
        held.look()
        found: dict[int, tuple[str, ...]] = {}
        for segment in held.segments:
            found |= definitions(held.bytes_of(segment, PAGE_BYTES, segment.end - PAGE_BYTES))
        return found

    # ------------------------------------------------------------------ what a recoverer writes

    def mark_acked(self, position: int) -> None:
        """Note on disk that all data before ``position`` is durable elsewhere; frees nothing."""
        if position > self.acked:
            self._held.note_acked(position)

    def note_last_step(self) -> None:
        """Note the last step for `resume`: the process did so seconds before it died."""
        info = self.info
        if info.scope != "run":
            return
        with contextlib.suppress(JournalError, OSError):
            note_recovered_step(
                self.path.parent,
                info.project,
                info.run_id,
                self.next_step(),
                began_us=info.created_at,
                user=self._folder.owner,
            )

    def remove(self) -> None:
        """Delete the folder of a dead writer whose valid data is all acknowledged.

        Unverified data stays under names that end in ``.unverified``.

        Raises:
            JournalError: The writer is alive, or some data is not acknowledged.
        """
        if self.writer_is_alive():
            raise JournalError(
                f"{self.path}: its writer still runs, so the journal was not deleted"
            )
        if self.acked < self.committed:
            raise JournalError(
                f"{self.path}: {self.committed - self.acked} bytes are not acknowledged, so "
                "the journal was not deleted"
            )
        if not self.unverified_bytes:
            self._folder.remove(last=LOCK_FILE)
            self.close()
            return
        for name in sorted(self._folder.names()):
            if name == WRITER_FILE or self._held.is_doubtful(name):
                self._folder.rename(name, name + UNVERIFIED_SUFFIX)
            elif not name.endswith(UNVERIFIED_SUFFIX):
                self._folder.unlink(name)
        self.close()

    def close(self) -> None:
        """Release files and lock; safe to call twice."""
        self._held.close()
        self.release_lock()
        self._folder.close()
