"""A session takes a writer's stream once, in order, whatever its frames are cut into."""

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_daemon.frames import check_count
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.session import Session, open_session
from stepwell_daemon.spool import record
from stepwell_daemon.writers import Registry
from stepwell_wire.exit_note import CRASHED, Ending
from stepwell_wire.ingest_pb2 import (
    BUSY,
    GAP,
    LIMIT,
    MALFORMED,
    UNSUPPORTED_VERSION,
    Frame,
    Schema,
)
from stepwell_wire.limits import (
    FRAME_BYTES_MAX,
    METRIC_NAME_BYTES_MAX,
    METRICS_PER_WRITER_MAX,
    NAMES_BYTES_MAX,
    SCHEMA_KEYS_MAX,
    names_size,
)
from stepwell_wire.records import scan_records
from tests.daemon.made import KEYS, finish_event, frame, hello, row, schema_event

STREAM = schema_event() + b"".join(row(step) for step in range(30)) + finish_event()
BOUNDARIES = [0, *(each.end for each in scan_records(STREAM))]


def opened(registry: Registry | None = None, **changes: Any) -> Session:
    return open_session(hello(**changes), registry or Registry({}), writers_max=4)


def take(session: Session, position: int, records: bytes) -> bytes:
    """Take a frame as the receiver does, without a spool; return what was new."""
    taken = session.take(frame(position, records))
    session.state.learn(taken.defined)
    session.state.append(taken.position, len(taken.records), taken.flags)
    return taken.records


@pytest.mark.holds("resent-frames")
@given(st.lists(st.tuples(st.sampled_from(BOUNDARIES), st.sampled_from(BOUNDARIES)), max_size=40))
def test_any_resends_and_gaps_give_each_byte_once_in_order(cuts: list[tuple[int, int]]) -> None:
    session = opened()
    spooled = b""
    for one, other in [*cuts, (0, len(STREAM))]:
        start, end = min(one, other), max(one, other)
        if start <= len(spooled):
            spooled += take(session, start, STREAM[start:end])
        else:
            with pytest.raises(StreamRefusedError) as refused:
                take(session, start, STREAM[start:end])
            assert refused.value.refusal.code == GAP
            assert refused.value.refusal.position == len(spooled)
        assert spooled == STREAM[: len(spooled)]
    assert spooled == STREAM


@pytest.mark.holds("flipped-bit")
@given(st.integers(0, len(STREAM) * 8 - 1))
@pytest.mark.slow
def test_a_flipped_bit_is_refused_and_changes_nothing(bit: int) -> None:
    damaged = bytearray(STREAM)
    damaged[bit // 8] ^= 1 << bit % 8
    session = opened()
    with pytest.raises(StreamRefusedError) as refused:
        session.take(Frame(position=0, records=bytes(damaged), crc32=zlib.crc32(STREAM)))
    assert refused.value.refusal.code == MALFORMED
    assert session.state.accepted == 0
    assert not session.state.schemas


@given(st.binary(max_size=400))
def test_bytes_that_are_no_records_are_refused(noise: bytes) -> None:
    noise += bytes(1 - len(noise) & 7)  # Never a multiple of 8 bytes, so never records.
    with pytest.raises(StreamRefusedError) as refused:
        opened().take(frame(0, noise))
    assert refused.value.refusal.code == MALFORMED


def test_what_a_frame_holds_is_marked() -> None:
    session = opened()
    taken = session.take(frame(0, STREAM))
    assert taken.flags == record.DEFINES | record.FINISHES
    assert taken.points == 60
    assert taken.defined == {1: KEYS}
    assert taken.last_time_us == 1_000_029


def test_schemas_of_the_hello_are_known() -> None:
    session = opened(position=800, schemas=[Schema(id=1, keys=KEYS)])
    assert session.state.accepted == 800
    assert take(session, 800, row(7)) == row(7)


def test_a_row_of_an_unknown_schema_is_refused() -> None:
    with pytest.raises(StreamRefusedError) as refused:
        opened().take(frame(0, row(1)))
    assert refused.value.refusal.code == MALFORMED


@pytest.mark.holds("other-versions")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"protocol_major": 2}, UNSUPPORTED_VERSION),
        ({"run_id": ""}, MALFORMED),
        ({"writer_id": ""}, MALFORMED),
        ({"project": "p" * 129}, LIMIT),
        ({"label": "ß" * 65}, LIMIT),
        ({"scope": "galaxy"}, MALFORMED),
        ({"host": "h" * 256}, LIMIT),
        ({"journal_dir": "/a\0b"}, LIMIT),
        ({"position": 7}, MALFORMED),
        ({"schemas": [Schema(id=0, keys=["a"])]}, MALFORMED),
        ({"schemas": [Schema(id=1)]}, MALFORMED),
        ({"schemas": [Schema(id=1, keys=["a"]), Schema(id=1, keys=["b"])]}, MALFORMED),
        ({"schemas": [Schema(id=1, keys=["n" * (METRIC_NAME_BYTES_MAX + 1)])]}, LIMIT),
    ],
)
def test_an_impossible_hello_is_refused(changes: dict[str, Any], code: int) -> None:
    registry = Registry({})
    with pytest.raises(StreamRefusedError) as refused:
        opened(registry, **changes)
    assert refused.value.refusal.code == code
    assert refused.value.refusal.detail
    assert not registry.states


