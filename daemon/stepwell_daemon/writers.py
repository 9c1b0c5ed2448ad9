"""Writers: what the daemon knows of each, for ever or for as long as it may come back.

A writer's *high-water marks* are positions in its stream: up to ``accepted`` everything was taken
into memory, up to ``durable`` it is on disk and acknowledged.
"""

import asyncio
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import msgpack

from stepwell_daemon.counters import Rate
from stepwell_daemon.holes import Hole, note_frame
from stepwell_daemon.refusal import Refusal
from stepwell_daemon.samplers.protocol import Trainer
from stepwell_daemon.spool.record import FILLS, JUMPS, writer_number
from stepwell_daemon.spool.segment import Location
from stepwell_store.writer import WriterInfo
from stepwell_wire.exit_note import CRASHED, Ending
from stepwell_wire.ingest_pb2 import Command
from stepwell_wire.limits import names_size

Schemas = dict[int, tuple[str, ...]]

_KEPT_DAYS: Final = 30
_SCHEMAS_KEPT_SECONDS: Final = 60.0


class Stream(Protocol):
    """A writer's connection, as others may use it (``session.Session``)."""

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
    """A ``finish`` was taken, the writer's own or one made for it after its death."""
    last_time_us: int = 0
    """The latest time that the writer itself gave a record."""
    seen_at: float = 0.0
    """When its last frame or its hello came; seconds since 1970 UTC."""
    schemas: Schemas = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Each name of its schemas once; the schemas hold these very strings."""
    names_bytes: int = 0
    """What its schemas count for towards ``NAMES_BYTES_MAX``."""
    after_hole: bool = False
    """Its next frame goes past a hole; known beyond the connection that said so."""
    redescribe: bool = False
    """It has schemas that its frames do not define: the next one needs a description before it."""
    holes: tuple[Hole, ...] = ()
    """What relays went past, as of ``accepted``."""
    durable_holes: tuple[Hole, ...] = ()
    """The same as of ``durable``."""
    session: "Stream | None" = None
    location: Location = Location(0, 0)
    """The spool's end when its last frame had become durable."""
    pending: int = 0
    waiting_bytes: int = 0
    """Of its records that are not stored, as far as appended since the daemon's start."""
    """Frames accepted and not yet durable."""
    rate: Rate = field(default_factory=Rate)
    """Points received."""
    via: str = ""
    """The daemon that relays it; its process, journal and host are out of reach then."""
    relays: int = 0
    """Streams between daemons that have named it and are open."""
    synthetic: tuple[int, int] | None = None
    """Position and CRC-32 of the record that was last made on its behalf and relayed."""
    is_dead: bool = False
    """Its last connection was somebody else's, who sends what it left."""
    ending: Ending = CRASHED
    """How it ended, as far as is known, should it never have said so."""
    disconnected_at: float | None = None
    """Monotonic; None while connected and for writers that were not seen since the start."""

    @property
    def number(self) -> int:
        return writer_number(self.info.writer_id)

    def describe(self) -> bytes:
        """Return the content of a WRITER record: all that reading a segment alone needs."""
        schemas = dict(self.schemas)  # One step of C: the loop may add to it meanwhile.
        return pack_description(self, schemas)

    def note_durable(self, position: int, end: int, flags: int) -> None:
        """Take in that a frame of the writer's own stream is on disk."""
        self.durable_holes = note_frame(
            self.durable_holes,
            mark=self.durable,
            position=position,
            end=end,
            jumps=bool(flags & (JUMPS | FILLS)),
        )
        self.durable = max(self.durable, end)

    def learn(self, schemas: Mapping[int, tuple[str, ...]], *, beside: bool = False) -> None:
        """Take in new schemas.

        Args:
            beside: they do not come in a frame, so that a reader of the spool would miss them.
        """
        if beside and not schemas.keys() <= self.schemas.keys():
            self.redescribe = True
        for number, keys in schemas.items():
            if number not in self.schemas:
                self.schemas[number] = tuple(self.names.setdefault(key, key) for key in keys)
                self.names_bytes += names_size(keys)


def pack_description(state: WriterState, schemas: Mapping[int, tuple[str, ...]]) -> bytes:
    packed: bytes = msgpack.packb(
        {
            **_fields(Mark.of(state)),
            "schemas": {number: list(keys) for number, keys in schemas.items()},
        }
    )
    return packed


