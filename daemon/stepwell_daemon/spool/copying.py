"""A copy of the spool at one moment, for a backup.

While the cursor is held, the small files are read and the segments opened. The segments are copied
afterwards: the bytes before the end of that moment never change, and an open file stays readable
when the daemon frees its segment.
"""

import io
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from stepwell_daemon.spool.segment import SUFFIX, Location, list_segments, segment_path
from stepwell_daemon.spool.writers_table import load_writers
from stepwell_store.copying import copy_open_file, copy_tree, make_folder


class SpoolCopy:
    """Holds the segments open until ``close``."""

    def __init__(self, folder: Path, end: Location | None) -> None:
        """
        Args:
            end: all acknowledged bytes are before it; None if no daemon runs: all bytes.

        Raises:
            DamagedStateError: The table of writers is damaged.
        """
        self._folder = folder
        self._open = ExitStack()
        self._segments: list[tuple[str, BinaryIO, int | None]] = []
        self._small = {
            path.name: path.read_bytes()
            for path in sorted(folder.iterdir())
            if path.is_file() and not path.name.endswith((SUFFIX, ".tmp"))
        }
        # The table may have been saved since: then the bytes that it covers belong to the copy.
        last = None if end is None else max(end, load_writers(folder)[1])
        for number in list_segments(folder):
            if last is not None and number > last.segment:
                continue
            size = last.offset if last is not None and number == last.segment else None
            path = segment_path(folder, number)
            self._segments.append((path.name, self._open.enter_context(path.open("rb")), size))

    def write(self, target: Path) -> int:
        """Copy all files to ``target``; return the number of bytes of the segments."""
        make_folder(target)
        copied = sum(
            copy_open_file(file, target / name, size=size) for name, file, size in self._segments
        )
        for name, content in self._small.items():
            copy_open_file(io.BytesIO(content), target / name)
        for folder in self._folder.iterdir():
            if folder.is_dir():  # Dead letters and quarantine; whole files.
                copy_tree(folder, target / folder.name)
        return copied

    def close(self) -> None:
        self._open.close()
