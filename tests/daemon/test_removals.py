"""Runs that were deleted by force while they were running."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stepwell_daemon.counters import Counters
from stepwell_daemon.forwarder import Forwarder, ForwardSettings
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.removals import Removals
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

REMOVED = {"project": "demo", "run_id": "run-w1", "writer_id": "w1", "at": 1}


class NotingSink(FakeSink):
    """Has a row in every table, and notes of removed writers; may fail to read them."""

    def __init__(self) -> None:
        super().__init__()
        self.notes = [REMOVED]
        self.failures: list[str] = []
        self.deleted: list[str] = []

    def query(
        self, sql: str, *, parameters: Mapping[str, object] | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        if "max(removed_at)" in sql:
            if self.failures and (failure := self.failures.pop(0)):
                raise StoreError(failure)
            return self.notes
        return [{"1": 1}] if sql.startswith("SELECT 1 FROM") else []

    def delete_rows(self, table: str, condition: str, parameters: Mapping[str, object]) -> None:
        self.deleted.append(table)
        if table == "removed_writers":
            self.notes = []


@asynccontextmanager
async def removals_of(
    spool: Spool, store: NotingSink, journals: Path, **changes: Any
) -> AsyncIterator[tuple[Removals, Forwarder]]:
    config = SimpleNamespace(sink="embedded", journals=journals, further_journal_roots=lambda: ())
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
    assert "are deleted again" in caplog.text


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


def test_rows_are_deleted_after_the_earlier_records_are_stored_and_new_writers_wait(
    tmp_path: Path,
) -> None:
    note = run_note(tmp_path / "journals", "demo", "run-w1")
    note.parent.mkdir(parents=True)
    note.touch()

    async def look() -> None:
        store = NotingSink()
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, store, tmp_path / "journals", reach_seconds=0.05) as (
                removals,
                forwarder,
            ),
        ):
            state = new_writer(spool)
            append(spool, state, schema_event())
            append(spool, state, row(1))
            assert not await removals.look(), "its earlier records cannot be stored yet"
            assert state.is_removed
            assert not note.exists()
            assert store.notes, "the note is for the next look"
            removals.check("demo", "run-w1", "w2")
            forwarding = asyncio.create_task(forwarder.run(cast(Any, store)))
            looking = asyncio.create_task(removals.look())
            codes = set()
            while not looking.done():
                removals.check("demo", "run-w1", "w1")  # The removed one itself may connect.
                removals.check("demo", "other", "w3")
                try:
                    removals.check("demo", "run-w1", "w2")
                except StreamRefusedError as refused:
                    codes.add(refused.refusal.code)
                await asyncio.sleep(0)
            assert await looking
            assert codes == {BUSY}
            forwarding.cancel()
            await asyncio.wait([forwarding])
            assert set(store.steps()) == {1}
            assert store.deleted[-1] == "removed_writers"
            assert "points" in store.deleted
            removals.check("demo", "run-w1", "w2")

    asyncio.run(look())


def test_a_writer_that_another_daemon_has_is_left_to_it(tmp_path: Path) -> None:
    async def look() -> None:
        store = NotingSink()
        store.notes = [{**REMOVED, "writer_id": "elsewhere"}, {**REMOVED, "project": "reused-id"}]
        async with (
            spool_running(tmp_path / "spool") as spool,
            removals_of(spool, store, tmp_path) as (removals, _),
        ):
            state = new_writer(spool)
            assert await removals.look()
            assert not state.is_removed
            assert len(store.notes) == 2

    asyncio.run(look())
