"""Sending dead-lettered frames into the store again, once."""

from pathlib import Path
from typing import Final

from stepwell_daemon.delivery import build_blocks
from stepwell_daemon.errors import BAD_DATA
from stepwell_daemon.gaps import gap_of
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.segment import SUFFIX, read_page
from stepwell_daemon.spool.walker import frames_in, walk_lone_file
from stepwell_store import Store

REPLAYED_FOLDER: Final = "replayed"
_ALL_TABLES: Final = "all"


class ReplayError(Exception):
    """A file that cannot be sent: not a dead-lettered frame, or still impossible to decode."""


def reason_of(path: Path) -> str:
    """Return why the frame in ``path`` was dead-lettered, "" if unknown."""
    try:
        return path.with_suffix(".reason").read_text("utf-8").strip()
    except OSError:
        return ""


def replay(path: Path, store: Store) -> int:
    """Store the frame in ``path`` and move the file to ``replayed``; return the number of rows.

    Only the table that rejected the frame gets it: the others have it. A repetition has no effect:
    the token names place, table and content, and the store ignores a block whose token it has.

    Raises:
        ReplayError: The file has no frame that can be decoded.
        StoreError: The store does not accept it; the file stays in its place.
    """
    page = read_page(Disk(), path)
    if page is None:
        raise ReplayError(
            f"{path}: not a dead-lettered frame (the checksum of its first page does not match)"
        )
    frames = list(frames_in(walk_lone_file(path)))
    if len(frames) != 1:
        raise ReplayError(f"{path}: {len(frames)} frames, expected one; the file is damaged")
    segment, offset, table = _place(path)
    try:
        blocks = build_blocks(frames, store.shard_of)
    except BAD_DATA as error:
        raise ReplayError(
            f"{path}: decoding failed again ({error!r}); keep the file for a later release"
        ) from error
    rows = 0
    shard = store.shard_of(frames[0].info)
    gap = gap_of(frames[0], table, path.name, shard=shard, replayed=True)
    for block in blocks:
        if table not in (_ALL_TABLES, block.table):
            continue
        place = f"{page.spool:016x}-{segment}-{offset}-replay"
        store.insert(block, f"{place}-{block.table}-{block.digest()}", may_repeat=True)
        rows += block.rows
    if gap is not None:
        # The row names the file, so the gap that was stored earlier is no longer reported.
        token = f"{page.spool:016x}-{path.stem}-filled-{gap.block.digest()}"
        store.insert(gap.block, token, may_repeat=True)
    target = path.parent / REPLAYED_FOLDER
    target.mkdir(exist_ok=True)
    reason = path.with_suffix(".reason")
    if reason.exists():
        reason.rename(target / reason.name)
    path.rename(target / path.name)
    return rows


def _place(path: Path) -> tuple[int, int, str]:
    """Return the segment, offset and table in the file's name."""
    parts = path.stem.split("-", 2)
    if len(parts) != 3 or not (parts[0].isdigit() and parts[1].isdigit()):
        raise ReplayError(
            f"{path}: the name is not SEGMENT-OFFSET-TABLE{SUFFIX}; restore the file's "
            "original name"
        )
    return int(parts[0]), int(parts[1]), parts[2]
