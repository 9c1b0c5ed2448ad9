"""What fuzzing found, each as small as it can be."""

import asyncio
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest

from stepwell_daemon.delivery import build_blocks
from stepwell_daemon.errors import BAD_DATA
from stepwell_daemon.gateway.batches import pieces_of
from stepwell_daemon.gateway.relayed import RelayedWriters
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.session import open_session
from stepwell_daemon.spool import record
from stepwell_daemon.spool.dead_letter import write_dead_letter
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.reader import Extent
from stepwell_daemon.spool.walker import SpooledFrame, walk_lone_file
from stepwell_daemon.writer_packing import pack_description, unpack_description
from stepwell_daemon.writer_state import WriterState
from stepwell_daemon.writers import Registry
from stepwell_wire.errors import JournalError, MalformedRecordsError
from stepwell_wire.ingest_pb2 import LIMIT, MALFORMED, RelayBatch, RelayFrame, RelayWriter, Schema
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import WRITER_FILE
from stepwell_wire.limits import (
    EVENT_DEPTH_MAX,
    METRICS_PER_WRITER_MAX,
    NAMES_BYTES_MAX,
    VALUE_DEPTH_MAX,
)
from stepwell_wire.records import HEADER, HEADER_BYTES, Record, aligned, pack_event, unpack_event
from tests.daemon.journals import make_journal
from tests.daemon.made import (
    append,
    frame,
    hello,
    new_writer,
    row,
    schema_event,
    spool_running,
    spooled_in,
    writer_info,
)


def nested(depth: int) -> Any:
    value: Any = 1
    for place in range(depth):
        value = [value] if place % 2 else {"a": value}
    return value


def packed(kind: str, body: Any) -> bytes:
    """Pack an event without the checks of ``pack_event``."""
    content = msgpack.packb([kind, body])
    size = HEADER_BYTES + len(content)
    return (HEADER.pack(0, size, 1, 2) + content).ljust(aligned(size), b"\0")


@pytest.mark.holds("fuzzing")
@pytest.mark.parametrize("depth", [EVENT_DEPTH_MAX, 500, 1000])
def test_an_event_nested_too_deep_is_refused_before_the_ack(depth: int) -> None:
    session = open_session(hello(), Registry({}), writers_max=1)
    with pytest.raises(StreamRefusedError) as refused:
        # Two levels are the event's own: the body and its "set".
        session.take(frame(0, packed("config", {"set": nested(depth - 1)})))
    assert refused.value.refusal.code == MALFORMED
    if depth < 1000:  # Beyond, it is no msgpack that anybody reads.
        assert f"a config event nested at most {EVENT_DEPTH_MAX} levels" in str(refused.value)


def test_an_event_as_deep_as_it_may_be_is_taken_and_stored() -> None:
    session = open_session(hello(), Registry({}), writers_max=1)
    body = {"set": {"deep": nested(EVENT_DEPTH_MAX - 3)}}
    records = pack_event("config", body, step=0, time_us=1)
    assert session.take(frame(0, records)).records == records
    record = Record(0, 0, HEADER.unpack_from(records)[1], 0, 1)
    assert unpack_event(records, record) == ("config", body)
    with pytest.raises(ValueError, match=f"deeper than {EVENT_DEPTH_MAX} levels"):
        pack_event("config", {"set": {"deep": [body]}}, step=0, time_us=1)


def test_what_an_sdk_sends_at_its_deepest_is_taken() -> None:
    from stepwell._json_values import as_json

    told: list[str] = []
    value = as_json(nested(900), lambda kind, text: told.append(text))
    records = pack_event("values", {"values": {"x": value}}, step=0, time_us=1)
    session = open_session(hello(), Registry({}), writers_max=1)
    assert session.take(frame(0, records)).records == records
    depth = 0
    while isinstance(value, list | dict):
        value = value[0] if isinstance(value, list) else value["a"]
        depth += 1
    assert depth == VALUE_DEPTH_MAX
    assert isinstance(value, str)
    assert any("its repr is kept" in text for text in told)


@pytest.mark.holds("fuzzing")
def test_schemas_that_come_beside_the_frames_are_in_the_spool(tmp_path: Path) -> None:
    """Rows of a schema that only a later hello named could not be decoded from the spool."""

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            append(spool, new_writer(spool), schema_event() + row(1))
            await spool.settled()
            later = hello(schemas=[Schema(id=2, keys=["later"])])
            state = open_session(later, spool.registry, writers_max=1).state
            append(spool, state, row(2, [0.5], schema=2))
            append(spool, state, row(3))
            await spool.settled()
            frames = spooled_in(spool)
        assert len(frames) == 3
        points = next(each for each in build_blocks(frames) if each.table == "points")
        assert points.rows == 5

    asyncio.run(run())


