"""Gateways and nodes in one process, over a real port of loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stepwell_daemon.forwarder import Forwarder, ForwardSettings
from stepwell_daemon.gateway.listener import Listener
from stepwell_daemon.gateway.relay import Relay
from stepwell_daemon.gateway.settings import ListenSettings, RelaySettings
from stepwell_daemon.gateway.tokens import Tokens
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.spool.spool import Spool
from tests.daemon.backoffs import short_wait
from tests.daemon.made import spool_running

TOKEN = "a-token-of-enough-characters"


@asynccontextmanager
async def gateway_running(
    folder: Path, *, address: str = "127.0.0.1:0", **files: Path
) -> AsyncIterator[tuple[Spool, int]]:
    """A spool that takes relays, and its port."""
    async with spool_running(folder, segment_bytes=1 << 20) as spool:
        receiver = Receiver(spool, counters=spool.counters, writers_max=10, connections_max=10)
        settings = ListenSettings(address=address, **files)
        listener = Listener(settings, Relay(receiver, spool, tokens=Tokens(settings.tokens_file)))
        await listener.start()
        try:
            yield spool, listener.port
        finally:
            await listener.stop(0.2)


@asynccontextmanager
async def relaying(spool: Spool, port: int, **settings: Any) -> AsyncIterator[Forwarder]:
    """A forwarder that relays what is in ``spool``."""
    forwarder = Forwarder(
        spool,
        ForwardSettings(block_points=64, block_delay_seconds=0.0),
        counters=spool.counters,
        new_backoff=short_wait,
    )
    relay = RelaySettings(address=f"localhost:{port}", **settings)
    running = asyncio.create_task(forwarder.run_relay(relay))
    try:
        yield forwarder
    finally:
        running.cancel()
        await asyncio.wait({running})
        forwarder.close()
        if not running.cancelled():
            running.result()


async def relay_all(spool: Spool, port: int, **settings: Any) -> None:
    """Relay until the gateway has all of ``spool``."""
    async with relaying(spool, port, **settings) as forwarder, asyncio.timeout(30):
        await forwarder.reach(spool.end)


def write_secret(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path
