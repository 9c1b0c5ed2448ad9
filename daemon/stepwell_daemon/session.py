"""Sessions: the valid messages of a connection, and their effects. No I/O, no clock.

    hello  →  Welcome with the writer's high-water mark, or a refusal frame  →  taken whole, taken
    without its known bytes, or a refusal

A refusal ends the stream.
"""

import asyncio

from stepwell_daemon.frames import Taken, check_bytes, check_names, check_schemas, new_part
from stepwell_daemon.refusal import Refusal, StreamRefusedError
from stepwell_daemon.writer_state import Schemas, WriterState
from stepwell_daemon.writers import Registry
from stepwell_store.writer import NODE_SCOPE, WriterInfo
from stepwell_wire.exit_note import KNOWN_STATES, Ending
from stepwell_wire.ingest_pb2 import (
    BUSY,
    LIMIT,
    MALFORMED,
    UNSUPPORTED_VERSION,
    Command,
    Frame,
    Hello,
)
from stepwell_wire.limits import (
    IDENTIFIER_BYTES_MAX,
    METRICS_PER_WRITER_MAX,
    POSITION_MAX,
    PROTOCOL_MAJOR,
    SCHEMA_KEYS_MAX,
    SCHEMAS_PER_WRITER_MAX,
)

_SCOPES = ("run", NODE_SCOPE)
_PATH_BYTES_MAX = 4096
_HOST_BYTES_MAX = 255
_COMMANDS_MAX = 100


class Session:
    """The state of one connection of one writer.

    Attributes:
        acked: the last position that was sent on this connection.
        sweep_id: the sweep of the run's trial, from the hello.
        skipped_bytes: bytes of the writer's stream that its hello skips.
        changed: set when there is a message to send: an ack, a refusal, the end.
        ended: the writer sends no more frames on this stream.
    """

    def __init__(self, state: WriterState, *, sweep_id: str = "", skipped_bytes: int = 0) -> None:
        self.state = state
        self.acked = state.durable
        self.changed = asyncio.Event()
        self.refusal: Refusal | None = None
        self.ended = False
        self.skipped_bytes = skipped_bytes
        self.sweep_id = sweep_id
        self.commands: list[Command] = []  # of the hub, not sent yet
        self._commanded: set[bytes] = set()

    def refuse(self, refusal: Refusal) -> None:
        if self.refusal is None:
            self.refusal = refusal
            self.changed.set()

    def command(self, command: Command) -> None:
        """Send a command of the hub for the run, once on this stream."""
        packed = command.SerializeToString()
        if packed not in self._commanded and len(self._commanded) < _COMMANDS_MAX:
            self._commanded.add(packed)
            self.commands.append(command)
            self.changed.set()

    def take(self, frame: Frame) -> Taken:
        """Return the new part of ``frame``.

        Raises:
            StreamRefusedError: It is damaged, malformed, too large or beyond the mark.
        """
        mark = self.state.accepted
        check_bytes(frame, mark)
        return new_part(self.state, frame, mark)

    def leave(self, monotonic: float) -> bool:
        """End; return whether the writer has no connection now."""
        return self.state.disconnect(self, monotonic=monotonic)


def open_session(hello: Hello, registry: Registry, *, writers_max: int) -> Session:
    """Return the session that ``hello`` opens; the writer is registered by it.

    A second connection of a writer ends the first.

    Raises:
        StreamRefusedError: Another protocol, an impossible identity, or too many writers.
    """
    if hello.protocol_major != PROTOCOL_MAJOR:
        raise StreamRefusedError(
            UNSUPPORTED_VERSION,
            f"the client uses protocol {hello.protocol_major}, this daemon protocol "
            f"{PROTOCOL_MAJOR}; install the same major version of stepwell on both sides",
        )
    schemas = check_hello(hello)
    info = WriterInfo.of(hello)
    state = registry.get(hello.writer_id)
    if state is None:
        connected = len(registry.connected())
        if connected >= writers_max:
            raise StreamRefusedError(
                BUSY,
                f"{connected} writers are connected and writers_max is {writers_max}; raise "
                "it, or log from fewer processes",
                bound="writers_max",
            )
        state = WriterState(info, accepted=hello.position, durable=hello.position)
        registry.add(state)
    check_identity(state, info)
    check_schemas(state, schemas)
    state.learn(schemas, beside=True)
    if state.session is not None:
        state.session.refuse(
            Refusal(
                BUSY, "the writer connected again; this older connection is closed", state.durable
            )
        )
    skipped = state.skip_to(hello.position)
    session = Session(state, sweep_id=hello.sweep_id, skipped_bytes=skipped)
    state.connect(
        session,
        client=hello.client[:200],
        journal_dir=hello.journal_dir,
        is_dead=hello.recovered,
    )
    if hello.recovered and hello.end_state in KNOWN_STATES:
        state.note_death(Ending(hello.end_state, hello.exit_code))
    return session


