"""The daemon's own writers: the node's series travel like every other point.

There is one writer for each label. In the wire format a label belongs to a writer, not to a row,
and every daemon and gateway since 0.1.0 stores a writer's rows under its label. So devices need no
new message, no new column, and no upgrade of the gateway before its nodes. The cost is one spool
record for each device and sample, about 100 bytes; a single writer would need one for all devices.
The facts of a device (id, model) are sent as an event before its first row, and again when they
change. (Rejected: the label inside the metric names, because old daemons would store these as
metrics of the node.)
"""

import os
import socket
import struct
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from stepwell_daemon.bounds import SAMPLE_NAMES, SAMPLE_SPOOL_FAILING, SAMPLE_SPOOL_FULL, Dropped
from stepwell_daemon.frames import Taken
from stepwell_daemon.intake import take_records
from stepwell_daemon.samplers.protocol import (
    DEVICES_MAX,
    LABEL_BYTES_MAX,
    NAME_BYTES_MAX,
    VALUES_MAX,
    Device,
    Reading,
)
from stepwell_daemon.spool import record
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_store.process_labels import parse_process_label
from stepwell_store.writer import NODE_SCOPE, WriterInfo
from stepwell_wire.limits import (
    IDENTIFIER_BYTES_MAX,
    METRIC_NAME_BYTES_MAX,
    METRICS_PER_WRITER_MAX,
    SCHEMA_KEYS_MAX,
    SCHEMAS_PER_WRITER_MAX,
)
from stepwell_wire.records import DEVICE, HEADER, HEADER_BYTES, SCHEMA, pack_event

LABELS_MAX: Final = 512
"""Maximum of labels since the daemon's start. Interfaces that come and go must not fill a
gateway."""

NAMES_MAX: Final = 2048
"""Maximum of metrics of one label since the daemon's start."""

_IDLE_SECONDS: Final = 600.0
"""A process without a reading for this long counts as ended if its place is needed."""

_SCHEMAS_MAX: Final = 1024
"""Maximum of sets of names of one writer; then another writer continues."""

assert DEVICES_MAX < LABELS_MAX
assert LABEL_BYTES_MAX <= IDENTIFIER_BYTES_MAX
assert min(NAMES_MAX, SCHEMA_KEYS_MAX) >= VALUES_MAX
assert NAMES_MAX <= METRICS_PER_WRITER_MAX
assert _SCHEMAS_MAX <= SCHEMAS_PER_WRITER_MAX
assert NAME_BYTES_MAX <= METRIC_NAME_BYTES_MAX


class NodeWriters:
    """Packs readings as rows of writers with scope ``node``; their step is the unix second."""

    def __init__(
        self,
        spool: Spool,
        host: str | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            clock: seconds since 1970 UTC; decides which processes have ended.
        """
        self._spool = spool
        self._host = host or socket.gethostname()
        self._clock = clock
        self._writers: dict[str, _NodeWriter] = {}

    def append(self, readings: Sequence[Reading], time_us: int) -> int:
        """Append one row for each reading; return the number of points.

        If the spool fails, or has room only for runs, the rows are dropped and counted. Values
        beyond ``LABELS_MAX`` or ``NAMES_MAX`` are dropped and counted too.
        """
        return sum(self._append(each.device, each.values, time_us) for each in readings)

    def _append(self, device: Device, values: Mapping[str, float], time_us: int) -> int:
        label = device.label
        if not values:
            return 0
        if self._spool.failure is not None:
            return self._drop(SAMPLE_SPOOL_FAILING, len(values))
        if not self._spool.has_room_for_samples:
            return self._drop(SAMPLE_SPOOL_FULL, len(values))
        writer = self._writers.get(label)
        if writer is None:
            if len(self._writers) == LABELS_MAX:
                self._forget_idle_processes()
            if len(self._writers) == LABELS_MAX:
                return self._drop(SAMPLE_NAMES, len(values))
            writer = self._writers[label] = _NodeWriter(self._spool, self._host, label, self._clock)
        known = writer.names_that_fit(values)
        if len(known) < len(values):
            self._drop(SAMPLE_NAMES, len(values) - len(known), rows=0 if known else 1)
        return writer.append(device, known, time_us) if known else 0

    def _forget_idle_processes(self) -> None:
        """Make room: drop ended processes; other devices stay."""
        for label, writer in list(self._writers.items()):
            if parse_process_label(label) is not None and writer.is_idle:
                writer.close()
                del self._writers[label]

    def _drop(self, reason: str, points: int, *, rows: int = 1) -> int:
        self._spool.counters.drop([Dropped(reason, rows, points)])
        return 0


class _NodeWriter:
    """The writer of one label."""

    def __init__(self, spool: Spool, host: str, label: str, clock: Callable[[], float]) -> None:
        self._spool = spool
        self._host = host
        self._label = label
        self._clock = clock
        self._names: set[str] = set()
        self._sent_device: Device | None = None
        self._begin()

    def _begin(self) -> None:
        info = WriterInfo(
            project="",
            run_id=f"node-{self._host}",
            writer_id=f"node-{self._host[:64]}-{uuid.uuid4().hex[:16]}",
            label=self._label,
            scope=NODE_SCOPE,
            host=self._host,
            pid=os.getpid(),
        )
        self._state = WriterState(info, client="stepwell-daemon")
        self._numbers: dict[tuple[str, ...], int] = {}
        self._spool.registry.add(self._state)

    def names_that_fit(self, values: Mapping[str, float]) -> Mapping[str, float]:
        """Return ``values`` without the names beyond ``NAMES_MAX``."""
        if self._names.issuperset(values):
            return values
        fresh = [name for name in values if name not in self._names]
        self._names.update(fresh[: NAMES_MAX - len(self._names)])
        return {name: value for name, value in values.items() if name in self._names}

    @property
    def is_idle(self) -> bool:
        return self._clock() - self._state.seen_at > _IDLE_SECONDS

    def close(self) -> None:
        """Remove the writer's schemas from the registry: it sends no more rows."""
        self._state.retire(time.monotonic())

    def append(self, device: Device, values: Mapping[str, float], time_us: int) -> int:
        keys = tuple(values)
        pieces = []
        flags = 0
        step = time_us // 1_000_000
        if (device.id or device.name) and device != self._sent_device:
            self._sent_device = device
            pieces.append(pack_event(DEVICE, _as_event(device), step=step, time_us=time_us))
        number = self._numbers.get(keys)
        if number is None:
            if len(self._numbers) == _SCHEMAS_MAX:
                self._begin()
            number = self._numbers[keys] = len(self._numbers) + 1
            body = {"id": number, "keys": list(keys)}
            pieces.append(pack_event(SCHEMA, body, step=step, time_us=time_us))
            self._state.learn({number: keys})
            flags = record.DEFINES
        size = HEADER_BYTES + 8 * len(keys)
        pieces.append(HEADER.pack(number, size, step, time_us))
        pieces.append(struct.pack(f"<{len(keys)}d", *values.values()))
        state = self._state
        state.note_seen(self._clock())
        taken = Taken(state.accepted, b"".join(pieces), points=len(keys), flags=flags)
        take_records(self._spool, state, taken)
        return len(keys)


def _as_event(device: Device) -> dict[str, Any]:
    return {
        "kind": device.kind,
        "label": device.label,
        "id": device.id,
        "name": device.name,
        "facts": dict(device.facts),
    }
