"""A spool with a dead letter."""

import asyncio
from pathlib import Path

from stepwell_store import Block
from tests.daemon.fakes import FakeSink
from tests.daemon.forwarding import fill, forward
from tests.daemon.made import spool_running

POISON = 17


def poisoned(folder: Path) -> FakeSink:
    """Forward a spool into a sink that refuses one row's points; return the sink."""
    sink = FakeSink()

    def rejects(block: Block) -> bool:
        if block.table != "points":
            return False
        alone = FakeSink()
        alone.blocks = [block]
        return POISON in alone.steps()

    sink.rejects = rejects

    async def run() -> None:
        async with spool_running(folder) as spool:
            await fill(spool, writers=1)
            await forward(spool, sink, block_points=1000)

    asyncio.run(run())
    return sink
