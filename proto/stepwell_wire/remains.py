"""The files of a dead writer's journal as they are found, each as far as a reader would take it.

For `mending.py`: where a page cannot be believed, the next segment's place, a checksum or nothing
says where the records end.
"""

import functools
import os
from dataclasses import dataclass
from typing import Final

from stepwell_wire.folder import JournalFolder
from stepwell_wire.journal import JournalError
from stepwell_wire.journal_files import UNVERIFIED_SUFFIX, WRITER_FILE, WriterFile, has_restarted
from stepwell_wire.limits import JOURNAL_SEGMENT_BYTES
from stepwell_wire.records import HEADER_BYTES
from stepwell_wire.segment import (
    MAGIC,
    NEXT_AT,
    PAGE,
    PAGE_BYTES,
    SEGMENT_SUFFIX,
    acked_in,
    checked_end,
    committed_end,
    end_before,
    is_end_wrong,
    promised_end,
    segment_name,
)

HOLE_BYTES_MAX: Final = 1 << 32
"""No journal is larger: a place that says so is damaged, or another journal's."""
_CUT_BYTES_MAX: Final = 64 << 20
"""A page that says that more was cut off, and more than is left, is damaged instead."""


@dataclass(slots=True)
class FoundSegment:
    """A segment as it was found; ``records`` is what is taken of it.

    Attributes:
        following: the position at which the next one begins, None for the last.
        doubtful: bytes behind ``records`` that the machine's restart leaves in doubt.
        cut_bytes: what the writer says that it wrote beyond the end of the file.
        doubted_at: from which of ``records`` on no checksum holds that should; None where all is
            as good as it can be.
        is_followed: whether its page says that another segment begins where it ends.
        file_bytes: the size of the file.
        proven: how many of the first bytes of ``records`` a checksum holds for.
        is_word_wrong: whether its page says an end that cannot be.
        is_believed: whether a reader takes all of ``records`` as it lies.
        is_new: it is not there yet.
        is_stale: its page says another end than the next segment's place does.
    """

    base: int
    name: str
    records: bytes
    following: int | None
    acked: int
    has_page: bool
    doubtful: int
    cut_bytes: int
    is_believed: bool
    doubted_at: int | None = None
    is_followed: bool = False
    file_bytes: int = 0
    proven: int = 0
    is_word_wrong: bool = False
    is_new: bool = False
    is_stale: bool = False

    @property
    def limit(self) -> int:
        """The position past what is taken."""
        return self.base + len(self.records)

    def settle(self, acked: int) -> None:
        """Let go of doubts about what was acknowledged: nobody sends that again."""
        if self.limit <= acked and self.following is not None:
            self.is_believed = self.is_believed or self.doubted_at is not None
            self.doubted_at = None

    @property
    def is_end_guessed(self) -> bool:
        """Whether nothing says where it ended: ``records`` is all that the file holds."""
        return self.following is None and (self.is_word_wrong or not self.has_page)

    @property
    def is_empty(self) -> bool:
        is_whole = self.has_page and self.is_believed
        return is_whole and not (self.records or self.doubtful or self.cut_bytes)


def behind_lost(file: FoundSegment) -> FoundSegment:
    """Return an empty segment that begins behind what is gone after ``file``, the last one left.

    That is what the file was cut by, or a segment that followed it, or what it held itself. How
    much it was in the latter cases nobody knows: at most as much as a segment has room for.
    """
    room = file.file_bytes - PAGE_BYTES
    if file.is_followed:
        lost = max(room, JOURNAL_SEGMENT_BYTES)
    elif file.is_end_guessed:
        lost = (room if room >= 0 else JOURNAL_SEGMENT_BYTES) - len(file.records)
    else:
        lost = file.cut_bytes
    file.following = file.limit + max(lost & ~7, HEADER_BYTES)
    return FoundSegment(
        base=file.following,
        name=segment_name(file.following),
        records=b"",
        following=None,
        acked=0,
        has_page=True,
        doubtful=0,
        cut_bytes=0,
        is_believed=True,
        is_new=True,
    )


def find_writer(
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
        "--project and --run, and --unverified"
    )


