"""Messages: what an older or newer minor version sends is still understood.

The golden files hold what protocol 1.0 sent. They are never regenerated: a change that cannot
read them breaks writers in the field. `python -m tests.wire.test_messages` wrote them.
"""

from pathlib import Path

import pytest
from google.protobuf.message import DecodeError

from stepwell_wire import limits
from stepwell_wire.ingest_pb2 import BUSY, ClientMessage, Hello, Schema, ServerMessage
from stepwell_wire.records import pack_event, scan_records, unpack_event
from tests.wire.packed import pack_row

GOLDEN = Path(__file__).parent / "golden"


def hello() -> ClientMessage:
    return ClientMessage(
        hello=Hello(
            protocol_major=1,
            protocol_minor=0,
            client="stepwell/0.1.0 python/3.11",
            project="digits",
            run_id="k3v9x2aa",
            writer_id="0123456789abcdef",
            label="rank0",
            scope="run",
            host="node-1",
            pid=4242,
            journal_dir="/data/journals",
            position=4096,
            schemas=[Schema(id=1, keys=["train/loss", "épreuve"])],
            recovered=True,
        )
    )


def frame() -> ClientMessage:
    message = ClientMessage()
    message.frame.position = 2**40
    message.frame.records = (
        pack_event("schema", {"id": 1, "keys": ["train/loss", "lr"]}, step=0, time_us=1)
        + pack_row(1, -5, 1_700_000_000_000_000, [0.5, float("nan")])
        + pack_event("console", {"stream": "stdout", "lines": [[1, 2, "é"]]}, step=0, time_us=3)
    )
    message.frame.crc32 = 0xFFFF_FFFF
    return message


def replies() -> list[ServerMessage]:
    welcome, ack, refusal = ServerMessage(), ServerMessage(), ServerMessage()
    welcome.welcome.protocol_major = 1
    welcome.welcome.daemon_id = "feedface00000000"
    welcome.welcome.position = 123
    welcome.welcome.frame_bytes_max = limits.FRAME_BYTES_MAX
    ack.ack.position = 2**40 + 8
    refusal.refusal.code = BUSY
    refusal.refusal.detail = "the spool is full"
    refusal.refusal.position = 9
    return [welcome, ack, refusal]


CASES = {
    "hello-1.0": hello(),
    "frame-1.0": frame(),
    "welcome-1.0": replies()[0],
    "ack-1.0": replies()[1],
    "refusal-1.0": replies()[2],
}


@pytest.mark.holds("other-versions")
@pytest.mark.parametrize("name", CASES)
def test_what_protocol_1_0_sent_is_read_as_it_was_meant(name: str) -> None:
    want = CASES[name]
    assert type(want).FromString((GOLDEN / f"{name}.bin").read_bytes()) == want


@pytest.mark.holds("other-versions")
@pytest.mark.parametrize("name", CASES)
def test_fields_of_a_newer_minor_version_are_passed_over(name: str) -> None:
    unknown_varint = b"\xf8\x3f\x01"  # field 1023, varint
    unknown_bytes = b"\xfa\x3f\x03abc"  # field 1023, three bytes
    data = (GOLDEN / f"{name}.bin").read_bytes() + unknown_varint + unknown_bytes
    message = type(CASES[name]).FromString(data)
    message.DiscardUnknownFields()
    assert message == CASES[name]


def test_a_torn_message_is_an_error_not_a_guess() -> None:
    data = (GOLDEN / "frame-1.0.bin").read_bytes()
    with pytest.raises(DecodeError):
        ClientMessage.FromString(data[:-3])


def test_an_event_comes_back_as_it_was_packed() -> None:
    body = {"set": {"lr": 0.1, "deep": {"a": [1, None, True, "ü"]}, "big": 2**60}}
    packed = pack_event("config", body, step=7, time_us=8)
    (record,) = scan_records(packed)
    assert (record.step, record.time_us, record.end) == (7, 8, len(packed))
    assert unpack_event(packed, record) == ("config", body)


def test_an_event_beyond_the_limit_is_refused_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="at most"):
        pack_event("console", {"text": "x" * limits.EVENT_BYTES_MAX}, step=0, time_us=0)


def test_surrogates_from_a_broken_locale_do_not_stop_an_event() -> None:
    packed = pack_event("console", {"text": "a\udcffb"}, step=0, time_us=0)
    (record,) = scan_records(packed)
    assert unpack_event(packed, record)[1]["text"] == r"a\udcffb"


if __name__ == "__main__":
    for case, message in CASES.items():
        (GOLDEN / f"{case}.bin").write_bytes(message.SerializeToString(deterministic=True))
