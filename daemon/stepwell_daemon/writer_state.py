"""The daemon's facts of one writer, and every change of them.

A writer's *high-water marks* are positions in its stream. Bytes up to ``accepted`` were taken into
memory. Bytes up to ``durable`` are on disk and acknowledged. ``accepted`` is never lower than
``durable``.

Other modules read the fields. They change them only with the methods of this file; a test checks
this.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from stepwell_daemon.counters import Rate
from stepwell_daemon.missing_ranges import MissingRange, ranges_after
from stepwell_daemon.refusal import Refusal
from stepwell_daemon.spool.record import FILLS, FINISHES, JUMPS, SYNTHETIC, writer_number
from stepwell_daemon.spool.segment import Location
from stepwell_store.writer import WriterInfo
from stepwell_wire.exit_note import CRASHED, Ending
from stepwell_wire.ingest_pb2 import Command
from stepwell_wire.limits import names_size

Schemas = dict[int, tuple[str, ...]]


class Stream(Protocol):
    """A writer's connection, as other modules may use it (``session.Session``)."""

    changed: asyncio.Event
    sweep_id: str

    def refuse(self, refusal: Refusal) -> None: ...

    def command(self, command: Command) -> None: ...


@dataclass(slots=True, eq=False)
class WriterState:
    """One writer. Owned by the event loop."""

    info: WriterInfo
    client: str = ""
    journal_dir: str = ""
    accepted: int = 0
    durable: int = 0
    finished: bool = False
    """Whether a ``finish`` was taken, from the writer or made for it after its death."""
    is_removed: bool = False
    """Its run was deleted by force while it logged: no more of its records are kept."""
    last_time_us: int = 0
    """The highest time in the writer's own records."""
    seen_at: float = 0.0
    """Time of its last frame or hello; seconds since 1970 UTC."""
    schemas: Schemas = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Each name of its schemas once; the schemas contain the same string objects."""
    names_bytes: int = 0
    """The size of its schemas towards ``NAMES_BYTES_MAX``."""
    after_missing: bool = False
    """Its next frame skips a missing range; kept after the connection that announced it."""
    redescribe: bool = False
    """It has schemas that its frames do not define: a description must precede the next frame."""
    missing_ranges: tuple[MissingRange, ...] = ()
    """Missing ranges from relays, as of ``accepted``."""
    durable_missing_ranges: tuple[MissingRange, ...] = ()
    """Missing ranges from relays, as of ``durable``."""
    session: Stream | None = None
    location: Location = Location(0, 0)
    """The spool's end when its last frame became durable."""
    pending: int = 0
    """Frames accepted and not yet durable."""
    waiting_bytes: int = 0
    """Bytes of its records that are not stored, of those appended since the daemon's start."""
    rate: Rate = field(default_factory=Rate)
    """Points received."""
    via: str = ""
    """The daemon that relays it; its process, journal and host are then on another node."""
    relays: int = 0
    """Number of open streams between daemons that have named it."""
    synthetic: tuple[int, int] | None = None
    """Position and CRC-32 of the last relayed record that was made on its behalf."""
    is_dead: bool = False
    """Its last connection was another process's, which sent its journal."""
    ending: Ending = CRASHED
    """Its end, as far as known, in case it has no ``finish``."""
    disconnected_at: float | None = None
    """Monotonic; None while connected and for writers that were not seen since the start."""

    @property
    def is_relayed(self) -> bool:
        """Whether it logs to another daemon, which relays its rows to this one now."""
        return self.session is None and self.relays > 0 and not self.finished

    @property
    def number(self) -> int:
        return writer_number(self.info.writer_id)

    # ------------------------------------------------------------------ connections

    def connect(self, session: Stream, *, client: str, journal_dir: str, is_dead: bool) -> None:
        """Begin a connection; it replaces an earlier one."""
        self.session, self.disconnected_at = session, None
        self.client, self.is_dead = client, is_dead
        self.journal_dir = journal_dir or self.journal_dir

    def disconnect(self, session: Stream, *, monotonic: float) -> bool:
        """End the connection of ``session``; return whether it was the writer's latest."""
        if self.session is not session:
            return False
        self.session, self.disconnected_at = None, monotonic
        return True

    def note_seen(self, now: float) -> None:
        self.seen_at = now

    def note_relayed(self, via: str, *, now: float, is_new: bool) -> None:
        """Note that a stream of daemon ``via`` names the writer, for the first time or again."""
        self.via, self.seen_at, self.disconnected_at = via, now, None
        self.relays += is_new

    def leave_relay(self, *, monotonic: float | None = None) -> None:
        """Note that a stream between daemons no longer names the writer.

        Args:
            monotonic: when that stream ended; None if it continues.
        """
        self.relays -= 1
        # A newer stream may have named it before this one ended.
        if monotonic is not None and not self.relays and self.session is None:
            self.disconnected_at = monotonic

    def retire(self, monotonic: float) -> None:
        """Note that a writer of the daemon itself sends no more rows."""
        self.disconnected_at = monotonic

    def note_death(self, ending: Ending | None) -> None:
        """Note that the process is dead, and how it ended, if known."""
        self.is_dead, self.ending = True, ending or self.ending

    def note_removed(self) -> None:
        """Note that its run was deleted by force: it needs no more records, also no end."""
        self.is_removed = self.finished = True

    def forget_journal(self) -> None:
        self.journal_dir = ""

    # ------------------------------------------------------------------ schemas

    def learn(self, schemas: Mapping[int, tuple[str, ...]], *, beside: bool = False) -> None:
        """Add new schemas.

        Args:
            beside: they are not from a frame, so a reader of the spool would miss them.
        """
        if beside and not schemas.keys() <= self.schemas.keys():
            self.redescribe = True
        for number, keys in schemas.items():
            if number not in self.schemas:
                self.schemas[number] = tuple(self.names.setdefault(key, key) for key in keys)
                self.names_bytes += names_size(keys)

    def forget_schemas(self) -> None:
        # Not cleared: a reader of the spool may hold the old dict.
        self.schemas, self.names, self.names_bytes = {}, {}, 0

    # ------------------------------------------------------------------ its stream

    def skip_to(self, position: int) -> int:
        """Continue at ``position``: earlier bytes are lost for this daemon. Return their number."""
        skipped = position - self.accepted
        if skipped <= 0:
            return 0
        self.after_missing = True
        self.accepted = position
        self.durable = max(self.durable, position)
        return skipped

    def note_rows(self, points: int, last_time_us: int) -> None:
        self.rate.add(points)
        self.last_time_us = max(self.last_time_us, last_time_us)

    def note_made(self, place: tuple[int, int]) -> None:
        """Note a relayed record that was made on its behalf."""
        self.synthetic = place

    def append(self, position: int, size: int, flags: int) -> tuple[int, bool]:
        """Note that ``size`` bytes are being appended to the spool.

        Returns:
            Their flags, and whether a description of the writer must precede them.
        """
        redescribe, self.redescribe = self.redescribe, False
        if not flags & (SYNTHETIC | FILLS):
            flags |= JUMPS if self.after_missing else 0
            self.after_missing = False
        if not flags & SYNTHETIC:
            self.missing_ranges = _missing_after(
                self.missing_ranges, self.accepted, position, size, flags
            )
            self.accepted = max(self.accepted, position + size)
        self.pending += 1
        self.waiting_bytes += size
        return flags, redescribe

    def discard(self, position: int, size: int, flags: int) -> None:
        """Note that ``size`` bytes of a removed writer were taken and dropped."""
        if flags & SYNTHETIC:
            return
        self.after_missing = False
        self.accepted = max(self.accepted, position + size)
        self.durable = self.accepted
        self.missing_ranges = self.durable_missing_ranges = ()

    def committed(self, position: int, size: int, flags: int, location: Location) -> None:
        """Note that the appended records are on disk, before ``location``."""
        self.pending -= 1
        self.location = location
        self._note_durable(position, size, flags)

    def read_back(self, position: int, size: int, flags: int, *, seen_at: float) -> None:
        """Add a frame that a start finds in the spool: all other frames were not accepted."""
        self.seen_at = max(self.seen_at, seen_at)
        self._note_durable(position, size, flags)
        self.accepted, self.missing_ranges = self.durable, self.durable_missing_ranges

    def read_description(self, described: "WriterState", schemas: Schemas) -> None:
        """Add the new facts of a description in the spool."""
        self.learn(schemas)
        self.via = described.via or self.via
        if described.durable > self.durable:
            self.durable = self.accepted = described.durable
            self.durable_missing_ranges = self.missing_ranges = (
                described.durable_missing_ranges
            )  # As of that mark.

    def note_opened(self, end: Location) -> None:
        """Note where the spool ended when it was opened."""
        self.location = end

    def note_forwarded(self, size: int) -> int:
        """Note that records no longer wait; return the number of their counted bytes."""
        size = min(size, self.waiting_bytes)
        self.waiting_bytes -= size
        return size

    def _note_durable(self, position: int, size: int, flags: int) -> None:
        if not flags & SYNTHETIC:
            self.durable_missing_ranges = _missing_after(
                self.durable_missing_ranges, self.durable, position, size, flags
            )
            self.durable = max(self.durable, position + size)
        self.finished = self.finished or bool(flags & FINISHES)


def _missing_after(
    ranges: tuple[MissingRange, ...], mark: int, position: int, size: int, flags: int
) -> tuple[MissingRange, ...]:
    jumps = bool(flags & (JUMPS | FILLS))
    return ranges_after(ranges, mark=mark, position=position, end=position + size, jumps=jumps)
