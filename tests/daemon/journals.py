"""Journals as a writer leaves them."""

import fcntl
import os
import zlib
from pathlib import Path
from typing import Any

from stepwell_wire.journal_files import LOCK_FILE, WRITER_FILE, WriterFile, boot_id
from stepwell_wire.segment import (
    ACKED_AT,
    COMMITTED_AT,
    PAGE_BYTES,
    checked_slot_at,
    pack_checked,
    pack_page,
    segment_name,
)
from tests.daemon.made import writer_info


def make_journal(
    parent: Path, name: str, records: bytes, *, acked: int = 0, base: int = 0, **changes: Any
) -> Path:
    """Write the journal of writer ``name`` whose process is gone.

    It appears whole, as those of the SDK do: a daemon may be looking.
    """
    info = writer_info(name)
    fields = {
        "project": info.project,
        "run_id": info.run_id,
        "writer_id": name,
        "host": info.host,
        "pid": 1,
        "boot_id": boot_id(),
    }
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent.parent / f".made-{name}"
    folder.mkdir()
    (folder / WRITER_FILE).write_text(WriterFile(**{**fields, **changes}).to_json())
    (folder / LOCK_FILE).touch()
    page = bytearray(pack_page(base))
    page[COMMITTED_AT : COMMITTED_AT + 8] = (PAGE_BYTES + len(records)).to_bytes(8, "little")
    page[ACKED_AT : ACKED_AT + 8] = acked.to_bytes(8, "little")
    (folder / segment_name(base)).write_bytes(bytes(page) + records + bytes(4096))
    return folder.rename(parent / f"{info.run_id}-{name}")


def seal(path: Path, size: int, *, turn: int = 0) -> None:
    """Note the checksum of the first ``size`` bytes of a segment's records, as the SDK does."""
    data = bytearray(path.read_bytes())
    slot = pack_checked(PAGE_BYTES + size, zlib.crc32(data[PAGE_BYTES : PAGE_BYTES + size]))
    data[checked_slot_at(turn) : checked_slot_at(turn) + len(slot)] = slot
    path.write_bytes(data)


def hold_lock(folder: Path) -> int:
    """Take the lock as a live writer does; the descriptor must be closed."""
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor
