"""The gateway as a sink: extents of the spool go to another daemon, one after the other.

An extent is settled when each of its frames is durable at the gateway or dead-lettered here. Only
then the cursor advances, as with a store. After any failure the open frames are sent again on a new
stream, and the gateway recognises those that it has.
"""

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from stepwell_daemon.backoff import Backoff
from stepwell_daemon.counters import Counters
from stepwell_daemon.delivery import SinkHealth
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.gaps import event_of_missing
from stepwell_daemon.gateway.batches import (
    Piece,
    describe,
    first_places,
    frame_of,
    gap_piece,
    groups_of,
    of_so_many_writers,
    pack_batch,
    pieces_of,
    split,
)
from stepwell_daemon.gateway.connection import Connection, GatewayError, connect
from stepwell_daemon.gateway.settings import RelaySettings
from stepwell_daemon.spool.dead_letter import write_dead_letter
from stepwell_daemon.spool.disk import Disk, replace_file
from stepwell_daemon.spool.reader import Extent
from stepwell_wire.ingest_pb2 import GAP, PackedBatch, RelayBatch
from stepwell_wire.limits import RELAY_BATCH_BYTES_TARGET, RELAY_WRITERS_MAX

logger = logging.getLogger("stepwell_daemon")

UPSTREAM_FILE: Final = "gateway"
_BATCHES_MAX: Final = 4
"""Batches in flight at once; a fifth waits for the first ack."""
_FAILURES: Final = (GatewayError, DaemonConfigError, OSError)


