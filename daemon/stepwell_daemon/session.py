"""Sessions: what a connection may say, and what follows from it. No I/O, no clock.

    hello  →  Welcome with the writer's high-water mark, or a refusal
    frame  →  taken whole, taken without what is known already, or a refusal

A refusal ends the stream. Positions decide everything: what lies before the accepted mark is a
duplicate, what begins beyond it is a gap.
"""

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from stepwell_daemon.bounds import Dropped, told_by_writers
from stepwell_daemon.refusal import Refusal, StreamRefusedError
from stepwell_daemon.spool import record
from stepwell_daemon.writers import Registry, Schemas, WriterState
from stepwell_store.writer import NODE_SCOPE, WriterInfo
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.exit_note import KNOWN_STATES, Ending
from stepwell_wire.ingest_pb2 import (
    BUSY,
    GAP,
    LIMIT,
    MALFORMED,
    UNSUPPORTED_VERSION,
    Command,
    Frame,
    Hello,
)
from stepwell_wire.limits import (
    FRAME_BYTES_MAX,
    IDENTIFIER_BYTES_MAX,
    METRIC_NAME_BYTES_MAX,
    METRICS_PER_WRITER_MAX,
    NAMES_BYTES_MAX,
    POSITION_MAX,
    PROTOCOL_MAJOR,
    SCHEMA_KEYS_MAX,
    SCHEMAS_PER_WRITER_MAX,
    names_size,
)
from stepwell_wire.records import FINISH
from stepwell_wire.rows import DecodedRecords, decode_records

_SCOPES = ("run", NODE_SCOPE)
_PATH_BYTES_MAX = 4096
_HOST_BYTES_MAX = 255
_COMMANDS_MAX = 100


@dataclass(frozen=True, slots=True)
class Taken:
    """What of a frame goes into the spool; ``records`` is empty when nothing is new."""

    position: int
    records: bytes
    duplicate_bytes: int = 0
    points: int = 0
    flags: int = 0
    defined: Schemas = field(default_factory=dict)
    last_time_us: int = 0
    dropped: tuple[Dropped, ...] = ()
    """What the writer says it had to drop."""


class Session:
    """The state of one connection of one writer.

    Attributes:
        acked: the position that this connection was told last.
        sweep_id: the sweep that the run is a trial of, as the hello says.
        changed: set when there is something to tell: an ack, a refusal, the end.
        ended: the writer sends nothing more on this stream.
    """

    def __init__(self, state: WriterState) -> None:
        self.state = state
        self.acked = state.durable
        self.changed = asyncio.Event()
        self.refusal: Refusal | None = None
        self.ended = False
        self.jumped = 0  # bytes that the next frame goes past
        self.sweep_id = ""
        self.commands: list[Command] = []  # of the hub, not sent yet
        self._commanded: set[bytes] = set()

    def refuse(self, refusal: Refusal) -> None:
        if self.refusal is None:
            self.refusal = refusal
            self.changed.set()

    def command(self, command: Command) -> None:
        """Send what the hub asks of the run, once on this stream."""
        packed = command.SerializeToString()
        if packed not in self._commanded and len(self._commanded) < _COMMANDS_MAX:
            self._commanded.add(packed)
            self.commands.append(command)
            self.changed.set()

    def take(self, frame: Frame) -> Taken:
        """Return what of ``frame`` is new.

        Raises:
            StreamRefusedError: It is damaged, malformed, too large or beyond the mark.
        """
        records, position = frame.records, frame.position
        mark = self.state.accepted
        if len(records) > FRAME_BYTES_MAX:
            raise StreamRefusedError(
                LIMIT,
                f"a frame of {len(records)} bytes; at most {FRAME_BYTES_MAX} are taken, send less "
                "at a time",
                mark,
                bound="frame_bytes",
            )
        if zlib.crc32(records) != frame.crc32:
            raise StreamRefusedError(
                MALFORMED, f"frame at {position}: the checksum does not fit its bytes", mark
            )
        if position > mark:
            raise StreamRefusedError(
                GAP, f"frame at {position}: everything up to {mark} is here; go on there", mark
            )
        known = min(mark - position, len(records))
        if known:
            records = records[known:]
        if not records:
            return Taken(mark, b"", known)
        try:
            decoded, defined = decode_records(records, self.state.schemas)
        except MalformedRecordsError as error:
            raise StreamRefusedError(MALFORMED, f"frame at {position}: {error}", mark) from error
        self._check_names(defined)
        flags = record.DEFINES if defined else 0
        if any(event.kind == FINISH for event in decoded.events):
            flags |= record.FINISHES
        if self.jumped or self.state.after_hole:
            flags |= record.JUMPS
            self.jumped = 0
            self.state.after_hole = False
        return Taken(
            mark,
            records,
            known,
            decoded.point_count,
            flags,
            defined,
            last_time_us(decoded),
            told_by_writers(decoded.events),
        )

    def _check_names(self, defined: Mapping[int, tuple[str, ...]]) -> None:
        check_names(defined, self.state.accepted)
        check_count(self.state, defined)


