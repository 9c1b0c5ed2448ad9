"""What a process leaves that is killed while it makes its journal is removed by a daemon too."""

import asyncio
from pathlib import Path

from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.recovery import JournalRecovery
from tests.daemon.made import spool_running
from tests.sdk.incomplete import leave_incomplete


def test_the_daemon_removes_it_too(tmp_path: Path) -> None:
    left = leave_incomplete(tmp_path / "journals")

    async def look() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            places = JournalPlaces(tmp_path / "journals")
            recovery = JournalRecovery(spool, places=places, counters=spool.counters)
            await recovery.look()
            recovery.close()

    asyncio.run(look())
    assert not left.exists()
