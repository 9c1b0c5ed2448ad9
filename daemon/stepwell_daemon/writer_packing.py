"""Writers as bytes: the form of the spool's WRITER records and of its table of writers."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgpack

from stepwell_daemon.missing_ranges import MissingRange
from stepwell_daemon.writer_state import Schemas, WriterState
from stepwell_store.writer import WriterInfo

KEPT_DAYS: Final = 30
_INFO: Final = ("project", "run_id", "writer_id", "label", "scope", "host", "pid")


def describe(state: WriterState) -> bytes:
    """Return the content of a WRITER record: all facts for reading a segment alone."""
    # One step of C, because the loop may add to it.
    return pack_description(state, dict(state.schemas))


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
        ValueError: The content is invalid.
    """
    try:
        fields = msgpack.unpackb(content, strict_map_key=False)
        schemas = {int(number): tuple(keys) for number, keys in fields.pop("schemas").items()}
        return _state(fields), schemas
    except (ArithmeticError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"an invalid description of a writer: {error}") from error


class Mark(NamedTuple):
    """A writer, and the durable end of its stream.

    A thread that packs writers may see any value of the other fields, which are independent; these
    two belong together.
    """

    state: WriterState
    durable: int
    missing: tuple[MissingRange, ...]

    @classmethod
    def of(cls, state: WriterState) -> "Mark":
        return cls(state, state.durable, state.durable_missing_ranges)


def marks_of(states: Iterable[WriterState]) -> list[Mark]:
    """Return the present marks of ``states``; cheap, for the event loop."""
    return [Mark.of(state) for state in states]


def pack_states(marks: Iterable[Mark], *, now: float) -> list[dict[str, Any]]:
    """Return the stored form of the writers seen in the last 30 days. In any thread."""
    oldest = now - KEPT_DAYS * 86_400
    return [
        _fields(mark)
        for mark in marks
        if mark.state.seen_at >= oldest or mark.state.session is not None
    ]


def unpack_states(rows: Iterable[Mapping[str, Any]]) -> dict[int, WriterState]:
    states = (_state(row) for row in rows)
    return {state.number: state for state in states}


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
        "holes": mark.missing,
    }
    if state.is_removed:
        fields["removed"] = True
    return fields


def _state(fields: Mapping[str, Any]) -> WriterState:
    durable = int(fields["durable"])
    missing = tuple((int(start), int(end)) for start, end in fields.get("holes", ()))
    if not all(0 <= start < end <= durable for start, end in missing):
        raise ValueError(f"missing ranges {missing[:3]} before position {durable}")
    return WriterState(
        info=WriterInfo(**{name: fields[name] for name in _INFO}),
        client=fields["client"],
        journal_dir=fields["journal_dir"],
        accepted=durable,
        durable=durable,
        finished=bool(fields["finished"]),
        is_removed=bool(fields.get("removed", False)),
        last_time_us=int(fields["last_time_us"]),
        seen_at=float(fields["seen_at"]),
        via=fields.get("via", ""),
        missing_ranges=missing,
        durable_missing_ranges=missing,
    )