@pytest.mark.holds("fuzzing")
def test_a_missing_range_is_marked_although_its_connection_ended_before_a_frame(
    tmp_path: Path,
) -> None:
    """What was acknowledged after an unmarked one could be quarantined by the next start."""

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            state = new_writer(spool)
            append(spool, state, schema_event() + row(1))
            mark = state.accepted
            open_session(hello(position=mark + 80), spool.registry, writers_max=1)
            open_session(hello(), spool.registry, writers_max=1)
            append(spool, state, row(2))
            append(spool, state, row(3))
            await spool.settled()
            flags = [each.record.flags & record.JUMPS for each in spooled_in(spool)]
        assert flags == [0, record.JUMPS, 0]

    asyncio.run(run())


def test_an_empty_relayed_frame_makes_no_missing_range(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            writer = RelayWriter(index=1, writer=hello())
            empty = RelayFrame(writer=1, position=80, may_jump=True)
            assert (
                RelayedWriters(spool, via="a").take(RelayBatch(writers=[writer], frames=[empty]))
                == []
            )
            assert new_writer(spool).accepted == 0

    asyncio.run(run())


@pytest.mark.holds("fuzzing")
@pytest.mark.parametrize("position", [3, 2**64 - 8, 2**63])
@pytest.mark.parametrize("synthetic", [False, True])
def test_a_relayed_frame_at_an_impossible_position_is_refused(
    tmp_path: Path, position: int, synthetic: bool
) -> None:
    """A mark beyond 64 bits cannot be written down: the spool stopped for everybody."""

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            records = schema_event()
            batch = RelayBatch(
                writers=[RelayWriter(index=1, writer=hello())],
                frames=[
                    RelayFrame(
                        writer=1,
                        position=position,
                        records=records,
                        crc32=zlib.crc32(records),
                        may_jump=True,
                        synthetic=synthetic,
                    )
                ],
            )
            refused = RelayedWriters(spool, via="a").take(batch)
            assert [each.code for each in refused] == [MALFORMED]
            assert new_writer(spool).accepted == 0

    asyncio.run(run())


def test_an_empty_record_for_a_dead_writer_takes_no_place_in_the_spool(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            batch = RelayBatch(
                writers=[RelayWriter(index=1, writer=hello())],
                frames=[RelayFrame(writer=1, synthetic=True)],
            )
            assert RelayedWriters(spool, via="a").take(batch) == []
            assert spool.append_count == 0

    asyncio.run(run())


def test_a_file_named_by_digits_of_another_script_is_no_segment(tmp_path: Path) -> None:
    folder = make_journal(tmp_path, "w1", schema_event())
    (folder / "²³.seg").touch()
    reader = JournalReader(folder)
    assert reader.read(0, 1 << 20) == schema_event()
    reader.close()


def test_the_rest_of_a_segment_that_is_too_short_for_a_record_is_refused(tmp_path: Path) -> None:
    folder = make_journal(tmp_path, "w1", schema_event() + bytes(8))
    reader = JournalReader(folder)
    with pytest.raises(JournalError, match="8 bytes are left"):
        reader.read(len(schema_event()), 4)
    reader.close()


@pytest.mark.holds("fuzzing")
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"version": 1, "project": "p", "run_id": "r", "writer_id": "\\ud800"}',
        '{"version": 1, "project": "p", "run_id": "r", "writer_id": "%s"}' % ("w" * 129),
        '{"version": 1, "project": "p", "run_id": "r", "writer_id": "w", "pid": 99999999999}',
        '{"version": 1, "project": "p", "run_id": "r", "writer_id": "w", "pid": -1}',
    ],
    ids=["deep", "surrogate", "long", "pid", "negative"],
)
def test_a_writers_file_that_no_daemon_could_use_is_refused(tmp_path: Path, text: str) -> None:
    folder = make_journal(tmp_path, "w1", schema_event())
    (folder / WRITER_FILE).write_text(text)
    with pytest.raises(JournalError, match=WRITER_FILE):
        JournalReader(folder)


@pytest.mark.parametrize("number", [float("inf"), float("-inf")])
def test_a_description_with_an_infinite_mark_is_none(number: float) -> None:
    fields = msgpack.unpackb(new_description(), strict_map_key=False)
    with pytest.raises(ValueError, match="invalid description"):
        unpack_description(msgpack.packb({**fields, "durable": number}))
    unpack_description(msgpack.packb(fields))


def new_description() -> bytes:
    return pack_description(WriterState(writer_info()), {1: ("loss",)})


