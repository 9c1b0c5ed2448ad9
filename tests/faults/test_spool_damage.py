"""Bits that flipped, bytes that were cut, files that are gone: what a start makes of it.

Only what was hit is lost, it is counted and kept, and everything behind it is delivered.
"""

import asyncio
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stepwell_daemon.errors import NewerSpoolError
from stepwell_daemon.forwarder import Forwarder, ForwardSettings
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.session import Session
from stepwell_daemon.spool import record
from stepwell_daemon.spool.inspection import verify_spool
from stepwell_daemon.spool.reader import SpoolReader
from stepwell_daemon.spool.recovery import RecoveredSpool, recover_spool
from stepwell_daemon.spool.segment import (
    PAGE_BYTES,
    VERSION,
    Location,
    Progress,
    SegmentPage,
    list_segments,
    segment_path,
)
from stepwell_daemon.spool.walker import Binding
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.errors import JournalError
from stepwell_wire.journal import JournalReader
from stepwell_wire.records import scan_records
from tests.daemon.disks import QuickDisk, no_space
from tests.daemon.fakes import FakeSink
from tests.daemon.forwarding import forward
from tests.daemon.journals import make_journal
from tests.daemon.made import (
    append,
    finish_event,
    frame,
    new_writer,
    row,
    schema_event,
    spool_running,
    spooled_in,
    steps_in,
    writer_info,
)

STEPS = range(6)


@dataclass(frozen=True)
class Made:
    """A small spool that was closed in order, and which bytes are which record."""

    folder: Path
    number: int
    records: list[tuple[int, int, int, int | None]]
    """(segment, start, end, step of the row or None)"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two segments: two writers in each, a row a frame."""
    folder = tmp_path_factory.mktemp("made") / "spool"

    async def run() -> int:
        number = 0
        for half in (STEPS[:3], STEPS[3:]):
            async with spool_running(folder, disk=QuickDisk()) as spool:
                number = spool.number
                for step in half:
                    state = new_writer(spool, f"w{step % 2}")
                    define = b"" if state.schemas else schema_event()
                    append(spool, state, define + row(step))
                    await spool.settled()
                spool.save_writers()
        return number

    number = asyncio.run(run())
    records = []
    for segment in list_segments(folder):
        path = segment_path(folder, segment)
        seed = SegmentPage(number, segment, 0, 0).seed
        data = path.read_bytes()
        step = iter(STEPS[:3] if segment == 1 else STEPS[3:])
        for item in record.scan(lambda n, at, d=data: d[at : at + n], PAGE_BYTES, len(data), seed):
            assert isinstance(item, record.SpoolRecord)
            row_step = next(step) if item.kind == record.FRAME else None
            records.append((segment, item.offset, item.end, row_step))
    return Made(folder, number, records)


def look(folder: Path, number: int) -> tuple[list[int], RecoveredSpool, int]:
    """Return the steps that would be delivered, what recovery found, and what reading counted."""
    disk = QuickDisk()
    found = recover_spool(folder, number, Progress(Location(1, PAGE_BYTES)), disk)
    fallback = {key: Binding(each.info, each.schemas) for key, each in found.writers.items()}
    reader = SpoolReader(folder, number, fallback=fallback, disk=disk)
    frames, damaged = [], 0
    for segment, end in sorted(found.ends.items()):
        if end > PAGE_BYTES:
            start = Location(segment, PAGE_BYTES)
            extent = reader.read_extent(start, end, points_max=1 << 62, bytes_max=1 << 62)
            frames += extent.frames
            damaged += extent.damaged
    reader.close()
    return steps_in(frames), found, damaged


def flips(made: Made, *, every_bit: bool) -> Iterator[tuple[int, int, int, int | None]]:
    """Yield (segment, offset, bit, step that is hit or None) for every byte that is checked.

    The bytes that fill a record up to a multiple of 8 hold nothing and are not.
    """
    for segment, start, end, step in made.records:
        data = segment_path(made.folder, segment).read_bytes()
        stored = record.HEADER.unpack_from(data, start)[6]
        assert start + record.HEADER_BYTES + stored <= end
        for at in range(start, start + record.HEADER_BYTES + stored):
            for bit in range(8) if every_bit else (at * 5 % 8,):
                yield segment, at, bit, step


