"""What dead writers left is taken in once, and their runs get an end."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from stepwell_daemon.departures import Departures
from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.recovery import JournalRecovery
from stepwell_daemon.session import Session
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.exit_note import EXIT_FILE, REGION_BYTES
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import find_journals
from stepwell_wire.repair import KEPT_FOLDER, plan_repair
from stepwell_wire.rows import Event, decode_records
from stepwell_wire.run_notes import forget_runs, step_note
from stepwell_wire.segment import PAGE_BYTES, segment_name
from tests.daemon.journals import hold_lock, make_journal, seal
from tests.daemon.made import (
    append,
    finish_event,
    new_writer,
    row,
    schema_event,
    spool_running,
    spooled_in,
    steps_in,
    writer_info,
)

ROWS = 12
START = schema_event()
STREAM = START + b"".join(row(step) for step in range(ROWS))


def recovery_of(spool: Spool, journals: Path, *, data: Path | None = None) -> JournalRecovery:
    places = JournalPlaces(journals, data=data)
    return JournalRecovery(spool, places=places, counters=spool.counters)


def events_in(spool: Spool) -> list[Event]:
    return [
        event
        for frame in spooled_in(spool)
        for event in decode_records(frame.record.content(), frame.schemas)[0].events
    ]


def states_in(spool: Spool) -> list[str]:
    return [event.body["state"] for event in events_in(spool) if event.kind == "finish"]


async def look(spool: Spool, journals: Path, *, data: Path | None = None) -> JournalRecovery:
    recovery = recovery_of(spool, journals, data=data)
    await recovery.look()
    await spool.settled()
    recovery.close()
    return recovery


def test_the_journal_of_a_dead_writer_is_taken_in_and_removed(tmp_path: Path) -> None:
    folder = make_journal(tmp_path / "j", "w1", STREAM)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            await look(spool, tmp_path / "j")
            assert steps_in(spooled_in(spool)) == list(range(ROWS))
            assert states_in(spool) == ["crashed"]
            assert spool.counters.recovered_journals == 1
            assert spool.counters.frames_received == 1
            assert spool.counters.bytes_received == len(STREAM)
            await look(spool, tmp_path / "j")
            assert states_in(spool) == ["crashed"]

    asyncio.run(run())
    assert not folder.exists()


@pytest.mark.parametrize(
    ("noted", "is_removed", "expected"),
    [(4, False, ROWS), (40, False, 40), (None, False, None), (4, True, 4)],
)
def test_the_last_step_of_a_dead_writer_is_noted_for_the_next_start(
    tmp_path: Path, noted: int | None, is_removed: bool, expected: int | None
) -> None:
    """Its own note is seconds old, and its journal goes."""
    journals = tmp_path / "j"
    folder = make_journal(journals, "w1", STREAM)
    info = JournalReader(folder).info
    note = step_note(journals, info.project, info.run_id)
    note.parent.mkdir(parents=True)
    if is_removed:
        folder.rename(journals / f"{info.run_id}-w1")
        forget_runs([journals], info.project, [info.run_id], removed_at=time.time())
    if noted is not None:
        note.write_bytes(noted.to_bytes(8, "little"))

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            await look(spool, journals)

    asyncio.run(run())
    assert not find_journals(journals)
    found = int.from_bytes(note.read_bytes(), "little") if note.exists() else None
    assert found == expected


def test_a_new_writers_journal_waits_while_rows_of_its_deleted_run_are_deleted(
    tmp_path: Path,
) -> None:
    folder = make_journal(tmp_path / "j", "w1", STREAM)
    held = True

    async def run() -> None:
        nonlocal held
        async with spool_running(tmp_path / "spool") as spool:
            recovery = JournalRecovery(
                spool,
                places=JournalPlaces(tmp_path / "j"),
                counters=spool.counters,
                is_held=lambda project, run_id: held and (project, run_id) == ("demo", "run-w1"),
            )
            await recovery.look()
            assert not spooled_in(spool)
            assert folder.exists()
            held = False
            await recovery.look()
            assert steps_in(spooled_in(spool)) == list(range(ROWS))
            recovery.close()

    asyncio.run(run())
    assert not folder.exists()


def test_a_journal_that_somebody_else_removes_first_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_journal(tmp_path / "j", "w1", STREAM)

    def taken_meanwhile(*arguments: object) -> tuple[list[Path], set[str], dict[Path, str]]:
        shutil.rmtree(folder, ignore_errors=True)
        return [folder], set(), {}

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            monkeypatch.setattr("stepwell_daemon.recovery._abandoned", taken_meanwhile)
            assert (await look(spool, tmp_path / "j")).problems == {}
            monkeypatch.undo()
            kept = make_journal(tmp_path / "j", "w2", row(1))  # Of a schema that nobody defines.
            recovery = recovery_of(spool, tmp_path / "j")
            await recovery.look()
            assert list(recovery.problems) == [kept]
            shutil.rmtree(kept)
            await recovery.look()
            assert recovery.problems == {}
            recovery.close()

    asyncio.run(run())


def test_a_journal_that_is_removed_while_it_is_looked_at_is_not_called_damaged(
    tmp_path: Path,
) -> None:
    folder = make_journal(tmp_path / "j", "w1", STREAM)
    with closing(JournalReader(folder)) as slow:
        with closing(JournalReader(folder)) as quick:
            quick.mark_acked(quick.committed)
            quick.remove()
        assert slow.damage() == ""


def test_a_dead_writers_run_ends_with_its_last_record(tmp_path: Path) -> None:
    """Not when somebody found what it left, perhaps days later."""
    make_journal(tmp_path / "j", "w1", STREAM)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            await look(spool, tmp_path / "j")
            (end,) = [event for event in events_in(spool) if event.kind == "finish"]
            assert end.time_us == 1_000_000 + ROWS  # The last row's, and one more.

    asyncio.run(run())


def test_the_end_that_a_writer_gave_itself_stands(tmp_path: Path) -> None:
    make_journal(tmp_path / "j", "w1", STREAM + finish_event("failed"))

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            await look(spool, tmp_path / "j")
            assert states_in(spool) == ["failed"]

    asyncio.run(run())


def test_only_what_the_daemon_lacks_is_taken(tmp_path: Path) -> None:
    make_journal(tmp_path / "j", "w1", STREAM)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            append(spool, new_writer(spool), STREAM[: len(START) + 5 * len(row(0))])
            await spool.settled()
            await look(spool, tmp_path / "j")
            assert steps_in(spooled_in(spool)) == list(range(ROWS))
            state = spool.registry.get("w1")
            assert state is not None
            assert state.durable == len(STREAM)

    asyncio.run(run())


def test_what_another_daemon_acknowledged_is_not_taken_again(tmp_path: Path) -> None:
    acked = len(START) + 4 * len(row(0))
    make_journal(tmp_path / "j", "w1", STREAM, acked=acked)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            await look(spool, tmp_path / "j")
            assert steps_in(spooled_in(spool)) == list(range(4, ROWS))

    asyncio.run(run())


def test_live_and_offline_writers_are_left_alone(tmp_path: Path) -> None:
    live = make_journal(tmp_path / "j", "live", STREAM)
    offline = make_journal(tmp_path / "j", "offline", STREAM, mode="offline")
    lock = hold_lock(live)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            await look(spool, tmp_path / "j")
            assert spooled_in(spool) == []

    asyncio.run(run())
    os.close(lock)
    assert live.exists()
    assert offline.exists()


def test_a_journal_elsewhere_is_found_when_its_writer_told_of_it(tmp_path: Path) -> None:
    folder = make_journal(tmp_path / "elsewhere", "w1", STREAM)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            new_writer(spool).journal_dir = str(folder)
            await look(spool, tmp_path / "nothing")
            assert steps_in(spooled_in(spool)) == list(range(ROWS))

    asyncio.run(run())
    assert not folder.exists()


def test_a_journal_that_cannot_be_read_is_kept_and_named(tmp_path: Path) -> None:
    broken = make_journal(tmp_path / "j", "broken", row(1))
    make_journal(tmp_path / "j", "whole", STREAM)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            recovery = await look(spool, tmp_path / "j")
            assert list(recovery.problems) == [broken]
            assert "schema 1" in recovery.problems[broken]
            assert steps_in(spooled_in(spool)) == list(range(ROWS))

    asyncio.run(run())
    assert broken.exists()


@asynccontextmanager
async def all_but_known(tmp_path: Path, what: str) -> AsyncIterator[tuple[Spool, Path]]:
    """A daemon that has everything of the journal ``known``, and so refuses ``lost`` alone.

    Yields its spool and the journal that was refused for ``what``.
    """
    async with spool_running(tmp_path / "spool") as spool:
        append(spool, new_writer(spool, "known"), STREAM)
        await spool.settled()
        recovery = await look(spool, tmp_path / "j")
        ((path, problem),) = recovery.problems.items()
        assert path.name.endswith("-lost")
        assert what in problem
        assert problem.endswith("`stepwell journal repair` sends the readable rows")
        yield spool, path


async def repaired(spool: Spool, path: Path) -> list[str]:
    """Repair a journal and let the daemon take it; return the gaps that it tells of."""
    plan_repair(path).apply()
    assert not (await look(spool, path.parent)).problems
    return [str(event.body["reason"]) for event in events_in(spool) if event.kind == "gap"]


@pytest.mark.holds("missing-journal-segment")
def test_a_journal_without_its_first_segment_is_named_unless_the_daemon_has_it(
    tmp_path: Path,
) -> None:
    for name in ("lost", "known"):
        make_journal(tmp_path / "j", name, schema_event() + row(ROWS), base=len(STREAM))

    async def run() -> None:
        async with all_but_known(tmp_path, f"{len(STREAM)} unacknowledged bytes") as (spool, path):
            assert steps_in(spooled_in(spool)) == list(range(ROWS + 1))
            await repaired(spool, path)
            assert steps_in(spooled_in(spool)) == [*range(ROWS + 1), ROWS]

    asyncio.run(run())
    assert [path.name for path in (tmp_path / "j").iterdir()] == [KEPT_FOLDER]


@pytest.mark.parametrize(
    ("offset", "noted", "body"),
    [
        (0, b"exit:\x03", {"state": "failed", "exit_code": 3}),
        (0, b"exit:\x00", {"state": "finished", "exit_code": 0}),
        (15 * REGION_BYTES, b"Stack (most recent", {"state": "killed", "exit_code": 143}),
        (0, b"exit:", {"state": "crashed", "exit_code": -1}),
        (0, b"", {"state": "crashed", "exit_code": -1}),
        (0, b"\xff" * 9, {"state": "crashed", "exit_code": -1}),
    ],
)
def test_an_exit_note_says_how_a_dead_writer_ended(
    tmp_path: Path, offset: int, noted: bytes, body: dict[str, object]
) -> None:
    folder = make_journal(tmp_path / "j", "a", STREAM)
    with open(folder / EXIT_FILE, "wb") as note:
        note.seek(offset)
        note.write(noted)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            await look(spool, tmp_path / "j")
            (end,) = [event for event in events_in(spool) if event.kind == "finish"]
            assert end.body == body

    asyncio.run(run())


def test_the_end_of_a_process_that_said_none_is_known_at_once() -> None:
    process = subprocess.Popen(["sleep", "1000"])

    async def run() -> None:
        gone = asyncio.Event()
        departures = Departures(gone.set)
        try:
            info = writer_info(host=socket.gethostname(), pid=process.pid)
            departures.note_left(WriterState(info))
            departures.note_left(WriterState(info, finished=True))
            await asyncio.sleep(0)
            assert not gone.is_set()
            process.kill()
            async with asyncio.timeout(30):
                await gone.wait()
        finally:
            process.kill()
            process.wait()
        gone.clear()
        departures.note_left(WriterState(info))
        assert gone.is_set(), "it was gone before it was watched"
        gone.clear()
        departures.note_left(WriterState(writer_info(host="another"), is_dead=True))
        assert gone.is_set(), "its journal was sent by another process"
        departures.note_left(WriterState(writer_info(host=info.host, pid=2**32 - 1)))
        departures.close()

    asyncio.run(run())


def test_a_cut_journal_is_named_unless_the_daemon_has_it(tmp_path: Path) -> None:
    for name in ("lost", "known"):
        folder = make_journal(tmp_path / "j", name, STREAM)
        os.truncate(folder / segment_name(0), PAGE_BYTES + len(STREAM) - 3 * len(row(0)))

    async def run() -> None:
        async with all_but_known(tmp_path, "truncated the file") as (spool, path):
            gaps = await repaired(spool, path)
            assert gaps == [f"journal damaged, {3 * len(row(0))} bytes"]
            assert sorted(steps_in(spooled_in(spool))) == sorted([*range(ROWS), *range(ROWS - 3)])

    asyncio.run(run())


@pytest.mark.holds("journal-damage-is-told")
def test_a_changed_journal_is_named_unless_the_daemon_has_it(tmp_path: Path) -> None:
    for name in ("lost", "known"):
        path = make_journal(tmp_path / "j", name, STREAM) / segment_name(0)
        seal(path, len(STREAM))
        content = bytearray(path.read_bytes())
        content[PAGE_BYTES + len(STREAM) - 1] ^= 1  # A value of the last row.
        path.write_bytes(content)

    async def run() -> None:
        async with all_but_known(tmp_path, "do not match their checksum") as (spool, path):
            assert steps_in(spooled_in(spool)) == list(range(ROWS))
            (gap,) = await repaired(spool, path)
            assert gap.endswith("of the journal kept without a valid checksum")
            assert sorted(steps_in(spooled_in(spool))) == sorted([*range(ROWS), *range(ROWS)])

    asyncio.run(run())


@pytest.mark.parametrize("name", ["writer.json", "99999999999999999992.seg"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_folder_in_a_journal_stops_no_recovery(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    broken = make_journal(tmp_path / "j", "broken", STREAM)
    (broken / name).unlink(missing_ok=True)
    make(broken / name)
    make_journal(tmp_path / "j", "whole", STREAM)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            async with asyncio.timeout(30):
                recovery = await look(spool, tmp_path / "j")
            assert list(recovery.problems) == [broken]
            assert name in recovery.problems[broken]
            assert steps_in(spooled_in(spool)) == list(range(ROWS))

    asyncio.run(run())
    assert broken.exists()


@pytest.mark.parametrize("name", ["²³.seg", ".seg", "٣.seg"])
def test_a_file_that_only_looks_like_a_segment_is_none(tmp_path: Path, name: str) -> None:
    folder = make_journal(tmp_path / "j", "w1", STREAM)
    (folder / name).write_bytes(b"something else")

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            recovery = await look(spool, tmp_path / "j")
            assert recovery.problems == {}
            assert steps_in(spooled_in(spool)) == list(range(ROWS))

    asyncio.run(run())


def test_a_restart_between_recovery_and_removal_adds_nothing(tmp_path: Path) -> None:
    folder = make_journal(tmp_path / "j", "w1", STREAM)
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}

    async def run() -> list[int]:
        async with spool_running(tmp_path / "spool") as spool:
            await look(spool, tmp_path / "j")
            assert states_in(spool) == ["crashed"]
            return steps_in(spooled_in(spool))

    first = asyncio.run(run())
    folder.mkdir()
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    assert asyncio.run(run()) == first
    assert not folder.exists()


def _gone_state(spool: Spool, pid: int, **changes: object) -> WriterState:
    info = writer_info("w1", host=socket.gethostname(), pid=pid, **changes)
    state = WriterState(info, seen_at=time.time(), disconnected_at=-1e9)
    spool.registry.add(state)
    return state


def _dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("dead", ["crashed"]),
        ("alive", []),
        ("other host", []),
        ("sent from another host", ["crashed"]),
        ("sent just now", ["crashed"]),
        ("node", []),
        ("connected", []),
        ("just ended", []),
        ("journal out of sight", []),
        ("journal removed", ["crashed"]),
        ("restored without journals", ["crashed"]),
    ],
)
def test_a_writer_that_is_surely_gone_gets_an_end(
    tmp_path: Path, case: str, expected: list[str]
) -> None:
    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            pid = os.getpid() if case == "alive" else _dead_pid()
            state = _gone_state(spool, pid)
            if case == "other host":
                state.info = writer_info("w1", host="far-away", pid=pid)
            if case.startswith("sent"):
                state.info = writer_info("w1", host="far-away", pid=os.getpid())
                state.is_dead = True
                state.journal_dir = str(tmp_path)  # Kept.
            if case == "sent just now":
                state.disconnected_at = time.monotonic()
            if case == "node":
                state.info = writer_info("w1", host=socket.gethostname(), pid=pid, scope="node")
            if case == "connected":
                state.session = Session(state)
            if case == "just ended":
                state.disconnected_at = time.monotonic()
            if case == "journal out of sight":
                state.journal_dir = "/nowhere/at/all/run-w1"
            if case == "journal removed":
                state.journal_dir = str(tmp_path / "run-w1")
            data = None
            if case.startswith("restored"):
                data = tmp_path / "data"
                state.journal_dir = str(data / "journals" / "run-w1")
            append(spool, state, STREAM)
            await spool.settled()
            journals = tmp_path / "j" if data is None else data / "journals"
            await look(spool, journals, data=data)
            await look(spool, journals, data=data)
            assert states_in(spool) == expected
            assert state.accepted == len(STREAM)

    asyncio.run(run())


def test_the_folder_of_a_writer_that_ended_is_looked_for_until_it_is_gone(tmp_path: Path) -> None:
    """Writers are known for 30 days: each of their folders was looked at every ten seconds."""
    elsewhere = tmp_path / "elsewhere"
    folder = make_journal(elsewhere, "left", START)

    async def run() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            places = {
                "gone": elsewhere / "gone",
                "left": folder,
                "alive": elsewhere / "alive",
                "unmounted": tmp_path / "away" / "unmounted",
            }
            for name, place in places.items():
                state = new_writer(spool, name)
                state.journal_dir, state.finished = str(place), name != "alive"
            held = hold_lock(folder)
            try:
                await look(spool, tmp_path / "j")
            finally:
                os.close(held)
            kept = {str(place) for name, place in places.items() if name != "gone"}
            assert spool.registry.journal_dirs() == kept

    asyncio.run(run())