def last_time_us(decoded: DecodedRecords) -> int:
    """Return the time of the last row or event, 0 where there is none."""
    times = [int(rows.times[-1]) for rows in decoded.rows if len(rows.times)]
    times += [event.time_us for event in decoded.events[-1:]]
    return max(times, default=0)


def check_count(state: WriterState, schemas: Mapping[int, tuple[str, ...]]) -> None:
    """Raise StreamRefusedError when ``state`` would have more metrics than a writer may."""
    fresh = [keys for number, keys in schemas.items() if number not in state.schemas]
    size = state.names_bytes + sum(map(names_size, fresh))
    if size > NAMES_BYTES_MAX:
        raise StreamRefusedError(
            LIMIT,
            f"names of {size} bytes in all sets of one writer; at most {NAMES_BYTES_MAX} are "
            "possible: use fewer or shorter names, or fewer sets of them",
            state.accepted,
            bound="metrics_per_writer",
        )
    added = {key for keys in fresh for key in keys if key not in state.names}
    if len(state.names) + len(added) > METRICS_PER_WRITER_MAX:
        raise StreamRefusedError(
            LIMIT,
            f"{len(state.names) + len(added)} metrics in one writer; at most "
            f"{METRICS_PER_WRITER_MAX} are possible: use fewer names",
            state.accepted,
            bound="metrics_per_writer",
        )


def check_names(schemas: Mapping[int, tuple[str, ...]], position: int = 0) -> None:
    """Raise StreamRefusedError when a metric's name is longer than names may be."""
    for keys in schemas.values():
        for key in keys:
            # The cheap test first: no character takes more than four bytes.
            if len(key) * 4 > METRIC_NAME_BYTES_MAX and len(key.encode()) > METRIC_NAME_BYTES_MAX:
                raise StreamRefusedError(
                    LIMIT,
                    f"a metric's name of {len(key.encode())} bytes ({key[:40]}…); at most "
                    f"{METRIC_NAME_BYTES_MAX} are possible",
                    position,
                    bound="metric_name_bytes",
                )


