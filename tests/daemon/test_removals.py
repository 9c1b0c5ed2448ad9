"""Runs that were deleted by force while they were running."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stepwell_daemon.counters import Counters
from stepwell_daemon.forwarder import Forwarder, ForwardSettings
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.removals import Removals
from stepwell_daemon.session import Session
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_store import StoreError
from stepwell_wire.ingest_pb2 import BUSY
from stepwell_wire.run_notes import run_note
from tests.daemon.fakes import FakeSink
from tests.daemon.made import (
    append,
    finish_event,
    new_writer,
    row,
    schema_event,
    spool_running,
    spooled_in,
    steps_in,
)

KEY = ("demo", "run-w1")
REMOVED = {"project": "demo", "run_id": "run-w1", "writer_id": "w1", "at": 1}


class NotingSink(FakeSink):
    """Has a row in every table, and notes of removed writers; may fail to read them."""

    def __init__(self) -> None:
        super().__init__()
        self.notes = [REMOVED]
        self.failures: list[str] = []
        self.deleted: list[str] = []
        self.delete_failures = 0
        self.may_delete = threading.Event()
        self.may_delete.set()

    def query(
        self, sql: str, *, parameters: Mapping[str, object] | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        if "max(removed_at)" in sql:
            if self.failures and (failure := self.failures.pop(0)):
                raise StoreError(failure)
            return self.notes
        return [{"held": 1}] if sql.startswith("SELECT count() AS held FROM") else []

    def delete_rows(self, table: str, condition: str, parameters: Mapping[str, object]) -> None:
        assert self.may_delete.wait(60)
        if self.delete_failures:
            self.delete_failures -= 1
            raise StoreError("away")
        self.deleted.append(table)
        if table == "removed_writers":
            self.notes = []


@asynccontextmanager
async def removals_of(
    spool: Spool,
    store: NotingSink | None,
    journals: Path,
    *,
    sink: str = "embedded",
    **changes: Any,
) -> AsyncIterator[tuple[Removals, Forwarder]]:
    config = SimpleNamespace(sink=sink, journals=journals, further_journal_roots=lambda: ())
    forwarder = Forwarder(spool, ForwardSettings(block_delay_seconds=0), counters=Counters())
    with ThreadPoolExecutor(1) as executor:
        removals = Removals(
            cast(Any, SimpleNamespace(config=config)),
            spool,
            forwarder,
            store=lambda: cast(Any, store),
            executor=executor,
            **changes,
        )
        yield removals, forwarder
    forwarder.close()


def test_a_look_that_fails_is_a_warning_once_with_the_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def watch() -> None:
        store = NotingSink()
        store.notes = []
        store.failures = ["away", "away", "", "away", ""]
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, store, tmp_path, look_seconds=0.0) as (removals, _),
        ):
            running = asyncio.create_task(removals.run())
            while store.failures:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.001)
            running.cancel()

    with caplog.at_level(logging.INFO):
        asyncio.run(watch())
    warned = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warned) == 2, "one for each time that it began to fail"
    assert all("away" in each and "stepwell doctor" in each for each in warned)
    assert "works again" in caplog.text


def test_a_daemon_without_a_store_tells_its_callers_and_warns_of_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as one behind a gateway."""

    async def look() -> None:
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, None, tmp_path, look_seconds=0.0) as (removals, _),
            looking(removals),
        ):
            for _ in range(3):
                with pytest.raises(StoreError, match="no open store"):
                    await removals.look()

    asyncio.run(look())
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_records_of_a_removed_writer_are_acknowledged_and_not_kept(tmp_path: Path) -> None:
    async def fill() -> None:
        async with spool_running(tmp_path) as spool:
            told: list[WriterState] = []
            removed, other = new_writer(spool, "w1"), new_writer(spool, "w2")
            for state in (removed, other):
                append(spool, state, schema_event())
                append(spool, state, row(1))
            removed.note_removed()
            spool.on_durable = told.append
            append(spool, removed, row(2))
            assert told == [removed]
            assert removed.durable == removed.accepted > other.accepted
            append(spool, removed, finish_event())
            append(spool, other, row(2))
            await spool.settled()
            kept = [each for each in spooled_in(spool) if each.info.writer_id == "w1"]
            assert steps_in(kept) == [1]
            assert sorted(steps_in(spooled_in(spool))) == [1, 1, 2]
            durable = removed.durable
        async with spool_running(tmp_path) as spool:  # It is remembered over a restart.
            removed = spool.registry.states[removed.number]
            assert (removed.is_removed, removed.durable) == (True, durable)
            assert not spool.registry.states[other.number].is_removed
            append(spool, removed, row(3))
            await spool.settled()
            kept = [each for each in spooled_in(spool) if each.info.writer_id == "w1"]
            assert steps_in(kept) == [1]

    asyncio.run(fill())


