"""What one stream between daemons says of its writers, and which of their frames are taken.

Positions decide, as for a writer of this node: what lies before the mark is known, what begins
beyond it is a hole. A hole is passed only where the sender has settled everything before it
(``may_jump``): its bytes are lost or were never sent, and are counted as skipped. The hole is
remembered (stepwell_daemon.holes): where another daemon still has its bytes, they are taken late.
"""

import logging
import time
import zlib
from dataclasses import replace

from stepwell_daemon.bounds import told_by_writers
from stepwell_daemon.holes import HOLES_MAX, note_frame, parts_in
from stepwell_daemon.intake import take_frame, take_records
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.session import (
    Session,
    Taken,
    check_count,
    check_hello,
    check_names,
    last_time_us,
)
from stepwell_daemon.spool import record
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writers import WriterState
from stepwell_store.writer import WriterInfo
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.ingest_pb2 import (
    GAP,
    LIMIT,
    MALFORMED,
    Frame,
    RefusedFrame,
    RelayBatch,
    RelayFrame,
    RelayWriter,
)
from stepwell_wire.limits import FRAME_BYTES_MAX, POSITION_MAX, RELAY_WRITERS_MAX
from stepwell_wire.records import FINISH
from stepwell_wire.rows import decode_records

logger = logging.getLogger("stepwell_daemon")