def open_session(hello: Hello, registry: Registry, *, writers_max: int) -> Session:
    """Return the session that ``hello`` opens; the writer is registered by it.

    A second connection of a writer ends the first.

    Raises:
        StreamRefusedError: Another protocol, an impossible identity, or too many writers.
    """
    if hello.protocol_major != PROTOCOL_MAJOR:
        raise StreamRefusedError(
            UNSUPPORTED_VERSION,
            f"protocol {hello.protocol_major} is spoken, this daemon speaks {PROTOCOL_MAJOR}; "
            "install the same major version of stepwell on both sides",
        )
    schemas = check_hello(hello)
    info = WriterInfo.of(hello)
    state = registry.get(hello.writer_id)
    if state is None:
        connected = len(registry.connected())
        if connected >= writers_max:
            raise StreamRefusedError(
                BUSY,
                f"{connected} writers are connected and writers_max is {writers_max}; raise it, "
                "or log from fewer processes",
                bound="writers_max",
            )
        state = WriterState(info, accepted=hello.position, durable=hello.position)
        registry.add(state)
    elif (state.info.writer_id, state.info.run_id, state.info.project) != (
        *(info.writer_id, info.run_id, info.project),
    ):
        raise StreamRefusedError(
            MALFORMED,
            f"writer {info.writer_id} belongs to run {state.info.project}/{state.info.run_id}; a "
            "writer id is used once",
            state.durable,
        )
    for number, keys in schemas.items():
        if state.schemas.get(number, keys) != keys:
            raise StreamRefusedError(
                MALFORMED, f"schema {number} was defined with other names before", state.durable
            )
    check_count(state, schemas)
    state.learn(schemas, beside=True)
    state.client = hello.client[:200]
    state.is_dead = hello.recovered
    if hello.recovered and hello.end_state in KNOWN_STATES:
        state.ending = Ending(hello.end_state, hello.exit_code)
    state.journal_dir = hello.journal_dir or state.journal_dir
    if state.session is not None:
        state.session.refuse(
            Refusal(BUSY, "the writer has connected anew; this stream is the older", state.durable)
        )
    session = Session(state)
    session.sweep_id = hello.sweep_id
    if hello.position > state.accepted:
        session.jumped = hello.position - state.accepted
        state.after_hole = True
        state.accepted = hello.position
        state.durable = max(state.durable, hello.position)
        session.acked = state.durable
    state.session = session
    state.disconnected_at = None
    return session


def check_hello(hello: Hello) -> Schemas:
    """Return the schemas that ``hello`` names.

    Raises:
        StreamRefusedError: An identity or a schema is not what it may be.
    """
    for name in ("run_id", "writer_id"):
        if not getattr(hello, name):
            raise StreamRefusedError(MALFORMED, f"hello without {name}")
    for name in ("project", "run_id", "writer_id", "label", "sweep_id"):
        size = len(getattr(hello, name).encode())
        if size > IDENTIFIER_BYTES_MAX:
            raise StreamRefusedError(
                LIMIT,
                f"{name} has {size} bytes; at most {IDENTIFIER_BYTES_MAX} are possible",
                bound="identifier_bytes",
            )
    if hello.scope not in ("", *_SCOPES):
        raise StreamRefusedError(
            MALFORMED, f"scope {hello.scope!r}; known are {', '.join(_SCOPES)}"
        )
    if len(hello.host.encode()) > _HOST_BYTES_MAX:
        raise StreamRefusedError(LIMIT, f"host has more than {_HOST_BYTES_MAX} bytes")
    journal_dir = hello.journal_dir
    if len(journal_dir.encode()) > _PATH_BYTES_MAX or "\0" in journal_dir:
        raise StreamRefusedError(LIMIT, "journal_dir is no path that can be")
    if hello.position & 7:
        raise StreamRefusedError(MALFORMED, f"position {hello.position} is no multiple of 8")
    if hello.position > POSITION_MAX:
        raise StreamRefusedError(
            LIMIT, f"position {hello.position}; at most {POSITION_MAX} is possible"
        )
    if len(hello.schemas) > SCHEMAS_PER_WRITER_MAX:
        raise StreamRefusedError(
            LIMIT, f"more than {SCHEMAS_PER_WRITER_MAX} schemas", bound="schemas_per_writer"
        )
    schemas: Schemas = {}
    names: set[str] = set()
    for schema in hello.schemas:
        keys = tuple(schema.keys)
        if not 1 <= schema.id <= SCHEMAS_PER_WRITER_MAX or not 1 <= len(keys) <= SCHEMA_KEYS_MAX:
            raise StreamRefusedError(MALFORMED, f"schema {schema.id} with {len(keys)} names")
        if schemas.setdefault(schema.id, keys) != keys:
            raise StreamRefusedError(MALFORMED, f"schema {schema.id} is there twice")
        names.update(keys)
    if len(names) > METRICS_PER_WRITER_MAX:
        raise StreamRefusedError(
            LIMIT,
            f"more than {METRICS_PER_WRITER_MAX} metrics in one writer",
            bound="metrics_per_writer",
        )
    check_names(schemas)
    return schemas
