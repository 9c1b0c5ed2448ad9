"""Events as rows of their tables: writers, configuration, printed lines, gaps, texts.

docs/formats/records.md defines the form of each known kind. An event with another form, or of an
unknown kind, is stored unchanged in the `events` table. So a newer client's events survive an older
daemon.
"""

from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final

from stepwell_store.attributes import (
    INT64_MAX,
    INT64_MIN,
    NAMES,
    dotted_names,
    flatten,
    to_json,
    typed,
)
from stepwell_store.histogram_rows import row_values
from stepwell_store.native import Column, number_column, text_column, tuple_column
from stepwell_store.table_spec import layout, sort_positions
from stepwell_store.tables import ATTRIBUTES, TABLES
from stepwell_store.writer import WriterInfo
from stepwell_wire import records
from stepwell_wire.gaps import file_of_gap, kind_of_gap
from stepwell_wire.limits import RESTART_MARK_MAX
from stepwell_wire.rows import Event
from stepwell_wire.staged import is_digest

RUNNING: Final = "running"
_OLDER_THAN_ANY: Final = 1
"""The version of a generated name; any given name, also an earlier one, has a higher version."""
_RANKS_MAX: Final = 2**17
_Row = tuple[Any, ...]
_Layout = tuple[tuple[str, str], ...]

_OF_EVENTS: Final = {table.name: table for table in TABLES if table.is_of_events}
LAYOUTS: Final[dict[str, _Layout]] = {name: layout(table) for name, table in _OF_EVENTS.items()}
"""Names and types of a row's values; a dotted name belongs to the Tuple of that name."""
_SORT_POSITIONS: Final = {name: sort_positions(table) for name, table in _OF_EVENTS.items()}


class EventRows:
    """Collects the rows of an extent's events."""

    def __init__(self) -> None:
        self._rows: dict[str, list[_Row]] = {
            name: [] for name, table in _OF_EVENTS.items() if not table.rows_of
        }

    def add(self, writer: WriterInfo, event: Event) -> None:
        """Add one event; never fails for an invalid event of a client."""
        handler = None if writer.is_node else _HANDLERS.get(event.kind)
        if handler is not None:
            try:
                made = handler(writer, event)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                handler = None
            else:
                for table, row in made:
                    self._rows[table].append(row)
        if handler is None:
            who = (writer.project, writer.run_id, writer.writer_id, writer.label)
            body = to_json(event.body)
            self._rows["events"].append((*who, event.step, event.time_us, event.kind, body))

    def tables(self) -> Iterator[tuple[str, int, list[Column]]]:
        """Yield ``(table, rows, columns)`` for each table with rows, sorted by its key."""
        attributes = _latest_of_each_path(self._rows[ATTRIBUTES.name])
        held = {**self._rows, ATTRIBUTES.name: attributes}
        for name, table in _OF_EVENTS.items():
            if rows := held[table.rows_of or name]:
                rows = sorted(rows, key=itemgetter(*_SORT_POSITIONS[name]))
                yield name, len(rows), _columns(LAYOUTS[name], rows)


def _columns(layout: _Layout, rows: list[_Row]) -> list[Column]:
    columns: list[Column] = []
    elements: list[Column] = []
    for (name, type_name), values in zip(layout, zip(*rows, strict=True), strict=True):
        outer, _, inner = name.partition(".")
        if type_name == "String":
            column = text_column(inner or outer, values)
        else:
            column = number_column(inner or outer, type_name, values)
        if not inner:
            columns.append(column)
            continue
        elements.append(column)
        if name == layout[-1][0]:  # A layout has at most one Tuple, and it is the last column.
            columns.append(tuple_column(outer, *elements))
    return columns


def _latest_of_each_path(rows: list[_Row]) -> list[_Row]:
    """Keep one row for each path, as the engine does; at equal times the later one in log order."""
    latest: dict[_Row, _Row] = {}
    for row in rows:
        held = latest.get(row[:4])
        if held is None or row[-1] >= held[-1]:
            latest[row[:4]] = row
    return list(latest.values())


_Made = list[tuple[str, _Row]]


def _start(writer: WriterInfo, event: Event) -> _Made:
    body = event.body
    resumed = bool(body.get("resumed"))
    started_at = _integer(body.get("started_at") or event.time_us)
    row = _writer_row(
        writer,
        event.time_us,
        (started_at, RUNNING, 0),
        started_at=started_at,
        rank=_integer(body.get("rank"), -1),
        world_size=_integer(body.get("world_size"), 0),
        client=str(body.get("client") or ""),
        resumed=_resumed(body),
    )
    made: _Made = [("writers", row)]
    name = body.get("name")
    if name and not resumed:  # A resumed run keeps a name that was given in the meantime.
        version = _OLDER_THAN_ANY if body.get("name_is_made") else event.time_us
        made.append(_attribute(writer, "run", "name", str(name), version))
    version = _version_of_rank(_integer(body.get("rank"), -1), event.time_us)
    facts = body.get("facts")
    for path, value in flatten(facts if isinstance(facts, Mapping) else {}):
        made.append(_attribute(writer, "run", path, value, version))
    return made


def _resumed(body: Mapping[str, Any]) -> int:
    """Return the column ``resumed``: the mark of a restart, and the bit of a resume.

    A launcher's restart sets no such bit: its ranks start one after another, and all count.
    """
    mark = min(max(_integer(body.get("restart"), 0), 0), RESTART_MARK_MAX)
    is_resume = bool(body.get("resumed")) and not (mark and body.get("by_launcher"))
    return mark * 2 + is_resume


