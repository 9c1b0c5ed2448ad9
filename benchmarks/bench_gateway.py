"""How many points a second go from a node's spool to durable at a gateway?

A spool is filled with frames of eight writers (10 floats a row, about 1 MiB a frame), then relayed
over loopback to a gateway in a process of its own, which stores them meanwhile.

    python -m benchmarks.bench_gateway [POINTS]
"""

import asyncio
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import daemon_running, table
from stepwell_daemon.counters import Counters
from stepwell_daemon.forwarder import Forwarder, ForwardSettings
from stepwell_daemon.gateway.settings import RelaySettings
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_store.writer import WriterInfo
from stepwell_wire.records import SCHEMA, START, pack_event

WRITERS = 8
WIDTH = 10
ROWS = 10_000  # About a MiB.


async def fill(spool: Spool, points: int) -> None:
    """Append about ``points`` points."""
    random = np.random.default_rng(1)
    row = np.zeros(ROWS, [("head", "<u8"), ("step", "<i8"), ("time", "<i8"), ("v", "<f8", WIDTH)])
    row["head"] = struct.unpack("<Q", struct.pack("<II", 1, 24 + 8 * WIDTH))[0]
    schema = {"id": 1, "keys": [f"layer{number}/loss" for number in range(WIDTH)]}
    for number in range(WRITERS):
        info = WriterInfo("bench", f"relay{number}", f"relay-{number}", "", "run", "here", 1)
        state = WriterState(info, seen_at=time.time())
        spool.registry.add(state)
        names = {"project": info.project, "run_id": info.run_id, "writer_id": info.writer_id}
        first = pack_event(START, names, step=0, time_us=1)
        first += pack_event(SCHEMA, schema, step=0, time_us=1)
        spool.append(state, 0, first, points=0)
        for frame in range(points // (WRITERS * WIDTH * ROWS)):
            row["step"] = np.arange(frame * ROWS, (frame + 1) * ROWS)
            row["time"] = time.time_ns() // 1000 + np.arange(ROWS)
            row["v"] = random.normal(0, 0.05, (ROWS, WIDTH)).astype("f4")
            await spool.room()
            spool.append(state, state.accepted, row.tobytes(), points=ROWS * WIDTH)
    await spool.settled()


async def relay(folder: Path, port: int, points: int) -> tuple[int, float, float]:
    """Return the points relayed, the seconds it took, and the CPU seconds of the node."""
    spool = Spool(folder / "spool", SpoolSettings(), counters=Counters())
    committing = asyncio.create_task(spool.run())
    await fill(spool, points)
    forwarder = Forwarder(spool, ForwardSettings(), counters=spool.counters)
    start, cpu = time.monotonic(), time.process_time()
    relaying = asyncio.create_task(forwarder.run_relay(RelaySettings(address=f"localhost:{port}")))
    await forwarder.reach(spool.end)
    elapsed, used = time.monotonic() - start, time.process_time() - cpu
    for task in (relaying, committing):
        task.cancel()
    await asyncio.wait((relaying, committing))
    forwarder.close()
    spool.close()
    return spool.counters.points_stored, elapsed, used


def main(points: float = 8e6) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        daemon_running("--sample-seconds", "0", "--gateway-listen", "127.0.0.1:0") as daemon,
    ):
        before = daemon.cpu_seconds()
        port = daemon.status()["gateway"]["port"]
        sent, elapsed, used = asyncio.run(relay(Path(folder), port, int(points)))
        rows = [
            ["points relayed per second", sent / elapsed],
            ["points sent / durable at the gateway", f"{sent:,}"],
            ["CPU of the node, µs a point", used / sent * 1e6],
            [
                "CPU of gateway and its store, µs a point",
                (daemon.cpu_seconds() - before) / sent * 1e6,
            ],
        ]
    print(table(["one node, 8 writers, 10 floats a row", ""], rows))


if __name__ == "__main__":
    main(*(float(word) for word in sys.argv[1:2]))