def find_segments(
    folder: JournalFolder, info: WriterFile, *, unverified: bool
) -> tuple[list[FoundSegment], list[str]]:
    """Return the segments, oldest first, and the names of those that their writer gave up."""
    restarted = has_restarted(info)
    suffixes = (SEGMENT_SUFFIX, SEGMENT_SUFFIX + UNVERIFIED_SUFFIX)[: 1 + unverified]
    named: dict[int, str] = {}
    for name in sorted(folder.names()):
        for suffix in suffixes:
            digits = name.removesuffix(suffix)
            if digits != name and digits.isascii() and digits.isdigit() and not int(digits) & 7:
                named.setdefault(int(digits), name)
    found: list[FoundSegment] = []
    given_up: list[str] = []
    is_empty = False
    for base, name in sorted(named.items(), reverse=True):
        try:
            with open(folder.open(name, os.O_RDONLY), "rb") as opened:
                data = opened.read()
        except OSError as error:
            raise JournalError(f"{folder.path / name}: {error.strerror}") from error
        read = functools.partial(
            _read_file, base, name, data, restarted=restarted, unverified=unverified
        )
        alone = read(None)
        if found and is_empty and alone.limit > found[-1].base:
            given_up.append(found.pop().name)  # Its writer wrote on before it.
        is_empty = alone.is_empty
        file = read(found[-1].base) if found else alone
        file.is_stale = file.limit != alone.limit
        found.append(file)
    if not found:
        raise JournalError(f"{folder.path}: no segments; there is nothing to repair, remove it")
    if len(found) > 1 and is_empty and found[-1].limit != found[-1].following:
        given_up.append(found.pop().name)  # What its writer wrote on in has been freed.
    return found[::-1], given_up


def _read_file(
    base: int, name: str, data: bytes, following: int | None, *, restarted: bool, unverified: bool
) -> FoundSegment:
    def read(size: int, offset: int) -> bytes:
        return data[offset : offset + size]

    has_page = len(data) >= PAGE_BYTES and PAGE.unpack_from(data)[:2] == (MAGIC, base)
    committed = PAGE.unpack_from(data)[2] if has_page else len(data)
    acked = acked_in(data) if has_page else 0
    checked = checked_end(data[:PAGE_BYTES], read) if has_page else PAGE_BYTES
    promised = promised_end(data) if has_page and not restarted else PAGE_BYTES
    claimed = max(committed_end(max(committed, promised), len(data)), checked)
    if following is not None:
        claimed = end_before(following - base + PAGE_BYTES, len(data), claimed, read)
        claimed = min(claimed, following - base + PAGE_BYTES)  # Behind that the file is unused.
    may_be_cut = has_page and following is None and not restarted
    cut_bytes = max(0, (committed & ~7) - claimed) if may_be_cut else 0
    is_word_wrong = cut_bytes > max(_CUT_BYTES_MAX, len(data)) or (
        may_be_cut and is_end_wrong(committed, promised, len(data))
    )
    if is_word_wrong:
        cut_bytes, claimed = 0, committed_end(len(data), len(data))
    is_changed = promised > checked
    # What was never written was not acknowledged either: a damaged number.
    if acked > base + claimed + cut_bytes - PAGE_BYTES:
        acked = 0
    end = min(checked, claimed) if restarted and not unverified else claimed
    is_doubted = is_changed or not has_page or is_word_wrong or (unverified and end > checked)
    following_word = int.from_bytes(data[NEXT_AT : NEXT_AT + 8], "little") if has_page else 0
    return FoundSegment(
        base=base,
        name=name,
        records=data[PAGE_BYTES:end],
        following=following,
        acked=acked,
        has_page=has_page,
        doubtful=claimed - end,
        cut_bytes=cut_bytes,
        is_believed=not (is_word_wrong or is_changed) and (not restarted or end <= checked),
        doubted_at=checked - PAGE_BYTES if is_doubted and checked < end else None,
        is_followed=may_be_cut and following_word == base + end - PAGE_BYTES > base,
        file_bytes=len(data),
        proven=max(0, min(checked, end) - PAGE_BYTES),
        is_word_wrong=is_word_wrong,
    )
