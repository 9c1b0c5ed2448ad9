"""Records: decoded values are in bounds, and the walkers agree with each other."""

from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.limits import FRAME_BYTES_MAX
from stepwell_wire.records import EVENT_SCHEMA, PADDING_SCHEMA, scan_records, unpack_event
from stepwell_wire.rows import decode_records
from stepwell_wire.segment import last_step, scan_events, whole_records
from tests.fuzz.inputs import entries, entry, keys_of, records_of, seed_records
from tests.fuzz.invariants import require
from tests.fuzz.targets.target import Target

_SCHEMAS = {number: keys_of(number) for number in (1, 2, 3, 4)}


class Records(Target):
    allowed = (MalformedRecordsError,)

    def seeds(self) -> list[bytes]:
        made = [entry(0, payload) for payload in seed_records()]
        return [*made, b"".join(made)]

    def feed(self, data: bytes) -> int:
        count = 0
        for _, payload in entries(data):
            self._feed(payload)
            count += 1
        return count

    def _feed(self, data: bytes) -> None:
        records = records_of(data)[:FRAME_BYTES_MAX]
        whole = whole_records(records)
        require(0 <= whole <= len(records) and not whole & 7, "an end outside of the bytes")
        last_step(records)
        events = 0
        for found in scan_events(records):
            events += 1
            try:
                unpack_event(records, found)
            except self.allowed:
                pass
        headers = rows = 0
        try:
            for header in scan_records(records):
                headers += 1
                rows += header.schema not in (EVENT_SCHEMA, PADDING_SCHEMA)
        except self.allowed:
            require(whole < len(records), "one walker takes what another refuses")
            headers = -1
        try:
            decoded, defined = decode_records(records, _SCHEMAS)
        except self.allowed:
            return
        require(headers >= 0 and whole == len(records), "records that cannot be walked decoded")
        require(decoded.row_count == rows, "rows were lost or doubled")
        require(sum(len(each.steps) for each in decoded.rows) == rows, "rows without a step")
        require(
            sum(each.values.size for each in decoded.rows) == decoded.point_count,
            "points that are not counted",
        )
        require(len(decoded.events) + len(defined) <= events, "events from nowhere")
