"""A spool with a dead letter."""

import asyncio
from pathlib import Path

from tests.daemon.fakes import FakeSink, sink_that_rejects
from tests.daemon.forwarding import fill, forward
from tests.daemon.made import spool_running

POISON = 17


def poisoned(folder: Path) -> FakeSink:
    """Forward a spool into a sink that refuses one row's points; return the sink."""
    sink = sink_that_rejects(POISON)

    async def run() -> None:
        async with spool_running(folder) as spool:
            await fill(spool, writers=1)
            await forward(spool, sink, block_points=1000)

    asyncio.run(run())
    return sink
