"""Config, summary and the like while the journal is full: they wait for room."""

import pytest

from stepwell import Run
from stepwell.testing import RecordingDaemon
from tests.sdk.conftest import Start
from tests.sdk.held import read_journal
from tests.sdk.interrupted import Interrupted
from tests.waiting import wait_until

pytestmark = pytest.mark.holds("bound-events")

SMALL = {
    "journal_segment_bytes": 65536,
    "journal_bytes_max": 131072,
    "finish_timeout": 0.0,
    "console": False,
}


def log_until_full(run: Run) -> None:
    """Log until there is no room."""
    while not run.dropped_points:
        run.log({"x": 1.0})


def test_what_is_set_while_there_is_no_room_is_there_in_the_end(start: Start) -> None:
    run = start(settings=SMALL)  # Nobody acknowledges.
    folder = run._journal_dir
    log_until_full(run)
    run.config.update({"late": 1})
    run.define_metric("x", summary="max")
    run.summary["best"] = 2.0
    run.config.update({"late": 2}, allow_val_change=True)
    run.finish()
    held = read_journal(folder)
    assert [body["set"] for body in held.bodies("config")][-2:] == [{"late": 1}, {"late": 2}]
    assert held.bodies("define_metric")[-1]["name"] == "x"
    assert {"best": 2.0} in [body["set"] for body in held.bodies("summary")]
    assert [gap["reason"] for gap in held.bodies("gap")] == ["journal full"]
    assert held.events[-1][0] == "finish"


def test_it_is_written_as_soon_as_there_is_room(start: Start, daemon: RecordingDaemon) -> None:
    daemon.hold_acks = True
    run = start(settings=SMALL)
    log_until_full(run)
    run.config.update({"late": 1})
    daemon.hold_acks = False
    daemon.stop()  # A new connection gets the acks that were held.
    daemon.start()
    assert run.flush(30)
    assert daemon.events("config") == []

    def log() -> bool:
        run.log({"x": 2.0})
        return bool(daemon.events("config"))

    wait_until(log, "the change that waited for a segment to be freed")
    run.config.update({"later": 2})
    assert run.flush(30)
    sets = [event.body["set"] for event in daemon.events("config")]
    assert sets[-2:] == [{"late": 1}, {"later": 2}]
    run.finish()


def test_more_than_may_wait_is_counted_and_leaves_a_gap(start: Start) -> None:
    run = start(settings=SMALL)
    folder = run._journal_dir
    log_until_full(run)
    for number in range(40):
        run.config.update({f"large/{number}": "x" * 1000})
    run.finish()
    held = read_journal(folder)
    kept = [
        body for body in held.bodies("config") if "large/0" in str(body) or "large" in str(body)
    ]
    assert 0 < len(kept) < 40
    (gap,) = [gap for gap in held.bodies("gap") if gap["reason"] == "events, journal full"]
    assert (gap["rows"], gap["points"]) == (40 - len(kept), 0)
    assert held.events[-1][0] == "finish"


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize(
    "place",
    ["_write_queued", "_queue_event", "_place_or_advance", "_place", "_advance", "_write_gaps"],
)
def test_a_handler_that_sets_something_meanwhile_loses_nothing_and_doubles_nothing(
    start: Start, place: str, is_full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(settings=SMALL)
    folder = run._journal_dir
    writer = run._writer
    if is_full:
        log_until_full(run)
        run.config.update({"first": 0})
    interrupted = Interrupted(getattr(writer, place), lambda: run.config.update({"inner": 1}))
    monkeypatch.setattr(writer, place, interrupted)
    run.config.update({"outer": 2})
    run.finish()
    sets = [body["set"] for body in read_journal(folder).bodies("config")]
    expected = ["first", "inner", "outer"] if is_full else ["inner", "outer"]
    names = sorted(name for each in sets for name in each)
    if interrupted.is_armed:
        expected.remove("inner")
    assert names == expected
