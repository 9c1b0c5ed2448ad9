"""What comes of runs that were deleted while they ran: a failure to remove it is said once."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stepwell_daemon import upkeep
from stepwell_store import StoreError
from stepwell_store.deletion import Swept


def test_a_sweep_that_fails_is_a_warning_once_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = iter(["away", "away", "", "away"])
    forgotten: list[tuple[str, str]] = []
    swept = asyncio.Event()

    def sweep(store: object, **_: object) -> Swept:
        try:
            failure = next(outcomes)
        except StopIteration:
            loop.call_soon_threadsafe(swept.set)
            return Swept()
        if failure:
            raise StoreError(failure)
        return Swept(done=(("p", "r"),))

    def forget(folders: object, project: str, run_ids: list[str]) -> None:
        forgotten.extend((project, each) for each in run_ids)

    monkeypatch.setattr(upkeep, "sweep_removed", sweep)
    monkeypatch.setattr(upkeep, "forget_runs", forget)
    config = SimpleNamespace(sink="embedded", journals="", further_journal_roots=lambda: ())
    facts, blobs, store = SimpleNamespace(config=config), object(), object()
    loop = asyncio.new_event_loop()

    async def watch() -> None:
        with ThreadPoolExecutor(1) as executor:
            keeping = upkeep.Upkeep(
                cast(Any, facts),
                cast(Any, blobs),
                store=lambda: cast(Any, store),
                executor=executor,
                sweep_seconds=0.0,
            )
            running = asyncio.create_task(keeping.sweep_removed())
            await asyncio.wait_for(swept.wait(), 60)
            running.cancel()

    with caplog.at_level(logging.INFO):
        loop.run_until_complete(watch())
    loop.close()
    warned = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warned) == 2  # One for each time that it began to fail.
    assert all("away" in each and "stepwell doctor" in each for each in warned)
    assert "deletion works again" in caplog.text
    assert forgotten == [("p", "r")]
