"""A spool whose process dies: nothing is closed, nothing is saved any more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stepwell_daemon.counters import Counters
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.spool import Spool


@asynccontextmanager
async def spool_that_dies(
    folder: Path, disk: Disk, **settings: Any
) -> AsyncIterator[tuple[Spool, Callable[[], Awaitable[None]]]]:
    """A spool that commits and is left as it is, and what waits until all is durable.

    The waiting raises the error that ended the commits, such as ``CrashError`` of ``disk``.
    """
    values = {"commit_interval_seconds": 0.0, **settings}
    spool = Spool(folder, SpoolSettings(**values), counters=Counters(), disk=disk)
    committing = asyncio.create_task(spool.run())

    async def all_durable() -> None:
        settled = asyncio.ensure_future(spool.settled())
        await asyncio.wait({settled, committing}, return_when=asyncio.FIRST_COMPLETED)
        settled.cancel()
        if committing.done():
            committing.result()

    try:
        yield spool, all_durable
    finally:
        committing.cancel()
        await asyncio.wait({committing})
        await spool.freed()  # No thread works in the folder any more.
