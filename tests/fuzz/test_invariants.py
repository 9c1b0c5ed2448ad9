"""What the targets check can fail: each invariant is broken once by hand."""

from dataclasses import replace

import pytest

from stepwell_daemon.spool import record
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.errors import MalformedRecordsError
from tests.daemon.made import row, schema_event, writer_info
from tests.fuzz.inputs import entries, entry
from tests.fuzz.invariants import BrokenInvariantError
from tests.fuzz.ledger import LedgerSpool
from tests.fuzz.restart import check_restart

pytestmark = pytest.mark.holds("fuzzing")

RECORDS = schema_event() + row(1)


@pytest.fixture
def spool() -> LedgerSpool:
    made = LedgerSpool()
    made.registry.add(WriterState(writer_info()))
    return made


def take(
    spool: LedgerSpool, position: int, records: bytes, *, points: int = 0, flags: int = 0
) -> None:
    state = spool.registry.get("w1")
    assert state is not None
    spool.append(state, position, records, points=points, flags=flags)


def test_a_frame_that_is_taken_twice_is_seen(spool: LedgerSpool) -> None:
    take(spool, 0, RECORDS, points=2)
    spool.check()
    with pytest.raises(BrokenInvariantError, match="bytes from 0 were taken"):
        take(spool, 0, RECORDS, points=2)


def test_a_hole_that_is_not_marked_is_seen_and_costs_frames_at_a_start(spool: LedgerSpool) -> None:
    take(spool, 0, RECORDS, points=2)
    end = len(RECORDS)
    with pytest.raises(BrokenInvariantError, match="a hole"):
        take(spool, end + 8, row(2), points=2)
    take(spool, end + 8, row(2), points=2, flags=record.JUMPS)
    spool.check()
    marks = {each: held.end or 0 for each, held in spool.written.items()}
    check_restart(spool.appends, marks)
    unmarked = [spool.appends[0], replace(spool.appends[1], flags=0)]
    with pytest.raises(BrokenInvariantError, match="quarantines"):
        check_restart(unmarked, marks)


def test_a_frame_that_cannot_be_decoded_again_is_seen(spool: LedgerSpool) -> None:
    take(spool, 0, row(1, schema=5), points=2)
    with pytest.raises(MalformedRecordsError):
        spool.check()


def test_a_wrong_count_of_points_is_seen(spool: LedgerSpool) -> None:
    take(spool, 0, RECORDS, points=3)
    with pytest.raises(BrokenInvariantError, match="other points"):
        spool.check()


def test_any_bytes_are_entries() -> None:
    assert list(entries(entry(3, b"abc") + entry(4) + b"\1\xff\xffrest")) == [
        (3, b"abc"),
        (4, b""),
        (1, b"rest"),
    ]
    assert list(entries(b"\1\2")) == []