@pytest.mark.holds("fuzzing")
def test_an_ack_beyond_what_was_written_is_not_believed(tmp_path: Path) -> None:
    """A damaged number made a daemon delete a journal of which nothing was acknowledged."""
    records = schema_event() + row(1)
    for acked in (len(records) + 8, 3, 2**63):
        folder = make_journal(tmp_path, f"w{acked}", records, acked=acked)
        reader = JournalReader(folder)
        assert reader.acked == 0
        with pytest.raises(JournalError, match="are not acknowledged"):
            reader.remove()
        assert reader.read(reader.acked, 1 << 20) == records
        reader.close()
    reader = JournalReader(make_journal(tmp_path, "w", records, acked=len(records)))
    assert reader.acked == len(records)
    reader.close()


def test_the_description_of_a_writer_with_the_longest_names_can_be_read_again() -> None:
    names = tuple(f"{number:0512d}" for number in range(NAMES_BYTES_MAX // 512))
    schemas = {1 + at: names[at : at + 4096] for at in range(0, len(names), 4096)}
    content = pack_description(WriterState(writer_info()), schemas)
    made, _ = record.pack_record(
        content, kind=record.WRITER, writer=1, position=0, time_us=1, durable=0, chain=1, seed=1
    )
    read = record.parse_record(lambda size, at: made[at : at + size], 0, len(made), 1)
    assert read is not None
    assert unpack_description(read.content())[1] == schemas


def test_hellos_cannot_add_up_to_more_metrics_than_a_writer_may_have(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            state = open_session(hello(), spool.registry, writers_max=1).state
            state.names = {f"m{at}": "" for at in range(METRICS_PER_WRITER_MAX - 1)}
            more = hello(schemas=[Schema(id=3, keys=["a", "b"])])
            with pytest.raises(StreamRefusedError, match="metrics in one writer") as refused:
                open_session(more, spool.registry, writers_max=1)
            assert refused.value.refusal.code == LIMIT
            state.names, state.names_bytes = {}, NAMES_BYTES_MAX - 1
            with pytest.raises(
                StreamRefusedError, match=r"\d+ bytes of metric names in all schemas"
            ):
                open_session(more, spool.registry, writers_max=1)
            state.session = None
            frame_of_it = RelayFrame(writer=1, position=0)
            batch = RelayBatch(writers=[RelayWriter(index=1, writer=more)], frames=[frame_of_it])
            assert [each.code for each in RelayedWriters(spool, via="a").take(batch)] == [LIMIT]
            assert not state.schemas

    asyncio.run(run())


def test_a_record_at_a_position_that_no_writer_reaches_is_none() -> None:
    """Its end did not fit 64 bits, and the table of writers could not be saved."""
    for position in (2**64 - 8, 2**63 + 8, 2**63):
        made, _ = record.pack_record(
            row(1),
            kind=record.FRAME,
            writer=1,
            position=position,
            time_us=1,
            durable=0,
            chain=1,
            seed=1,
        )
        read = record.parse_record(
            lambda size, at, held=made: held[at : at + size], 0, len(made), 1
        )
        assert (read is None) == (position > 2**63)


def test_missing_ranges_that_cannot_be_are_no_description_of_a_writer() -> None:
    state = WriterState(writer_info(), durable=80, durable_missing_ranges=((8, 16),))
    fields = msgpack.unpackb(pack_description(state, {}), strict_map_key=False)
    for each in ([16, 8], [-1, 8], [8, 88], [8, 2**63]):
        with pytest.raises(ValueError, match="missing ranges"):
            unpack_description(msgpack.packb({**fields, "holes": [each]}))
    assert unpack_description(msgpack.packb(fields))[0].missing_ranges == ((8, 16),)


@pytest.mark.parametrize("raw_bytes", [100, 4000])
def test_a_record_that_checks_but_cannot_be_decompressed_is_kept(
    tmp_path: Path, raw_bytes: int
) -> None:
    """Nothing that the daemon writes; a bug of a release must not stop what lies behind it."""
    content = schema_event() + b"".join(row(step) for step in range(64))
    made, _ = record.pack_record(
        content, kind=record.FRAME, writer=1, position=0, time_us=1, durable=0, chain=1, seed=1
    )
    read = record.parse_record(lambda size, at: made[at : at + size], 0, len(made), 1)
    assert read is not None
    assert read.flags & record.COMPRESSED
    broken = replace(read, raw_bytes=raw_bytes)
    with pytest.raises(MalformedRecordsError, match="LZ4 block"):
        broken.content()
    with pytest.raises(BAD_DATA):
        build_blocks([SpooledFrame(broken, writer_info(), {})])
    path = write_dead_letter(
        tmp_path, 1, 1, SpooledFrame(broken, writer_info(), {}), "", "broken", Disk()
    )
    found = [each.item for each in walk_lone_file(path) if each.writer is not None]
    assert found[-1].payload == read.payload
    (piece,) = pieces_of(Extent(1, 0, 1, [SpooledFrame(broken, writer_info(), {})]))
    assert piece.records == read.payload