def check_identity(state: WriterState, info: WriterInfo) -> None:
    """Raise StreamRefusedError if the id of ``info`` is known as a writer of another run."""
    known = state.info
    if (known.writer_id, known.run_id, known.project) != (
        *(info.writer_id, info.run_id, info.project),
    ):
        raise StreamRefusedError(
            MALFORMED,
            f"writer {info.writer_id} belongs to run {known.project}/{known.run_id}; use a "
            "new writer id for another run",
            state.durable,
        )


def check_hello(hello: Hello) -> Schemas:
    """Return the schemas that ``hello`` names.

    Raises:
        StreamRefusedError: An identity or a schema is invalid.
    """
    for name in ("run_id", "writer_id"):
        if not getattr(hello, name):
            raise StreamRefusedError(MALFORMED, f"hello without {name}")
    for name in ("project", "run_id", "writer_id", "label", "sweep_id"):
        size = len(getattr(hello, name).encode())
        if size > IDENTIFIER_BYTES_MAX:
            raise StreamRefusedError(
                LIMIT,
                f"{name} has {size} bytes; the maximum is {IDENTIFIER_BYTES_MAX}",
                bound="identifier_bytes",
            )
    if hello.scope not in ("", *_SCOPES):
        raise StreamRefusedError(
            MALFORMED, f"unknown scope {hello.scope!r}; expected one of {', '.join(_SCOPES)}"
        )
    if len(hello.host.encode()) > _HOST_BYTES_MAX:
        raise StreamRefusedError(LIMIT, f"host has more than {_HOST_BYTES_MAX} bytes")
    journal_dir = hello.journal_dir
    if len(journal_dir.encode()) > _PATH_BYTES_MAX or "\0" in journal_dir:
        raise StreamRefusedError(LIMIT, "journal_dir is not a valid path")
    if hello.position & 7:
        raise StreamRefusedError(MALFORMED, f"position {hello.position} is not a multiple of 8")
    if hello.position > POSITION_MAX:
        raise StreamRefusedError(LIMIT, f"position {hello.position}; the maximum is {POSITION_MAX}")
    if len(hello.schemas) > SCHEMAS_PER_WRITER_MAX:
        raise StreamRefusedError(
            LIMIT, f"more than {SCHEMAS_PER_WRITER_MAX} schemas", bound="schemas_per_writer"
        )
    schemas: Schemas = {}
    names: set[str] = set()
    for schema in hello.schemas:
        keys = tuple(schema.keys)
        if not 1 <= schema.id <= SCHEMAS_PER_WRITER_MAX or not 1 <= len(keys) <= SCHEMA_KEYS_MAX:
            raise StreamRefusedError(
                MALFORMED, f"invalid schema {schema.id} with {len(keys)} names"
            )
        if schemas.setdefault(schema.id, keys) != keys:
            raise StreamRefusedError(MALFORMED, f"schema {schema.id} is defined twice")
        names.update(keys)
    if len(names) > METRICS_PER_WRITER_MAX:
        raise StreamRefusedError(
            LIMIT,
            f"more than {METRICS_PER_WRITER_MAX} metrics in one writer",
            bound="metrics_per_writer",
        )
    check_names(schemas)
    return schemas
