"""A disk that remembers what was synced, and the states that a loss of power may leave of it.

What a file's sync covered is there for sure. Writes after it are there or not, each sector of 512
bytes by itself; so a torn, a dropped and a reordered write are all among the states. The size of
a file is as unsure as its content. Names are sure up to the last sync of their folder; what
followed, creating, renaming, unlinking, happened or not, each by itself. ``Moment.build`` makes
one such state as a real folder.
"""

import os
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stepwell_daemon.spool.disk import Disk

SECTOR_BYTES = 512


@dataclass(slots=True)
class Inode:
    """A file by what was done to it: each piece with the number of the operation."""

    writes: list[tuple[int, int, bytes]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    syncs: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Folder:
    """Names: (operation, name, inode or None for gone); a rename is two under one number."""

    changes: list[tuple[int, str, Inode | None]] = field(default_factory=list)
    syncs: list[int] = field(default_factory=list)


class PowerDisk(Disk):
    """The real disk in ``root``, with a record of every operation.

    Attributes:
        operations: how many there were; a loss of power is before one of them or after the last.
        names: what each was, for messages.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: list[str] = []
        self._lock = threading.Lock()
        self._folders: dict[Path, Folder] = {}
        self._inodes: dict[Path, Inode] = {}
        self._open: dict[int, Inode] = {}
        self._adopt(root)

    @property
    def operations(self) -> int:
        return len(self.names)

    def create(self, path: Path, size: int) -> int:
        descriptor = super().create(path, size)
        with self._lock:
            number = self._count(f"create {path.name}")
            inode = Inode(sizes=[(number, size)])
            self._name(number, path, inode)
            self._open[descriptor] = inode
        return descriptor

    def open_to_write(self, path: Path) -> int:
        descriptor = super().open_to_write(path)
        self._open[descriptor] = self._inodes[path]
        return descriptor

    def write(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
        super().write(descriptor, data, offset)
        with self._lock:
            number = self._count(f"write {len(data)} bytes")
            inode = self._open[descriptor]
            inode.writes.append((number, offset, bytes(data)))
            inode.sizes.append((number, max(inode.sizes[-1][1], offset + len(data))))

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        with self._lock:
            self._open[descriptor].syncs.append(self._count("sync"))

    def truncate(self, descriptor: int, size: int) -> None:
        super().truncate(descriptor, size)
        with self._lock:
            self._open[descriptor].sizes.append((self._count("truncate"), size))

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        super().close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        with self._lock:
            number = self._count(f"rename {target.name}")
            inode = self._inodes[source]
            self._name(number, source, None)
            self._name(number, target, inode)

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        with self._lock:
            self._name(self._count(f"unlink {path.name}"), path, None)

    def make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        folder.mkdir()
        with self._lock:
            self._count(f"make {folder.name}")
            self._folders[folder] = Folder()
        self.sync_folder(folder.parent)

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        with self._lock:
            self._folders[folder].syncs.append(self._count(f"sync {folder.name}/"))

    def build(self, at: int, target: Path, source: random.Random, chance: float) -> None:
        """Make in ``target`` what a loss of power before operation ``at`` may leave.

        Args:
            chance: that something which no sync covered is there all the same; 0 and 1 are
                the two states in which nothing and everything is.
        """
        for path, folder in self._folders.items():
            if folder is not self._folders[self.root] and not any(
                number < at for number, _, _ in folder.changes
            ):
                continue
            made = target / path.relative_to(self.root)
            made.mkdir(parents=True, exist_ok=True)
            for name, inode in _names(folder, at, source, chance).items():
                (made / name).write_bytes(_content(inode, at, source, chance))

    def _count(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def _name(self, number: int, path: Path, inode: Inode | None) -> None:
        self._folders[path.parent].changes.append((number, path.name, inode))
        if inode is None:
            self._inodes.pop(path, None)
        else:
            self._inodes[path] = inode

    def _adopt(self, folder: Path) -> None:
        """Take what is there as durable."""
        self._folders[folder] = Folder()
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                self._adopt(path)
                continue
            content = path.read_bytes()
            inode = Inode([(-1, 0, content)], [(-1, len(content))], [-1])
            self._folders[folder].changes.append((-1, path.name, inode))
            self._inodes[path] = inode
        self._folders[folder].syncs.append(-1)


def _names(folder: Folder, at: int, source: random.Random, chance: float) -> dict[str, Inode]:
    synced = max((number for number in folder.syncs if number < at), default=-2)
    happened: dict[int, bool] = {}
    names: dict[str, Inode] = {}
    for number, name, inode in folder.changes:
        if number >= at:
            break
        if number not in happened:
            happened[number] = number <= synced or source.random() < chance
        if not happened[number]:
            continue
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode
    return names


def _content(inode: Inode, at: int, source: random.Random, chance: float) -> bytes:
    synced = max((number for number in inode.syncs if number < at), default=-2)
    size = 0
    for number, each in inode.sizes:
        if number < at and (number <= synced or source.random() < chance):
            size = each
    content = bytearray(size)
    for number, offset, data in inode.writes:
        if number >= at:
            break
        for start, end in _sectors(offset, len(data)):
            if number <= synced or source.random() < chance:
                piece = data[start - offset : end - offset]
                room = max(0, size - start)
                content[start : start + min(len(piece), room)] = piece[:room]
    return bytes(content)


def _sectors(offset: int, size: int) -> Iterator[tuple[int, int]]:
    start, last = offset, offset + size
    while start < last:
        end = min(last, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield start, end
        start = end


def clear(folder: Path) -> Path:
    """Return ``folder``, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder
