"""What the store will never take, set aside one frame a file, so that it can be sent again.

A file is a segment of its own (page, WRITER, FRAME), named after the frame's place in the spool
and the table that refused it; beside it lies the reason as text.
"""

import time
from pathlib import Path
from typing import Final

from stepwell_daemon.spool import record
from stepwell_daemon.spool.disk import Disk, replace_file
from stepwell_daemon.spool.reader import Stretch
from stepwell_daemon.spool.segment import PAGE_BYTES, SUFFIX, SegmentPage
from stepwell_daemon.writers import WriterState, pack_description

FOLDER: Final = "set_aside"


def set_aside(
    folder: Path, spool: int, segment: int, stretch: Stretch, table: str, reason: str, disk: Disk
) -> Path:
    """Write ``stretch`` durably into ``folder``/set_aside and return where it is.

    Doing it twice makes one file.
    """
    item = stretch.record
    path = folder / FOLDER / f"{segment:016d}-{item.offset}-{table or 'all'}{SUFFIX}"
    disk.make_folder(path.parent)
    page = SegmentPage(spool, segment, PAGE_BYTES, time.time_ns() // 1000)
    description = pack_description(
        WriterState(stretch.info, accepted=item.position, durable=item.position), stretch.schemas
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