@asynccontextmanager
async def looking(removals: Removals) -> AsyncIterator[None]:
    """Let looks be done."""
    running = asyncio.create_task(removals.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def forwarding(forwarder: Forwarder, store: NotingSink) -> AsyncIterator[None]:
    running = asyncio.create_task(forwarder.run(cast(Any, store)))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


def refused_code(removals: Removals, writer_id: str) -> int | None:
    try:
        removals.check("demo", "run-w1", writer_id)
    except StreamRefusedError as refused:
        return refused.refusal.code
    return None


def noted_run(journals: Path) -> Path:
    """Make the note of run `run-w1`."""
    note = run_note(journals, "demo", "run-w1")
    note.parent.mkdir(parents=True)
    note.touch()
    return note


def test_rows_are_deleted_after_the_earlier_records_are_stored_and_new_writers_wait(
    tmp_path: Path,
) -> None:
    note = noted_run(tmp_path / "journals")

    async def look() -> None:
        store = NotingSink()
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, store, tmp_path / "journals", reach_seconds=0.05) as (
                removals,
                forwarder,
            ),
            looking(removals),
        ):
            state = new_writer(spool)
            append(spool, state, schema_event())
            append(spool, state, row(1))
            assert await removals.look() == {KEY}, "its earlier records cannot be stored yet"
            assert state.is_removed
            assert not note.exists()
            assert store.notes, "the note is for the next look"
            assert removals.is_held(*KEY)
            assert refused_code(removals, "w1") is None, "the removed one itself may connect"
            assert refused_code(removals, "w2") == BUSY
            removals.check("demo", "other", "w3")
            async with forwarding(forwarder, store), asyncio.timeout(300):
                while await removals.look():
                    pass  # Storing may take longer than a look waits.
            assert set(store.steps()) == {1}
            assert store.deleted[-1] == "removed_writers"
            assert "points" in store.deleted
            assert refused_code(removals, "w2") is None

    asyncio.run(look())


def test_a_caller_that_gives_up_does_not_let_new_writers_in(tmp_path: Path) -> None:
    async def look() -> None:
        store = NotingSink()
        store.may_delete.clear()
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, store, tmp_path) as (removals, forwarder),
            looking(removals),
            forwarding(forwarder, store),
        ):
            new_writer(spool)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await removals.look()
            assert not store.deleted
            assert refused_code(removals, "w2") == BUSY
            free = asyncio.create_task(removals.free())
            await asyncio.sleep(0.05)
            assert not free.done(), "a daemon that relays waits"
            store.may_delete.set()
            await asyncio.wait_for(free, 60)
            assert not await removals.look()
            assert refused_code(removals, "w2") is None

    asyncio.run(look())


def test_new_writers_of_runs_that_another_process_deletes_wait(tmp_path: Path) -> None:
    async def hold() -> None:
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, NotingSink(), tmp_path) as (removals, _),
        ):
            new_writer(spool)
            with removals.holding([KEY, KEY]), removals.holding([("demo", "")]):
                assert refused_code(removals, "w2") == BUSY
                assert refused_code(removals, "w1") is None, "it is known"
                assert removals.is_held("demo", "another")
                assert not removals.is_held("other", "run-w1")
                await removals.free([(*KEY, "w1"), ("other", "r", "w2")])
                free = asyncio.create_task(removals.free([(*KEY, "w2")]))
                await asyncio.sleep(0.05)
                assert not free.done(), "a daemon that relays waits"
            await asyncio.wait_for(free, 60)
            assert refused_code(removals, "w2") is None
            assert not removals.is_held("demo", "another")

    asyncio.run(hold())


def test_a_sweep_that_fails_keeps_new_writers_waiting(tmp_path: Path) -> None:
    async def look() -> None:
        store = NotingSink()
        store.delete_failures = 1
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, store, tmp_path) as (removals, forwarder),
            looking(removals),
            forwarding(forwarder, store),
        ):
            new_writer(spool)
            with pytest.raises(StoreError):
                await removals.look()
            assert refused_code(removals, "w2") == BUSY
            assert not await removals.look()
            assert refused_code(removals, "w2") is None

    asyncio.run(look())


def test_a_run_that_a_new_writer_has_begun_keeps_its_rows_and_notes(tmp_path: Path) -> None:
    note = noted_run(tmp_path / "journals")

    async def look() -> None:
        store = NotingSink()
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, store, tmp_path / "journals") as (removals, forwarder),
            looking(removals),
            forwarding(forwarder, store),
        ):
            removed = new_writer(spool)
            info = replace(removed.info, writer_id="w2")
            spool.registry.add(WriterState(info, seen_at=time.time()))
            assert not await removals.look()
            assert removed.is_removed
            assert "points" not in store.deleted
            assert "series" not in store.deleted
            assert store.deleted[-1] == "removed_writers"
            assert note.exists()

    asyncio.run(look())


def test_a_writer_that_another_daemon_has_is_left_to_it(tmp_path: Path) -> None:
    async def look() -> None:
        store = NotingSink()
        store.notes = [{**REMOVED, "writer_id": "elsewhere"}, {**REMOVED, "project": "reused-id"}]
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, store, tmp_path) as (removals, _),
            looking(removals),
        ):
            state = new_writer(spool)
            assert await removals.look() == {KEY, ("reused-id", "run-w1")}
            assert not state.is_removed
            assert len(store.notes) == 2

    asyncio.run(look())


@pytest.mark.parametrize("place", ["connected", "relayed", "journal", "elsewhere"])
def test_with_servers_only_a_writer_that_can_send_here_is_ours(tmp_path: Path, place: str) -> None:
    async def look() -> None:
        store = NotingSink()
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, store, tmp_path, sink="clickhouse") as (removals, forwarder),
            looking(removals),
            forwarding(forwarder, store),
        ):
            state = new_writer(spool)
            if place == "connected":
                state.connect(Session(state), client="", journal_dir="", is_dead=False)
            elif place == "relayed":
                state.note_relayed("other", now=time.time(), is_new=True)
            elif place == "journal":
                state.journal_dir = str(tmp_path)
            await removals.look()
            assert state.is_removed == (place != "elsewhere")

    asyncio.run(look())