@pytest.mark.holds("malformed-message")
def test_limits_of_frames_and_names_hold() -> None:
    with pytest.raises(StreamRefusedError) as refused:
        opened().take(frame(0, bytes(FRAME_BYTES_MAX + 8)))
    assert refused.value.refusal.code == LIMIT
    with pytest.raises(StreamRefusedError) as refused:
        opened().take(frame(0, schema_event(["n" * 600])))
    assert refused.value.refusal.code == LIMIT


def test_too_many_writers_are_asked_to_come_later() -> None:
    registry = Registry({})
    for number in range(4):
        opened(registry, name=f"w{number}")
    with pytest.raises(StreamRefusedError) as refused:
        opened(registry, name="one-too-many")
    assert refused.value.refusal.code == BUSY


def test_the_newer_connection_of_a_writer_wins() -> None:
    registry = Registry({})
    older = opened(registry)
    newer = opened(registry)
    assert older.refusal is not None
    assert older.refusal.code == BUSY
    assert newer.refusal is None
    assert newer.state is older.state
    assert newer.state.session is newer


@pytest.mark.holds("hostile-client")
def test_a_writer_id_is_not_taken_over_by_another_run() -> None:
    registry = Registry({})
    opened(registry)
    with pytest.raises(StreamRefusedError) as refused:
        opened(registry, run_id="another")
    assert refused.value.refusal.code == MALFORMED


def test_a_writer_that_cannot_send_the_missing_bytes_goes_on_where_it_can() -> None:
    registry = Registry({})
    take(opened(registry), 0, STREAM[: BOUNDARIES[5]])
    session = opened(registry, position=BOUNDARIES[9])
    assert session.skipped_bytes == BOUNDARIES[9] - BOUNDARIES[5]
    taken = session.take(frame(BOUNDARIES[9], STREAM[BOUNDARIES[9] :]))
    assert taken.records == STREAM[BOUNDARIES[9] :]
    flags = [session.state.append(taken.position, 8, taken.flags)[0] for _ in range(2)]
    assert [bool(each & record.JUMPS) for each in flags] == [True, False]


@pytest.mark.holds("bound-metrics")
@pytest.mark.slow
def test_names_that_many_sets_share_count_once() -> None:
    """As the writer counts them: else a run of many overlapping sets would be refused for good."""
    sets = 250
    common = [f"layer{number}" for number in range(SCHEMA_KEYS_MAX - 1)]
    schemas = [Schema(id=1 + at, keys=[*common, f"m{at}"]) for at in range(sets)]
    assert sets * SCHEMA_KEYS_MAX > METRICS_PER_WRITER_MAX
    registry = Registry({})
    state = open_session(hello(schemas=schemas), registry, writers_max=1).state
    assert len(state.names) == len(common) + sets
    assert len({id(key) for keys in state.schemas.values() for key in keys}) == len(state.names)
    more = [Schema(id=1001, keys=["one more"])]
    assert len(open_session(hello(schemas=more), registry, writers_max=1).state.names) == (
        len(common) + sets + 1
    )


@pytest.mark.holds("bound-names")
def test_all_sets_of_a_writer_together_are_bounded() -> None:
    """However few names are in them: a hello must be able to say them all."""
    keys = [f"{number:0500d}" for number in range(SCHEMA_KEYS_MAX)]
    state = opened().state
    room = NAMES_BYTES_MAX // names_size(keys)
    for number in range(2, 2 + room):
        check_count(state, {number: tuple(keys)})
        state.learn({number: tuple(keys)})
    with pytest.raises(StreamRefusedError, match="in all schemas of one writer"):
        check_count(state, {2 + room: tuple(keys)})


@pytest.mark.parametrize(
    ("said", "ending"),
    [
        ({"recovered": True, "end_state": "killed", "exit_code": 143}, Ending("killed", 143)),
        ({"recovered": True}, CRASHED),
        ({"recovered": True, "end_state": "gone\n", "exit_code": 1}, CRASHED),
        ({"end_state": "finished"}, CRASHED),
    ],
)
def test_who_sends_what_a_dead_writer_left_says_how_it_ended(
    said: dict[str, Any], ending: Ending
) -> None:
    opened = open_session(hello(**said), Registry({}), writers_max=4)
    assert opened.state.ending == ending