def _version_of_rank(rank: int, time_us: int) -> int:
    """Return the version of what a rank above 0 says about the run at its start.

    It is below that of all other facts since 1988, so these replace it: facts of rank 0, edits. Of
    several ranks the lowest counts, and of its starts the latest. Only a generated name is below.
    """
    level = _RANKS_MAX - min(max(rank, 1), _RANKS_MAX - 1)
    return level << 32 | min(max(time_us // 1_000_000, 0), 2**32 - 1)


def _finish(writer: WriterInfo, event: Event) -> _Made:
    exit_code = _integer(event.body.get("exit_code"), 0)
    state = (event.time_us, str(event.body["state"]), exit_code)
    return [("writers", _writer_row(writer, event.time_us, state))]


def _writer_row(
    writer: WriterInfo,
    seen_at: int,
    state: tuple[int, str, int],
    *,
    started_at: int = 0,
    rank: int = -1,
    world_size: int = 0,
    client: str = "",
    resumed: int = 0,
) -> _Row:
    time_us, name, exit_code = state
    who = (writer.project, writer.run_id, writer.writer_id, writer.label, writer.host, writer.pid)
    about = (_int32(rank), _int32(world_size), client, resumed, started_at, seen_at)
    return (*who, *about, writer.run_key, time_us, name, _int32(exit_code))


def _set_and_delete(writer: WriterInfo, event: Event) -> _Made:
    kind, version = event.kind, event.time_us
    made: _Made = []
    for path in event.body.get("delete") or ():
        row = (writer.project, writer.run_id, kind, str(path), "null", 0.0, 0, "", 1, version)
        made.append(("attributes", row))
    values = event.body.get("set") or {}
    for path, value in flatten(values):
        made.append(_attribute(writer, kind, path, value, version))
    for path, names in dotted_names(values):
        made.append(_attribute(writer, kind + NAMES, path, names, version))
    return made


def _run(writer: WriterInfo, event: Event) -> _Made:
    return [
        _attribute(writer, "run", path, value, event.time_us) for path, value in flatten(event.body)
    ]


def _define_metric(writer: WriterInfo, event: Event) -> _Made:
    body = {key: value for key, value in event.body.items() if key != "name"}
    name = str(event.body["name"])
    return [_attribute(writer, "define_metric", name, body, event.time_us)]


def _console(writer: WriterInfo, event: Event) -> _Made:
    who = (writer.project, writer.run_id, writer.writer_id, writer.label)
    stream = str(event.body["stream"])
    return [
        ("console", (*who, stream, _integer(number), _integer(time_us), str(text)))
        for number, time_us, text in event.body["lines"]
    ]


def _values(writer: WriterInfo, event: Event) -> _Made:
    made: _Made = []
    for metric, value in event.body["values"].items():
        held = typed(value)
        text = held.text if held.type in ("null", "text", "json") else to_json(value)
        type_name = held.type if held.type in ("null", "text") else "json"
        where = (writer.project, writer.run_id, str(metric), writer.label)
        made.append(("texts", (*where, event.step, event.time_us, type_name, text)))
    return made


def _blob(writer: WriterInfo, event: Event) -> _Made:
    body = event.body
    digest = str(body.get("digest") or "")
    state = "ready" if body["state"] == "ready" and is_digest(digest) else "failed"
    sides = (_uint32(body.get("width")), _uint32(body.get("height")))
    what = (digest, max(_integer(body.get("size"), 0), 0), str(body.get("media_type") or ""))
    where = (writer.project, writer.run_id, str(body["id"]))
    reason = str(body.get("reason") or "")
    return [("blobs", (*where, state, *what, *sides, reason, event.time_us))]


def _histograms(writer: WriterInfo, event: Event) -> _Made:
    return [
        (
            "histograms",
            (
                *(writer.project, writer.run_id, str(metric), writer.label),
                *(event.step, event.time_us),
                *row_values(body),
            ),
        )
        for metric, body in event.body["values"].items()
    ]


def _gap(writer: WriterInfo, event: Event) -> _Made:
    body = event.body
    who = (writer.project, writer.run_id, writer.writer_id, writer.label)
    counts = (max(_integer(body["rows"]), 0), max(_integer(body["points"]), 0))
    steps = (_integer(body.get("first_step"), 0), _integer(body.get("last_step"), 0))
    kind = kind_of_gap(body)
    why = (kind.value, file_of_gap(body, kind))
    return [("gaps", (*who, event.time_us, str(body["reason"]), *counts, *steps, *why))]


def _attribute(
    writer: WriterInfo, kind: str, path: str, value: object, version: int
) -> tuple[str, _Row]:
    held = typed(value)
    where = (writer.project, writer.run_id, kind, path)
    what = (held.type, held.number, held.integer, held.text)
    return "attributes", (*where, *what, 0, version)


def _integer(value: Any, default: int | None = None) -> int:
    if value is None and default is not None:
        return default
    return min(max(int(value), INT64_MIN), INT64_MAX)


def _uint32(value: Any) -> int:
    return min(max(_integer(value, 0), 0), 2**32 - 1)


def _int32(value: int) -> int:
    return min(max(value, -(2**31)), 2**31 - 1)


_HANDLERS: Final[dict[str, Callable[[WriterInfo, Event], _Made]]] = {
    records.START: _start,
    records.FINISH: _finish,
    records.RUN: _run,
    records.CONFIG: _set_and_delete,
    records.SUMMARY: _set_and_delete,
    records.METADATA: _set_and_delete,
    records.DEFINE_METRIC: _define_metric,
    records.CONSOLE: _console,
    records.VALUES: _values,
    records.HISTOGRAMS: _histograms,
    records.GAP: _gap,
    records.BLOB: _blob,
}