def unpack_description(content: bytes) -> tuple[WriterState, Schemas]:
    """Return the writer that a WRITER record describes, and its schemas.

    Raises:
        ValueError: The content is none.
    """
    try:
        fields = msgpack.unpackb(content, strict_map_key=False)
        schemas = {int(number): tuple(keys) for number, keys in fields.pop("schemas").items()}
        return _state(fields), schemas
    except (ArithmeticError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no description of a writer: {error}") from error


_INFO: Final = ("project", "run_id", "writer_id", "label", "scope", "host", "pid")


class Mark(NamedTuple):
    """A writer, and up to where its stream is durable.

    A thread that packs writers may see any value of the other fields, as they are of no order;
    these two belong together.
    """

    state: WriterState
    durable: int
    holes: tuple[Hole, ...]

    @classmethod
    def of(cls, state: WriterState) -> "Mark":
        return cls(state, state.durable, state.durable_holes)


def marks_of(states: Iterable[WriterState]) -> list[Mark]:
    """Return the marks of ``states`` as of now; cheap, for the event loop."""
    return [Mark.of(state) for state in states]


def _fields(mark: Mark) -> dict[str, Any]:
    state = mark.state
    fields: dict[str, Any] = {name: getattr(state.info, name) for name in _INFO}
    fields |= {
        "client": state.client,
        "journal_dir": state.journal_dir,
        "durable": mark.durable,
        "finished": state.finished,
        "last_time_us": state.last_time_us,
        "seen_at": state.seen_at,
        "via": state.via,
        "holes": mark.holes,
    }
    return fields


def _state(fields: Mapping[str, Any]) -> WriterState:
    durable = int(fields["durable"])
    holes = tuple((int(start), int(end)) for start, end in fields.get("holes", ()))
    if not all(0 <= start < end <= durable for start, end in holes):
        raise ValueError(f"holes {holes[:3]} before position {durable}")
    return WriterState(
        info=WriterInfo(**{name: fields[name] for name in _INFO}),
        client=fields["client"],
        journal_dir=fields["journal_dir"],
        accepted=durable,
        durable=durable,
        finished=bool(fields["finished"]),
        last_time_us=int(fields["last_time_us"]),
        seen_at=float(fields["seen_at"]),
        via=fields.get("via", ""),
        holes=holes,
        durable_holes=holes,
    )


def pack_states(marks: Iterable[Mark], *, now: float) -> list[dict[str, Any]]:
    """Return what of writers is kept on disk: those seen in the last 30 days. In any thread."""
    oldest = now - _KEPT_DAYS * 86_400
    return [
        _fields(mark)
        for mark in marks
        if mark.state.seen_at >= oldest or mark.state.session is not None
    ]


def unpack_states(rows: Iterable[Mapping[str, Any]]) -> dict[int, WriterState]:
    states = (_state(row) for row in rows)
    return {state.number: state for state in states}


class Registry:
    """All writers, by number."""

    def __init__(self, states: dict[int, WriterState]) -> None:
        self.states = states

    def get(self, writer_id: str) -> WriterState | None:
        return self.states.get(writer_number(writer_id))

    def add(self, state: WriterState) -> None:
        self.states[state.number] = state

    def connected(self) -> list[WriterState]:
        return [state for state in self.states.values() if state.session is not None]

    def journal_dirs(self) -> set[str]:
        """Return the folders in which the journals of writers are, or may still be."""
        return {state.journal_dir for state in self.states.values() if state.journal_dir}

    def forget_journals(self, gone: Collection[str]) -> None:
        """Note that the folders ``gone`` are no longer there: of writers that ended, for good."""
        for state in self.states.values():
            if state.journal_dir in gone and state.finished and state.session is None:
                state.journal_dir = ""

    def forget_idle(self, *, now: float, monotonic: float) -> None:
        """Let go of what nobody needs: schemas of writers that left, writers unseen for a month.

        A writer that comes back says its schemas anew.
        """
        for number, state in list(self.states.items()):
            if state.session is not None or state.pending:
                continue
            if state.seen_at < now - _KEPT_DAYS * 86_400:
                del self.states[number]
                continue
            left = state.disconnected_at
            if left is not None and monotonic - left > _SCHEMAS_KEPT_SECONDS:
                # Not cleared: whoever reads the spool may hold the old one.
                state.schemas, state.names, state.names_bytes = {}, {}, 0


def trainers(registry: Registry, *, host: str = "") -> list[Trainer]:
    """Return the processes of this node that log into runs now. Any thread may call it.

    A process in a container with a host name and process ids of its own is not among them: its
    number would name another process here.

    Args:
        host: this node's name, by default the system's.
    """
    host = host or socket.gethostname()
    states = list(registry.states.values())  # One step of C: the loop may add to it meanwhile.
    return [
        Trainer(state.info.pid, state.info.writer_id)
        for state in states
        if state.session is not None
        and not state.via
        and not state.info.is_node
        and state.info.host == host
        and state.info.pid > 0
    ]
