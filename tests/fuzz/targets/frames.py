"""Operations that make the messages of one client, right and wrong ones."""

import zlib

from stepwell_daemon.writer_state import WriterState
from stepwell_wire.ingest_pb2 import ClientMessage, Frame, Hello, Schema
from tests.fuzz.inputs import entry, keys_of, number, records_of, seed_records

NAMES = ("w0", "w1", "w2")
_MASK = 2**64 - 1

RAW, NEXT, WRONG_CRC, ELSEWHERE, AGAIN, HELLO, COMMIT, MADE = range(8)


def hello_of(payload: bytes, *, oldest: int = 0) -> Hello:
    """Return a hello that is well-made but for what ``payload`` changes."""
    name = NAMES[number(payload, 0) % len(NAMES)]
    hello = Hello(
        protocol_major=1,
        project="demo",
        run_id=f"run-{name}" if number(payload, 1) % 16 else "another",
        writer_id=name,
        scope=("run", "node", "")[number(payload, 2) % 3] if number(payload, 3) % 8 else "x",
        host="here",
        pid=1,
        position=(oldest + 8 * number(payload, 4)) & _MASK,
    )
    for place, which in enumerate(payload[5:11]):
        keys = keys_of(which % 6 + 1) if which % 16 else (f"other{place}",)
        hello.schemas.append(Schema(id=which % 6 + 1, keys=keys))
    return hello


def frame_of(op: int, payload: bytes, state: WriterState | None) -> Frame:
    """Return the frame of ``op`` for a writer whose mark is that of ``state``."""
    mark = state.accepted if state is not None else 0
    position = mark
    if op in (ELSEWHERE, AGAIN):
        shift = int.from_bytes(payload[:1], "little", signed=True)
        position = (mark + shift * (8 if op == AGAIN else 1)) & _MASK
        payload = payload[1:]
    records = payload if op == NEXT else records_of(payload)
    crc = zlib.crc32(records) ^ (op == WRONG_CRC)
    return Frame(position=position, records=records, crc32=crc)


def message_of(op: int, payload: bytes, state: WriterState | None) -> bytes:
    """Return the bytes of one message; ``COMMIT`` makes none."""
    if op == RAW:
        return payload
    if op == HELLO:
        oldest = state.accepted if state is not None and number(payload, 3) % 2 else 0
        message = ClientMessage(hello=hello_of(payload, oldest=oldest))
    else:
        message = ClientMessage(frame=frame_of(op, payload, state))
    return message.SerializeToString()


def seeds() -> list[bytes]:
    """Return streams of one client after another."""
    hello = entry(HELLO, bytes([0, 1, 0, 1, 0, 1, 2, 3, 4, 5]))
    raw_hello = ClientMessage(hello=hello_of(bytes([0, 1, 0, 1]))).SerializeToString()
    made = [entry(MADE, payload) for payload in seed_records()]
    found = [hello + one + entry(COMMIT) + one for one in made]
    found.append(hello + b"".join(made))
    found.append(b"".join(one + entry(COMMIT) for one in made) + hello + made[0])
    found.append(entry(RAW, raw_hello) + made[1] + entry(AGAIN, b"\xf0" + seed_records()[1]))
    found.append(hello + entry(ELSEWHERE, b"\x08" + seed_records()[1]) + hello + made[1])
    found.append(hello + entry(WRONG_CRC, seed_records()[1]) + hello + made[1])
    found.append(entry(HELLO, bytes([1, 1, 0, 1, 9])) + made[1] + entry(HELLO, bytes([1, 1, 0, 1])))
    found.append(b"".join(found))
    return found
