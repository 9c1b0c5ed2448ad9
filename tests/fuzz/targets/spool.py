"""A folder of segments, as a daemon finds it at its start: recovered, written on, and read."""

import shutil
import struct
import zlib
from functools import partial
from pathlib import Path

import msgpack

from stepwell_daemon.delivery import build_blocks
from stepwell_daemon.errors import BAD_DATA, DaemonError
from stepwell_daemon.gateway.batches import pieces_of, split
from stepwell_daemon.spool import record
from stepwell_daemon.spool.cursor import CursorFile
from stepwell_daemon.spool.dead_letter import write_dead_letter
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.reader import SpoolReader
from stepwell_daemon.spool.recovery import RecoveredSpool, recover_spool
from stepwell_daemon.spool.segment import PAGE_BYTES, Location, Progress, SegmentPage, segment_path
from stepwell_daemon.spool.walker import Binding
from stepwell_daemon.spool.writer import SpoolLog
from stepwell_daemon.spool.writers_table import FILE, pack_table, save_writers
from stepwell_daemon.writer_packing import Mark, pack_description
from stepwell_daemon.writer_state import WriterState
from stepwell_store.writer import WriterInfo
from tests.fuzz.inputs import entries, entry, keys_of, number, records_of, seed_records
from tests.fuzz.invariants import require
from tests.fuzz.restart import QuickDisk, fast_folder
from tests.fuzz.targets.target import Target

_FRAME, _WRITER, _ANY, _NOISE, _NEXT, _TABLE, _CURSOR, _PAGE = range(8)
_SPOOL = 0x5157


