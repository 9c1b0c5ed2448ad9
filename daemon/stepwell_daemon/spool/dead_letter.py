"""Dead letters: frames that the store rejected, one in each file, kept for replay.

A file is a complete segment (page, WRITER, FRAME), named after the frame's place in the spool and
the table that rejected it. Beside it is a text file with the reason.
"""

import time
from pathlib import Path
from typing import Final

from stepwell_daemon.spool import record
from stepwell_daemon.spool.disk import Disk, replace_file
from stepwell_daemon.spool.segment import PAGE_BYTES, SUFFIX, SegmentPage
from stepwell_daemon.spool.walker import SpooledFrame
from stepwell_daemon.writer_packing import pack_description
from stepwell_daemon.writer_state import WriterState

FOLDER: Final = "dead_letter"
FORMER_FOLDER: Final = "set_aside"
"""The folder's name in release 0.1; read, never written."""


def write_dead_letter(
    folder: Path, spool: int, segment: int, frame: SpooledFrame, table: str, reason: str, disk: Disk
) -> Path:
    """Write ``frame`` durably into ``folder``/dead_letter; return its path.

    Doing it twice makes one file.
    """
    item = frame.record
    path = folder / FOLDER / f"{segment:016d}-{item.offset}-{table or 'all'}{SUFFIX}"
    disk.make_folder(path.parent)
    page = SegmentPage(spool, segment, PAGE_BYTES, time.time_ns() // 1000)
    description = pack_description(
        WriterState(frame.info, accepted=item.position, durable=item.position), frame.schemas
    )
    chain = page.seed
    pieces = [page.pack()]
    for kind, content, flags in (
        (record.WRITER, description, 0),
        (record.FRAME, item.kept(), item.flags & ~record.COMPRESSED),
    ):
        packed, chain = record.pack_record(
            content,
            kind=kind,
            writer=item.writer,
            position=item.position,
            time_us=item.time_us,
            durable=PAGE_BYTES,
            chain=chain,
            seed=page.seed,
            flags=flags,
            points=item.points,
        )
        pieces.append(packed)
    replace_file(disk, path.with_suffix(".reason"), f"{reason}\n".encode())
    replace_file(disk, path, b"".join(pieces))
    return path


def list_dead_letters(folder: Path) -> list[Path]:
    """Return the dead-lettered frames of the spool in ``folder``, oldest first."""
    found = [
        path for name in (FORMER_FOLDER, FOLDER) for path in (folder / name).glob(f"*{SUFFIX}")
    ]
    return sorted(found, key=lambda path: path.name)
