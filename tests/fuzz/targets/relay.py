"""Batches between daemons: descriptions and frames of many writers, whole and packed."""

import zlib
from typing import cast

from stepwell_daemon.gateway.batches import pack_batch, unpack_batch
from stepwell_daemon.gateway.relayed import RelayedWriters
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.spool.spool import Spool
from stepwell_wire.ingest_pb2 import PackedBatch, RelayBatch, RelayFrame, RelayWriter
from tests.fuzz.inputs import entries, entry, number, records_of, seed_records
from tests.fuzz.invariants import require
from tests.fuzz.ledger import LedgerSpool
from tests.fuzz.targets.frames import NAMES, hello_of
from tests.fuzz.targets.target import Target

_RAW, _NEXT, _FRAME, _DESCRIBE, _SEND, _COMMIT, _ANEW, _PACKED = range(8)
_SYNTHETIC, _MAY_JUMP, _WRONG_CRC, _FAR = 1, 2, 4, 8
_MASK = 2**64 - 1


class Relays(Target):
    allowed = (StreamRefusedError,)

    def seeds(self) -> list[bytes]:
        describe = entry(_DESCRIBE, bytes([0, 0, 1, 0, 1, 0, 1, 2, 3, 4, 5]))
        made = [entry(_NEXT, bytes([0]) + payload) for payload in seed_records()]
        odd = [
            entry(_FRAME, bytes([0, flags, 3]) + seed_records()[1])
            for flags in (_SYNTHETIC, _MAY_JUMP, _WRONG_CRC, _FAR, _SYNTHETIC | _FAR)
        ]
        batch = RelayBatch(writers=[RelayWriter(index=1, writer=hello_of(b"\1\1\0\1"))])
        raw = batch.SerializeToString()
        found = [describe + one + entry(_SEND) + entry(_COMMIT) + one for one in made]
        found.append(describe + b"".join(made) + entry(_ANEW) + describe + made[1])
        found += [describe + made[1] + one + entry(_SEND) + one for one in odd]
        found.append(b"".join(found))
        found.append(entry(_RAW, raw) + describe + made[0])
        found.append(entry(_PACKED, pack_batch(1, batch).SerializeToString()))
        return found

    def feed(self, data: bytes) -> int:
        spool = LedgerSpool()
        stream = RelayedWriters(cast(Spool, spool), via="a")
        batch = RelayBatch()
        count = 0
        for op, payload in entries(data):
            op %= 8
            if op == _DESCRIBE:
                index = number(payload, 0) % 4
                batch.writers.append(RelayWriter(index=index, writer=hello_of(payload[1:])))
            elif op in (_NEXT, _FRAME):
                batch.frames.append(_frame(op, payload, spool))
                if op == _NEXT:
                    count += self._send(batch, stream, spool)
                    batch = RelayBatch()
            elif op == _COMMIT:
                spool.commit()
            elif op == _ANEW:
                stream.close()
                stream = RelayedWriters(cast(Spool, spool), via="b")
            elif op == _SEND:
                count += self._send(batch, stream, spool)
                batch = RelayBatch()
            else:
                count += 1
                read = _read(op, payload)
                if read is not None:
                    count += self._send(read, stream, spool)
        count += self._send(batch, stream, spool)
        stream.close()
        require(
            not any(state.relays for state in spool.registry.states.values()),
            "a stream that ended still holds a writer",
        )
        spool.check()
        return count

    def _send(self, batch: RelayBatch, stream: RelayedWriters, spool: LedgerSpool) -> int:
        marks = {key: state.accepted for key, state in spool.registry.states.items()}
        try:
            refused = stream.take(batch)
        except self.allowed:
            return len(batch.frames)
        places = [each.frame for each in refused]
        require(places == sorted(set(places)), "a frame was refused twice")
        require(all(each.detail for each in refused), "a refusal without a reason")
        for key, mark in marks.items():
            require(spool.registry.states[key].accepted >= mark, "the mark went back")
        return len(batch.frames)


def _frame(op: int, payload: bytes, spool: LedgerSpool) -> RelayFrame:
    index = number(payload, 0) % 4
    state = spool.registry.get(NAMES[index % len(NAMES)])
    position = state.accepted if state is not None else 0
    flags = 0
    payload = payload[1:]
    if op == _FRAME:
        flags = number(payload, 0)
        shift = int.from_bytes(payload[1:2], "little", signed=True)
        position = (position + shift) & _MASK
        if flags & _FAR:
            position = int.from_bytes(payload[1:9], "little")
        payload = payload[2:]
    records = records_of(payload)
    return RelayFrame(
        writer=index,
        position=position,
        records=records,
        crc32=zlib.crc32(records) ^ bool(flags & _WRONG_CRC),
        synthetic=bool(flags & _SYNTHETIC),
        may_jump=bool(flags & _MAY_JUMP),
    )


def _read(op: int, payload: bytes) -> RelayBatch | None:
    """Return the batch in bytes that the fuzzer alone made, None where there is none."""
    from google.protobuf.message import DecodeError

    try:
        if op == _RAW:
            return RelayBatch.FromString(payload)
        packed = PackedBatch.FromString(payload)
    except DecodeError:
        return None
    try:
        return unpack_batch(packed)
    except ValueError:
        return None
