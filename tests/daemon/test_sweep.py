"""What comes of runs that were deleted while they ran: a failure to remove it is said once."""

import asyncio
import logging
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stepwell_daemon import serve
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

    monkeypatch.setattr(serve, "sweep_removed", sweep)
    monkeypatch.setattr(serve, "_SWEEP_SECONDS", 0.0)
    daemon = SimpleNamespace(
        _config=SimpleNamespace(sink="embedded"),
        _store=object(),
        _store_executor=None,
        _closing=threading.Event(),
        _forget=lambda *run: forgotten.append(run),
    )
    loop = asyncio.new_event_loop()

    async def watch() -> None:
        running = asyncio.create_task(serve.Daemon._sweep_removed(cast(Any, daemon)))
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