class _Segments:
    """Writes segments as the daemon does, and as it does not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._positions: dict[int, int] = {}
        self.count = 0
        self._begin()

    def _begin(self) -> None:
        self._number += 1
        self._page = SegmentPage(_SPOOL, self._number, PAGE_BYTES, 1)
        self._head = self._page.pack()
        self._bytes = bytearray()
        self._chain = self._page.seed

    def add(self, op: int, payload: bytes) -> None:
        if op in (_FRAME, _WRITER, _ANY):
            self._add_record(op, payload)
            self.count += 1
        elif op == _NOISE:
            self._bytes += payload
        elif op == _PAGE:
            self._head = payload[:PAGE_BYTES].ljust(PAGE_BYTES, b"\0")
        elif op == _NEXT:
            end = PAGE_BYTES + len(self._bytes)
            self.close()
            self._begin()
            self._page = SegmentPage(_SPOOL, self._number, end + number(payload, 0), 1)
            self._head = self._page.pack()
        elif op == _TABLE:
            head = struct.pack("<8sI", b"SWWRTRS\n", zlib.crc32(payload))
            (self._folder / FILE).write_bytes(head + payload)
        else:
            (self._folder / "cursor").write_bytes(payload)

    def _add_record(self, op: int, payload: bytes) -> None:
        name = f"w{number(payload, 0) % 3}"
        writer = record.writer_number(name)
        flags = number(payload, 1) if op == _ANY else number(payload, 1) & ~record.COMPRESSED
        position = self._positions.get(writer, 0)
        kind = record.FRAME
        if op == _WRITER:
            kind, content = record.WRITER, _description(name, payload[1:])
        elif op == _FRAME:
            content = records_of(payload[2:])
            self._positions[writer] = position + len(content)
        else:
            kind = 1 + number(payload, 2) % 2
            position = int.from_bytes(payload[3:11], "little")
            content = payload[11:]
        offset = PAGE_BYTES + len(self._bytes)
        if op == _ANY and flags & record.COMPRESSED:
            flags &= ~record.COMPRESSED
            pack = partial(_pack_as_compressed, raw_bytes=len(content) + number(payload, 2))
        else:
            pack = record.pack_record
        packed, self._chain = pack(
            content,
            kind=kind,
            writer=writer,
            position=position,
            time_us=1,
            durable=offset if number(payload, 1) & 64 else 0,
            chain=self._chain,
            seed=self._page.seed,
            flags=flags,
            points=number(payload, 2),
        )
        self._bytes += packed

    def close(self) -> None:
        segment_path(self._folder, self._number).write_bytes(self._head + self._bytes)


def _pack_as_compressed(
    content: bytes, *, raw_bytes: int, seed: int, **more: int
) -> tuple[bytes, int]:
    """Return a record that checks, whose payload is said to be LZ4 of ``raw_bytes``."""
    packed, _ = record.pack_record(b"", seed=seed, **more)
    fields = list(record.HEADER.unpack(packed))
    fields[4] |= record.COMPRESSED
    fields[6:8] = len(content), raw_bytes
    head = record.HEADER.pack(*fields)
    crc = zlib.crc32(content, zlib.crc32(head[8:], seed))
    head = head[:4] + struct.pack("<I", crc) + head[8:]
    return head + content + bytes(-len(content) & 7), crc


def _description(name: str, payload: bytes) -> bytes:
    """Return what a WRITER record holds; from the second byte on the fuzzer may say it."""
    if number(payload, 0) % 4 == 3:
        return payload[1:]
    info = WriterInfo("demo", f"run-{name}", name, "", "run", "here", 1)
    schemas = {each: keys_of(each) for each in range(1, 1 + number(payload, 1) % 4)}
    return pack_description(WriterState(info), schemas)


class Spools(Target):
    allowed = (DaemonError,)

    def __init__(self) -> None:
        self._root = fast_folder()

    def seeds(self) -> list[bytes]:
        writer = entry(_WRITER, bytes([0, 0, 3]))
        made = [entry(_FRAME, bytes([0, 64, 1]) + payload) for payload in seed_records()]
        state = WriterState(WriterInfo("demo", "run-w0", "w0", "", "run", "here", 1), seen_at=9.0)
        table = pack_table([Mark.of(state)], Location(1, PAGE_BYTES), now=9.0)[12:]
        described = msgpack.unpackb(_description("w0", b"\0\3"), strict_map_key=False)
        return [
            *(writer + one for one in made),
            writer + b"".join(made) + entry(_NEXT) + writer + b"".join(made),
            writer + made[1] + entry(_NOISE, bytes(range(40))) + made[1] + made[2],
            entry(_TABLE, table) + writer + made[1],
            writer + made[1] + entry(_PAGE, bytes(64)),
            entry(_CURSOR, bytes(128)) + writer + made[1],
            entry(_WRITER, bytes([0, 3]) + msgpack.packb(described)) + made[1],
            writer + entry(_ANY, bytes([0, 16, 1]) + struct.pack("<Q", 800) + bytes(48)),
            writer + entry(_ANY, bytes([0, 1, 1]) + struct.pack("<Q", 0) + bytes(200)),
            writer + entry(_ANY, bytes([0, 1, 9]) + struct.pack("<Q", 0) + bytes(40)) + made[1],
        ]

    def close(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def feed(self, data: bytes) -> int:
        folder = self._root / "spool"
        folder.mkdir()
        try:
            made = _Segments(folder)
            for op, payload in entries(data):
                made.add(op % 8, payload)
            made.close()
            try:
                self._recover(folder)
            except self.allowed:
                pass
            return max(made.count, 1)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _recover(self, folder: Path) -> None:
        disk = QuickDisk()
        cursor = CursorFile(folder / "cursor", disk)
        progress = cursor.open(Progress(Location(1, PAGE_BYTES)))
        cursor.close()
        found = recover_spool(folder, _SPOOL, progress, disk)
        for number_, end in found.ends.items():
            require(PAGE_BYTES <= end <= found.sizes[number_], "a segment that ends elsewhere")
        last = found.last
        log = SpoolLog(
            folder,
            _SPOOL,
            first_number=last.segment + 1,
            previous_end=last.offset,
            segment_bytes=1 << 16,
            disk=disk,
        )
        if found.salvage:
            log.adopt(found.salvage)
        log.close()
        save_writers(folder, found.writers.values(), log.end, now=0.0, disk=disk)
        ends = {**found.ends, **log.ends}
        self._read(folder, found, ends, disk)
        again = recover_spool(folder, _SPOOL, progress, disk)
        for key, state in found.writers.items():
            held = again.writers.get(key)
            require(held is not None and held.durable >= state.durable, "a mark went back")

    def _read(self, folder: Path, found: RecoveredSpool, ends: dict[int, int], disk: Disk) -> None:
        fallback = {key: Binding(each.info, each.schemas) for key, each in found.writers.items()}
        reader = SpoolReader(folder, _SPOOL, fallback=fallback, disk=disk)
        try:
            for segment, end in sorted(ends.items()):
                start = Location(segment, PAGE_BYTES)
                while start.offset < end:
                    extent = reader.read_extent(start, end, points_max=64, bytes_max=512)
                    require(start.offset < extent.end <= end, "an extent that leads nowhere")
                    for frame in extent.frames:
                        try:
                            build_blocks([frame])
                        except BAD_DATA as error:
                            # Dead-lettered alone, which the forwarder does.
                            write_dead_letter(folder, _SPOOL, segment, frame, "", str(error), disk)
                    for piece in pieces_of(extent):
                        split(piece)
                    start = Location(segment, extent.end)
        finally:
            reader.close()