class _Stream:
    """A connection and the descriptions that were sent on it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.indices: dict[int, int] = {}
        self.sent_schemas: dict[int, int] = {}
        """Schemas that were sent, by writer."""


class GatewaySink:
    """Sends extents to a gateway; never gives up on one."""

    kind: Final = "gateway"

    def __init__(
        self,
        settings: RelaySettings,
        *,
        folder: Path,
        spool: int,
        counters: Counters,
        health: SinkHealth,
        executor: Executor,
        disk: Disk | None = None,
        new_backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._spool = spool
        self._counters = counters
        self._health = health
        self._executor = executor
        self._disk = disk or Disk()
        self._new_backoff = new_backoff
        self._stream: _Stream | None = None
        self.upstream = _read_upstream(folder)

    @property
    def connected(self) -> bool:
        return self._stream is not None

    async def open(self) -> None:
        """Connect, so that an unreachable gateway is reported before any row is logged."""
        backoff = self._new_backoff()
        while True:
            try:
                await self._connected(())
            except _FAILURES as error:
                await self._give_up(error, backoff)
                continue
            self._health.succeeded()
            return

    def prepare(self, extent: Extent) -> list[Piece]:
        """Merge the frames of ``extent``. Runs in a thread."""
        return pieces_of(extent)

    async def deliver(self, extent: Extent, prepared: list[Piece]) -> None:
        """Return when all frames of ``extent`` are settled."""
        started = time.monotonic()
        pieces = prepared
        backoff = self._new_backoff()
        while pieces:
            try:
                pieces = await self._send_open(extent, pieces)
            except _FAILURES as error:
                await self._give_up(error, backoff)
                continue
            self._health.succeeded()
            backoff.reset()
        self._health.insert_seconds = time.monotonic() - started

    async def _give_up(self, error: Exception, backoff: Backoff) -> None:
        """Report ``error``, end the stream, and wait before the next one."""
        self._counters.insert_failures += 1
        self._health.failed(error)
        await self.close()
        await asyncio.sleep(backoff.next_delay())

    async def close(self) -> None:
        """End the stream. Can be called twice."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.connection.close()

    # ------------------------------------------------------------------ sending

    async def _send_open(self, extent: Extent, pieces: Sequence[Piece]) -> list[Piece]:
        """Send ``pieces``, dead-letter the rejected ones, and return those that are still open."""
        pieces, later = of_so_many_writers(pieces, RELAY_WRITERS_MAX)
        stream = await self._connected(pieces)
        loop = asyncio.get_running_loop()
        firsts = first_places(pieces)
        sent: deque[tuple[float, list[int]]] = deque()
        open_pieces: list[Piece] = []
        for group in groups_of(pieces):
            packed = await loop.run_in_executor(
                self._executor, self._pack, stream, pieces, group, firsts
            )
            for batch in packed:
                sent.append((time.perf_counter(), group if batch is packed[-1] else []))
                await stream.connection.send(batch)
                while len(sent) >= _BATCHES_MAX:
                    open_pieces += await self._receive(stream, extent, pieces, *sent.popleft())
        while sent:
            open_pieces += await self._receive(stream, extent, pieces, *sent.popleft())
        return [*open_pieces, *later]

    def _pack(
        self, stream: _Stream, pieces: Sequence[Piece], group: list[int], firsts: set[int]
    ) -> list[PackedBatch]:
        """Return the next batches. Runs in a thread, one at a time.

        The last batch has the frames of ``group``. The ones before it have those descriptions of
        the writers that do not fit into it.
        """
        packed: list[PackedBatch] = []
        batch, described_bytes = RelayBatch(), 0
        for piece in (pieces[place] for place in group):
            number = piece.number
            index = stream.indices.setdefault(number, len(stream.indices) + 1)
            # One step of C, because the reader may add to it at the same time.
            schemas = dict(piece.schemas)
            if stream.sent_schemas.get(number, -1) >= len(schemas):
                continue
            stream.sent_schemas[number] = len(schemas)
            for part in describe(index, piece.info, schemas):
                batch.writers.append(part)
                described_bytes += part.ByteSize()
                if described_bytes > RELAY_BATCH_BYTES_TARGET:
                    packed.append(pack_batch(stream.connection.next_number + len(packed), batch))
                    batch, described_bytes = RelayBatch(), 0
        for place in group:
            piece = pieces[place]
            index = stream.indices[piece.number]
            batch.frames.append(frame_of(piece, index, may_jump=place in firsts))
        packed.append(pack_batch(stream.connection.next_number + len(packed), batch))
        return packed

    async def _receive(
        self,
        stream: _Stream,
        extent: Extent,
        pieces: Sequence[Piece],
        started: float,
        group: list[int],
    ) -> list[Piece]:
        ack = await stream.connection.receive()
        open_pieces: list[Piece] = []
        for refused in ack.refused:
            if refused.frame >= len(group):
                raise GatewayError(f"the gateway refused frame {refused.frame} of {len(group)}")
            piece = pieces[group[refused.frame]]
            if refused.code == GAP:
                open_pieces.append(piece)
            elif len(piece.members) > 1:
                open_pieces += split(piece)
            elif piece.is_gap:
                logger.warning("the gateway rejected the record of a gap: %s", refused.detail)
            else:
                path = await self._dead_letter(extent.segment, piece, refused.detail)
                event = event_of_missing(piece.members[0], path.name)
                if event is not None:
                    open_pieces.append(gap_piece(piece.members[0], event))
        self._counters.inserts += 1
        self._counters.insert_seconds.observe(time.perf_counter() - started)
        return open_pieces

    async def _dead_letter(self, segment: int, piece: Piece, reason: str) -> Path:
        loop = asyncio.get_running_loop()
        what = (self._folder, self._spool, segment, piece.members[0], "", reason, self._disk)
        path = await loop.run_in_executor(self._executor, write_dead_letter, *what)
        self._counters.dead_letter_records += 1
        logger.error(
            "frame dead-lettered, rejected by the gateway run=%s kept=%s: %s",
            piece.info.run_id,
            path,
            reason,
        )
        return path

    # ------------------------------------------------------------------ the stream

    async def _connected(self, pieces: Sequence[Piece]) -> _Stream:
        if self._stream is not None:
            wanted = {piece.number for piece in pieces} | self._stream.indices.keys()
            if len(wanted) > RELAY_WRITERS_MAX:
                await self.close()
        if self._stream is None:
            connection = await connect(
                self._settings, daemon_id=f"{self._spool:016x}", host=socket.gethostname()
            )
            self._stream = _Stream(connection)
            await self._note_upstream(connection.welcome.daemon_id)
        return self._stream

    async def _note_upstream(self, daemon_id: str) -> None:
        if daemon_id == self.upstream:
            return
        if self.upstream:
            self._counters.upstream_changes += 1
            logger.warning(
                "the gateway has a new spool; rows that the former spool had not stored are "
                "lost, unless %s is another gateway by intent; continuing was=%s is=%s",
                self._settings.address,
                self.upstream,
                daemon_id,
            )
        self.upstream = daemon_id
        note = (self._disk, self._folder / UPSTREAM_FILE, f"{daemon_id}\n".encode())
        await asyncio.get_running_loop().run_in_executor(self._executor, replace_file, *note)


def _read_upstream(folder: Path) -> str:
    try:
        return (folder / UPSTREAM_FILE).read_text().strip()
    except FileNotFoundError:
        return ""
