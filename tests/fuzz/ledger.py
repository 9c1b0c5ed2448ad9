"""A spool in memory that believes nothing: what is taken must be in order, once, and readable.

It stands in for the disk only. What it checks is what the real one relies on: that each frame can
be written down, continues its writer's stream, and decodes again from what was written.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import SpoolUnavailableError
from stepwell_daemon.spool import record
from stepwell_daemon.spool.record import SpoolRecord
from stepwell_daemon.spool.segment import PAGE_BYTES, Location
from stepwell_daemon.spool.writer import Append
from stepwell_daemon.writer_packing import describe, unpack_description
from stepwell_daemon.writer_state import Schemas, WriterState
from stepwell_daemon.writers import Registry
from stepwell_store.blocks import BlockBuilder
from stepwell_wire.rows import decode_records
from tests.fuzz.invariants import BrokenInvariantError, require
from tests.fuzz.restart import check_restart

_SEED = 7
_BUILT_OF = 8
"""Rows are built from the first frame on of which one in so many are; they cost the most."""
_RESTARTED_OF = 16
"""One in so many inputs ends with a kill and a start."""


@dataclass(slots=True)
class _Written:
    state: WriterState
    frames: list[tuple[SpoolRecord, Schemas | None]] = field(default_factory=list)
    """Each with the description that stood before it, where one did."""
    end: int | None = None
    description: bytes = b""


class LedgerSpool:
    """What Receiver, Session and RelayedWriters need of a spool."""

    def __init__(self) -> None:
        self.registry = Registry({})
        self.counters = Counters()
        self.daemon_id = "f" * 16
        self.failure: SpoolUnavailableError | None = None
        self.is_full = False
        self.unforwarded_bytes = 0
        self.append_count = self.durable_count = 0
        self.on_durable: Callable[[WriterState], None] = lambda state: None
        self.on_failure: Callable[[SpoolUnavailableError], None] = lambda error: None
        self.watchers: list[Callable[[], None]] = []
        self.written: dict[int, _Written] = {}
        self._pending: list[tuple[WriterState, int, int, int]] = []
        self.appends: list[Append] = []

    def is_over_its_share(self, state: WriterState) -> bool:
        return False

    async def room(self) -> None:
        await asyncio.sleep(0)

    async def settled(self) -> None:
        self.commit()

    def append(
        self,
        state: WriterState,
        position: int,
        records: bytes,
        *,
        points: int,
        flags: int = 0,
    ) -> None:
        require(self.registry.states.get(state.number) is state, "a frame of an unknown writer")
        require(len(records) > 0 and not len(records) & 7, "a frame of no whole records")
        held = self.written.get(state.number)
        if held is None or held.state is not state:
            held = self.written[state.number] = _Written(state)
        flags, redescribe = state.append(position, len(records), flags)
        anew = redescribe or not held.frames
        if not flags & (record.SYNTHETIC | record.FILLS):
            if held.end is not None:
                require(position >= held.end, f"bytes from {position} were taken up to {held.end}")
                jumps = bool(flags & record.JUMPS)
                require(position == held.end or jumps, f"a hole at {held.end} and no word of it")
            held.end = position + len(records)
            require(not position & 7 and held.end < 2**63, "a mark that cannot be")
            require(state.accepted == held.end, "the mark is not where the frame ends")
        schemas: Schemas | None = None
        if anew:
            held.description = describe(state)
            schemas = unpack_description(held.description)[1]
        item = _written_down(state, position, records, points, flags)
        held.frames.append((item, schemas))
        self.appends.append(
            Append(
                writer=state.number,
                describe=partial(bytes, held.description),
                position=position,
                records=records,
                points=points,
                time_us=1,
                flags=flags,
                redescribe=anew,
            )
        )
        self.append_count += 1
        self._pending.append((state, position, len(records), flags))

    def commit(self) -> None:
        """Make everything durable, as a sync does."""
        pending, self._pending = self._pending, []
        for state, *written in pending:
            state.committed(*written, Location(1, PAGE_BYTES))
            require(state.durable <= state.accepted, "more is durable than was accepted")
        self.durable_count += len(pending)
        for state in {id(each[0]): each[0] for each in pending}.values():
            self.on_durable(state)

    def check(self) -> None:
        """Decode all that was taken, and build the rows that the store would get."""
        self.commit()
        builder = BlockBuilder(0)
        builds = False
        last_crc = 1
        for held in self.written.values():
            schemas: Schemas = {}
            taken = 0
            for item, described in held.frames:
                if described is not None:
                    schemas = dict(described)
                decoded, defined = decode_records(item.content(), schemas)
                require(decoded.point_count == item.points, "other points than were counted")
                schemas.update(defined)
                builds = builds or not item.crc % _BUILT_OF
                if builds:
                    builder.add(held.state.info, decoded, schemas)
                last_crc = item.crc
                taken += 1
            require(taken == len(held.frames), "a frame was lost")
        for block in builder.build() if builds else ():
            block.native()
        if self.appends and not last_crc % _RESTARTED_OF:
            ends = {key: held.end for key, held in self.written.items() if held.end is not None}
            check_restart(self.appends, ends)


def _written_down(
    state: WriterState, position: int, records: bytes, points: int, flags: int
) -> SpoolRecord:
    packed, _ = record.pack_record(
        records,
        kind=record.FRAME,
        writer=state.number,
        position=position,
        time_us=1,
        durable=0,
        chain=_SEED,
        seed=_SEED,
        flags=flags,
        points=points,
    )
    item = record.parse_record(lambda size, at: packed[at : at + size], 0, len(packed), _SEED)
    if item is None or item.content() != records:
        raise BrokenInvariantError("a frame that cannot be read again")
    return item
