"""The writers of one stream between daemons, and the decision which of their frames are taken.

Positions decide, as for a writer of this node: bytes before the high-water mark are duplicates; a
frame beyond it leaves a missing range. The gateway continues after such a range only if the sender
has settled all frames before it (``may_jump``). Its bytes are lost or were never sent, and are
counted as skipped. The missing range is remembered (``missing_ranges.py``): if another daemon still
has its bytes, they are taken late.
"""

import logging
import time
from dataclasses import replace

from stepwell_daemon.frames import Taken, check_bytes, check_schemas, new_part, read_records
from stepwell_daemon.intake import take_frame, take_records
from stepwell_daemon.missing_ranges import MISSING_RANGES_MAX, parts_in
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.session import check_hello, check_identity
from stepwell_daemon.spool import record
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_store.writer import WriterInfo
from stepwell_wire.ingest_pb2 import (
    LIMIT,
    MALFORMED,
    RefusedFrame,
    RelayBatch,
    RelayFrame,
    RelayWriter,
)
from stepwell_wire.limits import POSITION_MAX, RELAY_WRITERS_MAX

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
        """Append the new parts of ``batch`` to the spool; return the refused frames.

        Raises:
            StreamRefusedError: The batch as a whole is invalid.
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
        """Release the writers: they may come again on another stream."""
        now = time.monotonic()
        for state in self._states.values():
            state.leave_relay(monotonic=now)
        self._states.clear()

    # ------------------------------------------------------------------ writers

    def _learn(self, description: RelayWriter) -> None:
        index, hello = description.index, description.writer
        if index not in self._states and len(self._states) >= RELAY_WRITERS_MAX:
            raise StreamRefusedError(
                LIMIT,
                f"more than {RELAY_WRITERS_MAX} writers on one stream; open a new one",
                bound="relay_writers",
            )
        try:
            schemas = check_hello(hello)
            state = self._state_of(WriterInfo.of(hello))
            check_schemas(state, schemas)
        except StreamRefusedError as error:
            self._refused[index] = error
            if (named := self._states.pop(index, None)) is not None:
                named.leave_relay()
            return
        state.learn(schemas, beside=True)
        named = self._states.get(index)
        state.note_relayed(self._via, now=time.time(), is_new=named is not state)
        if named is not None and named is not state:
            named.leave_relay()
        self._states[index] = state
        self._refused.pop(index, None)

    def _state_of(self, info: WriterInfo) -> WriterState:
        registry = self._spool.registry
        state = registry.get(info.writer_id)
        if state is None:
            state = WriterState(info, seen_at=time.time())
            registry.add(state)
            return state
        check_identity(state, info)
        if state.session is not None:
            raise StreamRefusedError(
                LIMIT,
                f"writer {info.writer_id} is connected to this daemon directly; let it log "
                "to one daemon only",
            )
        return state

    # ------------------------------------------------------------------ frames

    def _take_frame(self, frame: RelayFrame) -> None:
        if (error := self._refused.get(frame.writer)) is not None:
            raise error
        state = self._states.get(frame.writer)
        if state is None:
            raise StreamRefusedError(
                MALFORMED, f"a frame of writer {frame.writer}, which was not described before"
            )
        if state.session is not None:
            raise StreamRefusedError(
                LIMIT,
                "the writer is connected to this daemon directly; let it log to one daemon only",
            )
        if self._spool.registry.get(state.info.writer_id) is not state:
            self._spool.registry.add(state)  # The writer was forgotten meanwhile.
        state.note_seen(time.time())
        if frame.position & 7 or frame.position > POSITION_MAX:
            raise StreamRefusedError(
                MALFORMED,
                f"frame at {frame.position}: expected a multiple of 8 of at most {POSITION_MAX}",
                state.accepted,
            )
        check_bytes(frame, state.accepted)
        if frame.synthetic:
            self._take_synthetic(state, frame)
            return
        if frame.may_jump and frame.position > state.accepted:
            self._take_beyond(state, frame)
            return
        taken = new_part(state, frame, state.accepted)
        late = late_parts(state, frame)  # Before any part is taken: the frame may be refused.
        filled_bytes = sum(len(part.records) for part in late)
        self._spool.counters.filled_bytes += filled_bytes
        for part in late:
            take_records(self._spool, state, part)
        taken = replace(taken, duplicate_bytes=taken.duplicate_bytes - filled_bytes)
        take_frame(self._spool, state, taken)

    def _take_beyond(self, state: WriterState, frame: RelayFrame) -> None:
        """Take a frame after a missing range."""
        taken = new_part(state, frame, frame.position)
        if taken.records:
            self._note_jump(state, frame)
        take_frame(self._spool, state, replace(taken, flags=taken.flags | record.JUMPS))

    def _note_jump(self, state: WriterState, frame: RelayFrame) -> None:
        counters = self._spool.counters
        skipped_bytes = frame.position - state.accepted
        counters.skipped_bytes += skipped_bytes
        logger.warning(
            "a relayed writer continues beyond its acknowledged position, the bytes between "
            "are missing run=%s writer=%s position=%d bytes=%d daemon=%s",
            state.info.run_id,
            state.info.writer_id,
            frame.position,
            skipped_bytes,
            self._via,
        )
        if len(state.missing_ranges) >= MISSING_RANGES_MAX:
            counters.bounds_reached["relay_missing_ranges"] += 1
            logger.warning(
                "a writer has more than %d missing ranges, dropping the oldest: its rows "
                "are not stored if they arrive later run=%s writer=%s positions=%s",
                MISSING_RANGES_MAX,
                state.info.run_id,
                state.info.writer_id,
                state.missing_ranges[0],
            )

    def _take_synthetic(self, state: WriterState, frame: RelayFrame) -> None:
        """Take a record made on behalf of a dead writer, once."""
        if (frame.position, frame.crc32) == state.synthetic:
            self._spool.counters.duplicate_bytes += len(frame.records)
            return
        taken = read_records(state, frame.position, frame.records, flags=record.SYNTHETIC)
        if not frame.records:
            return  # An empty frame has no event to store.
        if state.finished and taken.flags & record.FINISHES:
            self._spool.counters.duplicate_bytes += len(frame.records)
            return
        state.note_made((frame.position, frame.crc32))
        take_frame(self._spool, state, taken)


def late_parts(state: WriterState, frame: RelayFrame) -> list[Taken]:
    """Return the parts of ``frame`` that fill missing ranges of the writer.

    Raises:
        StreamRefusedError: One of them is malformed.
    """
    begin = frame.position
    return [
        read_records(state, start, frame.records[start - begin : end - begin], flags=record.FILLS)
        for start, end in parts_in(state.missing_ranges, begin, begin + len(frame.records))
    ]
