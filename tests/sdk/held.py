"""Reads back what a journal holds, in the plainest way: record by record."""

import struct
from pathlib import Path
from typing import Any, NamedTuple

from stepwell_wire.journal import JournalReader
from stepwell_wire.records import EVENT_SCHEMA, PADDING_SCHEMA, SCHEMA, scan_records, unpack_event


class Row(NamedTuple):
    step: int
    time_us: int
    values: dict[str, float]


class Held(NamedTuple):
    rows: list[Row]
    events: list[tuple[str, int, dict[str, Any]]]
    times_us: list[int]  # of the events

    def series(self, metric: str) -> list[tuple[int, float]]:
        return [(row.step, row.values[metric]) for row in self.rows if metric in row.values]

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [body for each, _, body in self.events if each == kind]

    def places(self, metric: str) -> list[tuple[int, int]]:
        """Return step and time of each value of ``metric`` that is no number."""
        return [
            (step, time_us)
            for (kind, step, body), time_us in zip(self.events, self.times_us, strict=True)
            if kind == "values" and metric in body["values"]
        ]

    def texts(self, metric: str) -> list[tuple[int, Any]]:
        return [
            (step, body["values"][metric])
            for kind, step, body in self.events
            if kind == "values" and metric in body["values"]
        ]


def decode(records: bytes, schemas: dict[int, tuple[str, ...]] | None = None) -> Held:
    known = dict(schemas or {})
    rows: list[Row] = []
    events: list[tuple[str, int, dict[str, Any]]] = []
    times_us: list[int] = []
    for record in scan_records(records):
        if record.schema == EVENT_SCHEMA:
            kind, body = unpack_event(records, record)
            if kind == SCHEMA:
                names = tuple(body["keys"])
                assert known.setdefault(body["id"], names) == names, "a number has one set of names"
            else:
                events.append((kind, record.step, body))
                times_us.append(record.time_us)
        elif record.schema != PADDING_SCHEMA:
            keys = known[record.schema]
            values = struct.unpack_from(f"<{len(keys)}d", records, record.offset + 24)
            rows.append(Row(record.step, record.time_us, dict(zip(keys, values, strict=True))))
    return Held(rows, events, times_us)


def read_journal(folder: Path | str) -> Held:
    """Return all that the journal in ``folder`` holds, live or dead."""
    reader = JournalReader(Path(folder))
    try:
        position, records = reader.oldest, b""
        committed = reader.committed
        while position < committed:
            part = reader.read(position, 1 << 20)
            assert part
            records += part
            position += len(part)
        return decode(records)
    finally:
        reader.close()


def histograms(run: Any) -> list[tuple[int, dict[str, Any]]]:
    """Return step and body of each event with histograms that the run's journal holds."""
    events = read_journal(run._journal_dir).events
    return [(step, body["values"]) for kind, step, body in events if kind == "histograms"]
