"""Blocks that a killed engine had noted as stored, and had not stored.

ClickHouse writes the id of a block to its table's deduplication log, then it gives the part of the
block its final name. A kill between the two leaves an id without rows: the block would be ignored
when it is sent again, and its rows would be lost. So before an engine opens the store, the newest
ids whose part does not exist are dropped from the logs.

    <store>/store/<xxx>/<uuid>/<part>/                                  a part
    <store>/store/<xxx>/<uuid>/deduplication_logs/deduplication_log_<n>.txt
        operation TAB part TAB block id LF                              1: stored, 2: dropped

A part's name is partition_first_last_level, with an optional _mutation. A merged part has the
blocks from first to last.
"""

import errno
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_PART: Final = re.compile(rb"([^_]+)_(\d+)_(\d+)_\d+(?:_\d+)?")
_LOG: Final = re.compile(r"deduplication_log_(\d+)\.txt")
_STORED, _DROPPED = b"1", b"2"
_NEWEST_MAX: Final = 16
"""Records to check: an engine has few inserts of one table at a time."""


def drop_uncommitted(store: Path) -> list[str]:
    """Drop the newest ids without a part from every table's log; return these parts.

    No engine may have the store open.
    """
    dropped = []
    for folder in sorted(store.glob("store/*/*/deduplication_logs")):
        logs = _logs(folder)
        if not logs:
            continue
        # The newest may be empty: the engine begins another one after a record.
        text = b"".join(log.read_bytes() for log in logs[-2:])
        if not text.endswith(b"\n"):
            continue  # No record yet. Or a torn one, after which the engine reads no more.
        lost = _without_part(text.splitlines(), os.listdir(os.fsencode(folder.parent)))
        if not lost:
            continue
        records = b"".join(b"\t".join((_DROPPED, part, block)) + b"\n" for part, block in lost)
        try:
            _append(logs[-1], records)
        except OSError as error:  # A full disk: the engine must start, to delete runs.
            print(
                f"{logs[-1]}: {error.strerror}; a block may be ignored when it is sent again",
                file=sys.stderr,
            )
            continue
        dropped += [f"{folder.parent}/{part.decode()}" for part, _ in lost]
    return dropped


def _logs(folder: Path) -> list[Path]:
    found = [(match, path) for path in folder.iterdir() if (match := _LOG.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda each: int(each[0][1]))]


def _without_part(records: Iterable[bytes], names: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Return part and block id of the newest stored records that no part in ``names`` has."""
    stored: dict[bytes, bytes] = {}
    for record in records:
        fields = record.split(b"\t")
        if len(fields) != 3:
            return []  # Another format.
        operation, part, block = fields
        stored.pop(block, None)
        if operation == _STORED:
            stored[block] = part
    parts = [match.groups() for name in names if (match := _PART.fullmatch(name))]
    held = [(partition, int(first), int(last)) for partition, first, last in parts]
    return [
        (part, block)
        for block, part in list(stored.items())[-_NEWEST_MAX:]
        if (match := _PART.fullmatch(part))
        and not any(
            partition == match[1] and first <= int(match[2]) and int(match[3]) <= last
            for partition, first, last in held
        )
    ]


def _append(path: Path, records: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if os.write(descriptor, records) < len(records):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