def flip_and_look(made: Made, folder: Path, *, every_bit: bool) -> int:
    shutil.copytree(made.folder, folder)
    tried = 0
    for segment, at, bit, step in flips(made, every_bit=every_bit):
        path = segment_path(folder, segment)
        with path.open("r+b") as file:
            file.seek(at)
            (old,) = file.read(1)
            file.seek(at)
            file.write(bytes([old ^ 1 << bit]))
        steps, found, damaged = look(folder, made.number)
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([old]))
        where = f"segment {segment} offset {at} bit {bit}"
        assert steps == [each for each in STEPS if each != step], where
        assert damaged == 1, where
        assert found.torn_bytes == 0, where
        assert not found.salvage, where
        tried += 1
    return tried


def test_one_flipped_bit_in_any_byte_costs_the_record_that_it_hits(
    made: Made, tmp_path: Path
) -> None:
    assert flip_and_look(made, tmp_path / "s", every_bit=False) > 1000


@pytest.mark.holds("flipped-bit")
@pytest.mark.slow
def test_any_flipped_bit_costs_the_record_that_it_hits(made: Made, tmp_path: Path) -> None:
    assert flip_and_look(made, tmp_path / "s", every_bit=True) > 8000


@pytest.mark.holds("damaged-spool-file")
def test_any_flipped_bit_of_a_page_costs_nothing(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shutil.copytree(made.folder, folder)
    for segment in (1, 2):
        path = segment_path(folder, segment)
        whole = path.read_bytes()
        for at in range(48 * 8):
            data = bytearray(whole)
            data[at // 8] ^= 1 << at % 8
            path.write_bytes(data)
            steps, found, damaged = look(folder, made.number)
            assert steps == list(STEPS), f"segment {segment} bit {at}"
            assert damaged == found.quarantined == 0
            assert "first page is damaged" in found.problems[0]
        path.write_bytes(whole)


@pytest.mark.holds("torn-tail")
def test_a_cut_at_every_byte_leaves_a_beginning_of_every_writer(made: Made, tmp_path: Path) -> None:
    """The last segment ends anywhere, with zeros behind or without; nothing vouches for it."""
    folder = tmp_path / "s"
    shutil.copytree(made.folder, folder)
    (folder / "writers.tbl").unlink()
    path = segment_path(folder, 2)
    whole = path.read_bytes()
    most = kept = 0
    for cut in range(len(whole) + 1):
        if 64 < cut < PAGE_BYTES:
            continue  # Zeros.
        for rest in (b"", bytes(len(whole) - cut)):
            path.write_bytes(whole[:cut] + rest)
            steps, found, damaged = look(folder, made.number)
            salvaged = len(found.salvage)
            assert steps == list(STEPS[: len(steps)]), cut
            assert damaged == 0, cut
            kept = len(steps) + salvaged
            assert kept >= most or not rest, cut
            most = max(most, kept) if rest else most
    assert kept == len(STEPS), "the whole segment"


def delivered(folder: Path) -> tuple[list[int], list[str]]:
    """Open the spool as a daemon would; return the steps in it and what it complains of."""

    async def run() -> tuple[list[int], list[str]]:
        async with spool_running(folder, disk=QuickDisk()) as spool:
            return sorted(steps_in(spooled_in(spool))), spool.problems

    return asyncio.run(run())


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(3).randbytes(path.stat().st_size))


@pytest.mark.holds("damaged-spool-file")
@pytest.mark.parametrize("break_it", [Path.unlink, _zero, _garbage, _empty])
@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("0000000000000001.seg", STEPS[3:]),
        ("0000000000000002.seg", STEPS[:3]),
        ("writers.tbl", STEPS),
        ("spool.id", STEPS),
        ("cursor", STEPS),
    ],
)
def test_a_file_that_is_gone_or_nonsense_costs_what_was_in_it(
    made: Made, tmp_path: Path, name: str, kept: range, break_it: Callable[[Path], None]
) -> None:
    folder = tmp_path / "s"
    shutil.copytree(made.folder, folder)
    break_it(folder / name)
    steps, problems = delivered(folder)
    assert steps == list(kept)
    if name.endswith(".seg"):
        assert any(str(folder / name) in each for each in problems)
    assert delivered(folder)[0] == list(kept)


