"""A daemon that starts with far more in its spool than it may hold in memory.

    python -m tests.faults.backlog --gib 5

Fills a spool as a daemon whose store is away would, leaves it as a kill does, starts a daemon on
it, and prints the seconds until it accepts, the rate at which it stores, and its memory meanwhile.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from stepwell.cli.daemon_client import DaemonClient
from tests.daemon.made import append, new_writer, row, schema_event, spool_running
from tests.faults.soak import stored_points
from tests.node import Node, made_node

_WRITERS = 8
_KEYS = tuple(f"metric/{number}" for number in range(100))
_ROWS = 1000  # in a frame
_MIB = 1 << 20


@dataclass(frozen=True)
class Drained:
    points: int
    accepts_seconds: float
    stores_seconds: float
    rss_mib: list[float]
    """Of the daemon without its engine, each second."""


def write_backlog(folder: Path, size: int, *, segment_bytes: int) -> int:
    """Write at least ``size`` bytes of frames that do not compress; return the points."""
    noise = np.random.default_rng(1)

    async def write() -> int:
        points = step = 0
        async with spool_running(folder, segment_bytes=segment_bytes, bytes_max=1 << 50) as spool:
            states = [new_writer(spool, f"w{number}") for number in range(_WRITERS)]
            for state in states:
                append(spool, state, schema_event(_KEYS))
            while spool.unforwarded_bytes < size:
                for state in states:
                    values = noise.standard_normal((_ROWS, len(_KEYS)))
                    rows = b"".join(row(step + at, values[at].tolist()) for at in range(_ROWS))
                    append(spool, state, rows)
                    points += _ROWS * len(_KEYS)
                step += _ROWS
                await spool.settled()
        return points

    return asyncio.run(write())


def drain(
    node: Node, points: int, *, every: float = 1.0, tell: Callable[[str], None] = print
) -> Drained:
    """Start a daemon on the spool of ``node`` and wait until all of it is stored.

    Raises:
        AssertionError: Points, statistics or rollups are not exactly what was spooled.
    """
    started = time.monotonic()
    node.start_daemon()
    accepts = time.monotonic() - started
    tell(f"accepts after {accepts:.2f} s")
    assert node.daemon is not None
    daemon = psutil.Process(node.daemon.pid)
    memory: list[float] = []
    with DaemonClient(node.socket) as client:
        while left := client.status()["spool"]["unforwarded_bytes"]:
            memory.append(daemon.memory_info().rss / _MIB)
            if len(memory) % 10 == 0:
                tell(f"{left / _MIB:,.0f} MiB left, daemon {memory[-1]:.0f} MiB")
            time.sleep(every)
    stores = time.monotonic() - started
    stored = stored_points(node.data)
    assert set(stored.values()) == {points}, f"spooled {points}, stored {stored}"
    return Drained(points, accepts, stores, memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gib", type=float, default=5.0)
    options = parser.parse_args()
    with made_node() as node:
        points = write_backlog(
            node.data / "spool", int(options.gib * (1 << 30)), segment_bytes=64 << 20
        )
        print(f"{points:,} points in the spool")
        found = drain(node, points)
    print(
        f"all stored after {found.stores_seconds:.0f} s "
        f"({points / found.stores_seconds / 1e6:.2f} million points/s); daemon "
        f"{min(found.rss_mib):.0f} to {max(found.rss_mib):.0f} MiB"
    )


if __name__ == "__main__":
    main()
