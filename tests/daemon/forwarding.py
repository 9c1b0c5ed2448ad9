"""A spool that is filled, and forwarded until all of it is stored."""

import asyncio

from stepwell_daemon.forwarder import Forwarder, ForwardSettings
from stepwell_daemon.spool.spool import Spool
from tests.daemon.backoffs import no_wait
from tests.daemon.fakes import FakeSink
from tests.daemon.made import (
    append,
    new_writer,
    row,
    schema_event,
)

ROWS = 40


async def fill(spool: Spool, *, writers: int = 2, rows: range = range(ROWS)) -> None:
    """Append ``rows`` for each writer, a frame a row; before row 0 what they are named."""
    for number in range(writers):
        if rows.start == 0:
            append(spool, new_writer(spool, f"w{number}"), schema_event())
    for step in rows:
        for number in range(writers):
            append(spool, new_writer(spool, f"w{number}"), row(step))
    await spool.settled()


async def forward(spool: Spool, sink: FakeSink, *, block_points: int = 16) -> None:
    """Forward until everything is stored or the forwarder fails."""
    settings = ForwardSettings(block_points=block_points, block_delay_seconds=0.0)
    forwarder = Forwarder(spool, settings, counters=spool.counters, new_backoff=no_wait)
    try:
        async with asyncio.timeout(30):
            running = asyncio.create_task(forwarder.run(sink))
            reaching = asyncio.create_task(forwarder.reach(spool.end))
            await asyncio.wait({running, reaching}, return_when=asyncio.FIRST_COMPLETED)
            reaching.cancel()
            if running.done():
                running.result()
            running.cancel()
            await asyncio.wait({running})
    finally:
        forwarder.close()