class RelayedWriters:
    """The writers of one stream. Owned by the event loop."""

    def __init__(self, spool: Spool, *, via: str) -> None:
        """
        Args:
            via: the id of the daemon that relays.
        """
        self._spool = spool
        self._via = via
        self._states: dict[int, WriterState] = {}
        self._refused: dict[int, StreamRefusedError] = {}

    def take(self, batch: RelayBatch) -> list[RefusedFrame]:
        """Append what is new in ``batch`` to the spool; return what was refused.

        Raises:
            StreamRefusedError: The batch as a whole cannot be.
        """
        for writer in batch.writers:
            self._learn(writer)
        refused = []
        for place, frame in enumerate(batch.frames):
            try:
                self._take_frame(frame)
            except StreamRefusedError as error:
                self._spool.counters.refuse(error.refusal.reason, error.refusal.bound)
                code, detail = error.refusal.code, error.refusal.detail
                refused.append(RefusedFrame(frame=place, code=code, detail=detail))
        return refused

    def close(self) -> None:
        """Let the writers go: they may come again by another stream."""
        now = time.monotonic()
        for state in self._states.values():
            state.relays -= 1
            # A newer stream may have named it before this one ended.
            if not state.relays and state.session is None:
                state.disconnected_at = now
        self._states.clear()

    # ------------------------------------------------------------------ writers

    def _learn(self, description: RelayWriter) -> None:
        index, hello = description.index, description.writer
        if index not in self._states and len(self._states) >= RELAY_WRITERS_MAX:
            raise StreamRefusedError(
                LIMIT,
                f"more than {RELAY_WRITERS_MAX} writers on one stream; begin a new one",
                bound="relay_writers",
            )
        try:
            schemas = check_hello(hello)
            state = self._state_of(WriterInfo.of(hello))
            for number, keys in schemas.items():
                if state.schemas.get(number, keys) != keys:
                    raise StreamRefusedError(
                        MALFORMED, f"schema {number} was defined with other names before"
                    )
            check_count(state, schemas)
        except StreamRefusedError as error:
            self._refused[index] = error
            if (named := self._states.pop(index, None)) is not None:
                named.relays -= 1
            return
        state.learn(schemas, beside=True)
        state.via = self._via
        state.seen_at = time.time()
        state.disconnected_at = None
        if (named := self._states.get(index)) is not state:
            state.relays += 1
            if named is not None:
                named.relays -= 1
        self._states[index] = state
        self._refused.pop(index, None)

    def _state_of(self, info: WriterInfo) -> WriterState:
        registry = self._spool.registry
        state = registry.get(info.writer_id)
        if state is None:
            state = WriterState(info, seen_at=time.time())
            registry.add(state)
            return state
        known = state.info
        if (known.writer_id, known.run_id, known.project) != (
            *(info.writer_id, info.run_id, info.project),
        ):
            raise StreamRefusedError(
                MALFORMED,
                f"writer {info.writer_id} belongs to run {known.project}/{known.run_id}; a writer "
                "id is used once",
            )
        if state.session is not None:
            raise StreamRefusedError(
                LIMIT,
                f"writer {info.writer_id} is connected to this daemon itself; let it log to one "
                "daemon only",
            )
        return state

    # ------------------------------------------------------------------ frames

    def _take_frame(self, frame: RelayFrame) -> None:
        if (error := self._refused.get(frame.writer)) is not None:
            raise error
        state = self._states.get(frame.writer)
        if state is None:
            raise StreamRefusedError(
                MALFORMED, f"a frame of writer {frame.writer}, never described"
            )
        if state.session is not None:
            raise StreamRefusedError(LIMIT, "the writer is connected to this daemon itself")
        counters = self._spool.counters
        if self._spool.registry.get(state.info.writer_id) is not state:
            self._spool.registry.add(state)  # It was forgotten meanwhile.
        state.seen_at = time.time()
        if frame.position & 7 or frame.position > POSITION_MAX:
            raise StreamRefusedError(
                MALFORMED,
                f"frame at {frame.position}: expected a multiple of 8, at most {POSITION_MAX}",
                state.accepted,
            )
        if frame.synthetic:
            self._take_synthetic(state, frame)
            return
        mark = state.accepted
        end = frame.position + len(frame.records)
        late = self._late_parts(state, frame)
        session = Session(state)
        if frame.position > mark:
            if not frame.may_jump:
                raise StreamRefusedError(
                    GAP, f"frame at {frame.position}: everything up to {mark} is here", mark
                )
            session.jumped = frame.position - mark
            state.accepted = frame.position
        try:
            taken = session.take(
                Frame(position=frame.position, records=frame.records, crc32=frame.crc32)
            )
        except StreamRefusedError:
            state.accepted = mark
            raise
        filled_bytes = sum(len(part.records) for part in late)
        taken = replace(taken, duplicate_bytes=taken.duplicate_bytes - filled_bytes)
        counters.filled_bytes += filled_bytes
        for part in late:
            stop = part.position + len(part.records)
            state.holes = note_frame(
                state.holes, mark=state.accepted, position=part.position, end=stop, jumps=False
            )
            take_records(self._spool, state, part, takes_place=False)
        if not taken.records:
            state.accepted = mark
        elif frame.position > mark:
            counters.skipped_bytes += frame.position - mark
            logger.warning(
                "a relayed writer goes on later than it was acknowledged run=%s writer=%s "
                "position=%d bytes=%d daemon=%s",
                state.info.run_id,
                state.info.writer_id,
                frame.position,
                frame.position - mark,
                self._via,
            )
            if len(state.holes) >= HOLES_MAX:
                counters.bounds_reached["relay_holes"] += 1
                logger.warning(
                    "a hole is given up, what comes for it is not taken: more than %d in one "
                    "writer run=%s writer=%s positions=%s",
                    HOLES_MAX,
                    state.info.run_id,
                    state.info.writer_id,
                    state.holes[0],
                )
            state.holes = note_frame(
                state.holes, mark=mark, position=frame.position, end=end, jumps=True
            )
        take_frame(self._spool, state, taken)

    def _late_parts(self, state: WriterState, frame: RelayFrame) -> list[Taken]:
        """Return what of ``frame`` lies in a hole that was passed; nothing is taken yet.

        Raises:
            StreamRefusedError: Its bytes are damaged or malformed.
        """
        if len(frame.records) > FRAME_BYTES_MAX or zlib.crc32(frame.records) != frame.crc32:
            return []  # The session says what is wrong with it.
        found = []
        end = frame.position + len(frame.records)
        for start, stop in parts_in(state.holes, frame.position, end):
            records = frame.records[start - frame.position : stop - frame.position]
            try:
                decoded, defined = decode_records(records, state.schemas)
            except MalformedRecordsError as error:
                raise StreamRefusedError(MALFORMED, f"frame at {start}: {error}") from error
            check_names(defined)
            check_count(state, defined)
            flags = record.FILLS | (record.DEFINES if defined else 0)
            if any(event.kind == FINISH for event in decoded.events):
                flags |= record.FINISHES
            found.append(
                Taken(
                    start,
                    records,
                    points=decoded.point_count,
                    flags=flags,
                    defined=defined,
                    last_time_us=last_time_us(decoded),
                    dropped=told_by_writers(decoded.events),
                )
            )
        return found

    def _take_synthetic(self, state: WriterState, frame: RelayFrame) -> None:
        """Take a record made on behalf of a dead writer, once."""
        place = (frame.position, frame.crc32)
        if place == state.synthetic:
            self._spool.counters.duplicate_bytes += len(frame.records)
            return
        if len(frame.records) > FRAME_BYTES_MAX:
            raise StreamRefusedError(
                LIMIT, f"a frame of {len(frame.records)} bytes", bound="frame_bytes"
            )
        if zlib.crc32(frame.records) != frame.crc32:
            raise StreamRefusedError(
                MALFORMED, f"frame at {frame.position}: the checksum does not fit its bytes"
            )
        try:
            decoded, _ = decode_records(frame.records, state.schemas)
        except MalformedRecordsError as error:
            raise StreamRefusedError(MALFORMED, f"frame at {frame.position}: {error}") from error
        if not frame.records:
            return  # Nothing happened to the dead writer.
        flags = record.SYNTHETIC
        if any(event.kind == FINISH for event in decoded.events):
            if state.finished:
                self._spool.counters.duplicate_bytes += len(frame.records)
                return
            flags |= record.FINISHES
        state.synthetic = place
        taken = Taken(
            frame.position,
            frame.records,
            points=decoded.point_count,
            flags=flags,
            last_time_us=last_time_us(decoded),
        )
        self._spool.counters.frames_received += 1
        take_records(self._spool, state, taken, takes_place=False)