@pytest.mark.parametrize(
    "name",
    ["5.seg", "99999999999999999999.seg", "x.seg", "-000000000000001.seg", "0000000000000009.seg"],
)
def test_files_of_others_are_left_alone(made: Made, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "s"
    shutil.copytree(made.folder, folder)
    content = segment_path(folder, 1).read_bytes()
    (folder / name).write_bytes(content)
    assert delivered(folder)[0] == list(STEPS)
    assert (folder / name).read_bytes() == content


def test_a_flipped_identity_is_written_anew_from_the_segments(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shutil.copytree(made.folder, folder)
    (folder / "spool.id").write_text(f"{made.number ^ 1:016x}\n")
    assert delivered(folder)[0] == list(STEPS)
    assert (folder / "spool.id").read_text() == f"{made.number:016x}\n"


def test_an_extent_whose_segment_is_gone_does_not_stop_the_rest(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    shutil.copytree(made.folder, folder)

    async def run() -> tuple[Progress, list[str]]:
        async with spool_running(folder, disk=QuickDisk()) as spool:
            await spool.save_progress(Progress(Location(1, PAGE_BYTES), spool.end_of(1)))
        segment_path(folder, 1).unlink()
        async with spool_running(folder, disk=QuickDisk()) as spool:
            return spool.progress, spool.problems

    progress, problems = asyncio.run(run())
    assert progress.extent_end == 0
    assert problems == [
        f"{segment_path(folder, 1)}: missing; its unforwarded records are lost, "
        "forwarding continues"
    ]


@pytest.mark.holds("damaged-spool-file")
def test_what_comes_after_the_last_segment_is_gone_is_forwarded(tmp_path: Path) -> None:
    """The cursor of what is gone must not hide what is new."""

    async def run() -> list[int]:
        async with spool_running(tmp_path) as spool:
            state = new_writer(spool)
            append(spool, state, schema_event())
            for step in range(50):
                append(spool, state, row(step))
            await spool.settled()
            await spool.save_progress(Progress(spool.end))
            spool.save_writers()
        segment_path(tmp_path, 1).unlink()
        async with spool_running(tmp_path) as spool:
            assert [each.rpartition("/")[2][:29] for each in spool.problems] == [
                "0000000000000001.seg: missing"
            ]
            state = new_writer(spool, "w2")
            append(spool, state, schema_event())
            append(spool, state, row(77))
            await spool.settled()
            assert spool.cursor < spool.end
        assert list_segments(tmp_path) == [2], "no number is used twice"
        async with spool_running(tmp_path) as spool:
            sink = FakeSink()
            await forward(spool, sink)
            return sink.steps()

    assert set(asyncio.run(run())) == {77}


def test_nothing_waits_for_ever_for_what_is_gone(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            append(spool, new_writer(spool), schema_event())
            await spool.settled()
            spool.save_writers()
        segment_path(tmp_path, 1).unlink()
        async with spool_running(tmp_path) as spool:
            assert spool.is_forwarded
            assert spool.waiting_since is None
            await Forwarder(spool, ForwardSettings(), counters=spool.counters).reach(spool.end)

    asyncio.run(run())


def test_a_table_that_knows_more_than_there_is_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marks of writers that come after the newest segments were removed are found again."""

    async def log(name: str, *, kills: bool = False) -> int:
        async with spool_running(tmp_path, disk=QuickDisk()) as spool:
            state = new_writer(spool, name)
            append(spool, state, schema_event())
            for step in range(20):
                append(spool, state, row(step))
                await spool.settled()
            if not kills:
                spool.save_writers()
            return state.durable

    async def marks() -> list[int]:
        async with spool_running(tmp_path, disk=QuickDisk()) as spool:
            found = [spool.registry.get(name) for name in ("b", "c")]
            return [each.durable for each in found if each is not None]

    for _ in range(5):
        asyncio.run(log("a"))
    newest = list_segments(tmp_path)[-1]
    for number in list_segments(tmp_path)[1:]:
        segment_path(tmp_path, number).unlink()
    monkeypatch.setattr("stepwell_daemon.spool.freeing.write_table", _refuse)
    durable = [asyncio.run(log(name, kills=True)) for name in ("b", "c")]
    assert asyncio.run(marks()) == durable
    assert list_segments(tmp_path)[1] > newest


def _refuse(*_: object, **__: object) -> None:
    raise no_space()


def test_a_spool_of_which_only_the_table_is_left_misses_nothing_known(
    made: Made, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    shutil.copytree(made.folder, folder)
    for name in ("cursor", "0000000000000001.seg", "0000000000000002.seg"):
        (folder / name).unlink()
    for _ in range(2):
        assert verify_spool(folder).is_whole
        assert delivered(folder) == ([], [])


def cut(folder: Path, segment: int, size: int) -> list[str]:
    """Cut a segment; return what the next start says of it, and check that verify knows it too."""
    os.truncate(segment_path(folder, segment), size)
    damage = verify_spool(folder).damage
    assert str(segment_path(folder, segment)) in {each["file"] for each in damage}
    return delivered(folder)[1]


@pytest.mark.holds("spool-damage-is-told", "damaged-spool-file")
def test_a_segment_that_was_cut_is_told(made: Made, tmp_path: Path) -> None:
    ends = {segment: end for segment, _, end, _ in made.records}
    starts = {segment: start for segment, start, _, _ in made.records}
    for number, (segment, size, has_table) in enumerate(
        [
            (1, starts[1], True),
            (1, starts[1] + 40, True),
            (1, starts[1], False),
            (2, starts[2], True),
            (2, starts[2] + 40, True),
            (2, starts[2] + 40, False),
            (2, ends[2] - 8, False),
        ]
    ):
        folder = tmp_path / str(number)
        shutil.copytree(made.folder, folder)
        if not has_table:
            (folder / "writers.tbl").unlink()
        problems = cut(folder, segment, size)
        assert len(problems) == 1, (number, problems)
        assert "another program truncated the file" in problems[0], number


@pytest.mark.holds("other-versions")
def test_a_spool_of_a_later_release_is_refused_and_kept(made: Made, tmp_path: Path) -> None:
    import struct
    import zlib

    folder = tmp_path / "s"
    shutil.copytree(made.folder, folder)
    path = segment_path(folder, 2)
    data = bytearray(path.read_bytes())
    struct.pack_into("<II", data, 8, VERSION + 1, zlib.crc32(data[16:48], VERSION + 1))
    path.write_bytes(data)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    with pytest.raises(NewerSpoolError, match=r"format version 2.*later release"):
        delivered(folder)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


@pytest.mark.holds("flipped-bit")
def test_any_flipped_bit_of_a_journal_is_read_or_refused_never_more(tmp_path: Path) -> None:
    records = schema_event() + b"".join(row(step) for step in STEPS) + finish_event()
    starts = [each.offset for each in scan_records(records)]
    folder = make_journal(tmp_path, "w1", records)
    for path in (folder / "writer.json", *folder.glob("*.seg")):
        whole = path.read_bytes()
        size = len(whole) if path.suffix == ".json" else PAGE_BYTES + len(records)
        for at in [*range(min(size, 64)), *range(PAGE_BYTES, size)]:
            for bit in range(8):
                data = bytearray(whole)
                data[at] ^= 1 << bit
                path.write_bytes(data)
                taken = _drain(folder)
                before = max((start for start in starts if start <= at - PAGE_BYTES), default=0)
                assert before <= taken <= len(records), (path.name, at, bit)
        path.write_bytes(whole)
    assert _drain(folder) == len(records)


def _drain(folder: Path) -> int:
    """Read the journal as recovery does; return how many bytes were taken."""
    state = WriterState(writer_info("w1"))
    try:
        reader = JournalReader(folder)
    except JournalError:
        return 0
    try:
        state.accepted = max(reader.acked, reader.oldest)
        session = Session(state)
        start = state.accepted
        state.learn(reader.schemas())
        while records := reader.read(state.accepted, 64):
            taken = session.take(frame(state.accepted, records))
            state.learn(taken.defined)
            state.accepted += len(taken.records)
    except (JournalError, StreamRefusedError):
        pass
    finally:
        reader.close()
    return state.accepted - start


def test_a_tail_that_was_written_anew_counts_once_though_its_page_is_damaged(
    tmp_path: Path,
) -> None:
    """A failed sync, a truncate that fails as well, and then a damaged page behind it."""
    broken: list[str] = []

    class Failing(QuickDisk):
        def sync(self, descriptor: int) -> None:
            if broken:
                broken.clear()
                raise OSError(5, "Input/output error")

        def truncate(self, descriptor: int, size: int) -> None:
            raise OSError(5, "Input/output error")

    async def run() -> None:
        async with spool_running(tmp_path, disk=Failing()) as spool:
            state = new_writer(spool)
            append(spool, state, schema_event())
            for step in STEPS:
                await spool.settled()
                if step == 3:
                    broken.append("once")
                append(spool, state, row(step))
            await spool.settled()

    asyncio.run(run())
    assert list_segments(tmp_path) == [1, 2]
    path = segment_path(tmp_path, 2)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    assert delivered(tmp_path)[0] == list(STEPS)
